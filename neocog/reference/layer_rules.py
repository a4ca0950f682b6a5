"""One layer by its formulas: what it gives, and what it passes back."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.layers import (
    GELU,
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    Add,
    AvgPool2d,
    BatchNorm2d,
    Concat,
    Conv2d,
    Dropout,
    Flatten,
    Layer,
    LeakyReLU,
    Linear,
    MaxPool2d,
    Multiply,
    ReLU,
    Scale,
    Sigmoid,
    SiLU,
    Tanh,
)
from neocog.layers.dispatch import Dispatch
from neocog.reference import activation, merging, pooling
from neocog.reference.convolution import (
    conv2d_backward_bias,
    conv2d_backward_input,
    conv2d_backward_weight,
    conv2d_forward,
)
from neocog.reference.dropout import dropout_backward, dropout_forward
from neocog.reference.linear import (
    linear_backward_bias,
    linear_backward_input,
    linear_backward_weight,
    linear_forward,
)
from neocog.reference.normalization import (
    batch_norm2d_backward_bias,
    batch_norm2d_backward_input,
    batch_norm2d_backward_weight,
    batch_norm2d_forward,
    batch_norm2d_running,
    batch_norm2d_statistics,
)

__all__ = ["Call", "Formula", "formula", "layer_backward", "layer_buffers", "layer_forward"]

Array = NDArray[Any]
Arrays = tuple[Array, ...]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Call:
    """With what a layer computes, beside its inputs.

    Attributes:
        state: its parameters and buffers by their own names (``weight``, ``running_mean``).
        training: whether a batch normalization takes the statistics of its input.
        kept: what a dropout in training keeps [N, …].
    """

    state: Mapping[str, Array]
    training: bool
    kept: Mask | None


class Formula(ABC):
    """What a kind of layer computes; ``@formula(ReLU)`` registers it for that layer."""

    @abstractmethod
    def forward(self, layer: Any, call: Call, *inputs: Array) -> Array:
        """The output."""

    @abstractmethod
    def backward(
        self, layer: Any, call: Call, dy: Array, *inputs: Array
    ) -> tuple[Arrays, dict[str, Array]]:
        """The gradient of each input, and of each parameter by its own name."""


formula: Dispatch[type[Formula]] = Dispatch()


def formula_of(layer: Layer) -> Formula:
    """The layer's formula; raises `TypeError` if there is none."""
    found = formula.of(layer)
    if found is None:
        raise TypeError(f"there is no formula here for {type(layer).__name__}.")
    return found()


def layer_forward(
    layer: Layer,
    state: Mapping[str, Array],
    *inputs: Array,
    training: bool = False,
    kept: Mask | None = None,
) -> Array:
    """What the layer gives for its input [N, …], or for its inputs.

    `state` has its parameters and buffers by their own names (``weight``, ``running_mean``). In
    training a batch normalization takes the statistics of x, and a dropout needs `kept` [N, …].

    Raises:
        TypeError: if there is no formula for it, as for layers made of layers.
        ValueError: if a dropout with p > 0 is in training without `kept`.
    """
    return formula_of(layer).forward(layer, Call(state, training, kept), *inputs)


def layer_backward(
    layer: Layer,
    state: Mapping[str, Array],
    x: Array | Arrays,
    dy: Array,
    *,
    training: bool = True,
    kept: Mask | None = None,
) -> tuple[Any, dict[str, Array]]:
    """dx for what went in, and the gradient of every parameter by its own name.

    x is what went in forward, an array or, for a layer with several inputs, a tuple of them, and
    then dx is a tuple too; `state`, `training` and `kept` as in `layer_forward`, which also says
    what is raised.
    """
    inputs = x if isinstance(x, tuple) else (x,)
    call = Call(state, training, kept)
    found, gradients = formula_of(layer).backward(layer, call, dy, *inputs)
    return (found if isinstance(x, tuple) else found[0]), gradients


def layer_buffers(layer: Layer, state: Mapping[str, Array], x: Array) -> dict[str, Array]:
    """The layer's buffers after training forward with x, by their own names; {} if it has none."""
    if not isinstance(layer, BatchNorm2d):
        return {}
    mean, var = batch_norm2d_running(state["running_mean"], state["running_var"], x, layer.momentum)
    tracked = np.asarray(state["num_batches_tracked"] + 1)
    return {"running_mean": mean, "running_var": var, "num_batches_tracked": tracked}


# With parameters


@formula(Conv2d)
class _Conv2d(Formula):
    def forward(self, layer: Conv2d, call: Call, *inputs: Array) -> Array:
        weight, bias = call.state["weight"], call.state.get("bias")
        return conv2d_forward(inputs[0], weight, bias, **self._geometry(layer))

    def backward(
        self, layer: Conv2d, call: Call, dy: Array, *inputs: Array
    ) -> tuple[Arrays, dict[str, Array]]:
        (x,), geometry = inputs, self._geometry(layer)
        gradients = {"weight": conv2d_backward_weight(x, dy, layer.kernel, **geometry)}
        if layer.bias:
            gradients["bias"] = conv2d_backward_bias(dy)
        dx = conv2d_backward_input(dy, call.state["weight"], x.shape, **geometry)
        return (dx,), gradients

    @staticmethod
    def _geometry(layer: Conv2d) -> dict[str, Any]:
        (top, left), (bottom, right) = layer.before, layer.after
        return {
            "padding": ((top, bottom), (left, right)),
            "stride": layer.steps,
            "dilation": layer.spread,
            "groups": layer.groups,
        }


