"""ReLU where no other stage takes it in: f(x) = max(0, x); its gradient passes where x > 0."""

from dataclasses import dataclass

from neocog.kernels.compiling import kernel
from neocog.kernels.layout import FeatureMap
from neocog.kernels.simd import FLOATS, advance, float32, pointer

__all__ = ["Activation", "relu_backward", "relu_forward"]


@dataclass(frozen=True)
class Activation:
    """An element-by-element function from the map x to the map y; gradients have no border."""

    x: FeatureMap
    y: FeatureMap

    @property
    def columns(self) -> int:
        """Floats of one row without its border."""
        return self.x.width * self.x.pixel


@kernel
def relu_forward(s, operands, first, count):
    """Operands: x, y."""
    for n in range(count):
        x = advance(pointer(operands, 0, FLOATS), n * s.x.size + s.x.start)
        y = advance(pointer(operands, 1, FLOATS), n * s.y.size + s.y.start)
        for row in range(s.x.height):
            for at in range(s.columns):
                value = x[row * s.x.row + at]
                y[row * s.y.row + at] = float32(0) if value <= 0 else value  # NaN stays NaN


@kernel
def relu_backward(s, operands, first, count):
    """Operands: y, dy, dx."""
    for n in range(count):
        y = advance(pointer(operands, 0, FLOATS), n * s.y.size + s.y.start)
        dy = advance(pointer(operands, 1, FLOATS), n * s.x.bare.size)
        dx = advance(pointer(operands, 2, FLOATS), n * s.x.bare.size)
        for row in range(s.x.height):
            for at in range(s.columns):
                shut = y[row * s.y.row + at] <= 0  # NaN is not, so it lets the gradient through
                dx[row * s.columns + at] = float32(0) if shut else dy[row * s.columns + at]
