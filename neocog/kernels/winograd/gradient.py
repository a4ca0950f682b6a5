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
from typing import Any

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.loops import repeat
from neocog.kernels.codegen.numbers import Number
from neocog.kernels.codegen.pointers import advance, stack_floats
from neocog.kernels.codegen.vector_types import FLOATS, LANES, LONGS
from neocog.kernels.compiler.jit import Kernel, kernel
from neocog.kernels.compiler.operands import maybe
from neocog.kernels.convolution.bias_gradient import sum_of_pixels
from neocog.kernels.gemm import Strides, emit_product_rows
from neocog.kernels.layout import FeatureMap
from neocog.kernels.winograd.gradient_tiling import CHANNELS, WinogradGradient, WinogradPass
from neocog.kernels.winograd.tiles import (
    store_zeros,
    transform_gradient_tiles,
    transform_input_tiles,
)
from neocog.kernels.winograd.transforms import transposed_weight_transform

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


def _add_bias(emit, spec, bias, dy):
    """Add dy, summed over the pixels of an image, to the bias sums."""
    with emit.loop(0, spec.dy.pixel, LANES) as k:
        total = sum_of_pixels(emit, spec, emit.advance(dy, k))
        emit.store(emit.add(emit.load(bias, k), total), bias, k)


def _add_group(emit, spec, x, dy, sums, scratch, zeros, first, taken):
    """Add the products of some tiles to S."""
    forward = spec.forward
    v, w = scratch, emit.advance(scratch, spec.v_size)
    transform_input_tiles(emit, forward, x, v, first, taken, zeros)
    transform_gradient_tiles(emit, forward, dy, w, first, taken, zeros)
    strides = Strides(0, forward.v_row, forward.m_row, 0, 0, 0)
    with emit.loop(0, forward.spots) as spot:
        of_v, of_w = emit.advance(v, spot * forward.v_spot), emit.advance(w, spot * forward.m_spot)
        to_spot = emit.advance(sums, spot * spec.s_spot)
        with emit.loop(0, spec.w.blocks) as k:
            of, to = emit.advance(of_w, k * forward.block), emit.advance(to_spot, k * spec.panel)
            emit_product_rows(emit, spec.product, strides, spec.x.channels, of_v, of, to, taken)


