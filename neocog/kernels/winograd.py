"""Convolution 3 × 3 with fewer multiplications: Winograd's minimal filtering.

    C input channels, K output channels; t tiles of the output, ξ points of a tile's transform

    V[ξ, t, c] = (Bᵀ x[t, c] B)[ξ]          M[ξ, t, k] = Σ_c V[ξ, t, c] · U[ξ, c, k]
    U[ξ, c, k] = (G w[c, k] Gᵀ)[ξ]          y[t, k]    = Aᵀ M[t, k] A + bias[k]

(A. Lavin and S. Gray, "Fast algorithms for convolutional neural networks", CVPR 2016;
`winograd_transforms` has the matrices.) A tile of 4 × 4 outputs takes 36 multiplications a pair of
channels where the direct sum takes 144, one of 2 × 2 16 where it takes 36; the transforms cost an
operation for each channel, and so weigh less the more channels there are.

Tiles are taken in groups, over as many images as a call has, so that V and M stay in the
second-level cache while U passes through once a group. Tiles hang over the lower and right edge
where the map is no multiple of them: what they would read there counts as zero, and what they
would write is dropped. Each number of M is one chain of sums over c, so the result does not depend
on how tiles are grouped. NaN and infinity spread over their tile, not only over the kernel's reach.
"""

from dataclasses import dataclass

from neocog.kernels.compiling import inlined, kernel
from neocog.kernels.layout import ConvolutionWeight, FeatureMap
from neocog.kernels.matrix import Product, multiply_rows
from neocog.kernels.simd import FLOATS, LANES, advance, block, nothing, pointer
from neocog.kernels.winograd_transforms import (
    Patch,
    load_spots,
    output_transform,
    transform_input,
)

__all__ = ["Tile", "Winograd", "spread", "transform_tiles", "winograd_forward"]

# Tiles of a group: as many as fit so many bytes with all their channels …
_GROUP_BYTES = 256 * 1024
# … but enough that a pass over U, which may come from the third-level cache, pays.
_LEAST_TILES = 24

# A U that is larger comes from the third-level cache or from memory.
_NEAR_BYTES = 1024 * 1024


