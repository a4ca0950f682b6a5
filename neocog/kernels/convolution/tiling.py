"""How a convolution is tiled for registers and caches; see `convolution`."""

from dataclasses import dataclass
from math import inf, nan

from neocog.kernels.codegen.vector_types import LANES, REGISTERS
from neocog.kernels.compiler.spec import Spec
from neocog.kernels.layout import ConvolutionWeight, FeatureMap

__all__ = ["SUMS", "Convolution", "region", "tile", "weight_first"]

#: Sums to keep in registers. Sixteen registers hold 12 sums beside 2 vectors of weights and 2 of
#: pixels; Zen 3 needs 8 sums in flight to hide the latency of an FMA.
SUMS = 12 if REGISTERS == 16 else 24

# Sums that hide the latency of an FMA: fewer take as long.
_LEAST_SUMS = 8

# Bytes of a map that should stay in the second-level cache while all weights are read.
_CACHE = 128 * 1024

# Bytes of weights from which on they do not stay in a near cache between images.
_FAR_BYTES = 1024 * 1024

# Bytes of a cache line.
_LINE = 64


def region(x: FeatureMap, stride_h: int = 1, stride_w: int = 1) -> tuple[int, ...]:
    """Offsets in floats of the four pixels of a pooling region from the first of them."""
    right, below = stride_w * x.pixel, stride_h * x.row
    return (0, right, below, below + right)


