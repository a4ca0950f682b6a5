"""Depthwise convolutions: one kernel per channel."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neocog.engine.builder import Builder
from neocog.engine.ops.base import Op
from neocog.engine.ops.pointwise import vector_parameter
from neocog.engine.plan import Instruction
from neocog.engine.tensor import Parameter
from neocog.kernels.codegen.vector_types import LANES
from neocog.kernels.convolution.depthwise import (
    Depthwise,
    depthwise_backward_input,
    depthwise_forward,
)
from neocog.kernels.convolution.depthwise_gradient import (
    depthwise_backward_weight,
    depthwise_reduce,
)
from neocog.kernels.layout import padded
from neocog.layers import BatchNorm2d, Conv2d

__all__ = ["DepthwiseOp"]

Floats = NDArray[np.float32]


@dataclass(eq=False)
class DepthwiseOp(Op):
    """A convolution whose groups are single channels.

    Attributes:
        relu: whether ReLU is fused into it.
        folded: for inference, the name of the batch normalization folded into the weights.
        folded_norm: that layer.
    """

    layer: Conv2d
    relu: bool = False
    folded: str = ""
    folded_norm: BatchNorm2d | None = None

    @property
    def _has_bias(self) -> bool:
        return self.layer.bias or bool(self.folded)

    def ask_borders(self) -> None:
        """Zeros around x for its padding, and around dy so that edges need no special case."""
        sides = zip(self.layer.before, self.layer.after, strict=True)
        self.x.ask_border(*(max(side) for side in sides))

    def parameters(self) -> list[Parameter]:
        """``weight`` and ``bias``."""
        layer, count = self.layer, padded(self.layer.out_channels)
        shape = layer.parameter_shapes()["weight"]
        taps = shape[2] * shape[3]

        def pack(value: Floats) -> Floats:
            rows = value.reshape(-1, taps).T
            return np.pad(rows, ((0, 0), (0, count - rows.shape[1]))).ravel()

        def unpack(packed: Floats) -> Floats:
            rows = packed.reshape(taps, count)[:, : shape[0]]
            return np.array(rows.T.reshape(shape), order="C")

        weight = Parameter(f"{self.name}.weight", shape, taps * count, pack, unpack)
        bias = vector_parameter(f"{self.name}.bias", layer.out_channels)
        return [weight, bias] if self._has_bias else [weight]

    def _spec(self, builder: Builder) -> Depthwise:
        layer = self.layer
        maps = (self.x.map, self.y.map, self.y.gradient_map, self.x.gradient_map)
        sides = (*layer.kernel, *layer.steps, *layer.spread, *layer.before)
        return Depthwise(*maps, *sides, self._has_bias, self.relu, builder.shard)

    def forward(self, builder: Builder) -> None:
        """Convolve."""
        for parameter in self.parameters():
            builder.parameter(parameter)
        y = builder.map(self.y.name, self.y.map)
        bias = f"{self.name}.bias" if self._has_bias else None
        operands = (self.x.name, f"{self.name}.weight", bias, y)
        builder.emit(depthwise_forward, self._spec(builder), operands, self.name)

    def backward(self, builder: Builder) -> None:
        """The weight's gradient, then x's."""
        name, dy, spec = self.name, builder.gradient(self.y), self._spec(builder)
        of_weight = builder.floats(f"{name}.weight.shards", spec.size * builder.shards)
        of_bias = builder.floats(f"{name}.bias.shards", spec.floats * builder.shards)
        operands = (self.x.name, dy, of_weight, of_bias)
        builder.emit(depthwise_backward_weight, spec, operands, name)
        bias = f"{name}.bias.gradient" if self.layer.bias else None
        reduced = (of_weight, of_bias, f"{name}.weight.gradient", bias, "step")
        reduce = Instruction(depthwise_reduce, spec, reduced, name)
        builder.before_learning(reduce, spec.floats // LANES)
        for parameter in self.parameters():
            builder.learn([parameter], [], parameter.size // LANES)
        if self.x.learns:
            dx, _ = builder.write_gradient(self.x)
            back = (dy, f"{name}.weight", dx)
            builder.emit(depthwise_backward_input, spec, back, name)
            builder.add_gradient(self.x, dx)
