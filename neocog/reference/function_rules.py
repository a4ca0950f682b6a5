"""Formulas of layers without parameters: functions, pooling, and layers with several inputs."""

from abc import abstractmethod
from typing import Any

from neocog.layers import (
    ELU,
    GELU,
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    Add,
    AvgPool2d,
    ChannelShuffle,
    CircularPad2d,
    Concat,
    Dropout,
    Flatten,
    Hardsigmoid,
    Hardswish,
    LeakyReLU,
    MaxPool2d,
    Mish,
    Multiply,
    ReflectionPad2d,
    ReLU,
    ReLU6,
    ReplicationPad2d,
    Scale,
    Sigmoid,
    SiLU,
    Slice,
    Softplus,
    Tanh,
    Upsample,
    ZeroPad2d,
)
from neocog.reference import activation, merging, pooling
from neocog.reference.dropout import dropout_backward, dropout_forward
from neocog.reference.formula import Array, Arrays, Call, Formula, Mask, formula
from neocog.reference.padding import pad2d_backward, pad2d_forward
from neocog.reference.upsampling import upsample_backward, upsample_forward

__all__: list[str] = []

# One input, no parameters


class _Function(Formula):
    @abstractmethod
    def f(self, layer: Any, x: Array) -> Array:
        """The output."""

    @abstractmethod
    def df(self, layer: Any, dy: Array, x: Array) -> Array:
        """The gradient of the input."""

    def forward(self, layer: Any, call: Call, *inputs: Array) -> Array:
        return self.f(layer, inputs[0])

    def backward(
        self, layer: Any, call: Call, dy: Array, *inputs: Array
    ) -> tuple[Arrays, dict[str, Array]]:
        return (self.df(layer, dy, inputs[0]),), {}


@formula(Dropout)
class _Dropout(Formula):
    def forward(self, layer: Dropout, call: Call, *inputs: Array) -> Array:
        if not call.training or layer.p == 0:
            return inputs[0]
        return dropout_forward(inputs[0], self._kept(call), layer.p)

    def backward(
        self, layer: Dropout, call: Call, dy: Array, *inputs: Array
    ) -> tuple[Arrays, dict[str, Array]]:
        if not call.training or layer.p == 0:
            return (dy,), {}
        return (dropout_backward(dy, self._kept(call), layer.p),), {}

    @staticmethod
    def _kept(call: Call) -> Mask:
        if call.kept is None:
            raise ValueError("A dropout in training needs to be told which numbers are kept.")
        return call.kept


@formula(ReLU)
class _ReLU(_Function):
    def f(self, layer: ReLU, x: Array) -> Array:
        return activation.relu_forward(x)

    def df(self, layer: ReLU, dy: Array, x: Array) -> Array:
        return activation.relu_backward(dy, x)


@formula(LeakyReLU)
class _LeakyReLU(_Function):
    def f(self, layer: LeakyReLU, x: Array) -> Array:
        return activation.leaky_relu_forward(x, layer.negative_slope)

    def df(self, layer: LeakyReLU, dy: Array, x: Array) -> Array:
        return activation.leaky_relu_backward(dy, x, layer.negative_slope)


@formula(SiLU)
class _SiLU(_Function):
    def f(self, layer: SiLU, x: Array) -> Array:
        return activation.silu_forward(x)

    def df(self, layer: SiLU, dy: Array, x: Array) -> Array:
        return activation.silu_backward(dy, x)


@formula(GELU)
class _GELU(_Function):
    def f(self, layer: GELU, x: Array) -> Array:
        return activation.gelu_forward(x, layer.approximate)

    def df(self, layer: GELU, dy: Array, x: Array) -> Array:
        return activation.gelu_backward(dy, x, layer.approximate)


@formula(Sigmoid)
class _Sigmoid(_Function):
    def f(self, layer: Sigmoid, x: Array) -> Array:
        return activation.sigmoid_forward(x)

    def df(self, layer: Sigmoid, dy: Array, x: Array) -> Array:
        return activation.sigmoid_backward(dy, x)


