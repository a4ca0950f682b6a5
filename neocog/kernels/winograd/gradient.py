"""The weight gradient of a Winograd convolution; its letters are those of `winograd`.

    W[ξ, t, k] = (A dy[t, k] Aᵀ)[ξ]         S[ξ, c, k] = Σ_t V[ξ, t, c] · W[ξ, t, k]
    dw[c, k]   = Gᵀ S[c, k] G               db[k]      = Σ dy

where t runs over the tiles of all images. This is the transpose of the forward formula, so it takes
36 multiplications per pair of channels and tile of 4 × 4 instead of 144. Beyond the edge, dy is
zero.

S is computed in one of two ways. If it is small, the images of a batch are divided into shards,
each with its own sum, to which `winograd_backward_weight` adds a group of tiles at a time;
`winograd_reduce` adds the shards in order and transforms the sum. With many channels S is large and
maps are small. Then V and W of the whole batch are stored (`winograd_transform_input`,
`winograd_transform_gradient`), and `winograd_outer` sums over all tiles at once: workers divide it
by channels, and a worker's part of S never leaves the second-level cache. Either way, each element
of S is one chain of sums over tiles in their order, however tiles are grouped.
"""

from neocog.kernels.codegen.block import accumulators, block, nothing
from neocog.kernels.codegen.pointers import advance, pointer, stack_floats
from neocog.kernels.codegen.vector_types import FLOATS, LANES, LONGS, vectors
from neocog.kernels.compiler.jit import inlined, kernel
from neocog.kernels.compiler.runtime_sizes import runtime_sizes
from neocog.kernels.gemm import Strides, multiply_rows
from neocog.kernels.winograd.forward import next_place, place_of, store_zero, transform_tiles
from neocog.kernels.winograd.gradient_tiling import CHANNELS
from neocog.kernels.winograd.transforms import (
    part_of,
    places,
    transform_gradient,
    transposed_weight_transform,
)

__all__ = [
    "winograd_backward_weight",
    "winograd_outer",
    "winograd_reduce",
    "winograd_transform_gradient",
    "winograd_transform_input",
]

# Tiles over which `winograd_outer` sums at a time: their V and W fit into the first-level cache,
# with room for prefetched data.
_TILES = 64


@inlined
def clear(t, to, floats):
    """Set some whole vectors to zero."""
    for at in range(0, floats, LANES):
        store_zero(t, advance(to, at))


@block(lambda *_: vectors(1))
def one_vector(emit, t, source):
    """Load one vector."""
    return [emit.load(source)]


@block(lambda t, *_: vectors(t.chains))
def some_vectors(emit, t, source):
    """Load a few vectors."""
    return [emit.load(source, at * LANES) for at in range(t.chains)]


@block(accumulators)
def add_vectors(emit, t, sums, source):
    """Add a few vectors."""
    return [emit.add(value, emit.load(source, at * LANES)) for at, value in enumerate(sums)]


@block(nothing)
def keep_vectors(emit, t, sums, to):
    """Write a few vectors."""
    for at, value in enumerate(sums):
        emit.store(value, to, at * LANES)


@inlined
def add_bias(t, g, bias, dy):
    """Add dy, summed over all pixels, to the bias sums."""
    for k in range(0, g.y_pixel, t.chains * LANES):
        sums = some_vectors(t, advance(bias, k))
        for row in range(g.y_rows):
            for column in range(g.y_columns):
                sums = add_vectors(t, sums, advance(dy, row * g.y_row + column * g.y_pixel + k))
        keep_vectors(t, sums, advance(bias, k))


@block(nothing)
def transform(emit, t, g, dy, w):
    """W of one vector of channels of one tile."""
    transform_gradient(emit, t.side, places(emit, dy, g.y_row, g.y_pixel), w, g.m_spot)


@block(nothing)
def transform_part(emit, t, g, dy, w, rows, columns, zeros):
    """`transform` for a tile with only `rows` × `columns` pixels, and zeros elsewhere."""
    there = part_of(emit, places(emit, dy, g.y_row, g.y_pixel), rows, columns, zeros)
    transform_gradient(emit, t.side, there, w, g.m_spot)


