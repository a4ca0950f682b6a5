"""Each layer in each backend: what there is no rule for is named here, with the reason."""

from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pytest

from neocog.engine.lowering import lower
from neocog.engine.lowering.layer_rules import lowers
from neocog.errors import ArchitectureError
from neocog.layers import LAYERS, Conv2d, Flatten, Layer, Linear, Node, ReLU
from neocog.layers.dispatch import Dispatch
from neocog.layers.graph import Container
from neocog.network import Network
from neocog.reference.formula import formula

#: Layers that a backend has nothing for, and why.
LACKING: dict[tuple[str, type[Layer]], str] = {}
#: A graph has no containers: whoever reads it needs no rule for them.
OF_NODES = {"engine": lowers, "reference": formula}


def backends():
    found = dict(OF_NODES)
    with suppress(ImportError):
        from neocog.formats.onnx.writing.writer import onnx_nodes

        found["onnx"] = onnx_nodes
    with suppress(ImportError):
        from neocog.torch_engine.layer_rules import torch_module

        found["torch"] = torch_module
    return found


@pytest.mark.parametrize("layer", LAYERS.values(), ids=list(LAYERS))
def test_every_backend_has_every_layer(layer):
    assert backends().keys() >= OF_NODES.keys()
    for backend, rules in backends().items():
        needed = not (issubclass(layer, Container) and backend in (*OF_NODES, "onnx"))
        lacks = (backend, layer) in LACKING
        assert (rules.of(layer) is None) == lacks or not needed, (
            f"{backend} has {'a' if lacks else 'no'} rule for {layer.__name__}"
        )


def test_rules_are_found_by_class_and_handed_down():
    rules = Dispatch()

    class Faster(ReLU):
        pass

    @rules(ReLU, Linear)
    def rule():
        return 3

    assert rules.of(ReLU()) is rules.of(Linear) is rules.of(Faster()) is rule
    assert rules.of(Layer) is None
    assert rules.of(Conv2d(1, 1, 1)) is None
    assert rule() == 3


def test_a_layer_without_kernels_is_named():
    @dataclass(frozen=True)
    class Halved(Layer):
        def output_shape(self, shape):
            return shape

    nodes = [
        Node("conv", Conv2d(3, 4, 1)),
        Node("half", Halved()),
        Node("flatten", Flatten()),
        Node("fc", Linear(4 * 36, 3)),
    ]
    network = Network.from_nodes(nodes, input_shape=(3, 6, 6))
    network.initialize(0)
    with pytest.raises(ArchitectureError, match="half: there are no kernels for Halved, so a"):
        network.predict_proba(np.zeros((1, 6, 6, 3), np.uint8))
    with pytest.raises(ArchitectureError, match="half: there are no kernels for Halved, so a"):
        lower(network.graph, training=True)
