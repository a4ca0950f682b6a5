"""Forward and backward pass of a single layer by its formula."""

from collections.abc import Mapping
from typing import Any

import numpy as np

import neocog.reference.function_rules  # noqa: F401  (registers its formulas)
from neocog.layers import BatchNorm2d, Conv2d, GroupNorm, Layer, LayerNorm2d, Linear
from neocog.reference.convolution import (
    conv2d_backward_bias,
    conv2d_backward_input,
    conv2d_backward_weight,
    conv2d_forward,
)
from neocog.reference.formula import Array, Arrays, Call, Formula, Mask, formula
from neocog.reference.image_normalization import (
    group_norm_backward_input,
    group_norm_forward,
    group_norm_normalized,
    layer_norm2d_backward_input,
    layer_norm2d_forward,
    layer_norm2d_normalized,
    norm_backward_bias,
    norm_backward_weight,
)
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
from neocog.reference.padding import pad2d_backward, pad2d_forward

__all__ = ["layer_backward", "layer_buffers", "layer_forward"]


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
    """The output of the layer for its input [N, …], or for its inputs.

    `state` has its parameters and buffers by their own names (``weight``, ``running_mean``). In
    training a batch normalization uses the statistics of x, and a dropout needs `kept` [N, …].

    Raises:
        TypeError: the layer has no formula, as containers.
        ValueError: a dropout with p > 0 is in training without `kept`.
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
    """dx, and the gradient of every parameter by its own name.

    x is the input of the forward pass: an array or, for a layer with several inputs, a tuple, and
    then dx is a tuple, too. `state`, `training`, `kept` and errors are as in `layer_forward`.
    """
    inputs = x if isinstance(x, tuple) else (x,)
    call = Call(state, training, kept)
    found, gradients = formula_of(layer).backward(layer, call, dy, *inputs)
    return (found if isinstance(x, tuple) else found[0]), gradients


def layer_buffers(layer: Layer, state: Mapping[str, Array], x: Array) -> dict[str, Array]:
    """The layer's buffers after a forward pass in training; {} if it has none."""
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
        x = pad2d_forward(inputs[0], self._sides(layer), layer.padding_mode)
        return conv2d_forward(x, weight, bias, **self._geometry(layer))

    def backward(
        self, layer: Conv2d, call: Call, dy: Array, *inputs: Array
    ) -> tuple[Arrays, dict[str, Array]]:
        sides, geometry = self._sides(layer), self._geometry(layer)
        x = pad2d_forward(inputs[0], sides, layer.padding_mode)
        gradients = {"weight": conv2d_backward_weight(x, dy, layer.kernel, **geometry)}
        if layer.bias:
            gradients["bias"] = conv2d_backward_bias(dy)
        dx = conv2d_backward_input(dy, call.state["weight"], x.shape, **geometry)
        return (pad2d_backward(dx, inputs[0].shape, sides, layer.padding_mode),), gradients

    @staticmethod
    def _sides(layer: Conv2d) -> tuple[tuple[int, int], tuple[int, int]]:
        (top, left), (bottom, right) = layer.before, layer.after
        return (top, bottom), (left, right)

    @staticmethod
    def _geometry(layer: Conv2d) -> dict[str, Any]:
        return {
            "padding": ((0, 0), (0, 0)),
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


@formula(GroupNorm)
class _GroupNorm(Formula):
    def forward(self, layer: GroupNorm, call: Call, *inputs: Array) -> Array:
        weight, bias = call.state.get("weight"), call.state.get("bias")
        return group_norm_forward(inputs[0], layer.num_groups, weight, bias, layer.eps)

    def backward(
        self, layer: GroupNorm, call: Call, dy: Array, *inputs: Array
    ) -> tuple[Arrays, dict[str, Array]]:
        (x,), weight = inputs, call.state.get("weight")
        dx = group_norm_backward_input(dy, x, layer.num_groups, weight, layer.eps)
        if not layer.affine:
            return (dx,), {}
        dw = norm_backward_weight(dy, group_norm_normalized(x, layer.num_groups, layer.eps))
        return (dx,), {"weight": dw, "bias": norm_backward_bias(dy)}


@formula(LayerNorm2d)
class _LayerNorm2d(Formula):
    def forward(self, layer: LayerNorm2d, call: Call, *inputs: Array) -> Array:
        weight, bias = call.state.get("weight"), call.state.get("bias")
        return layer_norm2d_forward(inputs[0], weight, bias, layer.eps)

    def backward(
        self, layer: LayerNorm2d, call: Call, dy: Array, *inputs: Array
    ) -> tuple[Arrays, dict[str, Array]]:
        (x,), weight = inputs, call.state.get("weight")
        dx = layer_norm2d_backward_input(dy, x, weight, layer.eps)
        if not layer.elementwise_affine:
            return (dx,), {}
        dw = norm_backward_weight(dy, layer_norm2d_normalized(x, layer.eps))
        return (dx,), {"weight": dw, "bias": norm_backward_bias(dy)}
