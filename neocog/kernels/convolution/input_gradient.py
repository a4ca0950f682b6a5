"""The gradient of a convolution's input, for any stride and dilation.

    dx[h, w, c] = Σ_i Σ_j Σ_k  dy[(h + top − d·i) / s, (w + left − d·j) / s, k] · weight[i, j, c, k]

over the taps i, j for which both divisions are exact. Which these are depends only on h + top and
w + left modulo the stride. So the pixels of dx fall into s · s classes, and in each class the
gradient is an ordinary convolution of dy with some of the taps. No zero is multiplied; spacing dy
out with zeros would multiply stride² − 1 of them for every useful product.

d·i modulo s repeats with the period p = s / gcd(s, d), so a class has every p-th tap, and from one
to the next dy is read d·p / s = d / gcd(s, d) rows further up. A class without taps gets zeros.
With stride 1 there is one class, and this is `conv2d_forward` with the flipped weight.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import gcd
from typing import Any

from neocog.kernels.codegen.pointers import advance, stack_floats
from neocog.kernels.codegen.vector_types import FLOATS, LANES
from neocog.kernels.compiler.jit import inlined, kernel
from neocog.kernels.compiler.operands import maybe
from neocog.kernels.compiler.spec import Spec
from neocog.kernels.convolution.places import stretch_rows
from neocog.kernels.convolution.register_tile import RegisterTile
from neocog.kernels.convolution.tiles import compute_stretch
from neocog.kernels.convolution.tiling import weight_first
from neocog.kernels.layout import ConvolutionWeight, FeatureMap

__all__ = ["InputGradient", "conv2d_backward_input_strided", "kinds"]


@dataclass(frozen=True)
class InputGradient(RegisterTile, Spec):
    """The gradient of one convolution's input; `w` is the flipped weight, `top` and `left` padding.

    dy needs a border of at least `reach_h` rows and `reach_w` columns. With `gated` the result is
    zero wherever the map `gate`, the output of a ReLU, is zero. With `accumulate` the result is
    added to dx.
    """

    dy: FeatureMap
    dx: FeatureMap
    w: ConvolutionWeight
    stride_h: int = 1
    stride_w: int = 1
    dilation_h: int = 1
    dilation_w: int = 1
    top: int = 0
    left: int = 0
    gated: bool = False
    gate: FeatureMap = FeatureMap(1, 1, 1)
    accumulate: bool = False

    constants = RegisterTile.constants

    def __post_init__(self) -> None:
        if self.dy.border_h < self.reach_h or self.dy.border_w < self.reach_w:
            raise ValueError(
                f"dy's border of {self.dy.border_h} × {self.dy.border_w} must be at least "
                f"{self.reach_h} × {self.reach_w}."
            )

    @property
    def reach_h(self) -> int:
        """Rows of dy's border that are read."""
        shape = self.dx.height, self.dy.height, self.w.kernel_h
        return _reach(*shape, self.stride_h, self.dilation_h, self.top)

    @property
    def reach_w(self) -> int:
        """Columns of dy's border that are read."""
        shape = self.dx.width, self.dy.width, self.w.kernel_w
        return _reach(*shape, self.stride_w, self.dilation_w, self.left)

    @property
    def result(self) -> FeatureMap:
        """The map that is written."""
        return self.dx

    @property
    def weight_first(self) -> bool:
        """Whether a block of weights is applied to all images at once; see `Convolution`."""
        return weight_first(self.w, self.dy)

    # Stretches of the pixels of one class. Classes have as many rows and columns as the first, or
    # one less.

    @property
    def stretch_rows(self) -> int:
        """Rows of a class in a stretch; the last one may have less."""
        height, width = -(-self.dx.height // self.stride_h), -(-self.dx.width // self.stride_w)
        return stretch_rows(height, width, self.most)

    @property
    def stretches(self) -> list[tuple[int, int]]:
        """Rows and columns of all stretches, as far as they differ."""
        heights, widths = (
            {-(-(size - at) // stride) for at in range(min(stride, size))}
            for size, stride in ((self.dx.height, self.stride_h), (self.dx.width, self.stride_w))
        )
        rows = {min(self.stretch_rows, height) for height in heights}
        rows |= {height % self.stretch_rows for height in heights} - {0}
        return [(some, width) for some in sorted(rows) for width in sorted(widths)]

    @property
    def steps(self) -> list[tuple[int, int]]:
        """Floats from one row and column of a class to the next, in dy, dx and `other`."""
        maps = ((self.stride_h * m.row, self.stride_w * m.pixel) for m in (self.dx, self.other))
        return [(self.dy.row, self.dy.pixel), *maps]

    # Taps

    @property
    def period_h(self) -> int:
        """Kernel rows from one of a class to the next."""
        return self.stride_h // gcd(self.stride_h, self.dilation_h)

    @property
    def period_w(self) -> int:
        """Kernel columns from one of a class to the next."""
        return self.stride_w // gcd(self.stride_w, self.dilation_w)

    @property
    def back_h(self) -> int:
        """Rows of dy by which the next kernel row of a class reads further up."""
        return self.dilation_h // gcd(self.stride_h, self.dilation_h)

    @property
    def back_w(self) -> int:
        """Columns of dy by which the next kernel column of a class reads further left."""
        return self.dilation_w // gcd(self.stride_w, self.dilation_w)

    # The next tap of a class lies further back in dy and in the weight.

    @property
    def tap_row(self) -> int:
        """Floats of dy from one kernel row of a class to the next."""
        return -self.back_h * self.dy.row

    @property
    def tap(self) -> int:
        """Floats of dy from one kernel column of a class to the next."""
        return -self.back_w * self.dy.pixel

    @property
    def w_row(self) -> int:
        """Floats of the weight from one kernel row of a class to the next."""
        return -self.period_h * self.w.kernel_w * self.w.tap_size

    @property
    def w_tap(self) -> int:
        """Floats of the weight from one kernel column of a class to the next."""
        return -self.period_w * self.w.tap_size


def _reach(size: int, given: int, kernel: int, stride: int, dilation: int, padding: int) -> int:
    """The most rows outside of dy's `given` rows that the gradient of `size` rows reads."""
    at = [
        (h + padding - i * dilation) // stride
        for h in range(size)
        for i in range(kernel)
        if (h + padding - i * dilation) % stride == 0
    ]
    return max(0, -min(at, default=0), max(at, default=0) - given + 1)


@inlined
def first_tap(at, stride, dilation, kernel):
    """The first tap that reaches row `at`; `kernel` if none does."""
    for i in range(kernel):
        if (at - i * dilation) % stride == 0:
            return i
    return kernel


@inlined
def taps_of(at, stride, dilation, kernel, period):
    """The first tap that reaches row `at` of dx, how many do, and the row of dy for the first."""
    first = first_tap(at, stride, dilation, kernel)
    count = (kernel - first + period - 1) // period
    return first, count, (at - first * dilation) // stride if count > 0 else 0


@kernel(dy=FLOATS, weight=FLOATS, dx=FLOATS, gate=maybe(FLOATS))
def conv2d_backward_input_strided(spec, o, first, count):
    """dx from dy and the flipped weight."""
    results = advance(o.dx, spec.dx.start)
    # Where there is no gate, dx is read in its place, without effect.
    gates = advance(o.gate, spec.gate.start) if spec.gated else results
    other = spec.other
    kept = stack_floats(spec.kept_size)
    for item in range(count * spec.w.blocks):
        n, k = (item % count, item // count) if spec.weight_first else divmod(item, spec.w.blocks)
        group, block = k // spec.w.group_blocks, k % spec.w.group_blocks
        channel = group * spec.w.group_out + block * spec.w.block
        lanes = spec.last_lanes if block == spec.w.group_blocks - 1 else LANES
        # The first tap is the last one of the flipped weight.
        last_tap = (k + 1) * spec.w.block_size - spec.w.tap_size
        for h in range(min(spec.stride_h, spec.dx.height)):
            i, rows, dy_row = taps_of(
                h + spec.top, spec.stride_h, spec.dilation_h, spec.w.kernel_h, spec.period_h
            )
            height = (spec.dx.height - h + spec.stride_h - 1) // spec.stride_h
            for v in range(min(spec.stride_w, spec.dx.width)):
                j, columns, dy_column = taps_of(
                    v + spec.left, spec.stride_w, spec.dilation_w, spec.w.kernel_w, spec.period_w
                )
                width = (spec.dx.width - v + spec.stride_w - 1) // spec.stride_w
                tap = last_tap - (i * spec.w.kernel_w + j) * spec.w.tap_size
                of_dy = spec.dy.start + dy_row * spec.dy.row + dy_column * spec.dy.pixel
                dy = advance(o.dy, of_dy + n * spec.dy.size + group * spec.w.group_in)
                of_dx = n * spec.dx.size + h * spec.dx.row + v * spec.dx.pixel + channel
                of_other = n * other.size + h * other.row + v * other.pixel + channel
                for row in range(0, height, spec.stretch_rows):
                    maps = (
                        advance(dy, row * spec.dy.row),
                        advance(results, of_dx + row * (spec.stride_h * spec.dx.row)),
                        advance(gates, of_other + row * (spec.stride_h * other.row)),
                    )
                    compute_stretch(
                        spec,
                        maps,
                        min(spec.stretch_rows, height - row),
                        width,
                        advance(o.weight, tap),
                        (rows if columns > 0 else 0, columns),
                        0,
                        o.dx,
                        lanes,
                        kept,
                    )


def kinds() -> Iterator[tuple[Any, Any]]:
    """A kernel and a small spec for each kind that there is."""
    one = FeatureMap(1, 1, 1)
    for vectors in (1, 2, 3):
        w = ConvolutionWeight(vectors * LANES, 1, 1, 1)
        yield conv2d_backward_input_strided, InputGradient(one, one, w, 2, 2)
