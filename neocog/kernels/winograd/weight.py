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


def _transform(emit, spec, w, tap, u):
    """U of one vector of channels, from taps `tap` floats apart."""
    transform_weight(emit, spec.side, places(emit, w, 3 * tap, tap), u, spec.spot)


@block(nothing)
def transform_block(emit, spec, w, u):
    """U of a block of output channels."""
    with emit.loop(0, spec.panel, LANES) as at:
        _transform(emit, spec, emit.advance(w, at), spec.panel, emit.advance(u, at))


def _transpose(emit, spec, w, u, ins, outs, zeros, aside):
    """Transpose one tap, from vectors along U's input channels to vectors along its outputs.

    Only `ins` × `outs` channels exist; what lies beyond goes `aside`.
    """
    rows = []
    for o in range(LANES):
        there = emit.below(o, outs)
        rows.append(emit.load(emit.select(there, emit.advance(w, o * spec.source.block), zeros)))
    for i, column in enumerate(emit.transpose(rows)):
        to = emit.select(emit.below(i, ins), emit.advance(u, i * spec.w.block), aside)
        emit.store(column, to)


@block(nothing)
def flip_block(emit, spec, weight, u, k, zeros, aside):
    """U of one vector of output channels from `k` on."""
    emit.store(emit.constant(0.0), zeros)
    block_ = spec.w.block
    outs = spec.w.out_channels - k
    with emit.loop(0, spec.w.in_channels, LANES) as c:
        of_block = c // spec.source.block
        within = c - of_block * spec.source.block
        of = of_block * spec.source.block_size + within + k * spec.source.block
        of, to = emit.advance(weight, of), emit.advance(u, c * block_)
        ins = spec.w.in_channels - c
        # The taps are transposed, the last first, into the memory of the first nine points.
        with emit.loop(0, 9) as tap:
            from_tap = emit.advance(of, (8 - tap) * spec.source.tap_size)
            to_tap = emit.advance(to, tap * spec.spot)
            _transpose(emit, spec, from_tap, to_tap, ins, outs, zeros, aside)
        with emit.loop(0, emit.smaller(LANES, ins)) as row:
            at = emit.advance(to, row * block_)
            _transform(emit, spec, at, spec.spot, at)


@kernel(weight=FLOATS, u=FLOATS)
def winograd_weight(spec, o, first, count):
    """U from the weight [K / block][i][j][C][block]; items are blocks of output channels."""
    for k in range(first, first + count):
        of, to = advance(o.weight, k * spec.w.block_size), advance(o.u, k * spec.panel)
        transform_block(spec, of, to)


@kernel(weight=FLOATS, u=FLOATS)
def winograd_weight_flipped(spec, o, first, count):
    """U for the convolution that gives an input gradient; items are blocks of its output channels.

    `weight` is the forward convolution's, [C / block][i][j][K][block].
    """
    zeros, aside = stack_floats(LANES), stack_floats(LANES)
    block = spec.w.block
    for k in range(first * block, (first + count) * block, LANES):
        to = advance(o.u, k // block * spec.panel + k % block)
        flip_block(spec, o.weight, to, k, zeros, aside)


def kinds() -> Iterator[tuple[Kernel, WinogradWeight]]:
    """A spec of every kind, with its kernel."""
    spec = WinogradWeight(Winograd(FeatureMap(1, 1, 1, 1, 1), FeatureMap(1, 1, 1), 1, 1))
    yield winograd_weight, spec
    yield winograd_weight_flipped, spec
