"""Everything element by element between two maps, in one pass, and its way back.

    u = (x − mean) · scale + bias [+ addend],    y = f(u)

with mean, scale and bias a number a channel: batch normalisation, whose scale is
weight / √(var + eps). Without it u = x [+ addend]. x − mean comes first because x · scale + (bias −
mean · scale) would lose the digits that a large mean takes. Back,

    g = dy · f′(u),    Σ g  and  Σ g · x̂  over an image's places,  x̂ = (x − mean) · invstd

where u is computed again: that costs less than a map that keeps it. g is the gradient of the
addend as it is; `normalization` makes x's of it.

Channels that only fill a vector stay zero, for u is 0 there and f(0) is; only σ(0) is not, and is
multiplied by 0.
"""

from dataclasses import dataclass

from neocog.kernels.compiling import kernel
from neocog.kernels.functions import FUNCTIONS
from neocog.kernels.layout import FeatureMap
from neocog.kernels.simd import (
    FLOATS,
    LANES,
    accumulators,
    advance,
    block,
    nothing,
    pointer,
    vectors,
    zeros,
)
from neocog.kernels.sweep import Sweep, load_place, over, store_place

__all__ = ["Pointwise", "pointwise_backward", "pointwise_forward"]

_NONE = FeatureMap(1, 1, 1)
#: Functions of a few instructions, of which more may stand in a row.
_SHORT = ("identity", "relu", "leaky_relu", "scale")


@dataclass(frozen=True)
class Pointwise:
    """From the map x, and the map `addend` where it `adds`, to y; back from dy to g.

    g may be the very buffer dy if their maps are equal. `function` is one of `FUNCTIONS`,
    `parameter` its number. Maps that a direction does not read or write may be any.
    """

    x: FeatureMap
    y: FeatureMap = _NONE
    addend: FeatureMap = _NONE
    dy: FeatureMap = _NONE
    g: FeatureMap = _NONE
    normalised: bool = False
    adds: bool = False
    function: str = "identity"
    parameter: float = 0.0

    @property
    def unrolled(self) -> int:
        """Vectors whose code stands in a row."""
        return 8 if self.function in _SHORT else 4

    @property
    def forward(self) -> Sweep:
        """The pass forward."""
        return over(*self._inputs(), self.y, unrolled=self.unrolled)

    @property
    def backward(self) -> Sweep:
        """The pass back. Two vectors' numbers and sums are what sixteen registers hold."""
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
        """Whether channels that only fill a vector would not be zero by themselves."""
        return self.function == "sigmoid" and self.x.channels % LANES > 0


# What belongs to a block's channels: mean, scale and bias of every vector if it is normalised, and
# ones where there is a channel if the others must be made zero; a constant of each, at least one.


def _constants(sweep):
    def count(s, *_):
        each = 3 * s.normalised + s.filled_up
        return vectors(max(1, each * getattr(s, sweep).vectors))

    return count


def _load_constants(e, s, vectors_, c, mean, scale, bias):
    values = []
    if s.normalised:
        values += [e.load(p, v * LANES) for p in (mean, scale, bias) for v in range(vectors_)]
    if s.filled_up:
        last = e.indices(s.x.channels)
        for v in range(vectors_):
            channel = e.add_indices(
                e.splat_indices(c), e.add_indices(e.counting_indices(), e.indices(v * LANES))
            )
            there = e.less_indices(channel, last)
            values.append(e.select(there, e.constant(1.0), e.constant(0.0)))
    return values or [e.constant(0.0)]


@block(_constants("forward"))
def forward_constants(e, s, c, mean, scale, bias):
    """Of the block that begins with channel c."""
    return _load_constants(e, s, s.forward.vectors, c, mean, scale, bias)


@block(_constants("backward"))
def backward_constants(e, s, c, mean, scale, bias):
    """Of the block that begins with channel c."""
    return _load_constants(e, s, s.backward.vectors, c, mean, scale, bias)


def _argument(e, s, n, constants, x, addend, place, v):
    """The numbers u, and x − mean, of a place's vector, of n vectors."""
    u = shifted = load_place(e, s.x, x, place, v)
    if s.normalised:
        mean, scale, bias = (constants[part * n + v] for part in range(3))
        shifted = e.sub(u, mean)
        u = e.fma(shifted, scale, bias)
    if s.adds:
        u = e.add(u, load_place(e, s.addend, addend, place, v))
    return u, shifted


# Forward


def _forward(e, s, places, constants, x, addend, y):
    n = s.forward.vectors
    for place in range(places):
        for v in range(n):
            u, _ = _argument(e, s, n, constants, x, addend, place, v)
            value = FUNCTIONS[s.function].value(e, s.parameter, u)
            if s.filled_up:
                value = e.mul(value, constants[3 * s.normalised * n + v])
            store_place(e, s.y, value, y, place, v)


@block(nothing)
def forward_places(e, s, constants, x, addend, y):
    """Several places of a row."""
    _forward(e, s, s.forward.places, constants, x, addend, y)


@block(nothing)
def forward_place(e, s, constants, x, addend, y):
    """One place."""
    _forward(e, s, 1, constants, x, addend, y)


