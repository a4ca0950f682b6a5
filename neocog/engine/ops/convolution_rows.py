"""What the kernels of convolutions compute row by row, for `Builder.emit_rows`."""

from dataclasses import replace
from fractions import Fraction
from math import lcm

from neocog.engine.strips import Rows
from neocog.kernels.convolution.depthwise_tiling import Depthwise, DepthwiseGradient
from neocog.kernels.convolution.tiling import Convolution
from neocog.kernels.convolution.weight_gradient import WeightGradient

__all__ = ["convolution_rows", "depthwise_gradient_rows", "depthwise_rows", "weight_gradient_rows"]


def convolution_rows(spec: Convolution) -> Rows:
    """Rows of a convolution's result, without pooling."""

    def spec_of(begin: int, end: int) -> Convolution:
        return replace(spec, y=replace(spec.y, height=end - begin))

    floats = {"x": spec.row_step, "y": spec.y.row, "gate": spec.gate.row, "addend": spec.addend.row}
    return Rows(spec_of, spec.y.height, floats, apart=("x",) if spec.w.kernel_h > 1 else ())


def weight_gradient_rows(spec: WeightGradient) -> Rows:
    """Rows of dy, of which a weight's gradient is a sum."""

    def spec_of(begin: int, end: int) -> WeightGradient:
        dy = replace(spec.dy, height=end - begin)
        x = replace(spec.x, height=dy.height) if spec.flat else spec.x
        return replace(spec, x=x, dy=dy, continued=begin > 0)

    floats = {"x": spec.row_step, "dy": spec.dy.row}
    return Rows(spec_of, spec.dy.height, floats, apart=("x",) if spec.w.kernel_h > 1 else ())


def depthwise_rows(spec: Depthwise) -> Rows:
    """Rows of a depthwise convolution's result, or of the gradient of its input."""

    def spec_of(begin: int, end: int) -> Depthwise:
        return replace(spec, y=replace(spec.y, height=end - begin))

    down = spec.down
    floats: dict[str, int | Fraction] = {"y": spec.y.row}
    floats["x"] = Fraction(down.stride * spec.x.row, down.phases)
    multiple = lcm(down.phases, spec.lines)
    return Rows(spec_of, spec.y.height, floats, apart=("x",), multiple=multiple)


def depthwise_gradient_rows(spec: DepthwiseGradient) -> Rows:
    """Rows of dy, of which a depthwise weight's gradient is a sum."""

    def spec_of(begin: int, end: int) -> DepthwiseGradient:
        return replace(spec, dy=replace(spec.dy, height=end - begin), continued=begin > 0)

    floats = {"x": spec.stride_h * spec.x.row, "dy": spec.dy.row}
    return Rows(spec_of, spec.dy.height, floats, apart=("x",))
