"""The weight gradient of a Winograd convolution; its letters are those of `winograd`.

    W[ξ, t, k] = (A dy[t, k] Aᵀ)[ξ]         S[ξ, c, k] = Σ_t V[ξ, t, c] · W[ξ, t, k]
    dw[c, k]   = Gᵀ S[c, k] G               db[k]      = Σ dy

the sum over the tiles of all images: the transpose of the forward formula, so 36 multiplications a
pair of channels and a tile of 4 × 4, for 144. Beyond the edge, dy counts as zero.

Two ways to S. Where it is small, the images of a batch are cut into shards with a sum each, which
`winograd_backward_weight` adds to, a group of tiles at a time; `winograd_reduce` adds the shards in
their order and transforms the sum. Where there are many channels, and so S is large and the maps
are small, V and W of the whole batch are kept (`winograd_transform_input`,
`winograd_transform_gradient`), and `winograd_outer` sums over all tiles at once: its work is shared
by channels, and the part of S that belongs to some channels never leaves the second-level cache.
Either way each number of S is one chain of sums over tiles in their order, whatever groups and
calls they come in.
"""

from dataclasses import dataclass, replace

from neocog.kernels.compiling import inlined, kernel
from neocog.kernels.layout import ConvolutionWeight, FeatureMap
from neocog.kernels.matrix import Product, multiply_rows
from neocog.kernels.simd import (
    FLOATS,
    LANES,
    LONGS,
    accumulators,
    advance,
    block,
    nothing,
    pointer,
    vectors,
)
from neocog.kernels.winograd import Winograd, spread, transform_tiles
from neocog.kernels.winograd_transforms import (
    Patch,
    load_spots,
    transform_gradient,
    turned_weight_transform,
)

__all__ = [
    "WinogradGradient",
    "winograd_backward_weight",
    "winograd_outer",
    "winograd_reduce",
    "winograd_transform_gradient",
    "winograd_transform_input",
]

# Tiles over which `winograd_outer` sums at a time: what it reads of V and W for them fits the
# first-level cache, with room for what is asked for ahead.
_TILES = 64

# Input channels whose S is summed at a time, for one block of output channels: three cache lines of
# V, and 110 KB of S where vectors are of eight floats. V and W are packed in these widths: spread
# over all channels, what is read of a tile came from a page of its own, a sixth slower.
_CHANNELS = 48