@block(nothing)
def add_images(emit, spec, x, dy, sums, bias_sums, scratch, zeros, first, count):
    """Add the gradients of some images to their shards' sums."""
    store_zeros(emit, zeros, LANES)
    tiles, together = spec.forward.tiles, spec.forward.together
    end = first + count
    with emit.loop(first // spec.shard, (end + spec.shard - 1) // spec.shard) as shard:
        of_shard = emit.advance(sums, shard * spec.s_size)
        bias = emit.advance(bias_sums, shard * spec.dy.pixel)
        begins = shard * spec.shard
        until = emit.smaller(end, begins + spec.shard) - first
        is_new = emit.below(first - 1, begins)
        with emit.when(is_new):
            store_zeros(emit, of_shard, spec.s_size)
        begin = Number(emit.builder, emit.select(is_new, begins - first, 0))
        with emit.when(spec.bias):
            with emit.when(is_new):
                store_zeros(emit, bias, spec.dy.pixel)
            with emit.loop(begin, until) as image:
                _add_bias(emit, spec, bias, emit.advance(dy, image * spec.dy.size))
        with emit.loop(begin * tiles, until * tiles, together) as tile:
            taken = emit.smaller(together, until * tiles - tile)
            _add_group(emit, spec, x, dy, of_shard, scratch, zeros, tile, taken)


@kernel(x=FLOATS, dy=FLOATS, sums=FLOATS, bias_sums=FLOATS, scratch=FLOATS)
def winograd_backward_weight(spec, o, first, count):
    """Add the weight and bias gradients of some images to their shards' sums.

    `sums` are S [shard], `bias_sums` [shard][K]; `scratch` is a worker's, of `scratch_size` floats.
    """
    zeros = stack_floats(LANES)
    x, dy = advance(o.x, spec.forward.x_start), advance(o.dy, spec.dy.start)
    add_images(spec, x, dy, o.sums, o.bias_sums, o.scratch, zeros, first, count)


@block(nothing)
def transform_input(emit, spec, x, v, zeros, count):
    """V of some images."""
    forward = spec.gradient.forward
    store_zeros(emit, zeros, LANES)
    transform_input_tiles(emit, forward, x, v, 0, count * forward.tiles, zeros)


@kernel(x=FLOATS, v=FLOATS)
def winograd_transform_input(spec, o, first, count):
    """V of some images, to its place in V of the whole batch."""
    forward, zeros = spec.gradient.forward, stack_floats(LANES)
    v = advance(o.v, first * forward.tiles * forward.v_row)
    transform_input(spec, advance(o.x, forward.x_start), v, zeros, count)


@block(nothing)
def transform_gradient(emit, spec, dy, w, bias_sums, zeros, count):
    """W and the bias gradients of some images."""
    of = spec.gradient
    with emit.when(of.bias), emit.loop(0, count) as image:
        bias = emit.advance(bias_sums, image * of.dy.pixel)
        store_zeros(emit, bias, of.dy.pixel)
        _add_bias(emit, of, bias, emit.advance(dy, image * of.dy.size))
    tiles = count * of.forward.tiles
    store_zeros(emit, zeros, LANES)
    transform_gradient_tiles(emit, of.forward, dy, w, 0, tiles, zeros)


@kernel(dy=FLOATS, w=FLOATS, bias_sums=maybe(FLOATS))
def winograd_transform_gradient(spec, o, first, count):
    """W of some images, to its place in W of the whole batch, and each one's bias gradient.

    `bias_sums` are those of these images, [image][K].
    """
    forward, zeros = spec.gradient.forward, stack_floats(LANES)
    w = advance(o.w, first * forward.tiles * forward.m_row)
    dy = advance(o.dy, spec.gradient.dy.start)
    transform_gradient(spec, dy, w, o.bias_sums, zeros, count)


def _finish_weight(emit, side, sums, spot, dw, tap):
    """Gᵀ S G of one vector of output channels, to taps `tap` floats apart."""
    rows = transposed_weight_transform(emit, side, sums, spot)
    for n, value in enumerate(value for row in rows for value in row):
        emit.store(value, dw, emit.offset((n, tap)))


def _add_up(emit, to, source, apart, count):
    """One vector: the sum of `count` vectors, `apart` floats apart."""

    def add(n, total):
        return [emit.add(total[0], emit.load(source, (n + 1) * apart))]

    (total,) = repeat(emit, count - 1, [emit.load(source)], add)
    emit.store(total, to)


def _sum_portion(emit, spec, v, w, sums, channels, tiles):
    """S of a portion of input channels, over all tiles."""
    forward = spec.forward
    strides = Strides(0, 0, 0, 0, forward.v_spot, forward.m_spot)
    store_zeros(emit, sums, spec.portion_size)
    with emit.loop(0, tiles, _TILES) as begin:
        of_v, of_w = emit.advance(v, begin * forward.v_row), emit.advance(w, begin * forward.m_row)
        taken = emit.smaller(_TILES, tiles - begin)
        with emit.loop(0, forward.spots) as spot:
            from_v = emit.advance(of_v, spot * forward.v_spot)
            from_w = emit.advance(of_w, spot * forward.m_spot)
            to = emit.advance(sums, spot * spec.portion_spot)
            emit_product_rows(
                emit, spec.portion_product, strides, channels, from_v, from_w, to, taken
            )


@block(nothing)
def sum_items(emit, spec, v, w, bias_sums, dw, db, sums, images, first, count):
    """The gradients of some items from V and W of the batch."""
    forward = spec.forward
    with emit.loop(first, first + count) as item:
        portion = item // spec.w.blocks
        k, c = item - portion * spec.w.blocks, portion * CHANNELS
        channels = emit.smaller(CHANNELS, spec.x.channels - c)
        of_v, of_w = emit.advance(v, portion * forward.v_part), emit.advance(w, k * forward.m_part)
        _sum_portion(emit, spec, of_v, of_w, sums, channels, images * forward.tiles)
        to = emit.advance(dw, k * spec.w.block_size + c * forward.block)
        with emit.loop(0, channels * forward.block, LANES) as at:
            of, to_at = emit.advance(sums, at), emit.advance(to, at)
            _finish_weight(emit, forward.side, of, spec.portion_spot, to_at, forward.u_block)
        with emit.when(emit.both(spec.bias, emit.below(c, 1))):
            of, to = (emit.advance(one, k * forward.block) for one in (bias_sums, db))
            with emit.loop(0, forward.block, LANES) as at:
                of_at, to_at = emit.advance(of, at), emit.advance(to, at)
                _add_up(emit, to_at, of_at, spec.dy.pixel, images)


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
    sum_items(spec, o.v, o.w, o.bias_sums, o.dw, o.db, o.scratch, images, first, count)


@block(nothing)
def reduce_blocks(emit, spec, sums, bias_sums, dw, db, images, first, count):
    """The gradients of some blocks of output channels from the shards' sums."""
    of = spec.gradient
    forward, end = of.forward, first + count
    shards = (images + of.shard - 1) // of.shard
    block_ = forward.block
    with emit.when(of.bias), emit.loop(first * block_, end * block_, LANES) as k:
        _add_up(emit, emit.advance(db, k), emit.advance(bias_sums, k), of.dy.pixel, shards)
    with emit.loop(first, end) as k:
        of_k, to = emit.advance(sums, k * of.panel), emit.advance(dw, k * of.w.block_size)
        with emit.when(emit.below(1, shards)), emit.loop(0, forward.spots) as spot:
            of_spot = emit.advance(of_k, spot * of.s_spot)
            with emit.loop(0, forward.u_block, LANES) as at:
                total = emit.advance(of_spot, at)
                _add_up(emit, total, total, of.s_size, shards)
        with emit.loop(0, forward.u_block, LANES) as at:
            from_at, to_at = emit.advance(of_k, at), emit.advance(to, at)
            _finish_weight(emit, forward.side, from_at, of.s_spot, to_at, forward.u_block)


@kernel(sums=FLOATS, bias_sums=FLOATS, dw=FLOATS, db=maybe(FLOATS), step=LONGS)
def winograd_reduce(spec, o, first, count):
    """The weight and bias gradients from the shards' sums, for some blocks of output channels.

    `sums` are S [shard], `bias_sums` [shard][K], `dw` is [K / block][i][j][C][block].
    """
    images = o.step[1]
    reduce_blocks(spec, o.sums, o.bias_sums, o.dw, o.db, images, first, count)


def kinds() -> Iterator[tuple[Kernel, Any]]:
    """A spec of every kind, with its kernel."""
    for vectors in (1, 2, 3):
        dy = FeatureMap(1, 1, vectors * LANES)
        spec = WinogradGradient(FeatureMap(1, 1, 1, 1, 1), dy, 1, 1, shard=1)
        yield winograd_backward_weight, spec
        yield winograd_outer, spec
    of = WinogradPass(spec)
    yield winograd_transform_input, of
    yield winograd_transform_gradient, of
    yield winograd_reduce, of
