"""How a Winograd convolution is tiled, and the layouts of its arrays; see `winograd`."""

from dataclasses import dataclass

from neocog.kernels.codegen.vector_types import LANES
from neocog.kernels.gemm import Product
from neocog.kernels.layout import ConvolutionWeight, FeatureMap

__all__ = ["TileKind", "Tiling", "Winograd", "WinogradKind", "spread"]

# Bytes of a group of tiles with all channels, at most …
_GROUP_BYTES = 256 * 1024
# … but at least so many tiles that reading U, perhaps from the third-level cache, pays.
_LEAST_TILES = 24

# Bytes above which U comes from the third-level cache or from memory.
_NEAR_BYTES = 1024 * 1024


def spread(floats: int) -> int:
    """`floats` rounded up to an odd number of cache lines.

    Strides of a multiple of many lines map to the same few sets of a cache.
    """
    lines = -(-floats // 16)
    return 16 * (lines + 1 - lines % 2)


def _apart(floats: int) -> int:
    # With strides below eight lines, a group's tiles do not map to the same sets.
    return floats if floats < 128 else spread(floats)


@dataclass(frozen=True)
class Winograd:
    """A 3 × 3 convolution with stride 1; maps as in `Convolution`, x in whole vectors.

    `top` and `left` are the rows and columns of zeros that x's border must have above and on the
    left; below and on the right it must be as wide as y needs. `tile` is the outputs along a side
    of a tile, 4 or 2. With `accumulate` the result is added to y. With `parts` items are tiles of
    one image instead of images. `group` is the number of tiles that are transformed together; 0
    fits them to the caches. `v_width` and `m_width` are the channels of V and of M that are
    contiguous; 0, for all, is what the forward kernel needs.
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
    parts: bool = False
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

    # Groups

    @property
    def together(self) -> int:
        """Tiles of a group."""
        fitting = _GROUP_BYTES // (4 * self.spots * (self.x.pixel + self.y.pixel))
        wanted = self.group or max(_LEAST_TILES, fitting // 12 * 12)
        grain = Product(self.w.vectors).grain
        return -(-wanted // grain) * grain

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
    def kind(self) -> "WinogradKind":
        """What the machine code depends on."""
        return WinogradKind(
            self.tile,
            self.w.vectors,
            self.bias,
            self.relu,
            self.accumulate,
            self.gated,
            self.parts,
            4 * self.u_size > _NEAR_BYTES,
        )

    @property
    def runtime_sizes(self) -> "Tiling":
        """All other sizes."""
        x, y, gate = self.x, self.y, self.gate
        return Tiling(
            columns=self.columns,
            tiles=self.tiles,
            together=self.together,
            blocks=self.w.blocks,
            in_channels=x.channels,
            x_start=self.x_start,
            x_size=x.size,
            x_row=x.row,
            x_pixel=x.pixel,
            x_rows=self.x_rows,
            x_columns=self.x_columns,
            y_start=y.start,
            y_size=y.size,
            y_row=y.row,
            y_pixel=y.pixel,
            y_rows=y.height,
            y_columns=y.width,
            gate_start=gate.start,
            gate_size=gate.size,
            gate_row=gate.row,
            gate_pixel=gate.pixel,
            v_row=self.v_row,
            v_spot=self.v_spot,
            v_part=self.v_part,
            u_spot=self.u_spot,
            u_block=x.channels * self.w.block,
            m_row=self.m_row,
            m_spot=self.m_spot,
            m_part=self.m_part,
        )


@dataclass(frozen=True)
class Tiling:
    """The runtime sizes of a Winograd convolution; see the properties of `Winograd`."""

    columns: int
    tiles: int
    together: int
    blocks: int
    in_channels: int
    x_start: int
    x_size: int
    x_row: int
    x_pixel: int
    x_rows: int
    x_columns: int
    y_start: int
    y_size: int
    y_row: int
    y_pixel: int
    y_rows: int
    y_columns: int
    gate_start: int
    gate_size: int
    gate_row: int
    gate_pixel: int
    v_row: int
    v_spot: int
    v_part: int
    u_spot: int
    u_block: int
    m_row: int
    m_spot: int
    m_part: int


@dataclass(frozen=True)
class TileKind:
    """What the machine code of all Winograd kernels depends on.

    `tile` is as in `Winograd`; `vectors` are those of one block of output channels.
    """

    tile: int
    vectors: int

    @property
    def side(self) -> int:
        """Points along a side of a tile."""
        return self.tile + 2

    @property
    def spots(self) -> int:
        """Points of a tile."""
        return self.side**2

    @property
    def block(self) -> int:
        """Output channels in a block."""
        return self.vectors * LANES


@dataclass(frozen=True)
class WinogradKind(TileKind):
    """What the forward kernel depends on too; `far` says that U comes from a distant cache."""

    bias: bool
    relu: bool
    accumulate: bool
    gated: bool
    parts: bool
    far: bool

    runtime_sizes = Tiling

    @property
    def product(self) -> Product:
        """M of one point and one block of output channels."""
        return Product(self.vectors, a_depth=1, b_depth=self.block, far_b=self.far)
