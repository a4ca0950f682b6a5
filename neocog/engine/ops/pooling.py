"""Pooling that is not fused into a convolution."""

from dataclasses import dataclass, replace

from neocog.engine.builder import FLOAT, Builder
from neocog.engine.ops.base import Op
from neocog.engine.strips import Rows
from neocog.kernels.pooling.average_pooling import avg_pool_backward, avg_pool_forward
from neocog.kernels.pooling.max_pooling import max_pool_backward, max_pool_forward
from neocog.kernels.pooling.windows import Side, WindowGradient, WindowPooling, adaptive_side
from neocog.layers import AdaptiveAvgPool2d, AdaptiveMaxPool2d, AvgPool2d, MaxPool2d

__all__ = ["PoolingOp"]


@dataclass(eq=False)
class PoolingOp(Op):
    """The maximum or the mean of every region."""

    layer: MaxPool2d | AvgPool2d | AdaptiveMaxPool2d | AdaptiveAvgPool2d

    @property
    def _takes_largest(self) -> bool:
        return isinstance(self.layer, MaxPool2d | AdaptiveMaxPool2d)

    def _sides(self) -> tuple[Side, Side]:
        """The windows along columns and rows of pixels."""
        layer, x, y = self.layer, self.x, self.y
        if isinstance(layer, AdaptiveMaxPool2d | AdaptiveAvgPool2d):
            return adaptive_side(x.height, y.height), adaptive_side(x.width, y.width)
        (kh, kw), (sh, sw), (top, left) = layer.kernel, layer.steps, layer.before
        rows = Side(x.height, y.height, kh, sh, top)
        return rows, Side(x.width, y.width, kw, sw, left)

    def _spec(self, builder: Builder, kind: type[WindowPooling]) -> WindowPooling:
        maps = (self.x.map, self.y.map, self.y.gradient_map, self.x.gradient_map)
        return kind(
            *maps,
            *self._sides(),
            winners=self._takes_largest and builder.training,
            count_include_pad=getattr(self.layer, "count_include_pad", False),
            divisor=getattr(self.layer, "divisor_override", None) or 0,
        )

    @staticmethod
    def _rows(spec: WindowPooling) -> Rows:
        def spec_of(begin: int, end: int) -> WindowPooling:
            y = replace(spec.y, height=end - begin)
            return replace(spec, y=y, rows=spec.rows.part(begin, end))

        floats = {"y": spec.y.row, "winners": spec.won.row}
        return Rows(spec_of, spec.y.height, floats, apart=("x",))

    @property
    def _winners(self) -> str:
        return f"{self.name}.winners"

    def forward(self, builder: Builder) -> None:
        """Pool."""
        spec = self._spec(builder, WindowPooling)
        y = builder.map(self.y.name, self.y.map)
        if not self._takes_largest:
            rows = self._rows(spec)
            builder.emit_rows(avg_pool_forward, rows, self.name, x=self.x.name, y=y)
            return
        winners = None
        if spec.winners:
            winners = builder.plan.map(self._winners, spec.won.size * FLOAT)
        of = {"x": self.x.name, "y": y, "winners": winners}
        builder.emit_rows(max_pool_forward, self._rows(spec), self.name, **of)

    def backward(self, builder: Builder) -> None:
        """Pass the gradient to the winners, or equally to all pixels of a region."""
        if not self.x.learns:
            return
        spec = self._spec(builder, WindowGradient)
        dy = builder.gradient(self.y)
        dx, _ = builder.write_gradient(self.x)
        if self._takes_largest:
            builder.emit(max_pool_backward, spec, self.name, dy=dy, winners=self._winners, dx=dx)
        else:
            builder.emit(avg_pool_backward, spec, self.name, dy=dy, dx=dx)
        builder.add_gradient(self.x, dx)
