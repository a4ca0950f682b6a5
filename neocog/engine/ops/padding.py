"""Padding that is more than a border of zeros."""

from dataclasses import dataclass, replace

from neocog.engine.builder import Builder
from neocog.engine.ops.base import Op
from neocog.engine.strips import Rows
from neocog.kernels.elementwise.padding import Padding, pad_backward, pad_forward

__all__ = ["PaddingOp"]


@dataclass(eq=False)
class PaddingOp(Op):
    """A copy of a map with more rows and columns.

    Attributes:
        top, left: how many are added before the map.
        mode: what stands there, one of `neocog.layers.padding.PADDING_MODES`.
    """

    top: int
    left: int
    mode: str

    @property
    def sides(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Rows above and below, columns at the left and at the right that are added."""
        x, y = self.x, self.y
        below, right = y.height - x.height - self.top, y.width - x.width - self.left
        return (self.top, below), (self.left, right)

    def forward(self, builder: Builder) -> None:
        """Copy the map, and what stands around it."""
        y = builder.map(self.y.name, self.y.map)
        spec = Padding(self.x.map, self.y.map, self.top, self.left, self.mode)

        def spec_of(begin: int, end: int) -> Padding:
            of = spec.y.height
            return replace(spec, y=replace(spec.y, height=end - begin), begin=begin, of=of)

        rows = Rows(spec_of, spec.y.height, {"y": spec.y.row}, apart=("x",))
        builder.emit_rows(pad_forward, rows, self.name, x=self.x.name, y=y)

    def backward(self, builder: Builder) -> None:
        """Add the gradients of all copies of a number."""
        if not self.x.learns:
            return
        dy = builder.gradient(self.y)
        dx, _ = builder.write_gradient(self.x)
        maps = self.x.gradient_map, self.y.gradient_map
        spec = Padding(*maps, self.top, self.left, self.mode)
        builder.emit(pad_backward, spec, self.name, dy=dy, dx=dx)
        builder.add_gradient(self.x, dx)