@inlined
def transform_gradient_tiles(t, g, images, w, begin, count):
    """W of the tiles begin … begin + count, numbered through all images."""
    zeros = stack_floats(LANES)
    store_zero(t, zeros)
    image, row, column = place_of(t, g, begin)
    for n in range(count):
        dy = advance(images, image * g.y_size + row * g.y_row + column * g.y_pixel)
        rows, columns = g.y_rows - row, g.y_columns - column
        for part in range(0, g.y_pixel, g.m_row):
            to = advance(w, part // g.m_row * g.m_part + n * g.m_row)
            for k in range(0, min(g.m_row, g.y_pixel - part), LANES):
                of, at = advance(dy, part + k), advance(to, k)
                if rows >= t.tile and columns >= t.tile:
                    transform(t, g, of, at)
                else:
                    transform_part(t, g, of, at, rows, columns, zeros)
        image, row, column = next_place(t, g, image, row, column)


@kernel
def winograd_backward_weight(t, operands, first, count):
    """Add the weight and bias gradients of some images to their shards' sums.

    Operands: x, dy, S [shard], bias sums [shard][K], scratch of a worker (`scratch_size` floats).
    """
    g = runtime_sizes(t, operands)
    images = advance(pointer(operands, 0, FLOATS), g.x_start)
    slopes = advance(pointer(operands, 1, FLOATS), g.y_start)
    v = pointer(operands, 4, FLOATS)
    w = advance(v, g.v_size)
    strides = Strides(0, g.v_row, g.m_row, 0, 0, 0)
    n = 0
    while n < count:
        shard = (first + n) // g.shard
        until = min(count, (shard + 1) * g.shard - first)
        sums = advance(pointer(operands, 2, FLOATS), shard * g.s_size)
        bias = advance(pointer(operands, 3, FLOATS), shard * g.y_pixel)
        if (first + n) % g.shard == 0:
            clear(t, sums, g.s_size)
            if t.bias:
                clear(t, bias, g.y_pixel)
        if t.bias:
            for image in range(n, until):
                add_bias(t, g, bias, advance(slopes, image * g.y_size))
        for begin in range(n * g.tiles, until * g.tiles, g.together):
            taken = min(g.together, until * g.tiles - begin)
            transform_tiles(t, g, images, v, begin, taken)
            transform_gradient_tiles(t, g, slopes, w, begin, taken)
            for spot in range(t.spots):
                of_v, of_w = advance(v, spot * g.v_spot), advance(w, spot * g.m_spot)
                to = advance(sums, spot * g.s_spot)
                for k in range(g.blocks):
                    of, at = advance(of_w, k * t.block), advance(to, k * g.panel)
                    multiply_rows(t.product, strides, g.in_channels, of_v, of, at, taken)
        n = until


@kernel
def winograd_transform_input(t, operands, first, count):
    """V of some images. Operands: x, V of the batch (`v_size` floats)."""
    g = runtime_sizes(t, operands)
    images = advance(pointer(operands, 0, FLOATS), g.x_start)
    v = advance(pointer(operands, 1, FLOATS), first * g.tiles * g.v_row)
    transform_tiles(t, g, images, v, 0, count * g.tiles)


@kernel
def winograd_transform_gradient(t, operands, first, count):
    """W and the bias sums of some images.

    Operands: dy, W of the batch (`w_size` floats), bias sums [image][K] of these images.
    """
    g = runtime_sizes(t, operands)
    slopes = advance(pointer(operands, 0, FLOATS), g.y_start)
    w = advance(pointer(operands, 1, FLOATS), first * g.tiles * g.m_row)
    if t.bias:
        for image in range(count):
            bias = advance(pointer(operands, 2, FLOATS), image * g.y_pixel)
            clear(t, bias, g.y_pixel)
            add_bias(t, g, bias, advance(slopes, image * g.y_size))
    transform_gradient_tiles(t, g, slopes, w, 0, count * g.tiles)


@block(nothing)
def finish_weight(emit, t, sums, spot, dw, tap):
    """Gᵀ S G of one vector of output channels, to taps `tap` floats apart."""
    rows = transposed_weight_transform(emit, t.side, sums, spot)
    for n, value in enumerate(value for row in rows for value in row):
        emit.store(value, dw, emit.offset((n, tap)))


@inlined
def add_up(t, to, source, apart, count):
    """One vector: the sum of `count` vectors, `apart` floats apart."""
    total = one_vector(t, source)
    for n in range(1, count):
        total = add_vectors(t, total, advance(source, n * apart))
    keep_vectors(t, total, to)


@kernel
def winograd_outer(t, operands, first, count):
    """The weight and bias gradients from V and W of the batch, for some of `items`.

    Operands: V, W, bias sums [image][K], weight gradient [K / block][i][j][C][block], bias gradient
    [K], the step (its second number is the images in the batch), scratch of a worker.
    """
    g = runtime_sizes(t, operands)
    v = pointer(operands, 0, FLOATS)
    w = pointer(operands, 1, FLOATS)
    biases = pointer(operands, 2, FLOATS)
    dw = pointer(operands, 3, FLOATS)
    db = pointer(operands, 4, FLOATS)
    images = pointer(operands, 5, LONGS)[1]
    sums = pointer(operands, 6, FLOATS)
    strides = Strides(0, 0, 0, 0, g.v_spot, g.m_spot)
    tiles = images * g.tiles
    for item in range(first, first + count):
        k, portion = item % g.blocks, item // g.blocks
        c = portion * CHANNELS
        channels = min(CHANNELS, g.in_channels - c)
        clear(t, sums, g.portion_size)
        for begin in range(0, tiles, _TILES):
            of_v = advance(v, portion * g.v_part + begin * g.v_row)
            of_w = advance(w, k * g.m_part + begin * g.m_row)
            taken = min(_TILES, tiles - begin)
            for spot in range(t.spots):
                from_v, from_w = advance(of_v, spot * g.v_spot), advance(of_w, spot * g.m_spot)
                to = advance(sums, spot * g.portion_spot)
                multiply_rows(t.portion_product, strides, channels, from_v, from_w, to, taken)
        to = advance(dw, k * g.block_size + c * t.block)
        for at in range(0, channels * t.block, LANES):
            finish_weight(t, advance(sums, at), g.portion_spot, advance(to, at), g.u_block)
        if t.bias and c == 0:
            for at in range(k * t.block, (k + 1) * t.block, LANES):
                add_up(t, advance(db, at), advance(biases, at), g.y_pixel, images)


@kernel
def winograd_reduce(t, operands, first, count):
    """The weight and bias gradients from the shards' sums, for some blocks of output channels.

    Operands: S [shard], bias sums [shard][K], weight gradient [K / block][i][j][C][block], bias
    gradient [K], the step (its second number is the images in the batch).
    """
    g = runtime_sizes(t, operands)
    sums = pointer(operands, 0, FLOATS)
    biases = pointer(operands, 1, FLOATS)
    dw = pointer(operands, 2, FLOATS)
    db = pointer(operands, 3, FLOATS)
    images = pointer(operands, 4, LONGS)[1]
    shards = (images + g.shard - 1) // g.shard
    if t.bias:
        for k in range(first * t.block, (first + count) * t.block, LANES):
            add_up(t, advance(db, k), advance(biases, k), g.y_pixel, shards)
    for k in range(first, first + count):
        of, to = advance(sums, k * g.panel), advance(dw, k * g.block_size)
        if shards > 1:
            for spot in range(t.spots):
                for at in range(0, g.u_block, LANES):
                    total = advance(of, spot * g.s_spot + at)
                    add_up(t, total, total, g.s_size, shards)
        for at in range(0, g.u_block, LANES):
            finish_weight(t, advance(of, at), g.s_spot, advance(to, at), g.u_block)
