"""Whole networks, forward and back."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neocog.layers import Conv2d, Flatten, Linear, MaxPool2d, ReLU
from neocog.reference.activation import relu_backward, relu_forward
from neocog.reference.convolution import (
    conv2d_backward_bias,
    conv2d_backward_input,
    conv2d_backward_weight,
    conv2d_forward,
)
from neocog.reference.linear import (
    linear_backward_bias,
    linear_backward_input,
    linear_backward_weight,
    linear_forward,
)
from neocog.reference.loss import cross_entropy, cross_entropy_backward
from neocog.reference.pooling import (
    flatten_backward,
    flatten_forward,
    max_pool2d_backward,
    max_pool2d_forward,
)

if TYPE_CHECKING:
    from neocog.network import Network

__all__ = ["backward", "forward"]

Array = NDArray[Any]


def forward(network: "Network", parameters: Mapping[str, Array], x: Array) -> dict[str, Array]:
    """The output of every layer by its name, and x itself as ``"input"``.

    x [N, C, H, W]; `parameters` are named ``conv1.weight`` and so on, as in `Network.state_dict`.
    The last output is the logits z [N, classes].
    """
    outputs = {"input": x}
    for name, layer in network.layers.items():
        match layer:
            case Conv2d():
                w, b = parameters[f"{name}.weight"], parameters.get(f"{name}.bias")
                x = conv2d_forward(x, w, b, layer.before)
            case Linear():
                w, b = parameters[f"{name}.weight"], parameters.get(f"{name}.bias")
                x = linear_forward(x, w, b)
            case ReLU():
                x = relu_forward(x)
            case MaxPool2d():
                x, _winner = max_pool2d_forward(x)
            case Flatten():
                x = flatten_forward(x)
            case _:
                raise _no_formula(name, layer)
        outputs[name] = x
    return outputs


def backward(
    network: "Network",
    parameters: Mapping[str, Array],
    x: Array,
    labels: NDArray[np.integer[Any]],
) -> tuple[float, dict[str, Array], dict[str, Array]]:
    """The whole of backpropagation: δ at the output, passed back through every layer.

    x [N, C, H, W], labels [N]. Returns the mean loss of the N images; its gradient for every
    parameter, by the parameter's name; and its gradient for every layer's output, by the layer's
    name, with ``"input"`` for x.
    """
    outputs = forward(network, parameters, x)
    names = ["input", *network.layers]
    z = outputs[names[-1]]
    dy = cross_entropy_backward(z, labels) / len(z)
    parameter_gradients: dict[str, Array] = {}
    output_gradients = {names[-1]: dy}
    for before, name in zip(names[-2::-1], names[:0:-1], strict=True):
        layer, x = network.layers[name], outputs[before]
        match layer:
            case Conv2d():
                w = parameters[f"{name}.weight"]
                dw = conv2d_backward_weight(x, dy, layer.kernel, layer.before)
                db = conv2d_backward_bias(dy)
                dx = conv2d_backward_input(dy, w, x.shape, layer.before)
            case Linear():
                dw, db = linear_backward_weight(x, dy), linear_backward_bias(dy)
                dx = linear_backward_input(dy, parameters[f"{name}.weight"])
            case ReLU():
                dx = relu_backward(dy, x)
            case MaxPool2d():
                dx = max_pool2d_backward(dy, max_pool2d_forward(x)[1], x.shape)
            case Flatten():
                dx = flatten_backward(dy, x.shape)
            case _:
                raise _no_formula(name, layer)
        if isinstance(layer, Conv2d | Linear):
            parameter_gradients[f"{name}.weight"] = dw
            if layer.bias:
                parameter_gradients[f"{name}.bias"] = db
        output_gradients[before] = dy = dx
    mean_loss = float(cross_entropy(z, labels).mean())
    return mean_loss, parameter_gradients, output_gradients


def _no_formula(name: str, layer: object) -> TypeError:
    return TypeError(f"{name}: there is no formula here for {type(layer).__name__}.")
