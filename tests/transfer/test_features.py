"""Features are the formulas' numbers, and a picture's do not depend on company or threads."""

import numpy as np
import pytest
from photographs import SIDE, network, pictures

from neocog import Conv2d, Flatten, Linear, Network, Preprocessing, ReLU, models, reference
from neocog.errors import DataError
from neocog.transfer.features import Features


def layers_of(net, images):
    """Every layer's output in float64."""
    how = net.preprocessing
    x = (images / 255.0 - np.array(how.mean)) / np.array(how.std)
    state = {name: array.astype(np.float64) for name, array in net.state_dict().items()}
    return reference.forward(net, state, x.transpose(0, 3, 1, 2))


def test_vectors():
    net, images = network(), pictures(5).images
    features = Features(net)
    assert features.shape == (40,)
    expected = layers_of(net, images)["flat"]
    np.testing.assert_allclose(features.of(images), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("place", ["relu", "block1", "down.norm", "block2", "head.pool"])
def test_maps(place):
    net, images = network(), pictures(5).images
    features = Features(net, place)
    expected = layers_of(net, images)[place].transpose(0, 2, 3, 1)
    assert features.shape == expected.shape[1:]
    found = features.of(images)
    assert found.dtype == np.float16
    # Half of float16's spacing, and as much again for float32 before it.
    np.testing.assert_allclose(found, expected, rtol=2**-10, atol=2e-5)


def test_a_map_that_is_flattened_has_the_order_of_its_layer():
    net = Network(
        conv=Conv2d(3, 5, 3, stride=2), relu=ReLU(), flat=Flatten(), fc=Linear(5 * 121, 4),
        input_shape=(3, SIDE, SIDE),
    )  # fmt: skip
    net.initialize(0)
    images = pictures(4).images
    features = Features(net)
    assert features.shape == (605,)
    expected = layers_of(net, images)["flat"]
    np.testing.assert_allclose(features.of(images), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("place", [None, "block1"])
def test_the_same_bits_alone_and_in_company(place):
    net, images = network(), pictures(20).images
    together = Features(net, place, 2).of(images)
    alone = Features(net, place, 1)
    one_by_one = np.concatenate([alone.of(images[n : n + 1]) for n in range(20)])
    assert together.tobytes() == one_by_one.tobytes()


def test_a_large_network_gives_a_lone_picture_the_same_bits():
    """Threads would share its single image, which computes in another order."""
    net = models.make("resnet18", 3, input_shape=(3, 32, 32))
    net.initialize(0)
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    features = Features(net, threads=2)
    assert features.of(images)[:1].tobytes() == features.of(images[:1]).tobytes()


def test_no_pictures():
    net = network()
    assert Features(net).of(pictures(3).images[:0]).shape == (0, 40)
    assert Features(net, "block1").of(pictures(3).images[:0]).shape == (0, 12, 12, 8)


@pytest.mark.parametrize("place", [None, "block1"])
def test_pictures_of_another_size(place):
    with pytest.raises(DataError, match=r"takes images as uint8 \[n, 24, 24, 3\]"):
        Features(network(), place).of(np.zeros((2, 24, 25, 3), np.uint8))


def test_the_mark_is_of_everything_that_decides_the_numbers():
    net = network()
    marks = [Features(net).mark(), Features(net, "block1").mark(), Features(net, "block2").mark()]
    other = net.copy()
    other.preprocessing = Preprocessing((0.5, 0.5, 0.4), (0.5, 0.5, 0.5))
    marks.append(Features(other).mark())
    state = net.state_dict()
    state["stem.conv.weight"][0, 0, 0, 0] = np.nextafter(state["stem.conv.weight"][0, 0, 0, 0], 9)
    other = net.copy()
    other.load_state_dict(state)
    marks.append(Features(other).mark())
    assert len(set(marks)) == len(marks)
    assert Features(net.copy()).mark() == marks[0]


def test_the_mark_is_not_of_what_lies_behind():
    net = network()
    state = net.state_dict()
    state["classifier.fc.bias"] += 1
    other = net.copy()
    other.load_state_dict(state)
    assert Features(other).mark() == Features(net).mark()
