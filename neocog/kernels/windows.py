"""Windows of pooling: how large they are, where they lie, and which a place of the map lies in.

The window of y[h, w] has kh × kw places, the taps, numbered t = i · kw + j, at

    x[sh · h − ph + i, sw · w − pw + j],    0 ≤ i < kh,  0 ≤ j < kw

of which those count that lie in the map. The place p of x is the tap p + ph − sh · h of the
windows h for which that is one, which are those from ⌈(p + ph − kh + 1) / sh⌉ to ⌊(p + ph) / sh⌋.
"""

from dataclasses import dataclass

from neocog.kernels.jit import inlined
from neocog.kernels.layout import FeatureMap, padded
from neocog.kernels.simd import LANES

__all__ = ["WindowPooling", "columns_of", "is_straight", "rows_of", "windows_over"]

# Loads that may stand in a row in straight code.
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
        """How the winners lie."""
        return self.y.bare

    @property
    def floats(self) -> int:
        """Floats of a pixel's channels in whole vectors."""
        return padded(self.x.channels)

    @property
    def together(self) -> int:
        """Vectors of channels that loops over taps keep in registers."""
        return next(n for n in (4, 3, 2, 1) if self.floats // LANES % n == 0)

    @property
    def some(self) -> int:
        """Floats of as many channels."""
        return self.together * LANES

    @property
    def straight(self) -> int:
        """Floats of the channels of one window's straight code."""
        most = max(1, _STRAIGHT // self.taps)
        return LANES * next(n for n in (4, 3, 2, 1) if n <= most and self.some // LANES % n == 0)

    @property
    def taps(self) -> int:
        """Places of a window."""
        return self.kernel_h * self.kernel_w

    @property
    def small(self) -> bool:
        """Whether windows that lie in the map are straight code."""
        return self.taps <= 16

    @property
    def clipped(self) -> bool:
        """Whether windows may reach over the map."""
        return self.padding_h > 0 or self.padding_w > 0

    @property
    def tiled(self) -> bool:
        """Whether every place of x is in one small window, or in none at the end of its row."""
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
        """1 / d of a window that lies in the map."""
        return 1.0 / self.taps

    def places(self, m: FeatureMap) -> list[int]:
        """Where in a map's window its taps stand."""
        return [i * m.row + j * m.pixel for i in range(self.kernel_h) for j in range(self.kernel_w)]


@inlined
def rows_of(spec, window):
    """The rows of taps of a window that lie in the map: the first, and the one after the last."""
    h = spec.padding_h - window * spec.stride_h
    return max(0, h), min(spec.kernel_h, spec.x.height + h)


@inlined
def columns_of(spec, window):
    """The columns of taps of a window that lie in the map."""
    w = spec.padding_w - window * spec.stride_w
    return max(0, w), min(spec.kernel_w, spec.x.width + w)


@inlined
def windows_over(place, kernel, stride, padding, windows):
    """The windows along one side that a place of x lies in: the first, one after the last."""
    first = max(0, place + padding - kernel + stride) // stride
    return first, min(windows, (place + padding) // stride + 1)


@inlined
def is_straight(spec, rows, columns):
    """Whether a window is left to straight code."""
    if spec.clipped:
        whole = rows[1] - rows[0] == spec.kernel_h and columns[1] - columns[0] == spec.kernel_w
        return spec.small and whole
    return spec.small
