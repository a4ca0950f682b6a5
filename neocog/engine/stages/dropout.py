"""Dropout, which only training knows."""

from dataclasses import dataclass

from neocog.engine.builder import Builder
from neocog.engine.plan import Scope
from neocog.engine.stages.base import Stage
from neocog.kernels.dropout import Dropout, dropout_backward, dropout_forward

__all__ = ["DropoutStage"]


@dataclass(eq=False)
class DropoutStage(Stage):
    """Zeroes numbers by chance; `number` tells the stages of a network apart."""

    p: float
    number: int

    def _stage(self) -> Dropout:
        maps = (self.x.map, self.y.map, self.y.gradient_map, self.x.gradient_map)
        return Dropout(*maps, self.p, self.number)

    def forward(self, b: Builder) -> None:
        """Zero some, enlarge the others."""
        b.plan.buffer("seed", 8, Scope.SHARED)
        b.map(self.y.name, self.y.map)
        b.emit(
            dropout_forward, self._stage(), (self.x.name, self.y.name, "seed", "step"), self.name
        )

    def backward(self, b: Builder) -> None:
        """The same ones again."""
        if not self.x.learns:
            return
        dy = b.gradient(self.y)
        dx, _ = b.write_gradient(self.x)
        b.emit(dropout_backward, self._stage(), (dy, dx, "seed", "step"), self.name)
        b.add_gradient(self.x, dx)