@formula(Linear)
class _Linear(Formula):
    def forward(self, layer: Linear, call: Call, *inputs: Array) -> Array:
        return linear_forward(inputs[0], call.state["weight"], call.state.get("bias"))

    def backward(
        self, layer: Linear, call: Call, dy: Array, *inputs: Array
    ) -> tuple[Arrays, dict[str, Array]]:
        gradients = {"weight": linear_backward_weight(inputs[0], dy)}
        if layer.bias:
            gradients["bias"] = linear_backward_bias(dy)
        return (linear_backward_input(dy, call.state["weight"]),), gradients


@formula(BatchNorm2d)
class _BatchNorm2d(Formula):
    def forward(self, layer: BatchNorm2d, call: Call, *inputs: Array) -> Array:
        (x,), (mean, var) = inputs, self._statistics(call, inputs[0])
        weight, bias = call.state.get("weight"), call.state.get("bias")
        return batch_norm2d_forward(x, mean, var, weight, bias, layer.eps)

    def backward(
        self, layer: BatchNorm2d, call: Call, dy: Array, *inputs: Array
    ) -> tuple[Arrays, dict[str, Array]]:
        (x,), (mean, var) = inputs, self._statistics(call, inputs[0])
        weight = call.state.get("weight")
        dx = batch_norm2d_backward_input(
            dy, x, mean, var, weight, layer.eps, training=call.training
        )
        if not layer.affine:
            return (dx,), {}
        dw = batch_norm2d_backward_weight(dy, x, mean, var, layer.eps)
        return (dx,), {"weight": dw, "bias": batch_norm2d_backward_bias(dy)}

    @staticmethod
    def _statistics(call: Call, x: Array) -> tuple[Array, Array]:
        if call.training:
            return batch_norm2d_statistics(x)
        return call.state["running_mean"], call.state["running_var"]


# Of one input, without parameters


class _Function(Formula):
    @abstractmethod
    def f(self, layer: Any, x: Array) -> Array:
        """The output."""

    @abstractmethod
    def df(self, layer: Any, dy: Array, x: Array) -> Array:
        """The input's gradient."""

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


@formula(Scale)
class _Scale(_Function):
    def f(self, layer: Scale, x: Array) -> Array:
        return activation.scale_forward(x, layer.factor)

    def df(self, layer: Scale, dy: Array, x: Array) -> Array:
        return activation.scale_backward(dy, layer.factor)


@formula(MaxPool2d)
class _MaxPool2d(_Function):
    def f(self, layer: MaxPool2d, x: Array) -> Array:
        return pooling.max_pool2d_forward(x, layer.kernel, layer.steps, layer.before)[0]

    def df(self, layer: MaxPool2d, dy: Array, x: Array) -> Array:
        regions = layer.kernel, layer.steps, layer.before
        _y, winner = pooling.max_pool2d_forward(x, *regions)
        return pooling.max_pool2d_backward(dy, winner, x.shape, *regions)


@formula(AvgPool2d)
class _AvgPool2d(_Function):
    def f(self, layer: AvgPool2d, x: Array) -> Array:
        regions, padded = (layer.kernel, layer.steps, layer.before), layer.count_include_pad
        return pooling.avg_pool2d_forward(x, *regions, count_include_pad=padded)

    def df(self, layer: AvgPool2d, dy: Array, x: Array) -> Array:
        regions, padded = (layer.kernel, layer.steps, layer.before), layer.count_include_pad
        return pooling.avg_pool2d_backward(dy, x.shape, *regions, count_include_pad=padded)


@formula(AdaptiveAvgPool2d)
class _AdaptiveAvgPool2d(_Function):
    def f(self, layer: AdaptiveAvgPool2d, x: Array) -> Array:
        return pooling.adaptive_avg_pool2d_forward(x)

    def df(self, layer: AdaptiveAvgPool2d, dy: Array, x: Array) -> Array:
        return pooling.adaptive_avg_pool2d_backward(dy, x.shape)


@formula(AdaptiveMaxPool2d)
class _AdaptiveMaxPool2d(_Function):
    def f(self, layer: AdaptiveMaxPool2d, x: Array) -> Array:
        return pooling.adaptive_max_pool2d_forward(x)[0]

    def df(self, layer: AdaptiveMaxPool2d, dy: Array, x: Array) -> Array:
        _y, winner = pooling.adaptive_max_pool2d_forward(x)
        return pooling.adaptive_max_pool2d_backward(dy, winner, x.shape)


@formula(Flatten)
class _Flatten(_Function):
    def f(self, layer: Flatten, x: Array) -> Array:
        return pooling.flatten_forward(x)

    def df(self, layer: Flatten, dy: Array, x: Array) -> Array:
        return pooling.flatten_backward(dy, x.shape)


# Of several inputs


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
