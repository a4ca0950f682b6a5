"""Dropout, in training only."""

from dataclasses import dataclass

from neocog.engine.builder import Builder
from neocog.engine.ops.base import Op
from neocog.engine.plan import Scope
from neocog.kernels.elementwise.dropout import Dropout, dropout_backward, dropout_forward

__all__ = ["DropoutOp"]


@dataclass(eq=False)
class DropoutOp(Op):
    """Zeroes random elements; `number` distinguishes the dropouts of a network."""

    p: float
    number: int

    def _spec(self) -> Dropout:
        maps = (self.x.map, self.y.map, self.y.gradient_map, self.x.gradient_map)
        return Dropout(*maps, self.p, self.number)

    def forward(self, builder: Builder) -> None:
        """Zero some elements and scale the others up."""
        builder.plan.buffer("seed", 8, Scope.SHARED)
        builder.map(self.y.name, self.y.map)
        names = {"x": self.x.name, "y": self.y.name, "seed": "seed", "step": "step"}
        builder.emit(dropout_forward, self._spec(), self.name, **names)

    def backward(self, builder: Builder) -> None:
        """Zero and scale the gradients of the same elements."""
        if not self.x.learns:
            return
        dy = builder.gradient(self.y)
        dx, _ = builder.write_gradient(self.x)
        names = {"dy": dy, "dx": dx, "seed": "seed", "step": "step"}
        builder.emit(dropout_backward, self._spec(), self.name, **names)
        builder.add_gradient(self.x, dx)
