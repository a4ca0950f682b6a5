"""Convolutions, each by the algorithm that is fastest for its sizes.

A convolution takes in the 2 × 2 max pooling and the ReLU behind it. Pooled, it keeps the maximum
and where it stood, and the way back visits only winners.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neocog.engine.builder import FLOAT, Builder
from neocog.engine.plan import Instruction
from neocog.engine.stages.base import Stage
from neocog.engine.stages.pointwise import vector_parameter
from neocog.engine.tensor import Parameter
from neocog.kernels.convolution import Convolution, conv2d_forward
from neocog.kernels.convolution_gradient import (
    WeightGradient,
    conv2d_backward_weight,
    conv2d_backward_weight_of_winners,
    conv2d_flip_weight,
    conv2d_reduce,
)
from neocog.kernels.layout import ConvolutionWeight, FeatureMap, padded
from neocog.kernels.pooling import Pooling, max_pool2d_backward
from neocog.layers import BatchNorm2d, Conv2d

__all__ = ["ConvolutionStage"]

Floats = NDArray[np.float32]

_NONE = FeatureMap(1, 1, 1)


@dataclass(eq=False)
class ConvolutionStage(Stage):
    """A convolution.

    Attributes:
        pool: whether 2 × 2 max pooling is taken in.
        relu: whether ReLU is taken in.
        folded: the name of the batch normalisation that is in the weights, for inference.
        folded_norm: that layer.
    """

    layer: Conv2d
    pool: bool = False
    relu: bool = False
    folded: str = ""
    folded_norm: BatchNorm2d | None = None

    # What it can do

    @property
    def can_pool(self) -> bool:
        """Whether its kernel can take in pooling."""
        return True

    @property
    def can_gate(self) -> bool:
        """Whether its input gradient can undo a ReLU before it."""
        return True

    # Sizes

    @property
    def _reach(self) -> tuple[int, int]:
        (kh, kw), (dh, dw) = self.layer.kernel, self.layer.spread
        return dh * (kh - 1), dw * (kw - 1)

    @property
    def _gradient_border(self) -> tuple[int, int]:
        """Zeros around dy that the input's gradient reads."""
        sides = zip(self._reach, self.layer.before, self.layer.after, strict=True)
        height, width = (max(0, reach - min(before, after)) for reach, before, after in sides)
        return height, width

    @property
    def _spread(self) -> FeatureMap:
        """The map of the gradient before pooling."""
        shape = (self.x.channels, self.x.height, self.x.width)
        channels, height, width = self.layer.output_shape(shape)
        return FeatureMap(height, width, channels, *self._gradient_border)

    @property
    def _weight(self) -> ConvolutionWeight:
        return ConvolutionWeight(
            self.layer.out_channels, self.layer.in_channels, *self.layer.kernel
        )

    @property
    def _has_bias(self) -> bool:
        return self.layer.bias or bool(self.folded)

    @property
    def _bias(self) -> str | None:
        return f"{self.name}.bias" if self._has_bias else None

    def ask_borders(self) -> None:
        """Zeros around x as its padding says, and around dy as the way back wants."""
        sides = zip(self.layer.before, self.layer.after, strict=True)
        self.x.ask_border(*(max(side) for side in sides))
        if self.x.learns and not self.pool:
            self.y.gradient_border = self._gradient_border

    # Parameters

    def parameters(self) -> list[Parameter]:
        """``weight`` and ``bias``."""
        w = self._weight
        shape = (w.out_channels, w.in_channels, w.kernel_h, w.kernel_w)
        weight = Parameter(
            f"{self.name}.weight",
            shape,
            w.size,
            lambda value: pack_convolution(w, value),
            lambda packed: unpack_convolution(w, packed),
        )
        bias = vector_parameter(f"{self.name}.bias", w.out_channels)
        return [weight, bias] if self._has_bias else [weight]

    # Forward

    def forward(self, b: Builder) -> None:
        """Convolve, pool, cut off."""
        for parameter in self.parameters():
            b.parameter(parameter)
        y = b.map(self.y.name, self.y.map)
        winners = None
        if self.pool and b.training:
            winners = b.plan.map(f"{self.name}.winners", self.y.map.bare.size * FLOAT)
        border, before = self.x.border, self.layer.before
        stage = Convolution(
            self.x.map,
            self.y.map,
            self._weight,
            bias=self._has_bias,
            relu=self.relu,
            pool=self.pool,
            winners=winners is not None,
            crop_h=border[0] - before[0],
            crop_w=border[1] - before[1],
        )
        operands = (self.x.name, f"{self.name}.weight", self._bias, y, winners)
        b.emit(conv2d_forward, stage, operands, self.name)

    # Backward

    def backward(self, b: Builder) -> None:
        """The weight's gradient, then x's."""
        dy = b.gradient(self.y)
        self._weight_gradient(b, dy)
        if self.x.learns:
            self._input_gradient(b, dy)

    def _weight_gradient(self, b: Builder, dy: str) -> None:
        name, w = self.name, self._weight
        gradient = WeightGradient(
            self.x.map, self.y.gradient_map, w, self.layer.bias, self.pool, b.shard
        )
        of_weight = b.floats(f"{name}.weight.shards", gradient.partial_size * b.shards)
        of_bias = b.floats(f"{name}.bias.shards", padded(w.out_channels) * b.shards)
        kernel = conv2d_backward_weight_of_winners if self.pool else conv2d_backward_weight
        winners = f"{name}.winners" if self.pool else None
        b.emit(kernel, gradient, (self.x.name, dy, winners, of_weight, of_bias), name)
        bias = f"{name}.bias.gradient" if self.layer.bias else None
        operands = (of_weight, of_bias, f"{name}.weight.gradient", bias, "step")
        reduce = Instruction(conv2d_reduce, gradient, operands, name)
        b.learn(self.parameters(), [reduce], w.blocks)

    def _input_gradient(self, b: Builder, dy: str) -> None:
        name, w = self.name, self._weight
        dy_map = self.y.gradient_map
        if self.pool:
            dense = b.map(f"{name}.dy.spread", self._spread, transient=True)
            pooled = Pooling(self.x.map, dy_map, self._spread)
            b.emit(max_pool2d_backward, pooled, (dy, f"{name}.winners", dense), name)
            dy, dy_map = dense, self._spread
        turned = b.floats(f"{name}.weight.turned", w.turned.size)
        dx, _ = b.write_gradient(self.x)
        border, reach, before = self._gradient_border, self._reach, self.layer.before
        stage = Convolution(
            dy_map,
            self.x.gradient_map,
            w.turned,
            bias=False,
            crop_h=border[0] - reach[0] + before[0],
            crop_w=border[1] - reach[1] + before[1],
            gated=self.x.shut,
            gate=self.x.map if self.x.shut else _NONE,
        )
        b.emit(conv2d_forward, stage, (dy, turned, None, dx, None, self.x.name), name)
        b.add_gradient(self.x, dx)
        plain = WeightGradient(self.x.map, dy_map, w, self.layer.bias, self.pool, 1)
        operands = (f"{name}.weight", turned)
        b.refresh(Instruction(conv2d_flip_weight, plain, operands, name), w.blocks)


def pack_convolution(w: ConvolutionWeight, value: Floats) -> Floats:
    """A convolution's weight [out, in, i, j] in the layout `w`, flat; what is padded is zero."""
    fill = w.blocks * w.block - len(value)
    full = np.pad(value, ((0, fill), (0, 0), (0, 0), (0, 0)))
    return full.reshape(w.blocks, w.block, *value.shape[1:]).transpose(0, 3, 4, 2, 1).ravel()


def unpack_convolution(w: ConvolutionWeight, packed: Floats) -> Floats:
    """The way back; a copy."""
    blocks = packed.reshape(w.blocks, w.kernel_h, w.kernel_w, w.in_channels, w.block)
    rows = blocks.transpose(0, 4, 3, 1, 2)
    flat = rows.reshape(-1, w.in_channels, w.kernel_h, w.kernel_w)
    return np.array(flat[: w.out_channels], order="C")
