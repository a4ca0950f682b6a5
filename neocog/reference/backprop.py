"""Whole networks, forward and back."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from neocog.layers import Layer, Residual, Sequential
from neocog.reference.layer_rules import layer_backward, layer_buffers, layer_forward
from neocog.reference.loss import cross_entropy, cross_entropy_backward

if TYPE_CHECKING:
    from neocog.network import Network

__all__ = ["backward", "backward_from", "forward", "forward_training"]

Array = NDArray[Any]
Masks = Mapping[str, NDArray[np.bool_]]
T = TypeVar("T")


def forward(network: "Network", parameters: Mapping[str, Array], x: Array) -> dict[str, Array]:
    """The output of every layer by its full name, and x itself as ``"input"``; for evaluation.

    x [N, C, H, W]; `parameters` are named ``conv1.weight`` and so on, as in `Network.state_dict`,
    with the running statistics. A layer made of layers comes after them. The last output is the
    logits z [N, classes].
    """
    return _Backprop(parameters, training=False, masks={}).forward(network, x)


def forward_training(
    network: "Network",
    parameters: Mapping[str, Array],
    x: Array,
    masks: Masks | None = None,
) -> tuple[dict[str, Array], dict[str, Array]]:
    """The same in training, and what becomes of the running statistics, by full name.

    Batch normalizations take the batch's own statistics; `masks` says by its full name what each
    dropout keeps, in the shape of its input.
    """
    backprop = _Backprop(parameters, training=True, masks=masks or {})
    outputs = backprop.forward(network, x)
    return outputs, backprop.buffers


def backward(
    network: "Network",
    parameters: Mapping[str, Array],
    x: Array,
    labels: NDArray[np.integer[Any]],
    *,
    training: bool = True,
    masks: Masks | None = None,
) -> tuple[float, dict[str, Array], dict[str, Array]]:
    """The whole of backpropagation: δ at the output, passed back through every layer.

    x [N, C, H, W], labels [N]. Returns the mean loss of the N images; its gradient for every
    parameter, by the parameter's name; and its gradient for every layer's output, by the layer's
    full name, with ``"input"`` for x. `training` and `masks` as in `forward_training`.
    """
    backprop = _Backprop(parameters, training, masks or {})
    z = list(backprop.forward(network, x).values())[-1]
    backprop.backward(network, cross_entropy_backward(z, labels) / len(z))
    mean_loss = float(cross_entropy(z, labels).mean())
    return mean_loss, backprop.gradients, backprop.output_gradients


def backward_from(
    network: "Network",
    parameters: Mapping[str, Array],
    x: Array,
    dz: Array,
    *,
    training: bool = True,
    masks: Masks | None = None,
) -> tuple[dict[str, Array], dict[str, Array]]:
    """The gradients that `backward` returns, for any gradient dz of the network's output."""
    backprop = _Backprop(parameters, training, masks or {})
    backprop.forward(network, x)
    backprop.backward(network, dz)
    return backprop.gradients, backprop.output_gradients


class _Backprop:
    """One way through a network and back; everything by full name."""

    def __init__(self, state: Mapping[str, Array], training: bool, masks: Masks) -> None:
        self.state, self.training, self.masks = state, training, masks
        self.inputs: dict[str, Array] = {}
        self.outputs: dict[str, Array] = {}
        self.buffers: dict[str, Array] = {}
        self.gradients: dict[str, Array] = {}
        self.output_gradients: dict[str, Array] = {}

    def forward(self, network: "Network", x: Array) -> dict[str, Array]:
        self.outputs["input"] = x
        self._row_forward(network.layers, x, "")
        return self.outputs

    def backward(self, network: "Network", dz: Array) -> None:
        found = self._row_backward(network.layers, dz, "")
        self.output_gradients["input"] = found
        self.gradients = {name: self.gradients[name] for name in network.parameter_shapes}

    def _row_forward(self, layers: Mapping[str, Layer], x: Array, prefix: str) -> Array:
        for name, layer in layers.items():
            x = self._layer_forward(layer, x, prefix + name)
        return x

    def _row_backward(self, layers: Mapping[str, Layer], dy: Array, prefix: str) -> Array:
        for name, layer in reversed(list(layers.items())):
            dy = self._layer_backward(layer, dy, prefix + name)
        return dy

    def _layer_forward(self, layer: Layer, x: Array, name: str) -> Array:
        self.inputs[name] = x
        match layer:
            case Sequential():
                y = self._row_forward(layer.children(), x, f"{name}.")
            case Residual():
                y = self._layer_forward(layer.body, x, f"{name}.body")
                if layer.shortcut is not None:
                    x = self._layer_forward(layer.shortcut, x, f"{name}.shortcut")
                y = y + x
            case _:
                own, kept = self._own(name, layer), self.masks.get(name)
                y = _naming(
                    name,
                    lambda: layer_forward(layer, own, x, training=self.training, kept=kept),
                )
                if self.training and layer.buffer_shapes().keys() <= own.keys():
                    new = layer_buffers(layer, own, x)
                    self.buffers |= {f"{name}.{part}": value for part, value in new.items()}
        self.outputs[name] = y
        return y

    def _layer_backward(self, layer: Layer, dy: Array, name: str) -> Array:
        self.output_gradients[name] = dy
        match layer:
            case Sequential():
                return self._row_backward(layer.children(), dy, f"{name}.")
            case Residual():
                dx = self._layer_backward(layer.body, dy, f"{name}.body")
                if layer.shortcut is not None:
                    dy = self._layer_backward(layer.shortcut, dy, f"{name}.shortcut")
                return dx + dy
        dx, gradients = layer_backward(
            layer,
            self._own(name, layer),
            self.inputs[name],
            dy,
            training=self.training,
            kept=self.masks.get(name),
        )
        self.gradients |= {f"{name}.{part}": value for part, value in gradients.items()}
        return dx

    def _own(self, name: str, layer: Layer) -> dict[str, Array]:
        own = {part: self.state[f"{name}.{part}"] for part in layer.parameter_shapes()}
        for part in layer.buffer_shapes():  # in training they may be left out
            if not self.training or f"{name}.{part}" in self.state:
                own[part] = self.state[f"{name}.{part}"]
        return own


def _naming(name: str, compute: Callable[[], T]) -> T:
    try:
        return compute()
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}: {error}") from None
