"""3 × 3 convolution with fewer multiplications: Winograd's minimal filtering.

    C input channels, K output channels; t tiles of the output, ξ points of a tile's transform

    V[ξ, t, c] = (Bᵀ x[t, c] B)[ξ]          M[ξ, t, k] = Σ_c V[ξ, t, c] · U[ξ, c, k]
    U[ξ, c, k] = (G w[c, k] Gᵀ)[ξ]          y[t, k]    = Aᵀ M[t, k] A + bias[k]

(A. Lavin and S. Gray, "Fast algorithms for convolutional neural networks", CVPR 2016;
`winograd_transforms` has the matrices.) A tile of 4 × 4 outputs takes 36 multiplications per pair
of channels instead of 144, one of 2 × 2 takes 16 instead of 36. The cost of the transforms grows
with the channels, not with pairs of channels, so it matters less the more channels there are.

Tiles are processed in groups, over all images of a call, so that V and M stay in the second-level
cache while U is read once per group. Tiles extend past the lower and right edge if the map is no
multiple of their size: there they read zeros, and their outputs are dropped. Each element of M is
one chain of sums over c, so the result does not depend on the grouping of tiles. NaN and infinity
spread over their whole tile, not only over the kernel's window.
"""

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.pointers import advance, pointer, stack_floats
from neocog.kernels.codegen.vector_types import FLOATS, LANES
from neocog.kernels.compiler.jit import inlined, kernel
from neocog.kernels.compiler.runtime_sizes import runtime_sizes
from neocog.kernels.gemm import Strides, multiply_rows
from neocog.kernels.winograd.transforms import (
    output_transform,
    part_of,
    places,
    transform_input,
)

__all__ = ["next_place", "place_of", "store_zero", "transform_tiles", "winograd_forward"]


@block(nothing)
def store_zero(emit, t, to):
    """One vector of zeros."""
    emit.store(emit.constant(0.0), to)


@inlined
def place_of(t, g, n):
    """The image, row and column of y where tile `n` of all images begins."""
    tile = n % g.tiles
    return n // g.tiles, tile // g.columns * t.tile, tile % g.columns * t.tile


@inlined
def next_place(t, g, image, row, column):
    """`place_of` the next tile, without divisions, which can take as long as a small tile."""
    column += t.tile
    if column >= g.y_columns:
        column = 0
        row += t.tile
        if row >= g.y_rows:
            row = 0
            image += 1
    return image, row, column


@block(nothing)
def transform(emit, t, g, x, v):
    """V of one vector of channels of one tile."""
    transform_input(emit, t.side, places(emit, x, g.x_row, g.x_pixel), v, g.v_spot)


@block(nothing)
def transform_part(emit, t, g, x, v, rows, columns, zeros):
    """`transform` for a tile with only `rows` × `columns` pixels, and zeros elsewhere."""
    there = part_of(emit, places(emit, x, g.x_row, g.x_pixel), rows, columns, zeros)
    transform_input(emit, t.side, there, v, g.v_spot)


