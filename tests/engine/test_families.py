"""Networks for photographs against their own definitions in PyTorch: names, outputs, gradients."""

from dataclasses import replace

import numpy as np
import pytest
from yardstick import InTorch, Yardstick, data_for, trainer_of

from neocog.layers import Dropout, Graph
from neocog.models import PHOTOGRAPHS, make
from neocog.network import Network

torch = pytest.importorskip("torch")
from torch_families import FAMILIES  # noqa: E402

CLASSES, BATCH = 7, 4
# Of those that differ only in how often and how wide, the smallest runs always. For the others odd
# sides are enough.
LARGE = (
    "efficientnet-lite1",
    "efficientnet-lite2",
    "mobilenet-v3-large",
    "resnet34-224",
    "resnet50-224",
    "densenet121",
)
# Of a hundred million weights, a part is enough.
WIDTHS = {"vgg11-bn": 1 / 8}
# With the images of seed 0 a number lies so near 0 that its ReLU may go either way.
SEEDS = {"squeezenet1-1": 1}
CASES = [
    pytest.param(name, side, marks=[pytest.mark.thorough] * (name in LARGE or side != 64))
    for name in PHOTOGRAPHS
    for side in ((49,) if name in LARGE else (64, 49))
]


def without_dropout(network):
    nodes = [
        replace(node, layer=Dropout(0.0)) if isinstance(node.layer, Dropout) else node
        for node in network.graph.given
    ]
    return Network.from_graph(Graph(nodes, network.input_shape), None, network.preprocessing)


def trained(name, side):
    """The network with weights as after a training: no normalization is the identity."""
    width = WIDTHS.get(name, 1.0)
    network = without_dropout(make(name, CLASSES, width=width, input_shape=(3, side, side)))
    network.initialize(3)
    rng = np.random.default_rng(5)
    state = network.state_dict()
    for key, value in state.items():
        if key.endswith("running_var"):
            state[key] = rng.uniform(0.5, 2, value.shape)
        elif value.ndim == 1:
            state[key] = value + rng.normal(0, 0.1, value.shape)
    network.load_state_dict(state)
    return network


class Independent(InTorch):
    """The family's own definition, with the network's weights."""

    @staticmethod
    def make_module(network):
        width = WIDTHS.get(network.model)
        module = FAMILIES[network.model](CLASSES, *([width] if width else []))
        state = {name: torch.from_numpy(value) for name, value in network.state_dict().items()}
        module.load_state_dict(state, strict=True)
        return module


@pytest.mark.parametrize(("name", "side"), CASES)
def test_it_computes_what_its_definition_does(name, side):
    network = trained(name, side)
    network.model = name
    images, labels = data_for(network, BATCH, seed=SEEDS.get(name, 0))
    torchs = Yardstick(network, images, labels, 0.01, side=Independent)
    torchs.compare(network.predict_scores(images, threads=2), InTorch.scores, "scores")
    trainer = trainer_of(network, images, labels, BATCH, threads=2)
    order = np.arange(BATCH)
    torchs.steps([order], trainer.run(order))
    torchs.compare(trainer.gradients(), InTorch.gradients, "gradients")


def test_every_family_has_a_definition():
    assert FAMILIES.keys() == PHOTOGRAPHS.keys()
