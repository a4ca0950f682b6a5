"""Maps of what speaks for a class, against PyTorch's gradients and plain loops over pixels."""

import re
from itertools import pairwise

import numpy as np
import pytest

import neocog
from neocog import models, reference
from neocog.errors import DataError
from neocog.explanation import attribution
from neocog.layers import Conv2d, Flatten, Linear, MaxPool2d, ReLU
from neocog.network import Network
from neocog.preprocessing import Preprocessing

NAMES = ("plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def small():
    """Not square, one channel, a mean that is not in the middle."""
    return Network(
        input_shape=(1, 9, 11),
        preprocessing=Preprocessing((0.3,), (0.25,)),
        conv=Conv2d(1, 8, 3, padding=1),
        relu=ReLU(),
        pool=MaxPool2d(2),
        flatten=Flatten(),
        fc=Linear(8 * 4 * 5, 4),
    )


MAKERS = {"small": small, "simple-cnn": models.simple_cnn, "resnet8": models.resnet8}
NAMES_OF_MAKERS = ["small", "simple-cnn", pytest.param("resnet8", marks=pytest.mark.thorough)]
# The largest number of a map is right to so many parts of it, after some thousand roundings.
CLOSE = 1e-4


@pytest.fixture(scope="module")
def explanations():
    """One of each network by its name, made when it is first asked for."""
    return Explanations()


class Explanations(dict):
    def __missing__(self, name):
        network = MAKERS[name]()
        network.initialize(3)
        if network.output_shape == (10,):
            network.name_classes(NAMES)
        channels, height, width = network.input_shape
        rng = np.random.default_rng(3)
        # Smooth, so that squares and single pixels differ.
        image = rng.integers(0, 256, (height, width, channels)).astype(np.float64)
        for axis in (0, 1):
            image = (image + np.roll(image, 1, axis) + np.roll(image, -1, axis)) / 3
        image = image.astype(np.uint8)
        # Every class alike for this image, and others far from that.
        state = network.state_dict()
        state["fc.weight"] *= 200 if name == "resnet8" else 4
        network.load_state_dict(state)
        state["fc.bias"] -= network.predict_scores(image[None])[0]
        network.load_state_dict(state)
        self[name] = neocog.explain(network, image, 0)
        return self[name]


# Gradients


def by_torch(explanation, layer):
    """A layer's output and the gradient of the label's score for it, in float64."""
    torch = pytest.importorskip("torch")
    from neocog.torch_engine.module import to_torch

    network, kept = explanation.network, {}
    module = to_torch(network).double().eval()
    p = network.preprocessing
    x = reference.preprocess(explanation.image[None], p.mean, p.std).astype(np.float64)
    image = torch.tensor(x, requires_grad=True)
    if layer == "image":
        kept["output"] = image
    else:

        def keep(_module, _given, output):
            kept["output"] = output
            output.retain_grad()

        module.get_submodule(layer).register_forward_hook(keep)
    module(image)[0, explanation.label].backward()
    output = kept["output"]
    return output.detach()[0], output.grad[0]


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("small", "conv"),
        ("small", "pool"),
        ("simple-cnn", "conv1"),
        ("simple-cnn", "relu"),
        ("simple-cnn", "pool"),
        pytest.param("resnet8", "image", marks=pytest.mark.thorough),
        pytest.param("resnet8", "stage1.block1.body.norm1", marks=pytest.mark.thorough),
        pytest.param("resnet8", "stage2.block1.shortcut", marks=pytest.mark.thorough),
        pytest.param("resnet8", "stage3.block1.body.conv2", marks=pytest.mark.thorough),
        pytest.param("resnet8", "stage3.block1", marks=pytest.mark.thorough),
    ],
)
def test_grad_cam(explanations, name, layer):
    torch = pytest.importorskip("torch")
    explanation = explanations[name]
    output, slope = by_torch(explanation, layer)
    weights = slope.mean(dim=(1, 2))
    cam = torch.relu((weights[:, None, None] * output).sum(dim=0))
    size = explanation.image.shape[:2]
    whole = torch.nn.functional.interpolate(
        cam[None, None], size, mode="bilinear", align_corners=False
    )[0, 0]
    found = explanation.grad_cam(layer)
    assert (found.method, found.layer) == ("Grad-CAM", layer)
    assert cam.max() > 0
    for actual, expected in ((found.weights, weights), (found.small, cam), (found.map, whole)):
        assert actual.dtype == np.float32
        close = CLOSE * float(expected.abs().max())
        np.testing.assert_allclose(actual, expected.numpy(), rtol=0, atol=close)


