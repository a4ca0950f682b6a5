"""Forward pass and backpropagation of whole networks."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.layers import Graph, HasGraph, Layer, graph_of
from neocog.reference.layer_rules import layer_backward, layer_buffers, layer_forward
from neocog.reference.loss import cross_entropy, cross_entropy_backward

__all__ = ["backward", "backward_from", "forward", "forward_training"]

Array = NDArray[Any]
Masks = Mapping[str, NDArray[np.bool_]]


def forward(
    network: Graph | HasGraph, parameters: Mapping[str, Array], x: Array
) -> dict[str, Array]:
    """The output of every layer by its full name, and x as ``"input"``; for evaluation.

    x [N, C, H, W]; `parameters` are named ``conv1.weight`` and so on, as in `Network.state_dict`,
    including running statistics. A container comes after its layers. The last output is the logits
    z [N, classes].
    """
    return _Backprop(network, parameters, training=False, masks={}).forward(x)


def forward_training(
    network: Graph | HasGraph,
    parameters: Mapping[str, Array],
    x: Array,
    masks: Masks | None = None,
) -> tuple[dict[str, Array], dict[str, Array]]:
    """As `forward`, in training; also returns the new running statistics by full name.

    Batch normalizations use the batch's statistics. `masks` has, by the full name of each dropout,
    the elements that it keeps, in the shape of its input.
    """
    backprop = _Backprop(network, parameters, training=True, masks=masks or {})
    outputs = backprop.forward(x)
    return outputs, backprop.buffers


def backward(
    network: Graph | HasGraph,
    parameters: Mapping[str, Array],
    x: Array,
    labels: NDArray[np.integer[Any]],
    *,
    training: bool = True,
    masks: Masks | None = None,
) -> tuple[float, dict[str, Array], dict[str, Array]]:
    """Backpropagation: δ at the output, passed back through every layer.

    x [N, C, H, W], labels [N]. Returns the mean loss of the N images; its gradient for every
    parameter, by the parameter's name; and its gradient for every layer's output, by the layer's
    full name, with ``"input"`` for x. `training` and `masks` are as in `forward_training`.
    """
    backprop = _Backprop(network, parameters, training, masks or {})
    z = list(backprop.forward(x).values())[-1]
    backprop.backward(cross_entropy_backward(z, labels) / len(z))
    mean_loss = float(cross_entropy(z, labels).mean())
    return mean_loss, backprop.gradients, backprop.output_gradients


def backward_from(
    network: Graph | HasGraph,
    parameters: Mapping[str, Array],
    x: Array,
    dz: Array,
    *,
    training: bool = True,
    masks: Masks | None = None,
) -> tuple[dict[str, Array], dict[str, Array]]:
    """The gradients of `backward`, from any gradient dz of the network's output."""
    backprop = _Backprop(network, parameters, training, masks or {})
    backprop.forward(x)
    backprop.backward(dz)
    return backprop.gradients, backprop.output_gradients


class _Backprop:
    """One forward and backward pass. Nodes are numbered as in `Graph.sources`."""

    def __init__(
        self,
        network: Graph | HasGraph,
        state: Mapping[str, Array],
        training: bool,
        masks: Masks,
    ) -> None:
        self.graph = graph_of(network)
        self.state, self.training, self.masks = state, training, masks
        self.values: dict[int, Array] = {}
        self.buffers: dict[str, Array] = {}
        self.gradients: dict[str, Array] = {}
        self.output_gradients: dict[str, Array] = {}

    def forward(self, x: Array) -> dict[str, Array]:
        """The output of every layer by name, after the image."""
        self.values[-1] = x
        for i, node in enumerate(self.graph.nodes):
            name, layer, inputs = node.name, node.layer, self._inputs(i)
            own, kept = self._own(name, layer), self.masks.get(name)
            try:
                self.values[i] = layer_forward(
                    layer, own, *inputs, training=self.training, kept=kept
                )
            except (TypeError, ValueError) as error:
                raise type(error)(f"{name}: {error}") from None
            if self.training and layer.buffer_shapes().keys() <= own.keys():
                new = layer_buffers(layer, own, inputs[0])
                self.buffers |= {f"{name}.{part}": value for part, value in new.items()}
        outputs = {name: self.values[i] for name, i in self.graph.outputs.items()}
        return {"input": x} | outputs

    def backward(self, dz: Array) -> None:
        """All gradients, from that of the output; an output read by several layers gets the sum."""
        nodes = self.graph.nodes
        found: dict[int, Array] = {len(nodes) - 1: dz}
        gradients: dict[str, Array] = {}
        for i in reversed(range(len(nodes))):
            name, layer = nodes[i].name, nodes[i].layer
            dxs, of_parameters = layer_backward(
                layer,
                self._own(name, layer),
                self._inputs(i),
                found[i],
                training=self.training,
                kept=self.masks.get(name),
            )
            gradients |= {f"{name}.{part}": value for part, value in of_parameters.items()}
            for source, dx in zip(self.graph.sources[i], dxs, strict=True):
                found[source] = found[source] + dx if source in found else dx
        self.gradients = {name: gradients[name] for name in self.graph.parameter_shapes}
        self.output_gradients = {name: found[i] for name, i in self.graph.outputs.items()}
        self.output_gradients["input"] = found[-1]

    def _inputs(self, i: int) -> tuple[Array, ...]:
        return tuple(self.values[source] for source in self.graph.sources[i])

    def _own(self, name: str, layer: Layer) -> dict[str, Array]:
        own = {part: self.state[f"{name}.{part}"] for part in layer.parameter_shapes()}
        for part in layer.buffer_shapes():  # in training they may be missing
            if not self.training or f"{name}.{part}" in self.state:
                own[part] = self.state[f"{name}.{part}"]
        return own
