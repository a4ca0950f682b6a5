"""What the depthwise kernels work on, and in which order; see `depthwise`."""

from dataclasses import dataclass
from math import gcd, inf

from neocog.kernels.codegen.vector_types import LANES, REGISTERS
from neocog.kernels.compiler.spec import Spec
from neocog.kernels.layout import FeatureMap, padded

__all__ = ["Axis", "Depthwise", "DepthwiseGradient", "convolution_axis", "gradient_axis"]

# Bytes of a band of rows of x and dy that every vector of channels reads: they should stay in the
# second-level cache. The sums of all taps are loaded and stored once a band.
_BAND_BYTES = 512 * 1024
# Sides of square kernels and strides with machine code of their own.
_SIDES, _STRIDES = (3, 5, 7), (1, 2)
# Sums of taps in registers, besides the dy of a run of columns and one pixel.
_TAPS = REGISTERS - 6


@dataclass(frozen=True)
class Axis:
    """The rows or the columns of a sum over taps.

        y[P·n + p] = Σ_t  x[stride·n + place[p] + step·t] · w[first[p] + skip·t],  t < taps[p]

    P is the number of phases, the length of the tuples: outputs that lie P apart are computed from
    the same taps.
    """

    stride: int
    step: int
    skip: int
    place: tuple[int, ...]
    first: tuple[int, ...]
    taps: tuple[int, ...]

    @property
    def phases(self) -> int:
        """P."""
        return len(self.taps)

    @property
    def least(self) -> int:
        """The first row or column of x that is read."""
        return min((p for p, taps in zip(self.place, self.taps, strict=True) if taps), default=0)

    def most(self, size: int) -> int:
        """The last row or column of x that is read for `size` rows or columns of y."""
        phases = zip(range(size), self.place, self.taps, strict=False)
        ends = (
            (size - 1 - p) // self.phases * self.stride + place + (taps - 1) * self.step
            for p, place, taps in phases
            if taps
        )
        return max(ends, default=0)


def convolution_axis(kernel: int, stride: int, dilation: int, before: int) -> Axis:
    """A convolution with `before` zeros before x."""
    return Axis(stride, dilation, 1, (-before,), (0,), (kernel,))


