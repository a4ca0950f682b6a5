"""Upsampling: the gradient of mean pooling, but for the division, and the other way round."""

from dataclasses import dataclass, replace

from neocog.engine.builder import Builder
from neocog.engine.ops.base import Op
from neocog.engine.strips import Rows
from neocog.kernels.layout import FeatureMap
from neocog.kernels.pooling.average_pooling import avg_pool_backward, avg_pool_forward
from neocog.kernels.pooling.windows import Side, WindowGradient, WindowPooling
from neocog.layers import Upsample

__all__ = ["UpsampleOp"]


@dataclass(eq=False)
class UpsampleOp(Op):
    """Every number repeated along rows and columns."""

    layer: Upsample

    def _spec(
        self, kind: type[WindowPooling], small: FeatureMap, large: FeatureMap
    ) -> WindowPooling:
        """The sums over windows of the large map, each as large as a number's copies."""
        sh, sw = self.layer.scale
        rows = Side(large.height, small.height, sh, sh)
        columns = Side(large.width, small.width, sw, sw)
        return kind(large, small, small, large, rows, columns, winners=False, divisor=1)

    def forward(self, builder: Builder) -> None:
        """Give every number to all its copies."""
        y = builder.map(self.y.name, self.y.map)
        of_x, of_y, each = self.x.map, self.y.map, self.layer.scale[0]

        def spec_of(begin: int, end: int) -> WindowPooling:
            small = replace(of_x, height=end - begin)
            large = replace(of_y, height=(end - begin) * each)
            return self._spec(WindowGradient, small, large)

        rows = Rows(spec_of, of_x.height, {"dy": of_x.row, "dx": each * of_y.row})
        builder.emit_rows(avg_pool_backward, rows, self.name, dy=self.x.name, dx=y)

    def backward(self, builder: Builder) -> None:
        """Sum the gradients of a number's copies."""
        if not self.x.learns:
            return
        dy = builder.gradient(self.y)
        dx, _ = builder.write_gradient(self.x)
        spec = self._spec(WindowPooling, self.x.gradient_map, self.y.gradient_map)
        builder.emit(avg_pool_forward, spec, self.name, x=dy, y=dx)
        builder.add_gradient(self.x, dx)