def tile(height: int, width: int, vectors: int, pixels: int = 1) -> tuple[int, int]:
    """Rows and columns of a map whose sums are held in registers together.

    Each pixel of the map needs `pixels` · `vectors` sums. A tile is either some columns of one row
    or several whole rows, so that there is only one kind of remainder. The tile is chosen that
    costs the fewest cycles of multiplying, loading and waiting for the previous sum.
    """
    most = max(1, SUMS // (vectors * pixels))

    def cycles(places: int) -> float:
        loads = (places * pixels + vectors) / 2
        return max(4, places * pixels * vectors / 2, loads) if places else 0

    def cost(shape: tuple[int, int]) -> tuple[float, bool, int]:
        rows, columns = shape
        if rows == 1:
            taken = height * (width // columns * cycles(columns) + cycles(width % columns))
            return taken, width % columns > 0, -columns
        rest = height % rows
        return height // rows * cycles(rows * width) + cycles(rest * width), rest > 0, -rows

    in_a_row = [(1, columns) for columns in range(1, min(most, width) + 1)]
    whole_rows = [(rows, width) for rows in range(2, min(most // width, height) + 1)]
    return min(in_a_row + whole_rows, key=cost)


def weight_first(w: ConvolutionWeight, x: FeatureMap) -> bool:
    """Whether a block of weights is applied to all images before the next block is read.

    For small maps whose weights the cache would not keep from one image to the next.
    """
    return 4 * w.size > 2 * _CACHE and x.size < w.block_size


def tile_sizes(vectors: int, pixels: int = 1) -> tuple[int, int, int]:
    """Places of the register tiles that a kernel has, from the largest to the smallest.

    Each place needs `pixels` · `vectors` sums. Less than the smallest would take as long.
    """
    most = max(1, SUMS // (vectors * pixels))
    least = -(-_LEAST_SUMS // (vectors * pixels))
    some, few = (min(most, max(least, -(-most * part // 3))) for part in (2, 1))
    return most, some, few


class Tile:
    """What specs have in common whose results are computed in register tiles.

    They have the weight `w`, `pool`, `relu`, `gated`, and `accumulate`.
    """

    w: ConvolutionWeight
    pool: bool
    relu: bool
    gated: bool
    accumulate: bool

    @property
    def pixels(self) -> int:
        """Pixels before pooling that make one pixel of y."""
        return 4 if self.pool else 1

    @property
    def most(self) -> int:
        """Places of a large tile."""
        return tile_sizes(self.w.vectors, self.pixels)[0]

    @property
    def some(self) -> int:
        """Places of a medium tile."""
        return tile_sizes(self.w.vectors, self.pixels)[1]

    @property
    def few(self) -> int:
        """Places of a small tile."""
        return tile_sizes(self.w.vectors, self.pixels)[2]

    @property
    def has_some(self) -> bool:
        """Whether there is a medium tile."""
        return self.few < self.some < self.most

    @property
    def has_few(self) -> bool:
        """Whether there is a small tile."""
        return self.few < self.most

    @property
    def most_sums(self) -> int:
        """Vectors of sums of a large tile."""
        return self.most * self.pixels * self.w.vectors

    @property
    def some_sums(self) -> int:
        """Vectors of sums of a medium tile."""
        return self.some * self.pixels * self.w.vectors

    @property
    def few_sums(self) -> int:
        """Vectors of sums of a small tile."""
        return self.few * self.pixels * self.w.vectors

    @property
    def depth(self) -> int:
        """Channels whose weights are in registers together."""
        fitting = (REGISTERS - SUMS - 2) // self.w.vectors
        return next(n for n in (4, 2, 1) if n <= max(1, fitting))

    @property
    def kept_size(self) -> int:
        """Floats of a large tile."""
        return self.most_sums * LANES

    @property
    def floor(self) -> float:
        """The least result."""
        return 0.0 if self.relu else -inf

    @property
    def gate_limit(self) -> float:
        """Where the gate is at most this, the result is zero; nothing is at most NaN."""
        return 0.0 if self.gated else nan

    @property
    def adds(self) -> float:
        """What y is multiplied with before the result is added: one or zero."""
        return 1.0 if self.accumulate else 0.0

    @property
    def is_passed(self) -> bool:
        """Whether the gate or y is read."""
        return self.gated or self.accumulate


_TILE_CONSTANTS = ("w.vectors", "w.block", "pool", "pixels", "most", "some", "few", "has_some", "has_few",
    "most_sums", "some_sums", "few_sums", "kept_size", "depth")


@dataclass(frozen=True)
class Convolution(Tile, Spec):
    """One convolution; `y` is the map after pooling, where `pool` is set.

    The first window begins `crop_*` rows and columns into x's border: the padding above and on the
    left is x's border minus `crop_*`. With `gated` the result is zero wherever the map `gate`, the
    output of a ReLU, is zero: this is the ReLU's gradient. With `accumulate` the result is added to
    y. Neither can be combined with `pool`. With `parts` the items are not images, but blocks of
    channels of bands of one image.
    """

    x: FeatureMap
    y: FeatureMap
    w: ConvolutionWeight
    bias: bool = True
    relu: bool = False
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
    parts: bool = False

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
        return self.stride_w * self.x.pixel

    @property
    def below(self) -> int:
        """Floats of x from a pooled region's first pixel to the one below."""
        return self.stride_h * self.x.row

    @property
    def opposite(self) -> int:
        """Floats of x from a pooled region's first pixel to the last."""
        return self.right + self.below

    @property
    def in_rows(self) -> bool:
        """Whether no tile goes on into the next row: where rows are long and a whole of tiles."""
        return self.y.width >= 2 * self.most and self.y.width % self.few == 0

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
        """Channels that are unrolled."""
        if self.rgb:
            return 6
        return self.length if self.length in (3, 5, 7) else 8

    @property
    def whole(self) -> int:
        """Steps of `unroll` channels in a tap."""
        return self.length // self.unroll

    @property
    def rest_some(self) -> int:
        """Steps of a few channels in the rest of a tap."""
        return self.length % self.unroll // (3 if self.rgb else 4)

    @property
    def rest_one(self) -> int:
        """Channels left of a tap."""
        return self.length % self.unroll % (3 if self.rgb else 4)

    @property
    def w_tap(self) -> int:
        """Floats of the weight from one tap of a kernel row to the next."""
        return self.w.tap_size

    @property
    def w_row(self) -> int:
        """Floats of the weight from one kernel row to the next."""
        return self.w.kernel_w * self.w.tap_size

    @property
    def last_lanes(self) -> int:
        """Lanes of the last vector of a group's channels."""
        return min(self.w.lanes_left or LANES, self.y.pixel)

    @property
    def far(self) -> bool:
        """Whether weights come from memory for each image, so that the next block is prefetched."""
        return self.parts and 4 * self.w.size >= _FAR_BYTES

    @property
    def line(self) -> int:
        """Floats of a cache line."""
        return _LINE // 4

    @property
    def unrolled_lines(self) -> int:
        """Cache lines of the weights of one tap of `unroll` channels."""
        return self.unroll * self.w.block // self.line

    @property
    def lines_ahead(self) -> int:
        """How many of them each pass prefetches, so that a block is complete when it is needed."""
        if not self.far:
            return 0
        passes = -(-self.y.height * self.y.width // self.most)
        return -(-self.unrolled_lines // passes)

    @property
    def band(self) -> int:
        """Rows of y that are computed for all blocks of channels before the next rows.

        The rows of x that they read should stay in the second-level cache.
        """
        if 4 * self.x.size <= 2 * _CACHE:
            return self.y.height
        return min(self.y.height, max(1, _CACHE // (4 * self.row_step)))

    @property
    def bands(self) -> int:
        """The number of bands in a map."""
        return -(-self.y.height // self.band)

    @property
    def weight_first(self) -> bool:
        """Whether a block of weights is applied to all images before the next is read."""
        return not self.parts and self.bands == 1 and weight_first(self.w, self.x)

    constants = (*_TILE_CONSTANTS, "rgb", "unroll")