@kernel
def pointwise_forward(s, operands, first, count):
    """Operands: x, mean, scale, bias, addend, y."""
    p = s.forward
    mean, scale = pointer(operands, 1, FLOATS), pointer(operands, 2, FLOATS)
    bias = pointer(operands, 3, FLOATS)
    for n in range(count):
        x = advance(pointer(operands, 0, FLOATS), n * s.x.size + s.x.start)
        addend = advance(pointer(operands, 4, FLOATS), n * s.addend.size + s.addend.start)
        y = advance(pointer(operands, 5, FLOATS), n * s.y.size + s.y.start)
        for row in range(0, s.x.height, p.step):
            for c in range(0, p.padded, p.block):
                constants = forward_constants(
                    s, c, advance(mean, c), advance(scale, c), advance(bias, c)
                )
                x_row = advance(x, row * s.x.row + c)
                addend_row = advance(addend, row * s.addend.row + c)
                y_row = advance(y, row * s.y.row + c)
                for column in range(0, p.whole, p.places):
                    forward_places(
                        s,
                        constants,
                        advance(x_row, column * s.x.pixel),
                        advance(addend_row, column * s.addend.pixel),
                        advance(y_row, column * s.y.pixel),
                    )
                for column in range(p.whole, p.columns):
                    forward_place(
                        s,
                        constants,
                        advance(x_row, column * s.x.pixel),
                        advance(addend_row, column * s.addend.pixel),
                        advance(y_row, column * s.y.pixel),
                    )


# Backward


def _backward(e, s, places, sums, constants, x, addend, dy, g):
    p = s.backward
    sums = list(sums)
    for place in range(places):
        for v in range(p.vectors):
            u, shifted = _argument(e, s, p.vectors, constants, x, addend, place, v)
            slope = load_place(e, s.dy, dy, place, v)
            slope = FUNCTIONS[s.function].gradient(e, s.parameter, u, slope)
            store_place(e, s.g, slope, g, place, v)
            if s.normalised:
                at = p.first(place, v)
                sums[at] = e.add(sums[at], slope)
                at += p.vectors
                sums[at] = e.fma(slope, shifted, sums[at])
    return sums


@block(accumulators)
def backward_places(e, s, sums, constants, x, addend, dy, g):
    """Several places of a row; gives the sums of g and of g · (x − mean)."""
    return _backward(e, s, s.backward.places, sums, constants, x, addend, dy, g)


@block(accumulators)
def backward_place(e, s, sums, constants, x, addend, dy, g):
    """One place."""
    return _backward(e, s, 1, sums, constants, x, addend, dy, g)


@block(nothing)
def write_sums(e, s, first_row, sums, invstd, of_g, of_product):
    """Add a row's sums to its image's; each chain of x − mean gets the factor of all x̂ here."""
    p = s.backward
    if not s.normalised:
        return
    for v in range(p.vectors):
        factor = e.load(invstd, v * LANES)
        for part, to in ((0, of_g), (p.vectors, of_product)):
            total = sums[part + v]
            for chain in range(1, p.chains):
                total = e.add(total, sums[chain * p.totals + part + v])
            if part:
                total = e.mul(total, factor)
            before = e.select(first_row, e.constant(0.0), e.load(to, v * LANES))
            e.store(e.add(before, total), to, v * LANES)


@kernel
def pointwise_backward(s, operands, first, count):
    """Operands: x, mean, scale, bias, addend, dy, g, invstd, sums.

    An image's sums, if it is normalised, are every channel's Σ g, then every channel's Σ g · x̂.
    """
    p = s.backward
    mean, scale = pointer(operands, 1, FLOATS), pointer(operands, 2, FLOATS)
    bias, invstd = pointer(operands, 3, FLOATS), pointer(operands, 7, FLOATS)
    for n in range(count):
        x = advance(pointer(operands, 0, FLOATS), n * s.x.size + s.x.start)
        addend = advance(pointer(operands, 4, FLOATS), n * s.addend.size + s.addend.start)
        dy = advance(pointer(operands, 5, FLOATS), n * s.dy.size + s.dy.start)
        g = advance(pointer(operands, 6, FLOATS), n * s.g.size + s.g.start)
        written = advance(pointer(operands, 8, FLOATS), n * 2 * p.padded)
        for row in range(0, s.x.height, p.step):
            for c in range(0, p.padded, p.block):
                constants = backward_constants(
                    s, c, advance(mean, c), advance(scale, c), advance(bias, c)
                )
                x_row = advance(x, row * s.x.row + c)
                addend_row = advance(addend, row * s.addend.row + c)
                dy_row = advance(dy, row * s.dy.row + c)
                g_row = advance(g, row * s.g.row + c)
                sums = zeros(p.sums)
                for column in range(0, p.whole, p.places):
                    sums = backward_places(
                        s,
                        sums,
                        constants,
                        advance(x_row, column * s.x.pixel),
                        advance(addend_row, column * s.addend.pixel),
                        advance(dy_row, column * s.dy.pixel),
                        advance(g_row, column * s.g.pixel),
                    )
                for column in range(p.whole, p.columns):
                    sums = backward_place(
                        s,
                        sums,
                        constants,
                        advance(x_row, column * s.x.pixel),
                        advance(addend_row, column * s.addend.pixel),
                        advance(dy_row, column * s.dy.pixel),
                        advance(g_row, column * s.g.pixel),
                    )
                at = advance(written, c)
                write_sums(s, row == 0, sums, advance(invstd, c), at, advance(at, p.padded))