@pytest.mark.parametrize("name", NAMES_OF_MAKERS)
def test_gradient_times_input(explanations, name):
    explanation = explanations[name]
    x, slope = by_torch(explanation, "image")
    expected = (x * slope).sum(dim=0).numpy()
    found = explanation.gradient_times_input()
    assert (found.method, found.layer) == ("gradient × input", "image")
    assert found.weights is None and found.small is None
    np.testing.assert_allclose(found.map, expected, rtol=0, atol=CLOSE * np.abs(expected).max())


def test_the_layer_that_is_looked_at(explanations):
    """The last with some places, not the vector behind it that lies in memory as a map."""
    assert explanations["small"].grad_cam().layer == "pool"
    assert explanations["simple-cnn"].grad_cam().layer == "pool"


@pytest.mark.thorough
def test_the_layer_of_a_deep_network_that_is_looked_at(explanations):
    assert explanations["resnet8"].grad_cam().layer == "stage3.relu1"


def test_layers_that_grad_cam_cannot_look_at(explanations):
    explanation = explanations["simple-cnn"]
    says = "no layer 'conv'. Did you mean 'conv1'? Known: image, conv1, relu, pool, flatten, fc."
    with pytest.raises(DataError, match=re.escape(says)):
        explanation.grad_cam("conv")
    for layer in ("flatten", "fc"):
        says = f"{layer} gives one number a channel, which has no place in the image. "
        says += "Grad-CAM can look at: image, conv1, relu, pool."
        with pytest.raises(DataError, match=re.escape(says)):
            explanation.grad_cam(layer)


# Covering


def color(network):
    """The mean color, which becomes the input 0 but for rounding to a byte."""
    return [round(mean * 255) for mean in network.preprocessing.mean]


def probability(explanation, image):
    return float(explanation.network.predict_proba(image[None])[0, explanation.label])


def by_loops(explanation, size, tops, lefts):
    image = explanation.image
    total, times = np.zeros((2, *image.shape[:2]))
    for top in tops:
        for left in lefts:
            covered = image.copy()
            covered[top : top + size, left : left + size] = color(explanation.network)
            fall = probability(explanation, image) - probability(explanation, covered)
            total[top : top + size, left : left + size] += fall
            times[top : top + size, left : left + size] += 1
    return total / times


@pytest.mark.parametrize(
    ("name", "given", "squares"),
    [
        ("small", (4, 3), (4, [0, 3, 5], [0, 3, 6, 7])),
        ("small", (), (2, range(8), range(10))),
        ("small", (50,), (50, [0], [0])),
        ("simple-cnn", (), (8, range(0, 25, 2), range(0, 25, 2))),
        pytest.param("resnet8", (16, 16), (16, [0, 16], [0, 16]), marks=pytest.mark.thorough),
    ],
)
def test_occlusion(explanations, name, given, squares):
    explanation = explanations[name]
    expected = by_loops(explanation, *squares)
    found = explanation.occlusion(*given)
    assert (found.method, found.layer) == ("occlusion", "image")
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(found.map, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("size", "stride"), [(0, None), (3, 0), (3, 4), (-1, None), (None, 100)])
def test_squares_that_leave_pixels_out(explanations, size, stride):
    with pytest.raises(
        DataError, match=r"size \(.*\) must be at least 1, and stride \(.*\) from 1 to"
    ):
        explanations["small"].occlusion(size, stride)


class Counting(Network):
    """Gives the same probabilities for every image, and counts them."""

    asked = 0

    def predict_proba(self, images, *, threads=None):
        self.asked += len(images)
        return np.full((len(images), 2), 0.5, np.float32)


