"""3 × 3 convolution with fewer multiplications: Winograd's minimal filtering.

    C input channels, K output channels; t tiles of the output, ξ points of a tile's transform

    V[ξ, t, c] = (Bᵀ x[t, c] B)[ξ]          M[ξ, t, k] = Σ_c V[ξ, t, c] · U[ξ, c, k]
    U[ξ, c, k] = (G w[c, k] Gᵀ)[ξ]          y[t, k]    = Aᵀ M[t, k] A + bias[k]

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
from neocog.kernels.codegen.pointers import advance, stack_floats
from neocog.kernels.codegen.vector_types import FLOATS, LANES
from neocog.kernels.compiler.jit import Kernel, inlined, kernel
from neocog.kernels.compiler.operands import maybe
from neocog.kernels.gemm import Strides, multiply_rows
from neocog.kernels.layout import FeatureMap
from neocog.kernels.winograd.tiling import Winograd
from neocog.kernels.winograd.transforms import (
    output_transform,
    part_of,
    places,
    transform_input,
)

__all__ = ["kinds", "next_place", "place_of", "store_zero", "transform_tiles", "winograd_forward"]


@block(nothing)
def store_zero(emit, spec, to):
    """One vector of zeros."""
    emit.store(emit.constant(0.0), to)


@inlined
def place_of(spec, n):
    """The image, row and column of y where tile `n` of all images begins."""
    tile = n % spec.tiles
    return n // spec.tiles, tile // spec.columns * spec.tile, tile % spec.columns * spec.tile


@inlined
def next_place(spec, image, row, column):
    """`place_of` the next tile, without divisions, which can take as long as a small tile."""
    column += spec.tile
    if column >= spec.y.width:
        column = 0
        row += spec.tile
        if row >= spec.y.height:
            row = 0
            image += 1
    return image, row, column


@block(nothing)
def transform(emit, spec, x, v):
    """V of one vector of channels of one tile."""
    transform_input(emit, spec.side, places(emit, x, spec.x.row, spec.x.pixel), v, spec.v_spot)


@block(nothing)
def transform_part(emit, spec, x, v, rows, columns, zeros):
    """`transform` for a tile with only `rows` × `columns` pixels, and zeros elsewhere."""
    there = part_of(emit, places(emit, x, spec.x.row, spec.x.pixel), rows, columns, zeros)
    transform_input(emit, spec.side, there, v, spec.v_spot)


@inlined
def transform_tiles(spec, images, v, begin, count):
    """V of the tiles begin … begin + count, numbered through all images."""
    zeros = stack_floats(LANES)
    store_zero(spec, zeros)
    image, row, column = place_of(spec, begin)
    for n in range(count):
        x = advance(images, image * spec.x.size + row * spec.x.row + column * spec.x.pixel)
        rows, columns = spec.x_rows - row, spec.x_columns - column
        for part in range(0, spec.x.pixel, spec.v_row):
            to = advance(v, part // spec.v_row * spec.v_part + n * spec.v_row)
            for c in range(0, min(spec.v_row, spec.x.pixel - part), LANES):
                of, at = advance(x, part + c), advance(to, c)
                if rows >= spec.side and columns >= spec.side:
                    transform(spec, of, at)
                else:
                    transform_part(spec, of, at, rows, columns, zeros)
        image, row, column = next_place(spec, image, row, column)


def _finish(emit, spec, m, bias, y, gate):
    """y of one vector of channels of one tile; `y` and `gate` are pointers to its pixels."""
    zero, lowest = emit.constant(0.0), emit.constant(spec.lowest)
    for i, row in enumerate(output_transform(emit, spec.side, m, spec.m_spot)):
        for j, value in enumerate(row):
            value = emit.add(value, emit.load(bias))
            value = emit.select(emit.greater(lowest, value), lowest, value)
            if spec.gated:
                value = emit.select(emit.at_most(emit.load(gate(i, j)), zero), zero, value)
            to = y(i, j)
            emit.store(emit.add(emit.load(to), value) if spec.accumulate else value, to)


@block(nothing)
def finish(emit, spec, m, bias, y, gate):
    """y of one vector of channels of one tile."""
    of_y, of_gate = (
        places(emit, y, spec.y.row, spec.y.pixel),
        places(emit, gate, spec.gate.row, spec.gate.pixel),
    )
    _finish(emit, spec, m, bias, of_y, of_gate)


@block(nothing)
def finish_part(emit, spec, m, bias, y, gate, rows, columns, aside):
    """`finish` for a tile with only `rows` × `columns` pixels; the others go to `aside`."""
    of_y, of_gate = (
        places(emit, y, spec.y.row, spec.y.pixel),
        places(emit, gate, spec.gate.row, spec.gate.pixel),
    )
    of_y, of_gate = (part_of(emit, of, rows, columns, aside) for of in (of_y, of_gate))
    _finish(emit, spec, m, bias, of_y, of_gate)


@inlined
def finish_tiles(spec, m, bias, results, gates, begin, count):
    """y of the tiles begin … begin + count, numbered through all images."""
    aside, zeros = stack_floats(LANES), stack_floats(LANES)
    store_zero(spec, aside)
    store_zero(spec, zeros)
    image, row, column = place_of(spec, begin)
    for n in range(count):
        y = advance(results, image * spec.y.size + row * spec.y.row + column * spec.y.pixel)
        of_gate = image * spec.gate.size + row * spec.gate.row + column * spec.gate.pixel
        gate = advance(gates, of_gate)
        rows, columns = spec.y.height - row, spec.y.width - column
        for k in range(0, spec.y.pixel, LANES):
            of, by = advance(m, n * spec.m_row + k), advance(bias, k) if spec.bias else zeros
            to, through = advance(y, k), advance(gate, k)
            if rows >= spec.tile and columns >= spec.tile:
                finish(spec, of, by, to, through)
            else:
                finish_part(spec, of, by, to, through, rows, columns, aside)
        image, row, column = next_place(spec, image, row, column)


@kernel(x=FLOATS, u=FLOATS, bias=maybe(FLOATS), y=FLOATS, gate=maybe(FLOATS), scratch=FLOATS)
def winograd_forward(spec, o, first, count):
    """y from x, U (`winograd_weight`) and the bias.

    `scratch` is a worker's, of `scratch_size` floats.
    """
    images = advance(o.x, spec.x_start)
    results = advance(o.y, spec.y.start)
    gates = advance(o.gate, spec.gate.start)
    v, m = o.scratch, advance(o.scratch, spec.v_part)
    strides = Strides(spec.v_row, 0, 0, spec.m_row, 0, spec.u_block)
    start = first if spec.parts else 0
    end = start + (count if spec.parts else count * spec.tiles)
    for begin in range(start, end, spec.together):
        taken = min(spec.together, end - begin)
        transform_tiles(spec, images, v, begin, taken)
        for spot in range(spec.spots):
            of_v, to_m = advance(v, spot * spec.v_spot), advance(m, spot * spec.m_spot)
            for k in range(spec.w.blocks):
                of_u = advance(o.u, spot * spec.u_spot + k * spec.u_block)
                to = advance(to_m, k * spec.block)
                multiply_rows(spec.product, strides, taken, of_v, of_u, to, spec.x.channels)
        finish_tiles(spec, m, o.bias, results, gates, begin, taken)


def kinds() -> Iterator[tuple[Kernel, Winograd]]:
    """A spec of every kind, with its kernel: U near or far, y written, added to or gated."""
    for channels in (LANES, 2 * LANES, 3 * LANES):
        for inputs in (1, 2**20 // channels):
            x, y = FeatureMap(1, 1, inputs, 1, 1), FeatureMap(1, 1, channels)
            for adds, gated in ((False, False), (True, False), (False, True)):
                yield winograd_forward, Winograd(x, y, 1, 1, accumulate=adds, gated=gated)
