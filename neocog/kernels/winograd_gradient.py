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

from dataclasses import asdict, dataclass, replace

from neocog.kernels.gemm import Product, Strides, multiply_rows
from neocog.kernels.jit import inlined, kernel
from neocog.kernels.layout import ConvolutionWeight, FeatureMap
from neocog.kernels.runtime_sizes import runtime_sizes
from neocog.kernels.simd import (
    FLOATS,
    LANES,
    LONGS,
    accumulators,
    advance,
    block,
    nothing,
    pointer,
    stack_floats,
    vectors,
)
from neocog.kernels.winograd import next_place, place_of, store_zero, transform_tiles
from neocog.kernels.winograd_tiling import TileKind, Tiling, Winograd, spread
from neocog.kernels.winograd_transforms import (
    part_of,
    places,
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
    def chains(self) -> int:
        """Vectors of the bias gradient that are summed at a time."""
        if not self.bias:
            return 1
        return next(n for n in (4, 3, 2, 1) if self.dy.pixel // LANES % n == 0)

    @property
    def kind(self) -> "GradientKind":
        """What the machine code depends on."""
        return GradientKind(self.tile, self.w.vectors, self.bias, self.chains)

    @property
    def runtime_sizes(self) -> "GradientTiling":
        """All other sizes."""
        return GradientTiling(
            **asdict(self.forward.runtime_sizes),
            shard=self.shard,
            s_spot=self.s_spot,
            s_size=self.s_size,
            panel=self.panel,
            v_size=self.v_size,
            block_size=self.w.block_size,
            portion_spot=self.portion_spot,
            portion_size=self.forward.spots * self.portion_spot,
        )


@dataclass(frozen=True)
class GradientTiling(Tiling):
    """The runtime sizes of a Winograd weight gradient: the convolution's, and sizes of sums."""

    shard: int
    s_spot: int
    s_size: int
    panel: int
    v_size: int
    block_size: int
    portion_spot: int
    portion_size: int


@dataclass(frozen=True)
class GradientKind(TileKind):
    """What the machine code of a Winograd weight gradient depends on beside."""

    bias: bool
    chains: int

    runtime_sizes = GradientTiling

    @property
    def product(self) -> Product:
        """S of one point and one block of output channels: rows are input channels."""
        return Product(self.vectors, a_row=1, c_row=self.block, accumulate=True)

    @property
    def portion_product(self) -> Product:
        """The same for `winograd_outer`, which asks for the next point's numbers ahead."""
        near = replace(self.product, a_depth=_CHANNELS, b_depth=self.block)
        return replace(near, far_a=True, far_b=True)


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
    """Add as many vectors."""
    return [emit.add(value, emit.load(source, at * LANES)) for at, value in enumerate(sums)]


@block(nothing)
def keep_vectors(emit, t, sums, to):
    """Write them."""
    for at, value in enumerate(sums):
        emit.store(value, to, at * LANES)


@inlined
def add_bias(t, g, bias, dy):
    """Add dy, summed over all places, to the bias sums."""
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
    """The same where there are only so many rows and columns, and else zeros."""
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
    """W of some images, and each one's bias sum.

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
    """Gᵀ S G of one vector of output channels, to taps so many floats apart."""
    rows = turned_weight_transform(emit, t.side, sums, spot)
    for n, value in enumerate(value for row in rows for value in row):
        emit.store(value, dw, emit.offset((n, tap)))


@inlined
def add_up(t, to, source, apart, count):
    """One vector: the sum of `count` of them, so many floats apart."""
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
        c = portion * _CHANNELS
        channels = min(_CHANNELS, g.in_channels - c)
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
