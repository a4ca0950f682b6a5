"""Element-wise layers between two maps in one pass, and their gradients.

    u = (x − mean) · scale + bias [+ addend],    y = f(u)

where mean, scale and bias have one number per channel: batch normalization, whose scale is
weight / √(var + eps). Without it u = x [+ addend]. x − mean is computed first, because
x · scale + (bias − mean · scale) would lose digits if the mean is large. Backward,

    g = dy · f′(u),    Σ g  and  Σ g · x̂  over an image's places,  x̂ = (x − mean) · invstd

where u is recomputed, which costs less than storing it. g is the gradient of the addend;
`normalization` computes that of x from it.

Channels that only pad a vector stay zero, because u is 0 there and f(0) = 0. Only σ(0) is not 0,
and gets multiplied by 0.
"""

from dataclasses import dataclass

from neocog.kernels.codegen.block import accumulators, block, nothing
from neocog.kernels.codegen.pointers import advance, pointer, zeros
from neocog.kernels.codegen.vector_types import FLOATS, LANES, vectors
from neocog.kernels.compiler.jit import kernel
from neocog.kernels.elementwise.functions import FUNCTIONS
from neocog.kernels.elementwise.traversal import Traversal, load_place, over, store_place
from neocog.kernels.layout import FeatureMap

__all__ = ["Pointwise", "pointwise_backward", "pointwise_forward"]

_NONE = FeatureMap(1, 1, 1)
#: Functions of a few instructions, which can be unrolled further.
_SHORT = ("identity", "relu", "leaky_relu", "scale")


