"""What the depthwise kernels work on, and in which order; see `depthwise`."""

from dataclasses import dataclass
from math import gcd

from neocog.kernels.codegen.vector_types import LANES, REGISTERS
from neocog.kernels.compiler.spec import Spec
from neocog.kernels.elementwise.limits import LIMITS, Limited
from neocog.kernels.layout import FeatureMap, padded

__all__ = [
    "FUSED",
    "RUN",
    "SHORTER",
    "SIDES",
    "STRIDES",
    "Axis",
    "Depthwise",
    "DepthwiseGradient",
    "DepthwiseSum",
    "convolution_axis",
    "gradient_axis",
]

# Bytes of a band of rows of x and dy that every vector of channels reads: they should stay in the
# second-level cache. The sums of all taps are loaded and stored once a band.
_BAND_BYTES = 512 * 1024
#: Columns in a run: the sums of two rows of it fit into registers.
RUN = 4 if REGISTERS == 16 else 8
#: Columns in a run where that leaves fewer of them over.
SHORTER = RUN - 1
#: Sides of square kernels and strides with machine code of their own.
SIDES, STRIDES = (3, 5, 7), (1, 2)
#: Functions that can be computed behind a convolution.
FUSED = (*LIMITS, "silu", "hardswish")
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

    def span(self, size: int) -> tuple[int, int]:
        """The first and the last row or column of x that `size` rows or columns of y read."""
        reached = [0]
        for p, place, taps in zip(range(size), self.place, self.taps, strict=False):
            last = (size - 1 - p) // self.phases * self.stride
            reached += [place, place + last + (taps - 1) * self.step] if taps else []
        return min(reached), max(reached)

    def border(self, size: int, x_size: int) -> int:
        """Zeros that must be on either side of x, which is `x_size` large, for `size` of y."""
        first, last = self.span(size)
        return max(0, -first, last + 1 - x_size)


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


def _divided(columns: int) -> tuple[int, int, int]:
    """Numbers of runs, of runs that are a column shorter, and of columns in neither: the fewest."""
    choices = ((n, (columns - RUN * n) // SHORTER) for n in range(columns // RUN + 1))
    runs, shorter = max(choices, key=lambda both: (RUN * sum(both) - both[1], both[0]))
    return runs, shorter, columns - RUN * runs - SHORTER * shorter


@dataclass(frozen=True)
class Depthwise(Limited, Spec):
    """A depthwise convolution, or the gradient of its input; `kernel_w` is that of the weight.

    x is in whole vectors or dense; its border covers all that the taps reach. `function` is one of
    `FUSED`, and computed of the result.

    Raises:
        ValueError: x's border is too small.
    """

    x: FeatureMap
    y: FeatureMap
    down: Axis
    across: Axis
    kernel_w: int
    bias: bool = False
    function: str = "identity"

    constants = ("side", "stride", "lines", "masked")

    def __post_init__(self) -> None:
        x, y = self.x, self.y
        need = self.down.border(y.height, x.height), self.across.border(y.width, x.width)
        if need[0] > x.border_h or need[1] > x.border_w:
            raise ValueError(f"The border of {x} is too small for {y}; it must be {need}.")

    @property
    def side(self) -> int:
        """Rows and columns of the kernel, if they are constants, or 0."""
        down, across = self.down, self.across
        plain = not self.masked and down.phases == across.phases == across.step == 1
        fits = across.taps == down.taps and across.taps[0] in SIDES and across.stride in STRIDES
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
    def limits(self) -> tuple[float, float]:
        """The least and the largest result, if the function only limits it."""
        return LIMITS.get(self.function, LIMITS["identity"])

    @property
    def silu(self) -> bool:
        """Whether the function is this one."""
        return self.function == "silu"

    @property
    def hardswish(self) -> bool:
        """Whether the function is this one."""
        return self.function == "hardswish"

    @property
    def masked(self) -> bool:
        """Whether a pixel of x or y has less than a vector."""
        return min(self.x.pixel, self.y.pixel) < LANES

    @property
    def floats(self) -> int:
        """Floats of a pixel's channels in whole vectors; also of a tap's weights and the bias."""
        return padded(self.x.channels)

    @property
    def runs(self) -> tuple[int, ...]:
        """Runs of columns of each phase."""
        return tuple(_divided(n)[0] for n in self._columns)

    @property
    def shorter_runs(self) -> tuple[int, ...]:
        """Runs that are a column shorter."""
        return tuple(_divided(n)[1] for n in self._columns)

    @property
    def rest(self) -> tuple[int, ...]:
        """Columns of each phase in no run."""
        return tuple(_divided(n)[2] for n in self._columns)

    @property
    def _columns(self) -> list[int]:
        phases = self.across.phases
        return [max(0, -(-(self.y.width - phase) // phases)) for phase in range(phases)]


@dataclass(frozen=True)
class DepthwiseGradient(Spec):
    """The gradient of a depthwise convolution's weight and bias.

    x has `top` rows and `left` columns of zeros before it, and its border covers all that the taps
    reach. `shard` is the images of a shard. One that is `continued` adds to a shard's sums, even if
    the first image of the shard is among its images.
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
    continued: bool = False

    constants = ("width", "stride", "rows", "masked")

    @property
    def width(self) -> int:
        """Taps in a row of the kernel, if their number is a constant, or 0."""
        fits = self.kernel_w in SIDES and self.stride_w in STRIDES and self.dilation_w == 1
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


@dataclass(frozen=True)
class DepthwiseSum(Spec):
    """The sum of the shards of a gradient."""

    gradient: DepthwiseGradient
