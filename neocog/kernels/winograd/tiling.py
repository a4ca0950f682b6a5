"""How a Winograd convolution is tiled, and the layouts of its arrays; see `forward`."""

from dataclasses import dataclass
from math import inf

from neocog.kernels.codegen.vector_types import LANES
from neocog.kernels.compiler.spec import Spec
from neocog.kernels.gemm import Product
from neocog.kernels.layout import ConvolutionWeight, FeatureMap

__all__ = ["Winograd", "spread"]

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
class Winograd(Spec):
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
    def u_block(self) -> int:
        """Floats of U from one block of output channels to the next."""
        return self.w.in_channels * self.block

    @property
    def block(self) -> int:
        """Output channels in a block."""
        return self.w.block

    @property
    def lowest(self) -> float:
        """What no number of y is below."""
        return 0.0 if self.relu else -inf

    @property
    def product(self) -> Product:
        """M of one point and one block of output channels."""
        far = 4 * self.u_size > _NEAR_BYTES
        return Product(self.w.vectors, a_depth=1, b_depth=self.block, far_b=far)

    constants = (
        "tile",
        "side",
        "spots",
        "block",
        "accumulate",
        "gated",
        "product",
    )
