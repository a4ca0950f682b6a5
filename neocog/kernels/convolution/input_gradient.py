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

from dataclasses import dataclass
from math import gcd

from neocog.kernels.codegen.pointers import advance, pointer, rolled, zeros
from neocog.kernels.codegen.vector_types import FLOATS
from neocog.kernels.compiler.jit import always_inlined, inlined, kernel
finish = finish_last = multiply_channels = None
from neocog.kernels.convolution.tiling import tile, weight_first
from neocog.kernels.layout import ConvolutionWeight, FeatureMap

__all__ = ["InputGradient", "conv2d_backward_input_strided"]


@dataclass(frozen=True)
class InputGradient:
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

    # Attributes that the blocks of `convolution` need.

    far = False
    bias = False
    relu = False
    pool = False
    pixels = 1

    @property
    def y(self) -> FeatureMap:
        """The map that is written."""
        return self.dx

    @property
    def unroll(self) -> int:
        """Number of channels of dy to unroll."""
        return min(self.w.group_in, 8)

    @property
    def weight_first(self) -> bool:
        """Whether a block of weights is applied to all images at once; see `Convolution`."""
        return weight_first(self.w, self.dy)

    def x_places(self, places: int) -> list[int]:
        """Offsets in dy of the first `places` pixels of a class."""
        return [
            n // self.columns * self.dy.row + n % self.columns * self.dy.pixel
            for n in range(places)
        ]

    def places_in(self, m: FeatureMap, places: int) -> list[int]:
        """Offsets in a map like dx of the first `places` pixels of a class."""
        row, column = self.stride_h * m.row, self.stride_w * m.pixel
        return [n // self.columns * row + n % self.columns * column for n in range(places)]

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

    # Pixels of one class. Classes have as many columns as the first, or one less.

    @property
    def most_columns(self) -> int:
        """Columns of the largest class."""
        return -(-self.dx.width // self.stride_w)

    @property
    def alike(self) -> bool:
        """Whether all classes have the same size."""
        return self.dx.width % self.stride_w == 0 and self.dx.height % self.stride_h == 0

    def _tile(self) -> tuple[int, int]:
        height = -(-self.dx.height // self.stride_h) if self.alike else 1
        return tile(height, self.most_columns, self.w.vectors)

    @property
    def rows(self) -> int:
        """Rows of a class in a tile: one, or several whole rows."""
        return self._tile()[0]

    @property
    def columns(self) -> int:
        """Columns of a class in a tile."""
        return self._tile()[1]

    @property
    def rest_rows(self) -> int:
        """Rows of a class left after whole tiles."""
        return -(-self.dx.height // self.stride_h) % self.rows

    @property
    def rest(self) -> int:
        """Columns left after whole tiles in the largest classes."""
        return self.most_columns % self.columns

    @property
    def smaller_rest(self) -> int:
        """Columns left after whole tiles in classes with one column less, if there are any."""
        return (self.most_columns - 1) % self.columns if self.dx.width % self.stride_w else 0

    @property
    def sums(self) -> int:
        """Vectors of sums of a tile."""
        return self.rows * self.columns * self.w.vectors

    @property
    def rest_sums(self) -> int:
        """Vectors of sums of a partial tile."""
        return max(1, self.rest or self.rest_rows * self.columns) * self.w.vectors

    @property
    def smaller_sums(self) -> int:
        """Vectors of sums of a partial tile in the smaller classes."""
        return max(1, self.smaller_rest) * self.w.vectors


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


@always_inlined
def compute(spec, sums, part, dy, w, rows, columns, dx, gate):
    """Compute some pixels of one class, with `rows` × `columns` taps.

    dy and w point to the first tap, and both go backward from it.
    """
    for i in range(rolled(rows)):
        for j in range(rolled(columns)):
            tap = i * (spec.back_h * spec.dy.row) + j * (spec.back_w * spec.dy.pixel)
            tap_w = (i * (spec.period_h * spec.w.kernel_w) + j * spec.period_w) * spec.w.tap_size
            sums = multiply_channels(spec, sums, advance(dy, -tap), advance(w, -tap_w), 0)
    if spec.w.lanes_left > 0 and part:
        finish_last(spec, sums, dx, gate)
    else:
        finish(spec, sums, dx, gate)


@kernel
def conv2d_backward_input_strided(spec, operands, first, count):
    """dx from dy and the flipped weight.

    Operands: dy, flipped weight, dx, gate.
    """
    slopes = advance(pointer(operands, 0, FLOATS), spec.dy.start)
    weight = pointer(operands, 1, FLOATS)
    results = advance(pointer(operands, 2, FLOATS), spec.dx.start)
    gates = advance(pointer(operands, 3, FLOATS), spec.gate.start)
    dx_step, gate_step = spec.stride_w * spec.dx.pixel, spec.stride_w * spec.gate.pixel
    for item in range(count * spec.w.blocks):
        n, k = (item % count, item // count) if spec.weight_first else divmod(item, spec.w.blocks)
        group, place = k // spec.w.group_blocks, k % spec.w.group_blocks
        part = place == spec.w.group_blocks - 1
        channel = group * spec.w.group_out + place * spec.w.block
        dy_image = advance(slopes, n * spec.dy.size + group * spec.w.group_in)
        dx_image = advance(results, n * spec.dx.size + channel)
        gate_image = advance(gates, n * spec.gate.size + channel)
        # The first tap is the last one of the flipped weight.
        last_tap = (k + 1) * spec.w.block_size - spec.w.tap_size
        for h in range(min(spec.stride_h, spec.dx.height)):
            i = first_tap(h + spec.top, spec.stride_h, spec.dilation_h, spec.w.kernel_h)
            taps_h = (spec.w.kernel_h - i + spec.period_h - 1) // spec.period_h
            dy_row = (h + spec.top - i * spec.dilation_h) // spec.stride_h if taps_h > 0 else 0
            height = (spec.dx.height - h + spec.stride_h - 1) // spec.stride_h
            for v in range(min(spec.stride_w, spec.dx.width)):
                j = first_tap(v + spec.left, spec.stride_w, spec.dilation_w, spec.w.kernel_w)
                taps_w = (spec.w.kernel_w - j + spec.period_w - 1) // spec.period_w
                dy_column = (
                    (v + spec.left - j * spec.dilation_w) // spec.stride_w if taps_w > 0 else 0
                )
                width = (spec.dx.width - v + spec.stride_w - 1) // spec.stride_w
                w = advance(weight, last_tap - (i * spec.w.kernel_w + j) * spec.w.tap_size)
                dy_class = advance(dy_image, dy_row * spec.dy.row + dy_column * spec.dy.pixel)
                dx_class = advance(dx_image, h * spec.dx.row + v * spec.dx.pixel)
                gate_class = advance(gate_image, h * spec.gate.row + v * spec.gate.pixel)
                for row in range(0, height - spec.rest_rows, spec.rows):
                    dy = advance(dy_class, row * spec.dy.row)
                    dx = advance(dx_class, row * (spec.stride_h * spec.dx.row))
                    gate = advance(gate_class, row * (spec.stride_h * spec.gate.row))
                    column = 0
                    while column + spec.columns <= width:
                        d, to = advance(dy, column * spec.dy.pixel), advance(dx, column * dx_step)
                        g = advance(gate, column * gate_step)
                        compute(spec, zeros(spec.sums), part, d, w, taps_h, taps_w, to, g)
                        column += spec.columns
                    d, to = advance(dy, column * spec.dy.pixel), advance(dx, column * dx_step)
                    g = advance(gate, column * gate_step)
                    if spec.rest > 0 and width == spec.most_columns:
                        compute(spec, zeros(spec.rest_sums), part, d, w, taps_h, taps_w, to, g)
                    elif spec.smaller_rest > 0 and width < spec.most_columns:
                        compute(spec, zeros(spec.smaller_sums), part, d, w, taps_h, taps_w, to, g)
                if spec.rest_rows > 0:
                    row = height - spec.rest_rows
                    d = advance(dy_class, row * spec.dy.row)
                    to = advance(dx_class, row * (spec.stride_h * spec.dx.row))
                    g = advance(gate_class, row * (spec.stride_h * spec.gate.row))
                    compute(spec, zeros(spec.rest_sums), part, d, w, taps_h, taps_w, to, g)
