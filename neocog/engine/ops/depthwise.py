"""Depthwise convolutions: one kernel per channel."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neocog.engine.builder import Builder
from neocog.engine.ops.base import Op
from neocog.engine.ops.convolution_rows import depthwise_gradient_rows, depthwise_rows
from neocog.engine.ops.packing import vector_parameter
from neocog.engine.plan import Instruction
from neocog.engine.tensor import Parameter
from neocog.kernels.codegen.vector_types import LANES
from neocog.kernels.convolution.depthwise import depthwise_forward
from neocog.kernels.convolution.depthwise_gradient import (
    depthwise_backward_weight,
    depthwise_reduce,
)
from neocog.kernels.convolution.depthwise_tiling import (
    Axis,
    Depthwise,
    DepthwiseGradient,
    DepthwiseSum,
    convolution_axis,
    gradient_axis,
)
from neocog.kernels.layout import padded
from neocog.layers import BatchNorm2d, Conv2d

__all__ = ["DepthwiseOp"]

Floats = NDArray[np.float32]


@dataclass(eq=False)
class DepthwiseOp(Op):
    """A convolution whose groups are single channels.

    Attributes:
        function: the name of the function that is fused into it; one of `FUSED`.
        folded: for inference, the name of the batch normalization folded into the weights.
        folded_norm: that layer.
    """

    layer: Conv2d
    function: str = "identity"
    folded: str = ""
    folded_norm: BatchNorm2d | None = None

    @property
    def _has_bias(self) -> bool:
        return self.layer.bias or bool(self.folded)

    def _axes(self, axis: Callable[..., Axis]) -> tuple[Axis, Axis]:
        layer = self.layer
        sides = zip(layer.kernel, layer.steps, layer.spread, layer.before, strict=True)
        down, across = (axis(*side) for side in sides)
        return down, across

    def ask_borders(self) -> None:
        """Zeros around x for its padding, and around dy for the gradient of x."""
        sides = zip(self.layer.before, self.layer.after, strict=True)
        self.x.ask_border(*(max(side) for side in sides))
        if self.x.learns:
            (down, across), x, y = self._axes(gradient_axis), self.x, self.y
            self.y.gradient_border = (
                down.border(x.height, y.height),
                across.border(x.width, y.width),
            )

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

    def forward(self, builder: Builder) -> None:
        """Convolve."""
        for parameter in self.parameters():
            builder.parameter(parameter)
        spec = Depthwise(
            self.x.map,
            self.y.map,
            *self._axes(convolution_axis),
            self.layer.kernel[1],
            bias=self._has_bias,
            function=self.function,
        )
        operands = {
            "x": self.x.name,
            "weight": f"{self.name}.weight",
            "bias": f"{self.name}.bias" if self._has_bias else None,
            "y": builder.map(self.y.name, self.y.map),
        }
        builder.emit_rows(depthwise_forward, depthwise_rows(spec), self.name, **operands)

    def backward(self, builder: Builder) -> None:
        """The weight's gradient, then x's."""
        dy = builder.gradient(self.y)
        self._weight_gradient(builder, dy)
        if self.x.learns:
            dx, _ = builder.write_gradient(self.x)
            maps = self.y.gradient_map, self.x.gradient_map
            spec = Depthwise(*maps, *self._axes(gradient_axis), self.layer.kernel[1])
            of = {"x": dy, "weight": f"{self.name}.weight", "y": dx}
            builder.emit_rows(depthwise_forward, depthwise_rows(spec), self.name, **of)
            builder.add_gradient(self.x, dx)

    def _weight_gradient(self, builder: Builder, dy: str) -> None:
        name, layer = self.name, self.layer
        spec = DepthwiseGradient(
            self.x.map,
            self.y.gradient_map,
            *(*layer.kernel, *layer.steps, *layer.spread, *layer.before),
            self._has_bias,
            builder.shard,
        )
        sums = builder.floats(f"{name}.weight.shards", spec.size * builder.shards)
        of_bias = builder.floats(f"{name}.bias.shards", spec.floats * builder.shards)
        of = {"x": self.x.name, "dy": dy, "sums": sums, "bias_sums": of_bias}
        builder.emit_rows(depthwise_backward_weight, depthwise_gradient_rows(spec), name, **of)
        reduce = Instruction.of(
            depthwise_reduce,
            DepthwiseSum(spec),
            name,
            sums=sums,
            bias_sums=of_bias,
            dw=f"{name}.weight.gradient",
            db=f"{name}.bias.gradient" if self.layer.bias else None,
            step="step",
        )
        builder.before_learning(reduce, spec.floats // LANES)
        for parameter in self.parameters():
            builder.learn([parameter], [], parameter.size // LANES)
