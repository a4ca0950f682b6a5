"""Grad-CAM in reports, which runs nothing backwards, against PyTorch and the explanation."""

import numpy as np
import pytest

import neocog
from neocog import models, reference
from neocog.explanation.page.message import Block
from neocog.layers import Add, Conv2d, Flatten, Linear, ReLU
from neocog.layers.graph import Graph, Node
from neocog.network import Network
from neocog.report.grad_cam import grad_cams, last_maps
from neocog.report.targets import of_targets


def images_of(network, count, seed=0):
    channels, height, width = network.input_shape
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, height, width, channels), np.uint8)


def by_torch(network, image, label, layer):
    """ReLU(Σ α A) by PyTorch's gradients, in float64."""
    torch = pytest.importorskip("torch")
    from neocog.torch_engine.module import to_torch

    module, kept = to_torch(network).double().eval(), {}
    p = network.preprocessing
    x = reference.preprocess(image[None], p.mean, p.std).astype(np.float64)

    def keep(_module, _inputs, output):
        output.retain_grad()
        kept["maps"] = output

    module.get_submodule(layer).register_forward_hook(keep)
    module(torch.tensor(x))[0, label].backward()
    maps, slope = kept["maps"].detach()[0], kept["maps"].grad[0]
    return torch.relu((slope.mean(dim=(1, 2))[:, None, None] * maps).sum(0)).numpy()


@pytest.mark.parametrize("name", ["simple-cnn", "resnet8", "mobilenet-v3-small"])
def test_maps_are_pytorchs(name):
    shape = (3, 96, 96) if name in models.PHOTOGRAPHS else None
    network = models.make(name, 10, input_shape=shape)
    network.initialize(1)
    images = images_of(network, 2)
    layer = last_maps(network.graph)
    found = grad_cams(network, images, [(3, 7), (0, 9)])
    for image, labels, maps in zip(images, [(3, 7), (0, 9)], found, strict=True):
        assert maps.dtype == np.float32
        for label, one in zip(labels, maps, strict=True):
            expected = by_torch(network, image, label, layer)
            assert one.shape == expected.shape
            # Float32's roundings of sums of some hundred products, of the largest number.
            assert np.abs(one - expected).max() <= 1e-4 * np.abs(expected).max() + 1e-9


def test_it_is_the_explanations_map():
    network = models.resnet8()
    network.initialize(2)
    image = images_of(network, 1)[0]
    (maps,) = grad_cams(network, image[None], [(4,)])
    explained = neocog.explain(network, image, 4).grad_cam(last_maps(network.graph))
    np.testing.assert_allclose(maps[0], explained.small, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("name", models.MODELS)
def test_every_built_in_network_has_last_maps(name):
    network = models.make(name, 10)
    layer = last_maps(network.graph)
    assert min(network.shapes[layer][1:]) >= 4


def test_a_path_around_a_layer_rules_it_out():
    nodes = [
        Node("conv", Conv2d(3, 4, 3, padding=1)),
        Node("relu", ReLU()),
        Node("sum", Add(), ("conv", "relu")),
        Node("flatten", Flatten()),
        Node("fc", Linear(4 * 36, 2)),
    ]
    assert last_maps(Graph(nodes, (3, 6, 6))) == "sum"


def test_a_network_without_maps_has_none():
    network = Network(input_shape=(3, 6, 6), flatten=Flatten(), fc=Linear(108, 2))
    network.initialize(0)
    assert last_maps(network.graph) is None
    assert grad_cams(network, images_of(network, 1), [(0, 1)]) is None


@pytest.mark.parametrize("loss", ["binary-cross-entropy", "mse"])
def test_the_worst_mistakes_of_targets_have_the_map_of_their_output(loss):
    network = models.make("resnet8", 3)
    network.initialize(1)
    network.loss = loss
    network.name_classes(("red", "old", "wet"))
    images = images_of(network, 4)
    targets = np.random.default_rng(3).integers(0, 2, (4, 3)).astype(np.float32)
    evaluation, block = neocog.evaluate(network, (images, targets)), Block()
    found = of_targets(evaluation, "test", images, network, block)
    numbers = np.frombuffer(block.bytes(), "<f4")
    assert found["wrong"]["items"]
    for item in found["wrong"]["items"]:
        place = item["grad_cam"]
        size = int(np.prod(place["shape"]))
        shown = numbers[place["at"] : place["at"] + size].reshape(place["shape"])[0]
        explained = neocog.explain(network, images[item["index"]], item["label"])
        layer = last_maps(network.graph)
        expected = explained.grad_cam(layer).small
        np.testing.assert_allclose(shown, expected / max(expected.max(), 1e-30), atol=2e-3)