def gradient_axis(kernel: int, stride: int, dilation: int, before: int) -> Axis:
    """The gradient of such a convolution's x, computed from dy.

    A row p of dx is the sum over the taps i for which h = (p + before − dilation · i) / stride is
    whole. These are `stride / gcd` taps apart, and their h `dilation / gcd`, from the last one on.
    """
    common = gcd(stride, dilation)
    skip, step = stride // common, dilation // common
    place, first, taps = [], [], []
    for p in range(stride):
        met = [i for i in range(kernel) if (p + before - dilation * i) % stride == 0]
        last = met[-1] if met else 0
        place.append((p + before - dilation * last) // stride)
        first.append(last)
        taps.append(len(met))
    return Axis(1, step, -skip, tuple(place), tuple(first), tuple(taps))


def _runs(columns: int) -> tuple[int, int, int]:
    """How many columns are computed by eight, by seven, and in another way: the fewest."""
    choices = ((n, (columns - 8 * n) // 7) for n in range(columns // 8 + 1))
    eights, sevens = max(choices, key=lambda both: (8 * both[0] + 7 * both[1], both[0]))
    return eights, sevens, columns - 8 * eights - 7 * sevens


@dataclass(frozen=True)
class Depthwise(Spec):
    """A depthwise convolution, or the gradient of its input; `kernel_w` is that of the weight.

    x is in whole vectors or dense; its border covers all that the taps reach. Results are limited
    to `low` … `high`: 0 … ∞ is ReLU. With `parts` items are rows of one image instead of images.

    Raises:
        ValueError: x's border is too small.
    """

    x: FeatureMap
    y: FeatureMap
    down: Axis
    across: Axis
    kernel_w: int
    bias: bool = False
    low: float = -inf
    high: float = inf
    parts: bool = False

    constants = ("side", "stride", "lines", "masked")

    def __post_init__(self) -> None:
        x, y = self.x, self.y
        below = self.down.most(y.height) - (x.height - 1 + x.border_h)
        right = self.across.most(y.width) - (x.width - 1 + x.border_w)
        before = self.down.least < -x.border_h or self.across.least < -x.border_w
        if before or below > 0 or right > 0:
            raise ValueError(f"The border of {x} is too small for {y}.")

    @property
    def side(self) -> int:
        """Rows and columns of the kernel, if they are constants, or 0."""
        down, across = self.down, self.across
        plain = not self.masked and down.phases == across.phases == across.step == 1
        fits = across.taps == down.taps and across.taps[0] in _SIDES and across.stride in _STRIDES
        fits = fits and across.stride == down.stride and self.y.height > 1
        return across.taps[0] if plain and fits else 0

    @property
    def stride(self) -> int:
        """The columns' stride, if it is a constant, or 0."""
        return self.across.stride if self.side else 0

    @property
    def lines(self) -> int:
        """Rows of y that are computed together."""
        return 2 if self.side else 1

    @property
    def limited(self) -> bool:
        """Whether results are limited."""
        return (self.low, self.high) != (-inf, inf)

    @property
    def masked(self) -> bool:
        """Whether a pixel of x or y has less than a vector."""
        return min(self.x.pixel, self.y.pixel) < LANES

    @property
    def floats(self) -> int:
        """Floats of a pixel's channels in whole vectors; also of a tap's weights and the bias."""
        return padded(self.x.channels)

    @property
    def eights(self) -> tuple[int, ...]:
        """Runs of eight columns of each phase."""
        return tuple(_runs(self._columns(p))[0] for p in range(self.across.phases))

    @property
    def sevens(self) -> tuple[int, ...]:
        """Runs of seven columns of each phase."""
        return tuple(_runs(self._columns(p))[1] for p in range(self.across.phases))

    @property
    def rest(self) -> tuple[int, ...]:
        """Columns of each phase after its runs."""
        return tuple(_runs(self._columns(p))[2] for p in range(self.across.phases))

    def _columns(self, phase: int) -> int:
        return max(0, -(-(self.y.width - phase) // self.across.phases))


@dataclass(frozen=True)
class DepthwiseGradient(Spec):
    """The gradient of a depthwise convolution's weight and bias.

    x has `top` rows and `left` columns of zeros before it, and its border covers all that the taps
    reach. `shard` is the images of a shard.
    """

    x: FeatureMap
    dy: FeatureMap
    kernel_h: int
    kernel_w: int
    stride_h: int = 1
    stride_w: int = 1
    dilation_h: int = 1
    dilation_w: int = 1
    top: int = 0
    left: int = 0
    bias: bool = True
    shard: int = 1

    constants = ("width", "stride", "rows", "together", "masked")

    @property
    def width(self) -> int:
        """Taps in a row of the kernel, if their number is a constant, or 0."""
        fits = self.kernel_w in _SIDES and self.stride_w in _STRIDES and self.dilation_w == 1
        return self.kernel_w if fits and not self.masked else 0

    @property
    def stride(self) -> int:
        """The columns' stride, if it is a constant, or 0."""
        return self.stride_w if self.width else 0

    @property
    def rows(self) -> int:
        """Kernel rows whose sums are in registers at a time."""
        return max(1, min(self.width, _TAPS // self.width)) if self.width else 1

    @property
    def together(self) -> int:
        """Taps of these kernel rows."""
        return self.rows * self.width

    @property
    def down(self) -> int:
        """Floats of x from one kernel row to the next."""
        return self.dilation_h * self.x.row

    @property
    def masked(self) -> bool:
        """Whether a pixel of x has less than a vector."""
        return min(self.x.pixel, self.dy.pixel) < LANES

    @property
    def floats(self) -> int:
        """Floats of a pixel's channels in whole vectors; also of a tap's weights and the bias."""
        return padded(self.x.channels)

    @property
    def taps(self) -> int:
        """Taps of the kernel."""
        return self.kernel_h * self.kernel_w

    @property
    def size(self) -> int:
        """Floats of the weight."""
        return self.taps * self.floats

    @property
    def corner(self) -> int:
        """Floats of x from its first pixel back to the first tap of dy's first pixel."""
        return self.top * self.x.row + self.left * self.x.pixel

    @property
    def offsets(self) -> tuple[int, ...]:
        """Floats of x from the first tap to each."""
        return tuple(
            i * self.dilation_h * self.x.row + j * self.dilation_w * self.x.pixel
            for i in range(self.kernel_h)
            for j in range(self.kernel_w)
        )

    @property
    def band(self) -> int:
        """Rows of dy that are processed at a time."""
        row = 4 * (self.stride_h * self.x.row + self.dy.row)
        return max(1, min(self.dy.height, _BAND_BYTES // row))