@dataclass(frozen=True)
class WinogradGradient:
    """The weight gradient of one convolution; see `Winograd` for x, top, left, tile and group.

    A shard is so many images. Where `shard` is 0, V and W of up to `images` images are kept.
    """

    x: FeatureMap
    dy: FeatureMap
    top: int
    left: int
    tile: int = 4
    bias: bool = True
    shard: int = 0
    images: int = 0
    group: int = 0

    @property
    def forward(self) -> Winograd:
        """The convolution; its M has the layout of W.

        V and W of a batch are packed in the widths that `winograd_outer` reads, one after another.
        """
        plain = Winograd(self.x, self.dy, self.top, self.left, self.tile, group=self.group)
        if self.shard:
            return plain
        group = self.images * plain.tiles
        return replace(plain, group=group, v_width=_CHANNELS, m_width=plain.w.block)

    @property
    def w(self) -> ConvolutionWeight:
        """The weight."""
        return self.forward.w

    @property
    def panel(self) -> int:
        """Floats of S for one point and one block of output channels: [C, in vectors][block]."""
        return self.x.pixel * self.w.block

    @property
    def s_spot(self) -> int:
        """Floats of S from one point to the next; within, [K / block][C, in vectors][block]."""
        return spread(self.w.blocks * self.panel)

    @property
    def s_size(self) -> int:
        """Floats of one S."""
        return self.forward.spots * self.s_spot

    @property
    def portions(self) -> int:
        """Portions of `_CHANNELS` input channels."""
        return -(-self.w.in_channels // _CHANNELS)

    @property
    def portion_spot(self) -> int:
        """Floats of a portion's S from one point to the next."""
        return spread(_CHANNELS * self.w.block)

    @property
    def items(self) -> int:
        """Items of `winograd_outer`: portions of input channels × blocks of output channels."""
        return self.portions * self.w.blocks

    @property
    def v_size(self) -> int:
        """Floats of V: of a group, or of the batch."""
        return -(-self.x.pixel // self.forward.v_row) * self.forward.v_part

    @property
    def w_size(self) -> int:
        """Floats of W: of a group, or of the batch."""
        return -(-self.dy.pixel // self.forward.m_row) * self.forward.m_part

    @property
    def scratch_size(self) -> int:
        """Floats a worker needs: for V and W of a group, or for a portion's S."""
        if self.shard:
            return self.v_size + self.w_size
        return self.forward.spots * self.portion_spot

    @property
    def product(self) -> Product:
        """S of one point and one block of output channels: rows are input channels."""
        f, wide = self.forward, self.w
        return Product(wide.vectors, 1, f.v_row, f.m_row, wide.block, accumulate=True)

    @property
    def portion_product(self) -> Product:
        """The same for `winograd_outer`, which asks for the next point's numbers ahead."""
        return replace(self.product, a_ahead=self.forward.v_spot, b_ahead=self.forward.m_spot)

    @property
    def taps(self) -> Patch:
        """The nine numbers of one kernel, and the points of S they come from."""
        tap = self.w.in_channels * self.w.block
        return Patch(self.forward.side, 3, 3, 3 * tap, tap, self.s_spot)

    @property
    def portion_taps(self) -> Patch:
        """The same, of a portion's S."""
        return replace(self.taps, spot=self.portion_spot)

    @property
    def chains(self) -> int:
        """Vectors of the bias gradient that are summed at a time."""
        return next(n for n in (4, 3, 2, 1) if self.dy.pixel // LANES % n == 0)


@block(nothing)
def store_zero(e, s, to):
    """Write one vector of zeros."""
    e.store(e.constant(0.0), to)


@inlined
def clear(s, to, floats):
    """Set some whole vectors to zero."""
    for at in range(0, floats, LANES):
        store_zero(s, advance(to, at))


@block(lambda s, *_: vectors(1))
def one_vector(e, s, source):
    """Load one vector."""
    return [e.load(source)]


@block(lambda s, *_: vectors(s.chains))
def some_vectors(e, s, source):
    """Load a few vectors."""
    return [e.load(source, at * LANES) for at in range(s.chains)]


@block(accumulators)
def add_vectors(e, s, sums, source):
    """Add as many vectors."""
    return [e.add(value, e.load(source, at * LANES)) for at, value in enumerate(sums)]


@block(nothing)
def keep_vectors(e, s, sums, to):
    """Write them."""
    for at, value in enumerate(sums):
        e.store(value, to, at * LANES)


@inlined
def add_bias(s, bias, dy):
    """Add dy, summed over all places, to the bias sums."""
    for k in range(0, s.dy.pixel, s.chains * LANES):
        sums = some_vectors(s, advance(bias, k))
        for row in range(s.dy.height):
            for column in range(s.dy.width):
                sums = add_vectors(s, sums, advance(dy, row * s.dy.row + column * s.dy.pixel + k))
        keep_vectors(s, sums, advance(bias, k))


@inlined
def transform_gradient_channels(t, dy, w):
    """W of one tile."""
    for k in range(0, t.s.y.pixel, LANES):
        at = k // t.s.m_row * t.s.m_part + k % t.s.m_row
        transform_gradient(t.y, advance(dy, k), advance(w, at))


@inlined
def transform_gradient_tiles(s, images, w, begin, count):
    """W of the tiles begin … begin + count, numbered through all images; `s` is the convolution."""
    for n in range(count):
        image, tile = (begin + n) // s.tiles, (begin + n) % s.tiles
        row, column = tile // s.columns * s.tile, tile % s.columns * s.tile
        dy = advance(images, image * s.y.size + row * s.y.row + column * s.y.pixel)
        to = advance(w, n * s.m_row)
        lowest = s.over_bottom and row + s.tile >= s.y.height
        rightmost = s.over_right and column + s.tile >= s.y.width
        if lowest and rightmost:
            transform_gradient_channels(s.corner, dy, to)
        elif lowest:
            transform_gradient_channels(s.in_last_row, dy, to)
        elif rightmost:
            transform_gradient_channels(s.last_in_row, dy, to)
        else:
            transform_gradient_channels(s.inner, dy, to)


@kernel
def winograd_backward_weight(s, operands, first, count):
    """Add the weight and bias gradients of some images to their shards' sums.

    Operands: x, dy, S [shard], bias sums [shard][K], scratch of a worker (`scratch_size` floats).
    """
    images = advance(pointer(operands, 0, FLOATS), s.forward.x_start)
    slopes = advance(pointer(operands, 1, FLOATS), s.dy.start)
    v = pointer(operands, 4, FLOATS)
    w = advance(v, s.v_size)
    n = 0
    while n < count:
        shard = (first + n) // s.shard
        until = min(count, (shard + 1) * s.shard - first)
        sums = advance(pointer(operands, 2, FLOATS), shard * s.s_size)
        bias = advance(pointer(operands, 3, FLOATS), shard * s.dy.pixel)
        if (first + n) % s.shard == 0:
            clear(s, sums, s.s_size)
            if s.bias:
                clear(s, bias, s.dy.pixel)
        if s.bias:
            for image in range(n, until):
                add_bias(s, bias, advance(slopes, image * s.dy.size))
        for begin in range(n * s.forward.tiles, until * s.forward.tiles, s.forward.together):
            taken = min(s.forward.together, until * s.forward.tiles - begin)
            transform_tiles(s.forward, images, v, begin, taken)
            transform_gradient_tiles(s.forward, slopes, w, begin, taken)
            for spot in range(s.forward.spots):
                of_v = advance(v, spot * s.forward.v_spot)
                of_w = advance(w, spot * s.forward.m_spot)
                to = advance(sums, spot * s.s_spot)
                for k in range(s.w.blocks):
                    of = advance(of_w, k * s.w.block)
                    at = advance(to, k * s.panel)
                    multiply_rows(s.product, s.w.in_channels, of_v, of, at, taken)
        n = until


@kernel
def winograd_transform_input(s, operands, first, count):
    """V of some images. Operands: x, V of the batch (`v_size` floats)."""
    images = advance(pointer(operands, 0, FLOATS), s.forward.x_start)
    v = advance(pointer(operands, 1, FLOATS), first * s.forward.tiles * s.forward.v_row)
    transform_tiles(s.forward, images, v, 0, count * s.forward.tiles)


@kernel
def winograd_transform_gradient(s, operands, first, count):
    """W of some images, and each one's bias sum.

    Operands: dy, W of the batch (`w_size` floats), bias sums [image][K] of these images.
    """
    slopes = advance(pointer(operands, 0, FLOATS), s.dy.start)
    w = advance(pointer(operands, 1, FLOATS), first * s.forward.tiles * s.forward.m_row)
    if s.bias:
        for image in range(count):
            bias = advance(pointer(operands, 2, FLOATS), image * s.dy.pixel)
            clear(s, bias, s.dy.pixel)
            add_bias(s, bias, advance(slopes, image * s.dy.size))
    transform_gradient_tiles(s.forward, slopes, w, 0, count * s.forward.tiles)


@block(nothing)
def finish_weight(e, p, sums, dw):
    """Gᵀ S G of one vector of output channels; `p` says where."""
    for i, row in enumerate(turned_weight_transform(e, p, load_spots(e, p, sums))):
        for j, value in enumerate(row):
            e.store(value, dw, i * p.row + j * p.column)


@inlined
def add_up(s, to, source, apart, count):
    """One vector: the sum of `count` of them, so many floats apart."""
    total = one_vector(s, source)
    for n in range(1, count):
        total = add_vectors(s, total, advance(source, n * apart))
    keep_vectors(s, total, to)


@kernel
def winograd_outer(s, operands, first, count):
    """The weight and bias gradients from V and W of the batch, for some of `items`.

    Operands: V, W, bias sums [image][K], weight gradient [K / block][i][j][C][block], bias gradient
    [K], the step (its second number is the images in the batch), scratch of a worker.
    """
    v = pointer(operands, 0, FLOATS)
    w = pointer(operands, 1, FLOATS)
    biases = pointer(operands, 2, FLOATS)
    dw = pointer(operands, 3, FLOATS)
    db = pointer(operands, 4, FLOATS)
    images = pointer(operands, 5, LONGS)[1]
    sums = pointer(operands, 6, FLOATS)
    tiles = images * s.forward.tiles
    for item in range(first, first + count):
        k, portion = item % s.w.blocks, item // s.w.blocks
        c = portion * _CHANNELS
        channels = min(_CHANNELS, s.w.in_channels - c)
        clear(s, sums, s.scratch_size)
        for begin in range(0, tiles, _TILES):
            of_v = advance(v, portion * s.forward.v_part + begin * s.forward.v_row)
            of_w = advance(w, k * s.forward.m_part + begin * s.forward.m_row)
            taken = min(_TILES, tiles - begin)
            for spot in range(s.forward.spots):
                from_v = advance(of_v, spot * s.forward.v_spot)
                from_w = advance(of_w, spot * s.forward.m_spot)
                to = advance(sums, spot * s.portion_spot)
                multiply_rows(s.portion_product, channels, from_v, from_w, to, taken)
        to = advance(dw, k * s.w.block_size + c * s.w.block)
        for at in range(0, channels * s.w.block, LANES):
            finish_weight(s.portion_taps, advance(sums, at), advance(to, at))
        if s.bias and c == 0:
            for at in range(k * s.w.block, (k + 1) * s.w.block, LANES):
                add_up(s, advance(db, at), advance(biases, at), s.dy.pixel, images)


@kernel
def winograd_reduce(s, operands, first, count):
    """The weight and bias gradients from the shards' sums, for some blocks of output channels.

    Operands: S [shard], bias sums [shard][K], weight gradient [K / block][i][j][C][block], bias
    gradient [K], the step (its second number is the images in the batch).
    """
    sums = pointer(operands, 0, FLOATS)
    biases = pointer(operands, 1, FLOATS)
    dw = pointer(operands, 2, FLOATS)
    db = pointer(operands, 3, FLOATS)
    images = pointer(operands, 4, LONGS)[1]
    shards = (images + s.shard - 1) // s.shard
    if s.bias:
        for k in range(first * s.w.block, (first + count) * s.w.block, LANES):
            add_up(s, advance(db, k), advance(biases, k), s.dy.pixel, shards)
    for k in range(first, first + count):
        of = advance(sums, k * s.panel)
        if shards > 1:
            for spot in range(s.forward.spots):
                for at in range(0, s.w.in_channels * s.w.block, LANES):
                    total = advance(of, spot * s.s_spot + at)
                    add_up(s, total, total, s.s_size, shards)
        for at in range(0, s.w.in_channels * s.w.block, LANES):
            finish_weight(s.taps, advance(of, at), advance(dw, k * s.w.block_size + at))
