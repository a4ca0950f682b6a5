"""3 × 3 convolution with fewer multiplications: Winograd's minimal filtering.

    C input channels, K output channels; t tiles of the output, ξ points of a tile's transform

    V[ξ, t, c] = (Bᵀ x[t, c] B)[ξ]          M[ξ, t, k] = Σ_c V[ξ, t, c] · U[ξ, c, k]
    U[ξ, c, k] = (G w[c, k] Gᵀ)[ξ]          y[t, k]    = Aᵀ M[t, k] A + bias[k]

What becomes of y then is in `finishing`.

(A. Lavin and S. Gray, "Fast algorithms for convolutional neural networks", CVPR 2016;
`transforms` has the matrices.) A tile of 4 × 4 outputs takes 36 multiplications per pair
of channels instead of 144, one of 2 × 2 takes 16 instead of 36. The cost of the transforms grows
with the channels, not with pairs of channels, so it matters less the more channels there are.

Tiles are processed in groups, over all images of a call, so that V and M stay in the second-level
cache while U is read once per group. Tiles extend past the lower and right edge if the map is no
multiple of their size: there they read zeros, and their outputs are dropped. Each element of M is
one chain of sums over c, so the result does not depend on the grouping of tiles. NaN and infinity
spread over their whole tile, not only over the kernel's window.
"""

from collections.abc import Iterator

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.loops import either_way
from neocog.kernels.codegen.pointers import advance, stack_floats
from neocog.kernels.codegen.vector_types import FLOATS, LANES
from neocog.kernels.compiler.jit import Kernel, kernel
from neocog.kernels.compiler.operands import maybe
from neocog.kernels.gemm import Strides, emit_product_rows
from neocog.kernels.layout import FeatureMap
from neocog.kernels.winograd.finishing import (
    CONSTANTS,
    PATCH,
    Results,
    finish_tiles,
    store_constants,
)
from neocog.kernels.winograd.tiles import transform_input_tiles
from neocog.kernels.winograd.tiling import Winograd

__all__ = ["kinds", "winograd_forward"]


def _multiply(emit, spec, u, v, m, taken):
    """M of some tiles from their V."""

    def product(of, of_v, of_u, to):
        strides = Strides(spec.v_row, 0, 0, spec.m_row, 0, spec.u_block)
        emit_product_rows(emit, of, strides, taken, of_v, of_u, to, spec.x.channels)
        return []

    with emit.loop(0, spec.spots) as spot:
        of_v, to_m = emit.advance(v, spot * spec.v_spot), emit.advance(m, spot * spec.m_spot)
        of_spot = emit.advance(u, spot * spec.u_spot)
        with emit.loop(0, spec.w.blocks) as k:
            of_u, to = emit.advance(of_spot, k * spec.u_block), emit.advance(to_m, k * spec.block)
            either_way(
                emit,
                spec.is_far,
                lambda: product(spec.far_product, of_v, of_u, to),
                lambda: product(spec.product, of_v, of_u, to),
            )


@block(nothing)
def convolve(emit, spec, x, u, operands, scratch, patch, constants, begin, end):
    """y of the tiles begin … end, numbered through all images."""
    store_constants(emit, constants)
    results = Results.of(emit, spec, operands, constants)
    v, m = scratch, emit.advance(scratch, spec.v_part)
    with emit.loop(begin, end, spec.together) as first:
        taken = emit.smaller(spec.together, end - first)
        transform_input_tiles(emit, spec, x, v, first, taken, constants)
        _multiply(emit, spec, u, v, m, taken)
        finish_tiles(emit, spec, m, results, first, taken, patch)


@kernel(
    x=FLOATS,
    u=FLOATS,
    bias=maybe(FLOATS),
    y=FLOATS,
    gate=maybe(FLOATS),
    addend=maybe(FLOATS),
    scratch=FLOATS,
)
def winograd_forward(spec, o, first, count):
    """y from x, U (`winograd_weight`) and the bias.

    `scratch` is a worker's, of `scratch_size` floats.
    """
    patch, constants = stack_floats(PATCH), stack_floats(CONSTANTS)
    begin = first if spec.parts else 0
    end = begin + (count if spec.parts else count * spec.tiles)
    operands = (o.bias, o.y, o.gate, o.addend)
    x = advance(o.x, spec.x_start)
    convolve(spec, x, o.u, operands, o.scratch, patch, constants, begin, end)


def kinds() -> Iterator[tuple[Kernel, Winograd]]:
    """A spec of every kind, with its kernel."""
    for vectors in (1, 2, 3):
        y = FeatureMap(1, 1, vectors * LANES)
        yield winograd_forward, Winograd(FeatureMap(1, 1, 1, 1, 1), y, 1, 1)
