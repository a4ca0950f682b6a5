"""PReLU."""

from dataclasses import dataclass

from neocog.engine.builder import Builder
from neocog.engine.ops.base import Op
from neocog.engine.ops.packing import vector_parameter
from neocog.engine.plan import Instruction
from neocog.engine.strips import Rows
from neocog.engine.tensor import Parameter
from neocog.kernels.codegen.vector_types import LANES
from neocog.kernels.elementwise.prelu import (
    LearnedSlope,
    prelu_backward,
    prelu_forward,
    prelu_reduce,
)
from neocog.layers import PReLU

__all__ = ["PReLUOp"]


@dataclass(eq=False)
class PReLUOp(Op):
    """A rectifier with learned slopes."""

    layer: PReLU

    def parameters(self) -> list[Parameter]:
        """``weight``, the slopes."""
        return [vector_parameter(f"{self.name}.weight", self.layer.num_parameters)]

    def _spec(self) -> LearnedSlope:
        maps = (self.x.map, self.y.map, self.y.gradient_map, self.x.gradient_map)
        return LearnedSlope(*maps, shared=self.layer.num_parameters == 1)

    def forward(self, builder: Builder) -> None:
        """Apply it."""
        (weight,) = (builder.parameter(parameter) for parameter in self.parameters())
        builder.map(self.y.name, self.y.map)
        names = {"x": self.x.name, "slope": weight, "y": self.y.name}
        rows = Rows.of_maps(self._spec(), ("x", "y"))
        builder.emit_rows(prelu_forward, rows, self.name, **names)

    def backward(self, builder: Builder) -> None:
        """The gradient of x, if it is needed, and of the slopes."""
        (parameter,), spec = self.parameters(), self._spec()
        dy = builder.gradient(self.y)
        sums = builder.per_image(f"{self.name}.sums", spec.channels)
        if self.x.learns:
            dx, _ = builder.write_gradient(self.x)
        else:
            dx = builder.map(f"{self.name}.dx", self.x.gradient_map, transient=True)
        names = {"x": self.x.name, "slope": parameter.name, "dy": dy, "dx": dx, "sums": sums}
        builder.emit(prelu_backward, spec, self.name, **names)
        if self.x.learns:
            builder.add_gradient(self.x, dx)
        names = {"sums": sums, "step": "step", "dslope": f"{parameter.name}.gradient"}
        reduce = Instruction.of(prelu_reduce, spec, self.name, **names)
        builder.before_learning(reduce, parameter.size // LANES)
        builder.learn([parameter], [], parameter.size // LANES)