def spread(floats: int) -> int:
    """So many floats or a few more: an odd number of cache lines.

    What lies a multiple of many lines apart falls into the same few sets of a cache.
    """
    lines = -(-floats // 16)
    return 16 * (lines + 1 - lines % 2)


def _apart(floats: int) -> int:
    # Fewer lines than eight apart, a group's tiles do not fall into the same sets.
    return floats if floats < 128 else spread(floats)


@dataclass(frozen=True)
class Winograd:
    """One convolution 3 × 3, stride 1; maps as in `convolution.Convolution`, x in whole vectors.

    `top` and `left` are the rows and columns of zeros above and left of x, which its border must
    have; below and right the border must have what y needs. `tile` is the outputs along a side of
    a tile, 4 or 2. With `accumulate` the result is added to what y holds. `group` is how many tiles
    are transformed together, 0 for as many as suit the caches; `v_width` and `m_width` how many
    channels of V and of M lie together, 0 for all, as the forward kernel wants.
    """

    x: FeatureMap
    y: FeatureMap
    top: int
    left: int
    tile: int = 4
    bias: bool = True
    relu: bool = False
    accumulate: bool = False
    gated: bool = False
    gate: FeatureMap = FeatureMap(1, 1, 1)
    group: int = 0
    v_width: int = 0
    m_width: int = 0

    def __post_init__(self) -> None:
        if self.tile not in (2, 4):
            raise ValueError(f"A tile (={self.tile}) must be 2 or 4 outputs wide.")
        if self.x.pixel % LANES or self.y.pixel % LANES:
            raise ValueError("Winograd convolution needs maps of whole vectors.")
        below, right = self.y.height + 2 - self.x_rows, self.y.width + 2 - self.x_columns
        if self.top > self.x.border_h or self.left > self.x.border_w or below > 0 or right > 0:
            raise ValueError(f"The border of {self.x} is too small for {self.y}.")

    @property
    def w(self) -> ConvolutionWeight:
        """The weight before its transform."""
        return ConvolutionWeight(self.y.channels, self.x.channels, 3, 3)

    @property
    def x_start(self) -> int:
        """The first float of x that is read."""
        return self.x.start - self.top * self.x.row - self.left * self.x.pixel

    @property
    def x_rows(self) -> int:
        """Rows of x with its border, from the first that is read."""
        return self.x.height + self.x.border_h + self.top

    @property
    def x_columns(self) -> int:
        """Columns of x with its border, from the first that is read."""
        return self.x.width + self.x.border_w + self.left

    # Tiles

    @property
    def side(self) -> int:
        """Points along a side of a tile."""
        return self.tile + 2

    @property
    def spots(self) -> int:
        """Points of a tile."""
        return self.side**2

    @property
    def rows(self) -> int:
        """Rows of tiles."""
        return -(-self.y.height // self.tile)

    @property
    def columns(self) -> int:
        """Tiles in a row."""
        return -(-self.y.width // self.tile)

    @property
    def tiles(self) -> int:
        """Tiles of an image."""
        return self.rows * self.columns

    @property
    def over_bottom(self) -> bool:
        """Whether the tiles of the last row are not whole ones."""
        return Tile(self, True, False).is_part

    @property
    def over_right(self) -> bool:
        """Whether the last tile of a row is not a whole one."""
        return Tile(self, False, True).is_part

    # The kinds of tiles. Those that do not differ are equal, so that they are compiled once.

    @property
    def inner(self) -> "Tile":
        """A tile that does not hang over an edge."""
        return Tile(self, False, False)

    @property
    def last_in_row(self) -> "Tile":
        """A tile at the right edge."""
        return Tile(self, False, self.over_right)

    @property
    def in_last_row(self) -> "Tile":
        """A tile at the lower edge."""
        return Tile(self, self.over_bottom, False)

    @property
    def corner(self) -> "Tile":
        """The tile at both edges."""
        return Tile(self, self.over_bottom, self.over_right)

    # Groups

    @property
    def together(self) -> int:
        """Tiles of a group."""
        fitting = _GROUP_BYTES // (4 * self.spots * (self.x.pixel + self.y.pixel))
        wanted = self.group or max(_LEAST_TILES, fitting // 12 * 12)
        return -(-wanted // self.product.grain) * self.product.grain

    @property
    def v_row(self) -> int:
        """Floats of V from one tile to the next."""
        return self.v_width or _apart(self.x.pixel)

    @property
    def v_spot(self) -> int:
        """Floats of V from one point to the next."""
        return spread(self.together * self.v_row)

    @property
    def v_part(self) -> int:
        """Floats of V from one `v_width` of channels to the next."""
        return self.spots * self.v_spot

    @property
    def u_spot(self) -> int:
        """Floats of U from one point to the next; within, [K / block][C][block]."""
        return spread(self.w.blocks * self.w.in_channels * self.w.block)

    @property
    def u_size(self) -> int:
        """Floats of the transformed weight."""
        return self.spots * self.u_spot

    @property
    def m_row(self) -> int:
        """Floats of M from one tile to the next."""
        return self.m_width or _apart(self.y.pixel)

    @property
    def m_spot(self) -> int:
        """Floats of M from one point to the next."""
        return spread(self.together * self.m_row)

    @property
    def m_part(self) -> int:
        """Floats of M from one `m_width` of channels to the next."""
        return self.spots * self.m_spot

    @property
    def scratch_size(self) -> int:
        """Floats a worker needs for V and M."""
        return self.v_part + self.m_part

    @property
    def product(self) -> Product:
        """M of one point and one block of output channels."""
        w = self.w
        ahead = w.in_channels * w.block if 4 * self.u_size > _NEAR_BYTES else 0
        return Product(w.vectors, self.v_row, 1, w.block, self.m_row, b_ahead=ahead)


@dataclass(frozen=True)
class Tile:
    """One kind of tile of a convolution: at the lower edge, at the right edge, at both or none."""

    s: Winograd
    lowest: bool
    rightmost: bool

    @property
    def x(self) -> Patch:
        """What there is of x."""
        s = self.s
        rows = s.x_rows - (s.rows - 1) * s.tile if self.lowest else s.side
        columns = s.x_columns - (s.columns - 1) * s.tile if self.rightmost else s.side
        rows, columns = min(rows, s.side), min(columns, s.side)
        return Patch(s.side, rows, columns, s.x.row, s.x.pixel, s.v_spot)

    @property
    def y(self) -> Patch:
        """What there is of y."""
        s = self.s
        rows = s.y.height - (s.rows - 1) * s.tile if self.lowest else s.tile
        columns = s.y.width - (s.columns - 1) * s.tile if self.rightmost else s.tile
        return Patch(s.side, rows, columns, s.y.row, s.y.pixel, s.m_spot)

    @property
    def is_part(self) -> bool:
        """Whether it hangs over an edge."""
        whole = self.s.side, self.s.side, self.s.tile, self.s.tile
        return (self.x.rows, self.x.columns, self.y.rows, self.y.columns) != whole


@inlined
def transform_channels(t, x, v):
    """V of one tile."""
    for c in range(0, t.s.x.pixel, LANES):
        at = c // t.s.v_row * t.s.v_part + c % t.s.v_row
        transform_input(t.x, advance(x, c), advance(v, at))


@inlined
def transform_tiles(s, images, v, begin, count):
    """V of the tiles begin … begin + count, numbered through all images."""
    for n in range(count):
        image, tile = (begin + n) // s.tiles, (begin + n) % s.tiles
        row, column = tile // s.columns, tile % s.columns
        at = image * s.x.size + row * s.tile * s.x.row + column * s.tile * s.x.pixel
        x, to = advance(images, at), advance(v, n * s.v_row)
        lowest = s.over_bottom and row == s.rows - 1
        rightmost = s.over_right and column == s.columns - 1
        if lowest and rightmost:
            transform_channels(s.corner, x, to)
        elif lowest:
            transform_channels(s.in_last_row, x, to)
        elif rightmost:
            transform_channels(s.last_in_row, x, to)
        else:
            transform_channels(s.inner, x, to)


@block(nothing)
def finish_tile(e, t, m, bias, y, gate):
    """y of one vector of channels of one tile."""
    s, zero = t.s, e.constant(0.0)
    for i, row in enumerate(output_transform(e, t.y, load_spots(e, t.y, m))[: t.y.rows]):
        for j, value in enumerate(row[: t.y.columns]):
            at = i * t.y.row + j * t.y.column
            if s.bias:
                value = e.add(value, e.load(bias))
            if s.relu:
                value = e.relu(value)
            if s.gated:
                mask = e.load(gate, i * s.gate.row + j * s.gate.pixel)
                value = e.select(e.at_most(mask, zero), zero, value)
            if s.accumulate:
                value = e.add(e.load(y, at), value)
            e.store(value, y, at)


@inlined
def finish_channels(t, m, bias, y, gate):
    """y of one tile."""
    for k in range(0, t.s.y.pixel, LANES):
        finish_tile(t, advance(m, k), advance(bias, k), advance(y, k), advance(gate, k))


@inlined
def finish_tiles(s, m, bias, results, gates, begin, count):
    """y of the tiles begin … begin + count, numbered through all images."""
    for n in range(count):
        image, tile = (begin + n) // s.tiles, (begin + n) % s.tiles
        row, column = tile // s.columns * s.tile, tile % s.columns * s.tile
        y = advance(results, image * s.y.size + row * s.y.row + column * s.y.pixel)
        gate = advance(gates, image * s.gate.size + row * s.gate.row + column * s.gate.pixel)
        of = advance(m, n * s.m_row)
        lowest = s.over_bottom and row + s.tile >= s.y.height
        rightmost = s.over_right and column + s.tile >= s.y.width
        if lowest and rightmost:
            finish_channels(s.corner, of, bias, y, gate)
        elif lowest:
            finish_channels(s.in_last_row, of, bias, y, gate)
        elif rightmost:
            finish_channels(s.last_in_row, of, bias, y, gate)
        else:
            finish_channels(s.inner, of, bias, y, gate)


@kernel
def winograd_forward(s, operands, first, count):
    """y from x, the transformed weight and the bias.

    Operands: x, U (`winograd_weight`), bias, y, gate, scratch of a worker (`scratch_size` floats).
    """
    images = advance(pointer(operands, 0, FLOATS), s.x_start)
    u = pointer(operands, 1, FLOATS)
    bias = pointer(operands, 2, FLOATS)
    results = advance(pointer(operands, 3, FLOATS), s.y.start)
    gates = advance(pointer(operands, 4, FLOATS), s.gate.start)
    v = pointer(operands, 5, FLOATS)
    m = advance(v, s.v_part)
    tiles = count * s.tiles
    for begin in range(0, tiles, s.together):
        taken = min(s.together, tiles - begin)
        transform_tiles(s, images, v, begin, taken)
        for spot in range(s.spots):
            of_v, to_m = advance(v, spot * s.v_spot), advance(m, spot * s.m_spot)
            for k in range(s.w.blocks):
                of_u = advance(u, spot * s.u_spot + k * (s.w.in_channels * s.w.block))
                to = advance(to_m, k * s.w.block)
                multiply_rows(s.product, taken, of_v, of_u, to, s.w.in_channels)
        finish_tiles(s, m, bias, results, gates, begin, taken)