@formula(Tanh)
class _Tanh(_Function):
    def f(self, layer: Tanh, x: Array) -> Array:
        return activation.tanh_forward(x)

    def df(self, layer: Tanh, dy: Array, x: Array) -> Array:
        return activation.tanh_backward(dy, x)


@formula(ReLU6)
class _ReLU6(_Function):
    def f(self, layer: ReLU6, x: Array) -> Array:
        return activation.relu6_forward(x)

    def df(self, layer: ReLU6, dy: Array, x: Array) -> Array:
        return activation.relu6_backward(dy, x)


@formula(Hardsigmoid)
class _Hardsigmoid(_Function):
    def f(self, layer: Hardsigmoid, x: Array) -> Array:
        return activation.hardsigmoid_forward(x)

    def df(self, layer: Hardsigmoid, dy: Array, x: Array) -> Array:
        return activation.hardsigmoid_backward(dy, x)


@formula(Hardswish)
class _Hardswish(_Function):
    def f(self, layer: Hardswish, x: Array) -> Array:
        return activation.hardswish_forward(x)

    def df(self, layer: Hardswish, dy: Array, x: Array) -> Array:
        return activation.hardswish_backward(dy, x)


@formula(ELU)
class _ELU(_Function):
    def f(self, layer: ELU, x: Array) -> Array:
        return activation.elu_forward(x, layer.alpha)

    def df(self, layer: ELU, dy: Array, x: Array) -> Array:
        return activation.elu_backward(dy, x, layer.alpha)


@formula(Softplus)
class _Softplus(_Function):
    def f(self, layer: Softplus, x: Array) -> Array:
        return activation.softplus_forward(x, layer.beta, layer.threshold)

    def df(self, layer: Softplus, dy: Array, x: Array) -> Array:
        return activation.softplus_backward(dy, x, layer.beta, layer.threshold)


@formula(Mish)
class _Mish(_Function):
    def f(self, layer: Mish, x: Array) -> Array:
        return activation.mish_forward(x)

    def df(self, layer: Mish, dy: Array, x: Array) -> Array:
        return activation.mish_backward(dy, x)


@formula(Scale)
class _Scale(_Function):
    def f(self, layer: Scale, x: Array) -> Array:
        return activation.scale_forward(x, layer.factor)

    def df(self, layer: Scale, dy: Array, x: Array) -> Array:
        return activation.scale_backward(dy, layer.factor)


@formula(MaxPool2d)
class _MaxPool2d(_Function):
    def f(self, layer: MaxPool2d, x: Array) -> Array:
        regions, ceil_mode = (layer.kernel, layer.steps, layer.before), layer.ceil_mode
        return pooling.max_pool2d_forward(x, *regions, ceil_mode=ceil_mode)[0]

    def df(self, layer: MaxPool2d, dy: Array, x: Array) -> Array:
        regions, ceil_mode = (layer.kernel, layer.steps, layer.before), layer.ceil_mode
        _y, winner = pooling.max_pool2d_forward(x, *regions, ceil_mode=ceil_mode)
        return pooling.max_pool2d_backward(dy, winner, x.shape, *regions, ceil_mode=ceil_mode)


@formula(AvgPool2d)
class _AvgPool2d(_Function):
    def f(self, layer: AvgPool2d, x: Array) -> Array:
        regions = layer.kernel, layer.steps, layer.before
        return pooling.avg_pool2d_forward(x, *regions, **self._options(layer))

    def df(self, layer: AvgPool2d, dy: Array, x: Array) -> Array:
        regions = layer.kernel, layer.steps, layer.before
        return pooling.avg_pool2d_backward(dy, x.shape, *regions, **self._options(layer))

    @staticmethod
    def _options(layer: AvgPool2d) -> dict[str, Any]:
        names = "ceil_mode", "count_include_pad", "divisor_override"
        return {name: getattr(layer, name) for name in names}


