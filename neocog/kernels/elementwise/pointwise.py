"""Element-wise layers between two maps in one pass, and their gradients.

    u = (x − mean) · scale + bias [+ addend],    y = f(u)

where mean, scale and bias have one number per channel: batch normalization, whose scale is
weight / √(var + eps). Without it u = x [+ addend]. x − mean is computed first, because
x · scale + (bias − mean · scale) would lose digits if the mean is large. Backward,

    g = dy · f′(u),    Σ g  and  Σ g · x̂  over an image's places,  x̂ = (x − mean) · invstd

where u is recomputed, which costs less than storing it. g is the gradient of the addend;
`normalization` computes that of x from it, or from dy, and then g is not `stored`.

Channels that only pad a vector stay zero, because u is 0 there and f(0) = 0. Only σ(0) is not 0,
and gets multiplied by 0.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.pointers import stack_floats
from neocog.kernels.codegen.vector_types import FLOATS, LANES
from neocog.kernels.compiler.jit import Kernel, kernel
from neocog.kernels.compiler.operands import maybe
from neocog.kernels.compiler.spec import Spec
from neocog.kernels.elementwise.functions import FUNCTIONS
from neocog.kernels.elementwise.traversal import Pass, Traversal, first_pixels, over, traverse
from neocog.kernels.layout import FeatureMap

__all__ = ["Pointwise", "kinds", "pointwise_backward", "pointwise_forward"]

_NONE = FeatureMap(1, 1, 1)
#: Floats of a mean, a scale and a bias that change nothing.
_NEUTRAL = 3 * LANES


@dataclass(frozen=True)
class Pointwise(Spec):
    """From the map x, and the map `addend` where it `adds`, to y; back from dy to g.

    g may be the same buffer as dy if their maps are equal. `function` is one of `FUNCTIONS`, and
    `parameter` and `threshold` its numbers. Maps that a direction does not use are ignored.
    """

    x: FeatureMap
    y: FeatureMap = _NONE
    addend: FeatureMap = _NONE
    dy: FeatureMap = _NONE
    g: FeatureMap = _NONE
    normalized: bool = False
    adds: bool = False
    function: str = "identity"
    parameter: float = 0.0
    threshold: float = 0.0
    stored: bool = True

    constants = ("function", "normalizing", "adding", "stored")

    @property
    def normalizing(self) -> str:
        """Whether machine code normalizes: ``always``, ``never``, or when it is ``asked``.

        What a long function costs hides a scale and an addend that change nothing.
        """
        return self._when(self.normalized)

    @property
    def adding(self) -> str:
        """Whether machine code adds."""
        return self._when(self.adds)

    def _when(self, asked: bool) -> str:
        if not FUNCTIONS[self.function].short:
            return "asked"
        return "always" if asked else "never"

    @property
    def second(self) -> FeatureMap:
        """The addend's map; x's where nothing is added."""
        return self.addend if self.adds else self.x

    @property
    def added(self) -> int:
        """Lanes of the addend that are added."""
        return LANES if self.adds else 0

    @property
    def forward(self) -> Traversal:
        """The forward pass."""
        return over(self.x, self.second, self.y, alike=self._alike)

    @property
    def backward(self) -> Traversal:
        """The backward pass."""
        return over(self.x, self.second, self.dy, self.g, alike=self._alike)

    @property
    def each(self) -> int:
        """1 if channels have numbers of their own, else 0."""
        return int(self.normalized)

    @property
    def there(self) -> int:
        """Channels that do not only pad the vector; any number if none does."""
        return self.x.channels if self.x.channels % LANES else 2**30

    @property
    def _alike(self) -> bool:
        padded = FUNCTIONS[self.function].fills and self.x.channels % LANES > 0
        return not self.normalized and not padded


class _Argument:
    """Computes u; `begin` is that of its `Pass`."""

    def __init__(self, emit, spec, mean, scale, bias, neutral):
        self._emit, self._spec = emit, spec
        self._pointers = [mean, scale, bias]
        if spec.normalizing == "asked":
            own = [emit.advance(neutral, at * LANES) for at in range(3)]
            for pointer, value in zip(own, (0.0, 1.0, 0.0), strict=True):
                emit.store(emit.constant(value), pointer)
            pairs = zip(self._pointers, own, strict=True)
            self._pointers = [emit.select(spec.normalized, given, at) for given, at in pairs]

    def begin(self, c, vectors):
        """Of each vector the channel it begins with, and the numbers of its channels."""
        pointers = () if self._spec.normalizing == "never" else self._pointers
        first = [c + v * LANES for v in range(vectors)]
        each = self._spec.each
        return [(at, [self._emit.load(pointer, at * each) for pointer in pointers]) for at in first]

    def at(self, told, place):
        """u and x − mean of a place."""
        emit, spec = self._emit, self._spec
        u = shifted = place.load(0)
        if spec.normalizing != "never":
            mean, scale, bias = told[place.number][1]
            shifted = emit.sub(u, mean)
            u = emit.fma(shifted, scale, bias)
        if spec.adding == "never":
            return u, shifted
        addend = place.load(1)
        if spec.adding == "asked":
            addend = emit.select(emit.lanes_below(spec.added), addend, emit.constant(0.0))
        return emit.add(u, addend), shifted


def _pointer_to_second(emit, spec, x, addend):
    return emit.select(spec.adds, addend, x)


def _parameters(emit, spec):
    return emit.constant(spec.parameter), emit.constant(spec.threshold)


def _unrolled(function):
    return 8 if function.short else 4


# Forward


@block(nothing)
def forward(emit, spec, count, neutral, x, mean, scale, bias, addend, y):
    """y of so many images."""
    function, parameters = FUNCTIONS[spec.function], _parameters(emit, spec)
    argument = _Argument(emit, spec, mean, scale, bias, neutral)

    def visit(told, place):
        value = function.value(emit, parameters, argument.at(told, place)[0])
        if function.fills:  # not for channels that only pad the vector
            there = emit.lanes_below(spec.there - told[place.number][0])
            value = emit.select(there, value, emit.constant(0.0))
        place.store(2, value)
        return ()

    does = Pass(visit, argument.begin, unrolled=_unrolled(function))
    second = _pointer_to_second(emit, spec, x, addend)
    with emit.loop(0, count) as n:
        maps = first_pixels(emit, n, (x, spec.x), (second, spec.second), (y, spec.y))
        traverse(emit, spec.forward, maps, does)


@kernel(
    x=FLOATS,
    mean=maybe(FLOATS),
    scale=maybe(FLOATS),
    bias=maybe(FLOATS),
    addend=maybe(FLOATS),
    y=FLOATS,
)
def pointwise_forward(spec, o, first, count):
    """y from x, the addend if there is one, and the channels' numbers if it is `normalized`."""
    neutral = stack_floats(_NEUTRAL)
    forward(spec, count, neutral, o.x, o.mean, o.scale, o.bias, o.addend, o.y)