@inlined
def transform_tiles(t, g, images, v, begin, count):
    """V of the tiles begin … begin + count, numbered through all images."""
    zeros = stack_floats(LANES)
    store_zero(t, zeros)
    image, row, column = place_of(t, g, begin)
    for n in range(count):
        x = advance(images, image * g.x_size + row * g.x_row + column * g.x_pixel)
        rows, columns = g.x_rows - row, g.x_columns - column
        for part in range(0, g.x_pixel, g.v_row):
            to = advance(v, part // g.v_row * g.v_part + n * g.v_row)
            for c in range(0, min(g.v_row, g.x_pixel - part), LANES):
                of, at = advance(x, part + c), advance(to, c)
                if rows >= t.side and columns >= t.side:
                    transform(t, g, of, at)
                else:
                    transform_part(t, g, of, at, rows, columns, zeros)
        image, row, column = next_place(t, g, image, row, column)


def _finish(emit, t, g, m, bias, y, gate):
    """y of one vector of channels of one tile; `y` and `gate` are pointers to its pixels."""
    zero = emit.constant(0.0)
    for i, row in enumerate(output_transform(emit, t.side, m, g.m_spot)):
        for j, value in enumerate(row):
            if t.bias:
                value = emit.add(value, emit.load(bias))
            if t.relu:
                value = emit.relu(value)
            if t.gated:
                value = emit.select(emit.at_most(emit.load(gate(i, j)), zero), zero, value)
            to = y(i, j)
            emit.store(emit.add(emit.load(to), value) if t.accumulate else value, to)


@block(nothing)
def finish(emit, t, g, m, bias, y, gate):
    """y of one vector of channels of one tile."""
    of_y, of_gate = (
        places(emit, y, g.y_row, g.y_pixel),
        places(emit, gate, g.gate_row, g.gate_pixel),
    )
    _finish(emit, t, g, m, bias, of_y, of_gate)


@block(nothing)
def finish_part(emit, t, g, m, bias, y, gate, rows, columns, aside):
    """`finish` for a tile with only `rows` × `columns` pixels; the others go to `aside`."""
    of_y, of_gate = (
        places(emit, y, g.y_row, g.y_pixel),
        places(emit, gate, g.gate_row, g.gate_pixel),
    )
    of_y, of_gate = (part_of(emit, of, rows, columns, aside) for of in (of_y, of_gate))
    _finish(emit, t, g, m, bias, of_y, of_gate)


@inlined
def finish_tiles(t, g, m, bias, results, gates, begin, count):
    """y of the tiles begin … begin + count, numbered through all images."""
    aside = stack_floats(LANES)
    store_zero(t, aside)
    image, row, column = place_of(t, g, begin)
    for n in range(count):
        y = advance(results, image * g.y_size + row * g.y_row + column * g.y_pixel)
        gate = advance(gates, image * g.gate_size + row * g.gate_row + column * g.gate_pixel)
        rows, columns = g.y_rows - row, g.y_columns - column
        for k in range(0, g.y_pixel, LANES):
            of, by = advance(m, n * g.m_row + k), advance(bias, k)
            to, through = advance(y, k), advance(gate, k)
            if rows >= t.tile and columns >= t.tile:
                finish(t, g, of, by, to, through)
            else:
                finish_part(t, g, of, by, to, through, rows, columns, aside)
        image, row, column = next_place(t, g, image, row, column)


@kernel
def winograd_forward(t, operands, first, count):
    """y from x, the transformed weight and the bias.

    Operands: x, U (`winograd_weight`), bias, y, gate, scratch of a worker (`scratch_size` floats).
    """
    g = runtime_sizes(t, operands)
    images = advance(pointer(operands, 0, FLOATS), g.x_start)
    u = pointer(operands, 1, FLOATS)
    bias = pointer(operands, 2, FLOATS)
    results = advance(pointer(operands, 3, FLOATS), g.y_start)
    gates = advance(pointer(operands, 4, FLOATS), g.gate_start)
    v = pointer(operands, 5, FLOATS)
    m = advance(v, g.v_part)
    strides = Strides(g.v_row, 0, 0, g.m_row, 0, g.u_block)
    start = first if t.parts else 0
    end = start + (count if t.parts else count * g.tiles)
    for begin in range(start, end, g.together):
        taken = min(g.together, end - begin)
        transform_tiles(t, g, images, v, begin, taken)
        for spot in range(t.spots):
            of_v, to_m = advance(v, spot * g.v_spot), advance(m, spot * g.m_spot)
            for k in range(g.blocks):
                of_u = advance(u, spot * g.u_spot + k * g.u_block)
                to = advance(to_m, k * t.block)
                multiply_rows(t.product, strides, taken, of_v, of_u, to, g.in_channels)
        finish_tiles(t, g, m, bias, results, gates, begin, taken)
