"""How a Winograd convolution is tiled, and the layouts of its arrays; see `forward`."""

from dataclasses import dataclass, replace

from neocog.kernels.codegen.vector_types import LANES
from neocog.kernels.compiler.spec import Spec
from neocog.kernels.elementwise.limits import Limited
from neocog.kernels.gemm import Product
from neocog.kernels.layout import ConvolutionWeight, FeatureMap

__all__ = ["Steps", "Winograd", "spread"]

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
class Steps:
    """Floats to a map's first pixel, and from one image, row, pixel and channel to the next.

    With all of them 0, one vector takes the place of a map.
    """

    start: int = 0
    image: int = 0
    row: int = 0
    pixel: int = 0
    channel: int = 0

    @classmethod
    def of(cls, m: FeatureMap) -> "Steps":
        """Those of a map."""
        return cls(m.start, m.size, m.row, m.pixel, 1)


@dataclass(frozen=True)
class Winograd(Limited, Spec):
    """A 3 × 3 convolution with stride 1; maps as in `Convolution`, x in whole vectors.

    `top` and `left` are the rows and columns of zeros that x's border must have above and on the
    left; below and on the right it must be as wide as y needs. `tile` is the outputs along a side
    of a tile, 4 or 2. `function` is one of `LIMITS`, and computed of the result; with `adds` the
    `addend` is added before. For gradients there are `accumulate`, which adds the result to y, and
    `gated`, which sets it to 0 where `gate` is not positive. With `parts` items are tiles of
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
    function: str = "identity"
    adds: bool = False
    addend: FeatureMap = FeatureMap(1, 1, 1)
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
        if (self.accumulate or self.gated) and (self.adds or self.function != "identity"):
            raise ValueError("A gradient has neither a function nor an addend.")

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
    def product(self) -> Product:
        """M of one point and one block of output channels."""
        return Product(self.w.vectors, a_depth=1, b_depth=self.block)

    @property
    def far_product(self) -> Product:
        """The same if U comes from a distant cache."""
        return replace(self.product, far_b=True)

    @property
    def is_far(self) -> bool:
        """Whether it does."""
        return 4 * self.u_size > _NEAR_BYTES

    # What becomes of the result

    @property
    def passed(self) -> bool:
        """Whether something is added or gated, and not only limited."""
        return self.adds or self.accumulate or self.gated

    @property
    def added(self) -> Steps:
        """Through what is added."""
        if self.accumulate:
            return Steps.of(self.y)
        return Steps.of(self.addend) if self.adds else Steps()

    @property
    def through(self) -> Steps:
        """Through the gate."""
        return Steps.of(self.gate) if self.gated else Steps()

    constants = ("tile", "side", "spots", "block", "product", "far_product")