@pytest.mark.parametrize("side", [28, 30, 32, 64, 224])
def test_a_large_network_is_asked_less_often(side):
    def asked(channels):
        network = Counting(
            input_shape=(3, side, side),
            conv=Conv2d(3, channels, 3, padding=1),
            flatten=Flatten(),
            fc=Linear(channels * side * side, 2),
        )
        image = np.zeros((side, side, 3), np.uint8)
        attribution.occlusion(network, image, 0)
        return network.asked - 42, neocog.cost(network).multiply_adds

    channels = 110_000_000 // (side * side * 29)
    predictions, work = asked(channels)
    assert 100e6 < work < 120e6
    assert predictions <= 60
    predictions, work = asked(channels * 8 // 10)
    assert 80e6 < work < 100e6
    assert predictions > 60


def curves_by_loops(explanation, values):
    """The probabilities of images with the first pixels covered and uncovered, one by one."""
    image, gray = explanation.image, color(explanation.network)
    height, width, _ = image.shape
    places = [(i, j) for i in range(height) for j in range(width)]
    places.sort(key=lambda place: -values[place])  # stable, so equal ones stay in their order
    found = []
    for begin, end in ((image, np.full_like(image, gray)), (np.full_like(image, gray), image)):
        curve = []
        for percent in range(0, 101, 5):
            one = begin.copy()
            for place in places[: round(percent * len(places) / 100)]:
                one[place] = end[place]
            curve.append(probability(explanation, one))
        found.append(curve)
    return found


@pytest.mark.parametrize("name", NAMES_OF_MAKERS)
def test_deletion_and_insertion(explanations, name):
    explanation = explanations[name]
    for found in (explanation.grad_cam(), explanation.gradient_times_input(), explanation.chance):
        deleted, inserted = curves_by_loops(explanation, found.map)
        assert found.deleted.shape == found.inserted.shape == (21,)
        np.testing.assert_allclose(found.deleted, deleted, rtol=0, atol=1e-6)
        np.testing.assert_allclose(found.inserted, inserted, rtol=0, atol=1e-6)
        assert np.ptp(deleted) > 0.01
        for curve, area in ((deleted, found.deletion), (inserted, found.insertion)):
            trapezoids = sum(0.05 * (a + b) / 2 for a, b in pairwise(curve))
            assert area == pytest.approx(trapezoids, abs=1e-6)


def test_a_map_that_points_at_what_matters_beats_chance(explanations):
    """A linear network's score is a sum over pixels, which gradient × input ranks rightly."""
    network = Network(input_shape=(1, 8, 8), flatten=Flatten(), fc=Linear(64, 2))
    weight = np.random.default_rng(0).normal(size=64).astype(np.float32)
    state = {"fc.weight": np.stack([weight, -weight]), "fc.bias": np.zeros(2, np.float32)}
    network.load_state_dict(state)
    found = neocog.explain(network, np.full((8, 8, 1), 255, np.uint8), 0)
    by_gradient = found.gradient_times_input()
    np.testing.assert_allclose(by_gradient.map.reshape(-1), weight, rtol=1e-6)
    assert by_gradient.deletion < found.chance.deletion
    assert by_gradient.insertion > found.chance.insertion


def test_chance(explanations):
    explanation = explanations["simple-cnn"]
    found = explanation.chance
    again = attribution.chance(explanation.network, explanation.image, explanation.label)
    assert found is explanation.chance and found is not again
    np.testing.assert_array_equal(found.map, again.map)
    order = np.argsort(-found.map.reshape(-1))
    # Random: no pixel has a favored place, and neighbors do not follow each other.
    assert abs(np.corrcoef(order, np.arange(1024))[0, 1]) < 0.1
    assert (np.abs(np.diff(order)) < 3).mean() < 0.05
    gray = np.broadcast_to(np.array(color(explanation.network), np.uint8), (32, 32, 3))
    ends = probability(explanation, explanation.image), probability(explanation, gray)
    np.testing.assert_allclose(found.deleted[[0, -1]], ends, atol=1e-6)
    np.testing.assert_allclose(found.inserted[[-1, 0]], ends, atol=1e-6)


def test_whom_a_map_speaks_for(explanations):
    assert explanations["simple-cnn"].chance.class_name == "plane"
    assert explanations["small"].chance.class_name == "0"


def test_score_maps_are_computed_once(explanations):
    explanation = explanations["simple-cnn"]
    assert explanation.score_maps is explanation.score_maps
    maps = explanation.score_maps
    np.testing.assert_array_equal(maps["fc"]["output_gradient"].reshape(-1), np.eye(10)[0])
    assert maps["flatten"]["output"].shape == (4096, 1, 1)
