"""Networks with products and concatenations against PyTorch, and the formulas."""

import numpy as np
import pytest
from engines import parts_of
from graph_networks import of_channels, of_parts, of_products

from neocog import SGD, reference
from neocog.engine.lowering import lower
from neocog.engine.trainer import Trainer
from neocog.errors import ArchitectureError
from neocog.layers import Concat, Conv2d, Flatten, Linear, Multiply, Node
from neocog.network import Network
from neocog.settings.training import TrainingSettings

NETWORKS = {"products": of_products, "parts": of_parts, "channels": of_channels}


@pytest.mark.parametrize("name", NETWORKS)
def test_ten_steps_by_pytorch_for_any_number_of_threads(name):
    pytest.importorskip("torch")
    from yardstick import BATCH, COUNT, compare, data_for, trainer_of

    network = NETWORKS[name]()
    network.initialize(0)
    images, labels = data_for(network)
    start = network.state_dict()
    expected = compare(network, images, labels).state()
    network.load_state_dict(start)
    trainer = trainer_of(network, images, labels, threads=3)
    order = np.random.default_rng(1).permutation(COUNT)
    trainer.run(order[:BATCH])
    trainer.run(order[BATCH:])
    for key, value in trainer.state().items():
        np.testing.assert_array_equal(value, expected[key], key)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("threads", [1, 2])
def test_every_map_and_gradient_by_the_formulas(name, threads):
    network = NETWORKS[name]()
    network.initialize(2)
    images = np.random.default_rng(3).integers(0, 256, (1, 6, 5, 3), np.uint8)
    labels = np.array([1])
    state = {key: value.astype(np.float64) for key, value in network.state_dict().items()}
    x = (images.transpose(0, 3, 1, 2) / 255 - 0.5) / 0.5
    settings = TrainingSettings(batch_size=1, optimizer=SGD(1e-9), threads=threads)
    trainer = Trainer(*parts_of(network), images, labels, settings, unfused=True)
    trainer.run(np.arange(1))
    _loss, _gradients, of_outputs = reference.backward(network, state, x, labels, training=False)
    outputs = reference.forward(network, state, x)
    for node, found in trainer.maps().items():
        if node in outputs:
            expected = outputs[node][0], of_outputs[node][0]
            for part, value in zip(("output", "output_gradient"), expected, strict=True):
                scale = np.abs(value).max() + 1e-12
                off = np.abs(found[part].reshape(value.shape) - value).max() / scale
                assert off < 1e-4, (node, part)


@pytest.mark.parametrize("layer", [Multiply(), Concat()], ids=["Multiply", "Concat"])
def test_flattened_maps_beside_vectors_are_refused(layer):
    nodes = [
        Node("conv", Conv2d(3, 4, 1)),
        Node("flat", Flatten()),
        Node("fc", Linear(4 * 30, 4 * 30)),
        Node("joined", layer, ("fc", "flat")),
        Node("last", Linear(4 * 30 * (1 + isinstance(layer, Concat)), 3)),
    ]
    network = Network.from_nodes(nodes, input_shape=(3, 6, 5))
    with pytest.raises(ArchitectureError, match=r"joined: one .* put a Linear layer between"):
        lower(network.graph, training=True)
