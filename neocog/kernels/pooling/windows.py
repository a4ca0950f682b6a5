"""The windows of pooling: their sizes and positions, and which of them contain a pixel.

The window of y[h, w] has kh × kw pixels, the taps, numbered t = i · kw + j, at

    x[sh · h − ph + i, sw · w − pw + j],    0 ≤ i < kh,  0 ≤ j < kw

of which only those inside the map count. Row p of x is tap p + ph − sh · h of the windows h from
⌈(p + ph − kh + 1) / sh⌉ to ⌊(p + ph) / sh⌋.
"""

from dataclasses import dataclass

from neocog.kernels.codegen.vector_types import LANES
from neocog.kernels.compiler.jit import inlined
from neocog.kernels.layout import FeatureMap, padded

__all__ = ["WindowPooling", "columns_of", "is_straight", "rows_of", "windows_over"]

# The most loads to unroll.
_STRAIGHT = 36


@dataclass(frozen=True)
class WindowPooling:
    """From the map x to the map y, and from dy to dx. Any of them may be dense.

    No window may lie wholly outside the map: padding is at most half of the kernel.
    """

    x: FeatureMap
    y: FeatureMap
    dy: FeatureMap
    dx: FeatureMap
    kernel_h: int
    kernel_w: int
    stride_h: int
    stride_w: int
    padding_h: int = 0
    padding_w: int = 0
    winners: bool = True
    count_include_pad: bool = True

    @property
    def won(self) -> FeatureMap:
        """The layout of the winners."""
        return self.y.bare

    @property
    def floats(self) -> int:
        """Floats of a pixel's channels in whole vectors."""
        return padded(self.x.channels)

    @property
    def together(self) -> int:
        """Vectors of channels in registers in loops over taps."""
        return next(n for n in (4, 3, 2, 1) if self.floats // LANES % n == 0)

    @property
    def some(self) -> int:
        """Floats of these channels."""
        return self.together * LANES

    @property
    def straight(self) -> int:
        """Floats of the channels for which a window is unrolled."""
        most = max(1, _STRAIGHT // self.taps)
        return LANES * next(n for n in (4, 3, 2, 1) if n <= most and self.some // LANES % n == 0)

    @property
    def taps(self) -> int:
        """Taps of a window."""
        return self.kernel_h * self.kernel_w

    @property
    def small(self) -> bool:
        """Whether windows inside the map are unrolled."""
        return self.taps <= 16

    @property
    def clipped(self) -> bool:
        """Whether windows may extend past the map."""
        return self.padding_h > 0 or self.padding_w > 0

    @property
    def tiled(self) -> bool:
        """Whether windows are small and do not overlap, so that each pixel is in one at most."""
        return (
            self.small
            and not self.clipped
            and self.stride_h == self.kernel_h
            and self.stride_w == self.kernel_w
        )

    @property
    def counted(self) -> bool:
        """Whether the mean's divisor differs between windows."""
        return self.clipped and not self.count_include_pad

    @property
    def scale(self) -> float:
        """1 / d of a window inside the map."""
        return 1.0 / self.taps

    def places(self, m: FeatureMap) -> list[int]:
        """Offsets in a map of a window's taps."""
        return [i * m.row + j * m.pixel for i in range(self.kernel_h) for j in range(self.kernel_w)]


@inlined
def rows_of(spec, window):
    """The rows of a window's taps inside the map: the first, and the one after the last."""
    h = spec.padding_h - window * spec.stride_h
    return max(0, h), min(spec.kernel_h, spec.x.height + h)


@inlined
def columns_of(spec, window):
    """The columns of a window's taps inside the map."""
    w = spec.padding_w - window * spec.stride_w
    return max(0, w), min(spec.kernel_w, spec.x.width + w)


@inlined
def windows_over(place, kernel, stride, padding, windows):
    """The windows along one side that contain a pixel: the first, and one after the last."""
    first = max(0, place + padding - kernel + stride) // stride
    return first, min(windows, (place + padding) // stride + 1)


@inlined
def is_straight(spec, rows, columns):
    """Whether a window is computed by unrolled code."""
    if spec.clipped:
        whole = rows[1] - rows[0] == spec.kernel_h and columns[1] - columns[0] == spec.kernel_w
        return spec.small and whole
    return spec.small
