"""The weight of a Winograd convolution, transformed: U = G w Gᵀ; see `winograd`.

U is laid out [ξ][K / block][C][block], with C and K the channels into and out of the convolution
that reads it. A convolution's input gradient is the convolution of dy whose kernel is turned by
180°, with C and K exchanged: `winograd_weight_turned` makes its U from the same packed weight, in
squares of LANES × LANES channels.
"""

from dataclasses import dataclass

from neocog.kernels.compiling import inlined, kernel
from neocog.kernels.layout import ConvolutionWeight
from neocog.kernels.simd import FLOATS, LANES, advance, block, nothing, pointer
from neocog.kernels.winograd import Winograd
from neocog.kernels.winograd_transforms import Patch, transform_weight

__all__ = ["Square", "WinogradWeight", "winograd_weight", "winograd_weight_turned"]


@dataclass(frozen=True)
class WinogradWeight:
    """The transform of the weight of `convolution`, the one that reads U."""

    convolution: Winograd

    @property
    def w(self) -> ConvolutionWeight:
        """The weight of the convolution that reads U."""
        return self.convolution.w

    @property
    def source(self) -> ConvolutionWeight:
        """The weight that is turned."""
        return self.w.turned

    @property
    def panel(self) -> int:
        """Floats of U for one point and one block of output channels."""
        return self.w.in_channels * self.w.block

    @property
    def taps(self) -> Patch:
        """The nine numbers of one kernel, in the packed weight."""
        tap, c = self.panel, self.convolution
        return Patch(c.side, 3, 3, 3 * tap, tap, c.u_spot)

    @property
    def turned_taps(self) -> Patch:
        """The nine numbers of one kernel, where the first nine points of its U will be."""
        c = self.convolution
        return Patch(c.side, 3, 3, 3 * c.u_spot, c.u_spot, c.u_spot)

    @property
    def rest(self) -> int:
        """Input channels of U that do not fill a square."""
        return self.w.in_channels % LANES

    @property
    def square(self) -> "Square":
        """Whole vectors both ways."""
        return Square(self, LANES, LANES)

    @property
    def last_in(self) -> "Square":
        """The input channels of U that are left over."""
        return Square(self, self.rest, LANES)

    @property
    def last_out(self) -> "Square":
        """The output channels of U that are left over."""
        return Square(self, LANES, self.w.out_channels % LANES)

    @property
    def last_both(self) -> "Square":
        """Both."""
        return Square(self, self.rest, self.w.out_channels % LANES)


@dataclass(frozen=True)
class Square:
    """Input × output channels of U that are turned together, of which so many exist."""

    s: WinogradWeight
    ins: int
    outs: int


@block(nothing)
def turn_tap(e, q, w, u):
    """One tap, whose vectors lie along U's input channels, to vectors along its outputs."""
    zero = e.constant(0.0)
    step = q.s.source.block
    rows = [e.load(w, o * step) if o < q.outs else zero for o in range(LANES)]
    for i, column in enumerate(e.transpose(rows)[: q.ins]):
        e.store(column, u, i * q.s.w.block)


@inlined
def turn_taps(q, w, u):
    """Nine taps, the last first, to where the first nine points of their transform will be."""
    for tap in range(9):
        of = advance(w, (8 - tap) * q.s.source.in_channels * q.s.source.block)
        turn_tap(q, of, advance(u, tap * q.s.convolution.u_spot))


@kernel
def winograd_weight(s, operands, first, count):
    """U for a convolution; items are blocks of its output channels.

    Operands: weight [K / block][i][j][C][block], U.
    """
    weight = pointer(operands, 0, FLOATS)
    u = pointer(operands, 1, FLOATS)
    for k in range(first, first + count):
        for at in range(0, s.panel, LANES):
            of = advance(weight, k * s.w.block_size + at)
            transform_weight(s.taps, of, advance(u, k * s.panel + at))


@kernel
def winograd_weight_turned(s, operands, first, count):
    """U for the convolution that gives an input gradient; items are blocks of its output channels.

    Operands: the forward convolution's weight [C / block][i][j][K][block], U.
    """
    weight = pointer(operands, 0, FLOATS)
    u = pointer(operands, 1, FLOATS)
    for k in range(first * s.w.block, (first + count) * s.w.block, LANES):
        to_block = advance(u, k // s.w.block * s.panel + k % s.w.block)
        whole_out = k + LANES <= s.w.out_channels
        for c in range(0, s.w.in_channels, LANES):
            of_block = advance(weight, c // s.source.block * s.source.block_size)
            of = advance(of_block, c % s.source.block + k * s.source.block)
            to = advance(to_block, c * s.w.block)
            whole_in = c + LANES <= s.w.in_channels
            if whole_in and whole_out:
                turn_taps(s.square, of, to)
            elif whole_in:
                turn_taps(s.last_out, of, to)
            elif whole_out:
                turn_taps(s.last_in, of, to)
            else:
                turn_taps(s.last_both, of, to)
            for row in range(min(LANES, s.w.in_channels - c)):
                at = advance(to, row * s.w.block)
                transform_weight(s.turned_taps, at, at)
