"""A convolution's sizes, and how it is tiled for the caches; see `forward`."""

from dataclasses import dataclass

from neocog.kernels.compiler.spec import Spec
from neocog.kernels.convolution.places import stretch_rows
from neocog.kernels.convolution.register_tile import RegisterTile
from neocog.kernels.layout import ConvolutionWeight, FeatureMap

__all__ = ["Convolution", "region", "weight_first"]

# Bytes of a map that should stay in the second-level cache while all weights are read.
_CACHE = 128 * 1024

# Bytes of weights from which on they do not stay in a near cache between images.
_FAR_BYTES = 1024 * 1024


def region(x: FeatureMap, stride_h: int = 1, stride_w: int = 1) -> tuple[int, ...]:
    """Offsets in floats of the four pixels of a pooling region from the first of them."""
    right, below = stride_w * x.pixel, stride_h * x.row
    return (0, right, below, below + right)


def weight_first(w: ConvolutionWeight, x: FeatureMap) -> bool:
    """Whether a block of weights is applied to all images before the next block is read.

    For small maps whose weights the cache would not keep from one image to the next.
    """
    return 4 * w.size > 2 * _CACHE and x.size < w.block_size


@dataclass(frozen=True)
class Convolution(RegisterTile, Spec):
    """One convolution; `y` is the map after pooling, where `pool` is set.

    The first window begins `crop_*` rows and columns into x's border: the padding above and on the
    left is x's border minus `crop_*`. `function`, one of `LIMITS`, is computed of the result, after
    the map `addend` is added if it `adds`. With `gated` the result is zero wherever the map `gate`,
    the output of a ReLU, is zero: this is the ReLU's gradient. With `accumulate` the result is
    added to y. An addend, a gate and pooling exclude each other. With `parts` the items are not
    images, but blocks of channels of bands of one image.
    """

    x: FeatureMap
    y: FeatureMap
    w: ConvolutionWeight
    bias: bool = True
    function: str = "identity"
    pool: bool = False
    winners: bool = False
    crop_h: int = 0
    crop_w: int = 0
    gated: bool = False
    gate: FeatureMap = FeatureMap(1, 1, 1)
    stride_h: int = 1
    stride_w: int = 1
    dilation_h: int = 1
    dilation_w: int = 1
    accumulate: bool = False
    adds: bool = False
    addend: FeatureMap = FeatureMap(1, 1, 1)
    parts: bool = False

    constants = RegisterTile.constants

    def __post_init__(self) -> None:
        if self.pool and self.w.lanes_left:
            raise ValueError("Pooling needs groups of whole vectors.")
        if self.adds + self.gated > 1 or (self.pool and self.is_passed):
            raise ValueError("An addend, a gate and pooling exclude each other.")

    @property
    def result(self) -> FeatureMap:
        """The map that is written."""
        return self.y

    @property
    def x_start(self) -> int:
        """The first float of x that is read."""
        return self.crop_h * self.x.row + self.crop_w * self.x.pixel

    @property
    def row_step(self) -> int:
        """Floats of x from one row of y to the next."""
        return self.x.row * self.stride_h * (2 if self.pool else 1)

    @property
    def step(self) -> int:
        """Floats of x from one column of y to the next."""
        return self.x.pixel * self.stride_w * (2 if self.pool else 1)

    @property
    def tap_row(self) -> int:
        """Floats of x from one kernel row to the next."""
        return self.x.row * self.dilation_h

    @property
    def tap(self) -> int:
        """Floats of x from one tap of a kernel row to the next."""
        return self.x.pixel * self.dilation_w

    @property
    def right(self) -> int:
        """Floats of x from a pooled region's first pixel to the next of its row."""
        return region(self.x, self.stride_h, self.stride_w)[1]

    @property
    def below(self) -> int:
        """Floats of x from a pooled region's first pixel to the one below."""
        return region(self.x, self.stride_h, self.stride_w)[2]

    # Stretches

    @property
    def stretch_rows(self) -> int:
        """Rows of y in a stretch; the last one may have less."""
        return stretch_rows(self.y.height, self.y.width, 0 if self.x_step else self.most)

    @property
    def stretches(self) -> list[tuple[int, int]]:
        """Rows and columns of all stretches, as far as they differ."""
        rows = {self.stretch_rows, self.y.height % self.stretch_rows} - {0}
        return [(some, self.y.width) for some in sorted(rows)]

    @property
    def steps(self) -> list[tuple[int, int]]:
        """Floats from one row and column of y to the next, in x, y and `other`."""
        maps = ((m.row, m.pixel) for m in (self.y, self.other))
        return [(self.row_step, self.step), *maps]

    # Taps

    @property
    def joined(self) -> bool:
        """Whether the taps of a kernel row lie side by side, so that they are one tap."""
        return self.tap == self.w.group_in

    @property
    def rgb(self) -> bool:
        """Whether taps are those of images of three channels, which take four floats."""
        return self.w.group_in == 3 and self.tap == 4

    @property
    def tap_columns(self) -> int:
        """Taps of a kernel row, as far as they are not one."""
        return 1 if self.joined or self.rgb else self.w.kernel_w

    @property
    def length(self) -> int:
        """Channels of a tap."""
        return self.w.group_in * self.w.kernel_w // self.tap_columns

    @property
    def unroll(self) -> int:
        """Channels that are unrolled: of four floats of x, all but the one that is no channel."""
        return 3 if self.rgb else 4

    @property
    def straight(self) -> tuple[int, ...]:
        """Floats of x from the first channel of a kernel row to all, if rows are unrolled.

        Where that pays: rows of three columns of images, of one channel or before pooling.
        """
        channels, long = self.w.group_in, self.stride_w == 1 and self.y.width >= self.most
        pays = channels in (1, 3) and long if self.pool else channels == 1
        if self.w.kernel_w != 3 or self.tap_columns > 1 or self.w.vectors > 2 or not pays:
            return ()
        return tuple(j * self.tap + c for j in range(3) for c in range(channels))

    @property
    def x_step(self) -> int:
        """Floats of x from one column of y to the next where they are constant; else 0."""
        return self.step if self.pool and self.straight else 0

    @property
    def w_tap(self) -> int:
        """Floats of the weight from one tap of a kernel row to the next."""
        return self.w.tap_size

    @property
    def w_row(self) -> int:
        """Floats of the weight from one kernel row to the next."""
        return self.w.kernel_w * self.w.tap_size

    @property
    def far(self) -> bool:
        """Whether weights come from memory for each image, so that the next block is prefetched."""
        return self.parts and 4 * self.w.size >= _FAR_BYTES

    @property
    def lines_ahead(self) -> int:
        """How many of them each pass prefetches, so that a block is complete when it is needed."""
        passes = -(-self.y.height * self.y.width // self.most)
        return -(-self.unrolled_lines // passes) if self.far else 0

    @property
    def band(self) -> int:
        """Rows of y that are computed for all blocks of channels before the next rows.

        The rows of x that they read should stay in the second-level cache.
        """
        if 4 * self.x.size <= 2 * _CACHE:
            return self.y.height
        together = self.stretch_rows
        return max(together, _CACHE // (4 * self.row_step) // together * together)

    @property
    def bands(self) -> int:
        """The number of bands in a map."""
        return -(-self.y.height // self.band)

    @property
    def weight_first(self) -> bool:
        """Whether a block of weights is applied to all images before the next is read."""
        return not self.parts and self.bands == 1 and weight_first(self.w, self.x)
