"""How a convolution is tiled for registers and caches; see `convolution`."""

from dataclasses import dataclass

from neocog.kernels.codegen.vector_types import REGISTERS
from neocog.kernels.layout import ConvolutionWeight, FeatureMap

__all__ = ["SUMS", "Convolution", "region", "tile", "weight_first"]

#: Sums to keep in registers. Sixteen registers hold 12 sums beside 2 vectors of weights and 2 of
#: pixels; Zen 3 needs 8 sums in flight to hide the latency of an FMA.
SUMS = 12 if REGISTERS == 16 else 24

# Taps × channels up to which a kernel is unrolled completely.
_SMALL = 48

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


@dataclass(frozen=True)
class Convolution:
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
    def pixels(self) -> int:
        """Pixels before pooling that make one pixel of y."""
        return 4 if self.pool else 1

    @property
    def rows(self) -> int:
        """Rows of y in a tile: one, or several whole rows."""
        return tile(self.y.height, self.y.width, self.w.vectors, self.pixels)[0]

    @property
    def columns(self) -> int:
        """Columns of y in a tile."""
        return tile(self.y.height, self.y.width, self.w.vectors, self.pixels)[1]

    @property
    def rest_rows(self) -> int:
        """Rows of y left at its end after whole tiles."""
        return self.y.height % self.rows

    @property
    def rest_columns(self) -> int:
        """Columns of y left at the end of a row after whole tiles."""
        return self.y.width % self.columns

    @property
    def sums(self) -> int:
        """Vectors of sums of a tile."""
        return self.rows * self.columns * self.pixels * self.w.vectors

    @property
    def rest_sums(self) -> int:
        """Vectors of sums of a partial tile."""
        rest = self.rest_columns or self.rest_rows * self.columns
        return max(1, rest) * self.pixels * self.w.vectors

    @property
    def far(self) -> bool:
        """Whether weights come from memory for each image, so that the next block is prefetched."""
        return self.parts and 4 * self.w.size >= _FAR_BYTES

    @property
    def row_passes(self) -> int:
        """How often a block of weights is read for a row of tiles, without the partial one."""
        return self.y.width // self.columns

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
        passes = self.row_passes * (self.y.height // self.rows)
        return max(1, -(-self.unrolled_lines // passes))

    @property
    def unroll(self) -> int:
        """Number of input channels to unroll."""
        return min(self.w.group_in, 8)

    @property
    def small(self) -> bool:
        """Whether all taps of all channels are unrolled."""
        return self.w.kernel_h * self.w.kernel_w * self.w.group_in <= _SMALL

    @property
    def band(self) -> int:
        """Rows of y that are computed for all blocks of channels before the next rows.

        The rows of x that they read should stay in the second-level cache.
        """
        if 4 * self.x.size <= 2 * _CACHE:
            return self.y.height
        rows = _CACHE // (4 * self.row_step) // self.rows * self.rows
        return min(self.y.height, max(self.rows, rows))

    @property
    def bands(self) -> int:
        """The number of bands in a map."""
        return -(-self.y.height // self.band)

    @property
    def weight_first(self) -> bool:
        """Whether a block of weights is applied to all images before the next is read."""
        return not self.parts and self.bands == 1 and weight_first(self.w, self.x)

    def x_places(self, places: int) -> list[int]:
        """Offsets in x of the pixels of the first `places` pixels of a tile."""
        first = [
            n // self.columns * self.row_step + n % self.columns * self.step for n in range(places)
        ]
        inner = region(self.x, self.stride_h, self.stride_w) if self.pool else (0,)
        return [at + pixel for at in first for pixel in inner]

    def places_in(self, m: FeatureMap, places: int) -> list[int]:
        """Offsets in a map like y of the first `places` pixels of a tile."""
        return [n // self.columns * m.row + n % self.columns * m.pixel for n in range(places)]
