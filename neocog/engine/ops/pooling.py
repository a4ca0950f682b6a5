"""Pooling that is not fused into a convolution."""

from dataclasses import dataclass

from neocog.engine.builder import FLOAT, Builder
from neocog.engine.ops.base import Op
from neocog.kernels.pooling.window_pooling import (
    WindowPooling,
    avg_pool_backward,
    avg_pool_forward,
    max_pool_backward,
    max_pool_forward,
)
from neocog.layers import AdaptiveAvgPool2d, AdaptiveMaxPool2d, AvgPool2d, MaxPool2d

__all__ = ["PoolingOp"]


@dataclass(eq=False)
class PoolingOp(Op):
    """The maximum or the mean of every region."""

    layer: MaxPool2d | AvgPool2d | AdaptiveMaxPool2d | AdaptiveAvgPool2d

    @property
    def _takes_largest(self) -> bool:
        return isinstance(self.layer, MaxPool2d | AdaptiveMaxPool2d)

    def _spec(self, builder: Builder) -> WindowPooling:
        if isinstance(self.layer, MaxPool2d | AvgPool2d):
            sides = (*self.layer.kernel, *self.layer.steps, *self.layer.before)
        else:
            sides = (self.x.height, self.x.width) * 2 + (0, 0)
        padding_counts = isinstance(self.layer, AvgPool2d) and self.layer.count_include_pad
        maps = (self.x.map, self.y.map, self.y.gradient_map, self.x.gradient_map)
        return WindowPooling(
            *maps, *sides, self._takes_largest and builder.training, padding_counts
        )

    def _winners(self, builder: Builder) -> str:
        return builder.plan.map(f"{self.name}.winners", self.y.map.bare.size * FLOAT)

    def forward(self, builder: Builder) -> None:
        """Pool."""
        builder.map(self.y.name, self.y.map)
        if self._takes_largest:
            winners = self._winners(builder) if builder.training else None
            builder.emit(
                max_pool_forward,
                self._spec(builder),
                (self.x.name, self.y.name, winners),
                self.name,
            )
        else:
            builder.emit(
                avg_pool_forward, self._spec(builder), (self.x.name, self.y.name), self.name
            )

    def backward(self, builder: Builder) -> None:
        """Pass the gradient to the winners, or equally to all pixels of a region."""
        if not self.x.learns:
            return
        dy = builder.gradient(self.y)
        dx, _ = builder.write_gradient(self.x)
        if self._takes_largest:
            operands = (dy, f"{self.name}.winners", dx)
            builder.emit(max_pool_backward, self._spec(builder), operands, self.name)
        else:
            builder.emit(avg_pool_backward, self._spec(builder), (dy, dx), self.name)
        builder.add_gradient(self.x, dx)
