"""Batch normalization that keeps its statistics while a network learns.

A few hundred pictures are too few to measure statistics anew: training would see those of each
batch, and predictions running means that have hardly moved. With its statistics fixed, batch
normalization is a factor s = γ / √(σ² + ε) and a shift for each channel, which the convolution
before it takes in:

    W' = s W        b' = s (b − μ) + β

The network without normalizations learns W' and b'. Then they go back: W = W' / s, and
β = b' − s (b − μ), so that the network is the one that it was, with the statistics that it had.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.layers import BatchNorm2d, Conv2d, Graph, Node
from neocog.layers.graph import IMAGE

__all__ = ["Folding"]

State = Mapping[str, NDArray[Any]]
Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class _Fold:
    """A normalization and the convolution that takes it in, by their names."""

    norm: str
    conv: str
    layer: BatchNorm2d


class Folding:
    """The way from a graph with batch normalization to one without, and back.

    A normalization that does not follow a convolution becomes a convolution of its own, of one
    pixel and one channel. One without learned factors stays as it is.

    Args:
        graph: with batch normalizations.

    Attributes:
        graph: without them.
    """

    def __init__(self, graph: Graph) -> None:
        self._before = graph
        self._folds: list[_Fold] = []
        nodes: list[Node] = []
        becomes = {IMAGE: IMAGE}
        readers = [sum(i in sources for sources in graph.sources) for i in range(len(graph.nodes))]
        at: dict[str, int] = {}
        for node, sources in zip(graph.nodes, graph.sources, strict=True):
            name = node.name
            if isinstance(node.layer, BatchNorm2d) and node.layer.affine:
                source = graph.nodes[sources[0]] if sources[0] >= 0 else None
                if source and isinstance(source.layer, Conv2d) and readers[sources[0]] == 1:
                    self._folds.append(_Fold(name, source.name, node.layer))
                    place = at[source.name]
                    nodes[place] = replace(nodes[place], layer=replace(source.layer, bias=True))
                    becomes[name] = source.name
                    continue
                self._folds.append(_Fold(name, name, node.layer))
                channels = node.layer.num_features
                node = replace(node, layer=Conv2d(channels, channels, 1, groups=channels))
            inputs = tuple(becomes[graph.nodes[i].name if i >= 0 else IMAGE] for i in sources)
            at[name], becomes[name] = len(nodes), name
            nodes.append(Node(name, node.layer, inputs))
        self.graph = Graph(nodes, graph.input_shape)

    def folded(self, state: State) -> dict[str, NDArray[Any]]:
        """The state dict of the graph without normalizations, from that of the graph with them."""
        found = {name: state[name] for name in self.graph.state_shapes if name in state}
        for fold in self._folds:
            scale, shift = self._scale_and_shift(fold, state)
            beta = state[f"{fold.norm}.bias"].astype(np.float64)
            weight = np.ones((len(scale), 1, 1, 1))
            if fold.conv != fold.norm:
                weight = state[f"{fold.conv}.weight"].astype(np.float64)
            found[f"{fold.conv}.weight"] = (weight * scale[:, None, None, None]).astype(np.float32)
            found[f"{fold.conv}.bias"] = (shift + beta).astype(np.float32)
        return found

    def unfolded(self, state: State, learned: State) -> dict[str, NDArray[Any]]:
        """The state dict of the graph with normalizations.

        Args:
            state: what it was before.
            learned: of the graph without them.
        """
        found = {name: state[name] for name in self._before.state_shapes}
        found |= {name: learned[name] for name in self.graph.state_shapes if name in found}
        for fold in self._folds:
            scale, shift = self._scale_and_shift(fold, state)
            weight = learned[f"{fold.conv}.weight"].astype(np.float64)
            if fold.conv != fold.norm:
                # A channel whose factor is 0 gets another one, as nothing comes back from 0.
                dead = scale == 0
                deviation = np.sqrt(state[f"{fold.norm}.running_var"] + float(fold.layer.eps))
                gamma = np.where(dead, deviation, state[f"{fold.norm}.weight"])
                mean = state[f"{fold.norm}.running_mean"].astype(np.float64)
                shift = np.where(dead, self._bias(fold, state) - mean, shift)
                scale = np.where(dead, 1.0, scale)
                back = weight / scale[:, None, None, None]
                found[f"{fold.conv}.weight"] = back.astype(np.float32)
                found[f"{fold.norm}.weight"] = gamma.astype(np.float32)
                if f"{fold.conv}.bias" in found:
                    found[f"{fold.conv}.bias"] = state[f"{fold.conv}.bias"]
            else:
                deviation = np.sqrt(state[f"{fold.norm}.running_var"] + float(fold.layer.eps))
                found[f"{fold.norm}.weight"] = (weight[:, 0, 0, 0] * deviation).astype(np.float32)
                shift = -state[f"{fold.norm}.running_mean"] * weight[:, 0, 0, 0]
            beta = learned[f"{fold.conv}.bias"] - shift
            found[f"{fold.norm}.bias"] = beta.astype(np.float32)
        return found

    def _bias(self, fold: _Fold, state: State) -> Doubles | float:
        name = f"{fold.conv}.bias"
        has = fold.conv != fold.norm and name in self._before.state_shapes
        return state[name].astype(np.float64) if has else 0.0

    def _scale_and_shift(self, fold: _Fold, state: State) -> tuple[Doubles, Doubles]:
        """s, and s (b − μ)."""
        variance = state[f"{fold.norm}.running_var"].astype(np.float64)
        scale = state[f"{fold.norm}.weight"] / np.sqrt(variance + fold.layer.eps)
        mean = state[f"{fold.norm}.running_mean"].astype(np.float64)
        return scale, scale * (self._bias(fold, state) - mean)
