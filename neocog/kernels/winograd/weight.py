"""The transformed weight of a Winograd convolution: U = G w Gᵀ; see `forward`.

U's layout is [ξ][K / block][C][block], where C and K are the channels into and out of the
convolution that reads it. A convolution's input gradient is the convolution of dy with the flipped
kernel, rotated by 180° and with C and K exchanged: `winograd_weight_flipped` computes its U from
the same packed weight, in squares of LANES × LANES channels.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.pointers import advance, stack_floats
from neocog.kernels.codegen.vector_types import FLOATS, LANES
from neocog.kernels.compiler.jit import Kernel, kernel
from neocog.kernels.compiler.spec import Spec
from neocog.kernels.layout import ConvolutionWeight, FeatureMap
from neocog.kernels.winograd.forward import store_zero
from neocog.kernels.winograd.tiling import Winograd
from neocog.kernels.winograd.transforms import places, transform_weight

__all__ = ["WinogradWeight", "kinds", "winograd_weight", "winograd_weight_flipped"]


@dataclass(frozen=True)
class WinogradWeight(Spec):
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
    def side(self) -> int:
        """Points along a side of a tile."""
        return self.convolution.side

    @property
    def spot(self) -> int:
        """Floats of U from one point to the next."""
        return self.convolution.u_spot

    constants = ("side",)


@block(nothing)
def transform(emit, spec, w, tap, u):
    """U of one vector of channels, from taps `tap` floats apart."""
    transform_weight(emit, spec.side, places(emit, w, 3 * tap, tap), u, spec.spot)


@block(nothing)
def transpose_tap(emit, spec, w, u):
    """Transpose one tap, from vectors along U's input channels to vectors along its outputs."""
    rows = [emit.load(w, o * spec.source.block) for o in range(LANES)]
    for i, column in enumerate(emit.transpose(rows)):
        emit.store(column, u, i * spec.w.block)


@block(nothing)
def transpose_part(emit, spec, w, u, ins, outs, zeros, aside):
    """`transpose_tap` where only `ins` × `outs` channels exist; what lies beyond goes `aside`."""
    rows = []
    for o in range(LANES):
        there = emit.below(o, outs)
        rows.append(emit.load(emit.select(there, emit.advance(w, o * spec.source.block), zeros)))
    for i, column in enumerate(emit.transpose(rows)):
        to = emit.select(emit.below(i, ins), emit.advance(u, i * spec.w.block), aside)
        emit.store(column, to)


@kernel(weight=FLOATS, u=FLOATS)
def winograd_weight(spec, o, first, count):
    """U from the weight [K / block][i][j][C][block]; items are blocks of output channels."""
    for k in range(first, first + count):
        for at in range(0, spec.panel, LANES):
            of = advance(o.weight, k * spec.w.block_size + at)
            transform(spec, of, spec.panel, advance(o.u, k * spec.panel + at))


@kernel(weight=FLOATS, u=FLOATS)
def winograd_weight_flipped(spec, o, first, count):
    """U for the convolution that gives an input gradient; items are blocks of its output channels.

    `weight` is the forward convolution's, [C / block][i][j][K][block].
    """
    zeros, aside = stack_floats(LANES), stack_floats(LANES)
    store_zero(spec, zeros)
    block = spec.w.block
    for k in range(first * block, (first + count) * block, LANES):
        to_block = advance(o.u, k // block * spec.panel + k % block)
        outs = spec.w.out_channels - k
        for c in range(0, spec.w.in_channels, LANES):
            of_block = advance(o.weight, c // spec.source.block * spec.source.block_size)
            of = advance(of_block, c % spec.source.block + k * spec.source.block)
            to = advance(to_block, c * block)
            ins = spec.w.in_channels - c
            # The taps are transposed, the last first, into the memory of the first nine points.
            for tap in range(9):
                from_tap = advance(of, (8 - tap) * spec.source.tap_size)
                to_tap = advance(to, tap * spec.spot)
                if ins >= LANES and outs >= LANES:
                    transpose_tap(spec, from_tap, to_tap)
                else:
                    transpose_part(spec, from_tap, to_tap, ins, outs, zeros, aside)
            for row in range(min(LANES, ins)):
                at = advance(to, row * block)
                transform(spec, at, spec.spot, at)


def kinds() -> Iterator[tuple[Kernel, WinogradWeight]]:
    """A spec of every kind, with its kernel."""
    spec = WinogradWeight(Winograd(FeatureMap(1, 1, 1, 1, 1), FeatureMap(1, 1, 1), 1, 1))
    yield winograd_weight, spec
    yield winograd_weight_flipped, spec
