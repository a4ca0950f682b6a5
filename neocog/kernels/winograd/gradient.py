"""The weight gradient of a Winograd convolution; its letters are those of `forward`.

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

from collections.abc import Iterator

from neocog.kernels.codegen.block import accumulators, block, nothing
from neocog.kernels.codegen.pointers import advance, stack_floats
from neocog.kernels.codegen.vector_types import FLOATS, LANES, LONGS, vectors
from neocog.kernels.compiler.jit import Kernel, inlined, kernel
from neocog.kernels.compiler.operands import maybe
from neocog.kernels.gemm import Strides, multiply_rows
from neocog.kernels.layout import FeatureMap
from neocog.kernels.winograd.forward import next_place, place_of, store_zero, transform_tiles
from neocog.kernels.winograd.gradient_tiling import CHANNELS, WinogradGradient
from neocog.kernels.winograd.transforms import (
    part_of,
    places,
    transform_gradient,
    transposed_weight_transform,
)

__all__ = [
    "kinds",
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
def clear(spec, to, floats):
    """Set some whole vectors to zero."""
    for at in range(0, floats, LANES):
        store_zero(spec, advance(to, at))


@block(lambda *_: vectors(1))
def one_vector(emit, spec, source):
    """Load one vector."""
    return [emit.load(source)]


@block(lambda spec, *_: vectors(spec.chains))
def some_vectors(emit, spec, source):
    """Load a few vectors."""
    return [emit.load(source, at * LANES) for at in range(spec.chains)]


@block(accumulators)
def add_vectors(emit, spec, sums, source):
    """Add a few vectors."""
    return [emit.add(value, emit.load(source, at * LANES)) for at, value in enumerate(sums)]


@block(nothing)
def keep_vectors(emit, spec, sums, to):
    """Write a few vectors."""
    for at, value in enumerate(sums):
        emit.store(value, to, at * LANES)


@inlined
def add_bias(spec, bias, dy):
    """Add dy, summed over all pixels, to the bias sums."""
    for k in range(0, spec.dy.pixel, spec.chains * LANES):
        sums = some_vectors(spec, advance(bias, k))
        for row in range(spec.dy.height):
            for column in range(spec.dy.width):
                sums = add_vectors(
                    spec, sums, advance(dy, row * spec.dy.row + column * spec.dy.pixel + k)
                )
        keep_vectors(spec, sums, advance(bias, k))


@block(nothing)
def transform(emit, spec, dy, w):
    """W of one vector of channels of one tile."""
    transform_gradient(
        emit,
        spec.forward.side,
        places(emit, dy, spec.dy.row, spec.dy.pixel),
        w,
        spec.forward.m_spot,
    )


@block(nothing)
def transform_part(emit, spec, dy, w, rows, columns, zeros):
    """`transform` for a tile with only `rows` × `columns` pixels, and zeros elsewhere."""
    there = part_of(emit, places(emit, dy, spec.dy.row, spec.dy.pixel), rows, columns, zeros)
    transform_gradient(emit, spec.forward.side, there, w, spec.forward.m_spot)


@inlined
def transform_gradient_tiles(spec, images, w, begin, count):
    """W of the tiles begin … begin + count, numbered through all images."""
    zeros = stack_floats(LANES)
    store_zero(spec, zeros)
    image, row, column = place_of(spec.forward, begin)
    for n in range(count):
        dy = advance(images, image * spec.dy.size + row * spec.dy.row + column * spec.dy.pixel)
        rows, columns = spec.dy.height - row, spec.dy.width - column
        for part in range(0, spec.dy.pixel, spec.forward.m_row):
            to = advance(
                w, part // spec.forward.m_row * spec.forward.m_part + n * spec.forward.m_row
            )
            for k in range(0, min(spec.forward.m_row, spec.dy.pixel - part), LANES):
                of, at = advance(dy, part + k), advance(to, k)
                if rows >= spec.forward.tile and columns >= spec.forward.tile:
                    transform(spec, of, at)
                else:
                    transform_part(spec, of, at, rows, columns, zeros)
        image, row, column = next_place(spec.forward, image, row, column)


@kernel(x=FLOATS, dy=FLOATS, sums=FLOATS, bias_sums=FLOATS, scratch=FLOATS)
def winograd_backward_weight(spec, o, first, count):
    """Add the weight and bias gradients of some images to their shards' sums.

    `sums` are S [shard], `bias_sums` [shard][K]; `scratch` is a worker's, of `scratch_size` floats.
    """
    images = advance(o.x, spec.forward.x_start)
    slopes = advance(o.dy, spec.dy.start)
    v, w = o.scratch, advance(o.scratch, spec.v_size)
    strides = Strides(0, spec.forward.v_row, spec.forward.m_row, 0, 0, 0)
    n = 0
    while n < count:
        shard = (first + n) // spec.shard
        until = min(count, (shard + 1) * spec.shard - first)
        sums = advance(o.sums, shard * spec.s_size)
        bias = advance(o.bias_sums, shard * spec.dy.pixel)
        if (first + n) % spec.shard == 0:
            clear(spec, sums, spec.s_size)
            if spec.bias:
                clear(spec, bias, spec.dy.pixel)
        if spec.bias:
            for image in range(n, until):
                add_bias(spec, bias, advance(slopes, image * spec.dy.size))
        for begin in range(
            n * spec.forward.tiles, until * spec.forward.tiles, spec.forward.together
        ):
            taken = min(spec.forward.together, until * spec.forward.tiles - begin)
            transform_tiles(spec.forward, images, v, begin, taken)
            transform_gradient_tiles(spec, slopes, w, begin, taken)
            for spot in range(spec.forward.spots):
                of_v, of_w = (
                    advance(v, spot * spec.forward.v_spot),
                    advance(w, spot * spec.forward.m_spot),
                )
                to = advance(sums, spot * spec.s_spot)
                for k in range(spec.w.blocks):
                    of, at = advance(of_w, k * spec.forward.block), advance(to, k * spec.panel)
                    multiply_rows(spec.product, strides, spec.x.channels, of_v, of, at, taken)
        n = until


@kernel(x=FLOATS, v=FLOATS)
def winograd_transform_input(spec, o, first, count):
    """V of some images; `v` is that of the batch, of `v_size` floats."""
    images = advance(o.x, spec.forward.x_start)
    v = advance(o.v, first * spec.forward.tiles * spec.forward.v_row)
    transform_tiles(spec.forward, images, v, 0, count * spec.forward.tiles)


@kernel(dy=FLOATS, w=FLOATS, bias_sums=maybe(FLOATS))
def winograd_transform_gradient(spec, o, first, count):
    """W and the bias sums [image][K] of some images; `w` is W of the batch, of `w_size` floats."""
    slopes = advance(o.dy, spec.dy.start)
    w = advance(o.w, first * spec.forward.tiles * spec.forward.m_row)
    if spec.bias:
        for image in range(count):
            bias = advance(o.bias_sums, image * spec.dy.pixel)
            clear(spec, bias, spec.dy.pixel)
            add_bias(spec, bias, advance(slopes, image * spec.dy.size))
    transform_gradient_tiles(spec, slopes, w, 0, count * spec.forward.tiles)


@block(nothing)
def finish_weight(emit, spec, sums, spot, dw, tap):
    """Gᵀ S G of one vector of output channels, to taps `tap` floats apart."""
    rows = transposed_weight_transform(emit, spec.forward.side, sums, spot)
    for n, value in enumerate(value for row in rows for value in row):
        emit.store(value, dw, emit.offset((n, tap)))


@inlined
def add_up(spec, to, source, apart, count):
    """One vector: the sum of `count` vectors, `apart` floats apart."""
    total = one_vector(spec, source)
    for n in range(1, count):
        total = add_vectors(spec, total, advance(source, n * apart))
    keep_vectors(spec, total, to)


@kernel(
    v=FLOATS,
    w=FLOATS,
    bias_sums=maybe(FLOATS),
    dw=FLOATS,
    db=maybe(FLOATS),
    step=LONGS,
    scratch=FLOATS,
)
def winograd_outer(spec, o, first, count):
    """The weight and bias gradients from V and W of the batch, for some of `items`.

    `bias_sums` are [image][K], `dw` is [K / block][i][j][C][block].
    """
    images = o.step[1]
    sums = o.scratch
    strides = Strides(0, 0, 0, 0, spec.forward.v_spot, spec.forward.m_spot)
    tiles = images * spec.forward.tiles
    for item in range(first, first + count):
        k, portion = item % spec.w.blocks, item // spec.w.blocks
        c = portion * CHANNELS
        channels = min(CHANNELS, spec.x.channels - c)
        clear(spec, sums, spec.portion_size)
        for begin in range(0, tiles, _TILES):
            of_v = advance(o.v, portion * spec.forward.v_part + begin * spec.forward.v_row)
            of_w = advance(o.w, k * spec.forward.m_part + begin * spec.forward.m_row)
            taken = min(_TILES, tiles - begin)
            for spot in range(spec.forward.spots):
                from_v, from_w = (
                    advance(of_v, spot * spec.forward.v_spot),
                    advance(of_w, spot * spec.forward.m_spot),
                )
                to = advance(sums, spot * spec.portion_spot)
                multiply_rows(spec.portion_product, strides, channels, from_v, from_w, to, taken)
        to = advance(o.dw, k * spec.w.block_size + c * spec.forward.block)
        for at in range(0, channels * spec.forward.block, LANES):
            finish_weight(
                spec, advance(sums, at), spec.portion_spot, advance(to, at), spec.forward.u_block
            )
        if spec.bias and c == 0:
            for at in range(k * spec.forward.block, (k + 1) * spec.forward.block, LANES):
                add_up(spec, advance(o.db, at), advance(o.bias_sums, at), spec.dy.pixel, images)


@kernel(sums=FLOATS, bias_sums=FLOATS, dw=FLOATS, db=maybe(FLOATS), step=LONGS)
def winograd_reduce(spec, o, first, count):
    """The weight and bias gradients from the shards' sums, for some blocks of output channels.

    `sums` are S [shard], `bias_sums` [shard][K], `dw` is [K / block][i][j][C][block].
    """
    shards = (o.step[1] + spec.shard - 1) // spec.shard
    if spec.bias:
        for k in range(first * spec.forward.block, (first + count) * spec.forward.block, LANES):
            add_up(spec, advance(o.db, k), advance(o.bias_sums, k), spec.dy.pixel, shards)
    for k in range(first, first + count):
        of, to = advance(o.sums, k * spec.panel), advance(o.dw, k * spec.w.block_size)
        if shards > 1:
            for spot in range(spec.forward.spots):
                for at in range(0, spec.forward.u_block, LANES):
                    total = advance(of, spot * spec.s_spot + at)
                    add_up(spec, total, total, spec.s_size, shards)
        for at in range(0, spec.forward.u_block, LANES):
            finish_weight(spec, advance(of, at), spec.s_spot, advance(to, at), spec.forward.u_block)


def kinds() -> Iterator[tuple[Kernel, WinogradGradient]]:
    """A spec of every kind, with its kernel."""
    for vectors_ in (1, 2, 3):
        dy = FeatureMap(1, 1, vectors_ * LANES)
        spec = WinogradGradient(FeatureMap(1, 1, 1, 1, 1), dy, 1, 1, shard=1)
        for each in (
            winograd_backward_weight,
            winograd_reduce,
            winograd_transform_input,
            winograd_transform_gradient,
            winograd_outer,
        ):
            yield each, spec