@dataclass(frozen=True)
class Pointwise:
    """From the map x, and the map `addend` where it `adds`, to y; back from dy to g.

    g may be the same buffer as dy if their maps are equal. `function` is one of `FUNCTIONS`, and
    `parameter` its number. Maps that a direction does not use are ignored.
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

    @property
    def unrolled(self) -> int:
        """Number of vectors to unroll."""
        return 8 if self.function in _SHORT else 4

    @property
    def forward(self) -> Traversal:
        """The forward pass."""
        return over(*self._inputs(), self.y, unrolled=self.unrolled)

    @property
    def backward(self) -> Traversal:
        """The backward pass; sixteen registers hold the numbers and sums of two vectors."""
        return over(
            *self._inputs(),
            self.dy,
            self.g,
            blocks_of=(2, 1),
            unrolled=self.unrolled,
            chained=2,
        )

    def _inputs(self) -> tuple[FeatureMap, ...]:
        return (self.x, self.addend) if self.adds else (self.x,)

    @property
    def filled_up(self) -> bool:
        """Whether channels that only pad a vector must be set to zero."""
        return self.function == "sigmoid" and self.x.channels % LANES > 0


# Constants of a block's channels: mean, scale and bias of every vector if it is normalized, and a
# mask of the channels if the padding must be set to zero; at least one vector.


def _constants(traversal):
    def count(spec, *_):
        each = 3 * spec.normalized + spec.filled_up
        return vectors(max(1, each * getattr(spec, traversal).vectors))

    return count


def _load_constants(emit, spec, vectors_, c, mean, scale, bias):
    values = []
    if spec.normalized:
        values += [emit.load(p, v * LANES) for p in (mean, scale, bias) for v in range(vectors_)]
    if spec.filled_up:
        last = emit.indices(spec.x.channels)
        for v in range(vectors_):
            channel = emit.add_indices(
                emit.splat_indices(c),
                emit.add_indices(emit.counting_indices(), emit.indices(v * LANES)),
            )
            there = emit.less_indices(channel, last)
            values.append(emit.select(there, emit.constant(1.0), emit.constant(0.0)))
    return values or [emit.constant(0.0)]


@block(_constants("forward"))
def forward_constants(emit, spec, c, mean, scale, bias):
    """The constants of the block that begins with channel c."""
    return _load_constants(emit, spec, spec.forward.vectors, c, mean, scale, bias)


@block(_constants("backward"))
def backward_constants(emit, spec, c, mean, scale, bias):
    """The constants of the block that begins with channel c."""
    return _load_constants(emit, spec, spec.backward.vectors, c, mean, scale, bias)


def _argument(emit, spec, n, constants, x, addend, place, v):
    """u and x − mean of one vector of a pixel."""
    u = shifted = load_place(emit, spec.x, x, place, v)
    if spec.normalized:
        mean, scale, bias = (constants[part * n + v] for part in range(3))
        shifted = emit.sub(u, mean)
        u = emit.fma(shifted, scale, bias)
    if spec.adds:
        u = emit.add(u, load_place(emit, spec.addend, addend, place, v))
    return u, shifted


# Forward


def _forward(emit, spec, places, constants, x, addend, y):
    n = spec.forward.vectors
    for place in range(places):
        for v in range(n):
            u, _ = _argument(emit, spec, n, constants, x, addend, place, v)
            value = FUNCTIONS[spec.function].value(emit, spec.parameter, u)
            if spec.filled_up:
                value = emit.mul(value, constants[3 * spec.normalized * n + v])
            store_place(emit, spec.y, value, y, place, v)


@block(nothing)
def forward_places(emit, spec, constants, x, addend, y):
    """y of several pixels of a row."""
    _forward(emit, spec, spec.forward.places, constants, x, addend, y)


@block(nothing)
def forward_place(emit, spec, constants, x, addend, y):
    """One pixel."""
    _forward(emit, spec, 1, constants, x, addend, y)


@kernel
def pointwise_forward(spec, operands, first, count):
    """Operands: x, mean, scale, bias, addend, y."""
    p = spec.forward
    mean, scale = pointer(operands, 1, FLOATS), pointer(operands, 2, FLOATS)
    bias = pointer(operands, 3, FLOATS)
    for n in range(count):
        x = advance(pointer(operands, 0, FLOATS), n * spec.x.size + spec.x.start)
        addend = advance(pointer(operands, 4, FLOATS), n * spec.addend.size + spec.addend.start)
        y = advance(pointer(operands, 5, FLOATS), n * spec.y.size + spec.y.start)
        for row in range(0, spec.x.height, p.step):
            for c in range(0, p.padded, p.block):
                constants = forward_constants(
                    spec, c, advance(mean, c), advance(scale, c), advance(bias, c)
                )
                x_row = advance(x, row * spec.x.row + c)
                addend_row = advance(addend, row * spec.addend.row + c)
                y_row = advance(y, row * spec.y.row + c)
                for column in range(0, p.whole, p.places):
                    forward_places(
                        spec,
                        constants,
                        advance(x_row, column * spec.x.pixel),
                        advance(addend_row, column * spec.addend.pixel),
                        advance(y_row, column * spec.y.pixel),
                    )
                for column in range(p.whole, p.columns):
                    forward_place(
                        spec,
                        constants,
                        advance(x_row, column * spec.x.pixel),
                        advance(addend_row, column * spec.addend.pixel),
                        advance(y_row, column * spec.y.pixel),
                    )


# Backward


def _backward(emit, spec, places, sums, constants, x, addend, dy, g):
    p = spec.backward
    sums = list(sums)
    for place in range(places):
        for v in range(p.vectors):
            u, shifted = _argument(emit, spec, p.vectors, constants, x, addend, place, v)
            slope = load_place(emit, spec.dy, dy, place, v)
            slope = FUNCTIONS[spec.function].gradient(emit, spec.parameter, u, slope)
            store_place(emit, spec.g, slope, g, place, v)
            if spec.normalized:
                at = p.first(place, v)
                sums[at] = emit.add(sums[at], slope)
                at += p.vectors
                sums[at] = emit.fma(slope, shifted, sums[at])
    return sums


@block(accumulators)
def backward_places(emit, spec, sums, constants, x, addend, dy, g):
    """g of several pixels of a row; returns the sums of g and of g · (x − mean)."""
    return _backward(emit, spec, spec.backward.places, sums, constants, x, addend, dy, g)


@block(accumulators)
def backward_place(emit, spec, sums, constants, x, addend, dy, g):
    """One pixel."""
    return _backward(emit, spec, 1, sums, constants, x, addend, dy, g)


@block(nothing)
def write_sums(emit, spec, first_row, sums, invstd, of_g, of_product):
    """Add a row's sums to its image's; those of x − mean are multiplied by invstd here."""
    p = spec.backward
    if not spec.normalized:
        return
    for v in range(p.vectors):
        factor = emit.load(invstd, v * LANES)
        for part, to in ((0, of_g), (p.vectors, of_product)):
            total = sums[part + v]
            for chain in range(1, p.chains):
                total = emit.add(total, sums[chain * p.totals + part + v])
            if part:
                total = emit.mul(total, factor)
            before = emit.select(first_row, emit.constant(0.0), emit.load(to, v * LANES))
            emit.store(emit.add(before, total), to, v * LANES)


@kernel
def pointwise_backward(spec, operands, first, count):
    """Operands: x, mean, scale, bias, addend, dy, g, invstd, sums.

    With normalization, an image's sums are the channels' Σ g, then the channels' Σ g · x̂.
    """
    p = spec.backward
    mean, scale = pointer(operands, 1, FLOATS), pointer(operands, 2, FLOATS)
    bias, invstd = pointer(operands, 3, FLOATS), pointer(operands, 7, FLOATS)
    for n in range(count):
        x = advance(pointer(operands, 0, FLOATS), n * spec.x.size + spec.x.start)
        addend = advance(pointer(operands, 4, FLOATS), n * spec.addend.size + spec.addend.start)
        dy = advance(pointer(operands, 5, FLOATS), n * spec.dy.size + spec.dy.start)
        g = advance(pointer(operands, 6, FLOATS), n * spec.g.size + spec.g.start)
        written = advance(pointer(operands, 8, FLOATS), n * 2 * p.padded)
        for row in range(0, spec.x.height, p.step):
            for c in range(0, p.padded, p.block):
                constants = backward_constants(
                    spec, c, advance(mean, c), advance(scale, c), advance(bias, c)
                )
                x_row = advance(x, row * spec.x.row + c)
                addend_row = advance(addend, row * spec.addend.row + c)
                dy_row = advance(dy, row * spec.dy.row + c)
                g_row = advance(g, row * spec.g.row + c)
                sums = zeros(p.sums)
                for column in range(0, p.whole, p.places):
                    sums = backward_places(
                        spec,
                        sums,
                        constants,
                        advance(x_row, column * spec.x.pixel),
                        advance(addend_row, column * spec.addend.pixel),
                        advance(dy_row, column * spec.dy.pixel),
                        advance(g_row, column * spec.g.pixel),
                    )
                for column in range(p.whole, p.columns):
                    sums = backward_place(
                        spec,
                        sums,
                        constants,
                        advance(x_row, column * spec.x.pixel),
                        advance(addend_row, column * spec.addend.pixel),
                        advance(dy_row, column * spec.dy.pixel),
                        advance(g_row, column * spec.g.pixel),
                    )
                at = advance(written, c)
                write_sums(spec, row == 0, sums, advance(invstd, c), at, advance(at, p.padded))
