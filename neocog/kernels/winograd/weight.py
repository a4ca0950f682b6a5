"""The transformed weight of a Winograd convolution: U = G w Gᵀ; see `winograd`.

U's layout is [ξ][K / block][C][block], where C and K are the channels into and out of the
convolution that reads it. A convolution's input gradient is the convolution of dy with the flipped
kernel, rotated by 180° and with C and K exchanged: `winograd_weight_flipped` computes its U from
the same packed weight, in squares of LANES × LANES channels.
"""

from dataclasses import dataclass

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.pointers import advance, pointer
from neocog.kernels.codegen.vector_types import FLOATS, LANES
from neocog.kernels.compiler.jit import inlined, kernel
from neocog.kernels.compiler.runtime_sizes import runtime_sizes
from neocog.kernels.layout import ConvolutionWeight
from neocog.kernels.winograd.tiling import Winograd
from neocog.kernels.winograd.transforms import places, transform_weight

__all__ = ["WinogradWeight", "winograd_weight", "winograd_weight_flipped"]


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
        """The weight that is flipped."""
        return self.w.flipped

    @property
    def panel(self) -> int:
        """Floats of U for one point and one block of output channels."""
        return self.w.in_channels * self.w.block

    @property
    def kind(self) -> "WeightKind":
        """What the machine code depends on."""
        ins, outs = self.w.in_channels % LANES, self.w.out_channels % LANES
        return WeightKind(self.convolution.side, self.w.block, self.source.block, ins, outs)

    @property
    def runtime_sizes(self) -> "Panels":
        """All other sizes."""
        w, source = self.w, self.source
        return Panels(
            in_channels=w.in_channels,
            out_channels=w.out_channels,
            panel=self.panel,
            block_size=w.block_size,
            source_tap=source.tap_size,
            source_size=source.block_size,
            spot=self.convolution.u_spot,
        )


@dataclass(frozen=True)
class Panels:
    """Sizes of a weight and of U, in floats but for the channels; see `WinogradWeight`."""

    in_channels: int
    out_channels: int
    panel: int
    block_size: int
    source_tap: int
    source_size: int
    spot: int


@dataclass(frozen=True)
class WeightKind:
    """What the machine code depends on: points along a side, blocks, channels left over."""

    side: int
    block: int
    source_block: int
    rest_in: int
    rest_out: int

    runtime_sizes = Panels

    @property
    def square(self) -> "Square":
        """Whole vectors both ways."""
        return Square(self, LANES, LANES)

    @property
    def last_in(self) -> "Square":
        """Input channels of U after whole vectors."""
        return Square(self, self.rest_in, LANES)

    @property
    def last_out(self) -> "Square":
        """Output channels of U after whole vectors."""
        return Square(self, LANES, self.rest_out)

    @property
    def last_both(self) -> "Square":
        """Input and output channels of U after whole vectors."""
        return Square(self, self.rest_in, self.rest_out)


@dataclass(frozen=True)
class Square:
    """A square of input × output channels of U, with the numbers of those that exist."""

    t: WeightKind
    ins: int
    outs: int


@block(nothing)
def transform(emit, t, g, w, tap, u):
    """U of one vector of channels, from taps `tap` floats apart."""
    transform_weight(emit, t.side, places(emit, w, emit.offset((3, tap)), tap), u, g.spot)


@block(nothing)
def transpose_tap(emit, q, w, u):
    """Transpose one tap, from vectors along U's input channels to vectors along its outputs."""
    zero = emit.constant(0.0)
    step = q.t.source_block
    rows = [emit.load(w, o * step) if o < q.outs else zero for o in range(LANES)]
    for i, column in enumerate(emit.transpose(rows)[: q.ins]):
        emit.store(column, u, i * q.t.block)


@inlined
def transpose_taps(q, g, w, u):
    """Transpose nine taps, the last first, into the memory of the first nine points."""
    for tap in range(9):
        transpose_tap(q, advance(w, (8 - tap) * g.source_tap), advance(u, tap * g.spot))


@kernel
def winograd_weight(t, operands, first, count):
    """U for a convolution; items are blocks of its output channels.

    Operands: weight [K / block][i][j][C][block], U.
    """
    g = runtime_sizes(t, operands)
    weight = pointer(operands, 0, FLOATS)
    u = pointer(operands, 1, FLOATS)
    for k in range(first, first + count):
        for at in range(0, g.panel, LANES):
            of = advance(weight, k * g.block_size + at)
            transform(t, g, of, g.panel, advance(u, k * g.panel + at))


@kernel
def winograd_weight_flipped(t, operands, first, count):
    """U for the convolution that gives an input gradient; items are blocks of its output channels.

    Operands: the forward convolution's weight [C / block][i][j][K][block], U.
    """
    g = runtime_sizes(t, operands)
    weight = pointer(operands, 0, FLOATS)
    u = pointer(operands, 1, FLOATS)
    for k in range(first * t.block, (first + count) * t.block, LANES):
        to_block = advance(u, k // t.block * g.panel + k % t.block)
        whole_out = k + LANES <= g.out_channels
        for c in range(0, g.in_channels, LANES):
            of_block = advance(weight, c // t.source_block * g.source_size)
            of = advance(of_block, c % t.source_block + k * t.source_block)
            to = advance(to_block, c * t.block)
            whole_in = c + LANES <= g.in_channels
            if whole_in and whole_out:
                transpose_taps(t.square, g, of, to)
            elif whole_in:
                transpose_taps(t.last_out, g, of, to)
            elif whole_out:
                transpose_taps(t.last_in, g, of, to)
            else:
                transpose_taps(t.last_both, g, of, to)
            for row in range(min(LANES, g.in_channels - c)):
                at = advance(to, row * t.block)
                transform(t, g, at, g.spot, at)