# Backward


@block(nothing)
def backward(emit, spec, count, neutral, x, mean, scale, bias, addend, dy, g, invstd, sums):
    """g of so many images."""
    function, parameters = FUNCTIONS[spec.function], _parameters(emit, spec)
    argument = _Argument(emit, spec, mean, scale, bias, neutral)
    sums_needed = 0 if spec.normalizing == "never" else 2

    def visit(told, place):
        u, shifted = argument.at(told, place)
        slope = function.gradient(emit, parameters, u, place.load(2))
        if spec.stored:
            place.store(3, slope)
        return ((slope,), (slope, shifted))[:sums_needed]

    second = _pointer_to_second(emit, spec, x, addend)
    with emit.loop(0, count) as n:
        channels = spec.backward.channels
        of_image = emit.advance(sums, n * 2 * channels)

        def end(row, c, totals):
            if not totals:
                return
            with emit.when(spec.normalized):
                of_product = emit.mul(totals[1], emit.load(invstd, c))
                for at, total in ((c, totals[0]), (c + channels, of_product)):
                    before = emit.select(row < 1, emit.constant(0.0), emit.load(of_image, at))
                    emit.store(emit.add(before, total), of_image, at)

        pairs = (x, spec.x), (second, spec.second), (dy, spec.dy), (g, spec.g)
        does = Pass(visit, argument.begin, end, sums_needed, unrolled=_unrolled(function))
        traverse(emit, spec.backward, first_pixels(emit, n, *pairs), does)


@kernel(
    x=FLOATS,
    mean=maybe(FLOATS),
    scale=maybe(FLOATS),
    bias=maybe(FLOATS),
    addend=maybe(FLOATS),
    dy=FLOATS,
    g=maybe(FLOATS),
    invstd=maybe(FLOATS),
    sums=maybe(FLOATS),
)
def pointwise_backward(spec, o, first, count):
    """g from dy and what `pointwise_forward` read, if it is `stored`.

    With normalization, an image's `sums` are the channels' Σ g, then the channels' Σ g · x̂, for
    which a row's Σ g · (x − mean) is multiplied by invstd.
    """
    neutral = stack_floats(_NEUTRAL)
    given = (o.x, o.mean, o.scale, o.bias, o.addend)
    backward(spec, count, neutral, *given, o.dy, o.g, o.invstd, o.sums)


def kinds() -> Iterator[tuple[Kernel, Pointwise]]:
    """A spec of every kind, with its kernel."""
    for name, function in FUNCTIONS.items():
        forms = product((False, True), repeat=2) if function.short else [(False, False)]
        for normalized, adds in forms:
            spec = Pointwise(_NONE, normalized=normalized, adds=adds, function=name)
            yield pointwise_forward, spec
            yield pointwise_backward, spec
            if function.short and normalized and not adds:
                yield pointwise_backward, replace(spec, stored=False)
