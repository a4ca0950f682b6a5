"""One layer by its formulas: what it gives, and what it passes back."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.layers import (
    GELU,
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Layer,
    LeakyReLU,
    Linear,
    MaxPool2d,
    ReLU,
    Scale,
    Sigmoid,
    SiLU,
    Tanh,
)
from neocog.reference import activation, pooling
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

__all__ = ["layer_backward", "layer_buffers", "layer_forward"]

Array = NDArray[Any]
Mask = NDArray[np.bool_]


def layer_forward(
    layer: Layer,
    state: Mapping[str, Array],
    x: Array,
    *,
    training: bool = False,
    kept: Mask | None = None,
) -> Array:
    """What the layer gives for x [N, …].

    `state` has its parameters and buffers by their own names (``weight``, ``running_mean``). In
    training a batch normalization takes the statistics of x, and a dropout needs `kept` [N, …].

    Raises:
        TypeError: if there is no formula for it, as for layers made of layers.
        ValueError: if a dropout with p > 0 is in training without `kept`.
    """
    match layer:
        case Conv2d():
            return conv2d_forward(x, state["weight"], state.get("bias"), **_geometry(layer))
        case Linear():
            return linear_forward(x, state["weight"], state.get("bias"))
        case BatchNorm2d():
            weight, bias = state.get("weight"), state.get("bias")
            mean, var = _statistics(state, x, training)
            return batch_norm2d_forward(x, mean, var, weight, bias, layer.eps)
        case Dropout():
            if not training or layer.p == 0:
                return x
            return dropout_forward(x, _needed(kept), layer.p)
        case ReLU():
            return activation.relu_forward(x)
        case LeakyReLU():
            return activation.leaky_relu_forward(x, layer.negative_slope)
        case SiLU():
            return activation.silu_forward(x)
        case GELU():
            return activation.gelu_forward(x, layer.approximate)
        case Sigmoid():
            return activation.sigmoid_forward(x)
        case Tanh():
            return activation.tanh_forward(x)
        case Scale():
            return activation.scale_forward(x, layer.factor)
        case MaxPool2d():
            return pooling.max_pool2d_forward(x, layer.kernel, layer.steps, layer.before)[0]
        case AvgPool2d():
            return pooling.avg_pool2d_forward(
                x,
                layer.kernel,
                layer.steps,
                layer.before,
                count_include_pad=layer.count_include_pad,
            )
        case AdaptiveAvgPool2d():
            return pooling.adaptive_avg_pool2d_forward(x)
        case AdaptiveMaxPool2d():
            return pooling.adaptive_max_pool2d_forward(x)[0]
        case Flatten():
            return pooling.flatten_forward(x)
        case _:
            raise _no_formula(layer)


def layer_backward(
    layer: Layer,
    state: Mapping[str, Array],
    x: Array,
    dy: Array,
    *,
    training: bool = True,
    kept: Mask | None = None,
) -> tuple[Array, dict[str, Array]]:
    """dx for what went in, and the gradient of every parameter by its own name.

    x is what went in forward; `state`, `training` and `kept` as in `layer_forward`, which also says
    what is raised.
    """
    match layer:
        case Conv2d():
            geometry = _geometry(layer)
            gradients = {"weight": conv2d_backward_weight(x, dy, layer.kernel, **geometry)}
            if layer.bias:
                gradients["bias"] = conv2d_backward_bias(dy)
            return conv2d_backward_input(dy, state["weight"], x.shape, **geometry), gradients
        case Linear():
            gradients = {"weight": linear_backward_weight(x, dy)}
            if layer.bias:
                gradients["bias"] = linear_backward_bias(dy)
            return linear_backward_input(dy, state["weight"]), gradients
        case BatchNorm2d():
            mean, var = _statistics(state, x, training)
            dx = batch_norm2d_backward_input(
                dy, x, mean, var, state.get("weight"), layer.eps, training=training
            )
            if not layer.affine:
                return dx, {}
            dw = batch_norm2d_backward_weight(dy, x, mean, var, layer.eps)
            return dx, {"weight": dw, "bias": batch_norm2d_backward_bias(dy)}
        case _:
            return _backward_without_parameters(layer, x, dy, training, kept), {}


def layer_buffers(layer: Layer, state: Mapping[str, Array], x: Array) -> dict[str, Array]:
    """The layer's buffers after training forward with x, by their own names; {} if it has none."""
    if not isinstance(layer, BatchNorm2d):
        return {}
    mean, var = batch_norm2d_running(state["running_mean"], state["running_var"], x, layer.momentum)
    tracked = np.asarray(state["num_batches_tracked"] + 1)
    return {"running_mean": mean, "running_var": var, "num_batches_tracked": tracked}


def _backward_without_parameters(
    layer: Layer, x: Array, dy: Array, training: bool, kept: Mask | None
) -> Array:
    match layer:
        case Dropout():
            if not training or layer.p == 0:
                return dy
            return dropout_backward(dy, _needed(kept), layer.p)
        case ReLU():
            return activation.relu_backward(dy, x)
        case LeakyReLU():
            return activation.leaky_relu_backward(dy, x, layer.negative_slope)
        case SiLU():
            return activation.silu_backward(dy, x)
        case GELU():
            return activation.gelu_backward(dy, x, layer.approximate)
        case Sigmoid():
            return activation.sigmoid_backward(dy, x)
        case Tanh():
            return activation.tanh_backward(dy, x)
        case Scale():
            return activation.scale_backward(dy, layer.factor)
        case MaxPool2d():
            regions = layer.kernel, layer.steps, layer.before
            _y, winner = pooling.max_pool2d_forward(x, *regions)
            return pooling.max_pool2d_backward(dy, winner, x.shape, *regions)
        case AvgPool2d():
            return pooling.avg_pool2d_backward(
                dy,
                x.shape,
                layer.kernel,
                layer.steps,
                layer.before,
                count_include_pad=layer.count_include_pad,
            )
        case AdaptiveAvgPool2d():
            return pooling.adaptive_avg_pool2d_backward(dy, x.shape)
        case AdaptiveMaxPool2d():
            _y, winner = pooling.adaptive_max_pool2d_forward(x)
            return pooling.adaptive_max_pool2d_backward(dy, winner, x.shape)
        case Flatten():
            return pooling.flatten_backward(dy, x.shape)
        case _:
            raise _no_formula(layer)


def _geometry(layer: Conv2d) -> dict[str, Any]:
    (top, left), (bottom, right) = layer.before, layer.after
    return {
        "padding": ((top, bottom), (left, right)),
        "stride": layer.steps,
        "dilation": layer.spread,
        "groups": layer.groups,
    }


def _statistics(state: Mapping[str, Array], x: Array, training: bool) -> tuple[Array, Array]:
    if training:
        return batch_norm2d_statistics(x)
    return state["running_mean"], state["running_var"]


def _needed(kept: Mask | None) -> Mask:
    if kept is None:
        raise ValueError("A dropout in training needs to be told which numbers are kept.")
    return kept


def _no_formula(layer: Layer) -> TypeError:
    return TypeError(f"there is no formula here for {type(layer).__name__}.")