@formula(AdaptiveAvgPool2d)
class _AdaptiveAvgPool2d(_Function):
    def f(self, layer: AdaptiveAvgPool2d, x: Array) -> Array:
        return pooling.adaptive_avg_pool2d_forward(x, layer.output)

    def df(self, layer: AdaptiveAvgPool2d, dy: Array, x: Array) -> Array:
        return pooling.adaptive_avg_pool2d_backward(dy, x.shape)


@formula(AdaptiveMaxPool2d)
class _AdaptiveMaxPool2d(_Function):
    def f(self, layer: AdaptiveMaxPool2d, x: Array) -> Array:
        return pooling.adaptive_max_pool2d_forward(x, layer.output)[0]

    def df(self, layer: AdaptiveMaxPool2d, dy: Array, x: Array) -> Array:
        _y, winner = pooling.adaptive_max_pool2d_forward(x, layer.output)
        return pooling.adaptive_max_pool2d_backward(dy, winner, x.shape)


@formula(ZeroPad2d, ReflectionPad2d, ReplicationPad2d, CircularPad2d)
class _Pad2d(_Function):
    def f(self, layer: Any, x: Array) -> Array:
        return pad2d_forward(x, (layer.rows, layer.columns), layer.mode)

    def df(self, layer: Any, dy: Array, x: Array) -> Array:
        return pad2d_backward(dy, x.shape, (layer.rows, layer.columns), layer.mode)


@formula(Upsample)
class _Upsample(_Function):
    def f(self, layer: Upsample, x: Array) -> Array:
        return upsample_forward(x, layer.scale)

    def df(self, layer: Upsample, dy: Array, x: Array) -> Array:
        return upsample_backward(dy, layer.scale)


@formula(Flatten)
class _Flatten(_Function):
    def f(self, layer: Flatten, x: Array) -> Array:
        return pooling.flatten_forward(x)

    def df(self, layer: Flatten, dy: Array, x: Array) -> Array:
        return pooling.flatten_backward(dy, x.shape)


# Several inputs


@formula(Add)
class _Add(Formula):
    def forward(self, layer: Add, call: Call, *inputs: Array) -> Array:
        return merging.add_forward(inputs)

    def backward(
        self, layer: Add, call: Call, dy: Array, *inputs: Array
    ) -> tuple[Arrays, dict[str, Array]]:
        return merging.add_backward(dy, len(inputs)), {}


@formula(Multiply)
class _Multiply(Formula):
    def forward(self, layer: Multiply, call: Call, *inputs: Array) -> Array:
        return merging.multiply_forward(inputs)

    def backward(
        self, layer: Multiply, call: Call, dy: Array, *inputs: Array
    ) -> tuple[Arrays, dict[str, Array]]:
        return merging.multiply_backward(dy, inputs), {}


@formula(Concat)
class _Concat(Formula):
    def forward(self, layer: Concat, call: Call, *inputs: Array) -> Array:
        return merging.concat_forward(inputs)

    def backward(
        self, layer: Concat, call: Call, dy: Array, *inputs: Array
    ) -> tuple[Arrays, dict[str, Array]]:
        return merging.concat_backward(dy, inputs), {}


@formula(Slice)
class _Slice(_Function):
    def f(self, layer: Slice, x: Array) -> Array:
        return merging.slice_forward(x, layer.start, layer.stop)

    def df(self, layer: Slice, dy: Array, x: Array) -> Array:
        return merging.slice_backward(dy, x, layer.start, layer.stop)


@formula(ChannelShuffle)
class _ChannelShuffle(_Function):
    def f(self, layer: ChannelShuffle, x: Array) -> Array:
        return merging.shuffle_channels(x, layer.groups)

    def df(self, layer: ChannelShuffle, dy: Array, x: Array) -> Array:
        return merging.shuffle_channels(dy, x.shape[1] // layer.groups)
