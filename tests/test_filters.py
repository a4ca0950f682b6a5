"""Top activations and receptive fields, against the formulas and plain counting."""

import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import neocog
from neocog import models, reference
from neocog.data import Data, Dataset
from neocog.errors import ArchitectureError, DataError
from neocog.explanation.filters import filters
from neocog.explanation.receptive_field import receptive_field
from neocog.layers import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm2d,
    CircularPad2d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    MaxPool2d,
    ReflectionPad2d,
    ReLU,
    ReplicationPad2d,
    Residual,
    Sequential,
    Upsample,
    ZeroPad2d,
)
from neocog.layers.padding import PADDING_MODES
from neocog.network import Network


def nested():
    """Not square, one channel; lanes in lanes, a dilated convolution and one of groups."""
    return Network(
        input_shape=(1, 14, 17),
        conv1=Conv2d(1, 8, (3, 2), padding=1, stride=(1, 2)),
        pool=MaxPool2d(2, stride=1, padding=1),
        stage=Sequential(
            block=Residual(
                Sequential(
                    norm=BatchNorm2d(8),
                    inner=Residual(Conv2d(8, 8, 3, padding="same"), Conv2d(8, 8, 1)),
                    drop=Dropout(0.5),
                    conv=Conv2d(8, 8, 3, padding=2, dilation=2, groups=4),
                ),
            ),
            relu=ReLU(),
        ),
        end=AdaptiveAvgPool2d(),
        flatten=Flatten(),
        fc=Linear(8, 3),
    )


def initialized(network):
    network.initialize(5)
    rng = np.random.default_rng(5)
    state = network.state_dict()
    for key, value in state.items():
        if key.endswith("running_mean"):
            state[key] = rng.normal(size=value.shape).astype(np.float32) / 4
        elif key.endswith("running_var"):
            state[key] = rng.uniform(0.25, 2, value.shape).astype(np.float32)
    network.load_state_dict(state)
    return network


def noise(network, count, seed=0):
    channels, height, width = network.input_shape
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, height, width, channels), np.uint8)


def by_formulas(network, images, layer):
    state = {key: value.astype(np.float64) for key, value in network.state_dict().items()}
    p = network.preprocessing
    x = reference.preprocess(images, p.mean, p.std).astype(np.float64)
    return reference.forward(network, state, x)[layer]


@pytest.mark.parametrize(
    ("make", "layer"),
    [
        (nested, "conv1"),
        (nested, "stage.block.body.inner.body"),
        (nested, "stage.block.body.inner.shortcut"),
        (nested, "stage.block.body.conv"),
        pytest.param(models.resnet8, "conv", marks=pytest.mark.thorough),
        pytest.param(models.resnet8, "stage2.block1.shortcut", marks=pytest.mark.thorough),
        pytest.param(models.resnet8, "stage2.block1.body.conv2", marks=pytest.mark.thorough),
    ],
)
def test_top_activations(make, layer):
    network = initialized(make())
    images = noise(network, 30)
    found = filters(network, layer, Dataset(images, np.zeros(30, np.int64)), count=4)
    maps = by_formulas(network, images, layer)
    assert found.layer == layer
    np.testing.assert_array_equal(found.weight, network.state_dict()[f"{layer}.weight"])
    assert len(found.top_activations) == maps.shape[1] == len(found.weight)
    for channel, row in enumerate(found.top_activations):
        largest = maps[:, channel].max(axis=(1, 2))
        assert [one.index for one in row] == np.argsort(-largest)[:4].tolist()
        for one in row:
            map_ = maps[one.index, channel]
            assert (one.row, one.column) == np.unravel_index(map_.argmax(), map_.shape)
            assert one.value == pytest.approx(map_.max(), abs=1e-5 * np.abs(maps).max())
            assert one.box == receptive_field(network, layer, one.row, one.column)
            top, left, bottom, right = one.box
            np.testing.assert_array_equal(one.patch, images[one.index, top:bottom, left:right])


def test_only_the_first_images_are_looked_at():
    network = initialized(models.simple_cnn())
    images = noise(network, 12)
    everything = filters(network, data=images, count=1)
    part = filters(network, data=images, count=1, most=5)
    best = by_formulas(network, images, "conv1").max(axis=(2, 3))
    assert [one.index for (one,) in everything.top_activations] == best.argmax(axis=0).tolist()
    assert [one.index for (one,) in part.top_activations] == best[:5].argmax(axis=0).tolist()
    assert everything.layer == "conv1"


def test_fewer_images_than_asked_for():
    network = initialized(models.simple_cnn())
    found = filters(network, data=noise(network, 2), count=5)
    assert all(sorted(one.index for one in row) == [0, 1] for row in found.top_activations)
    assert all(row[0].value >= row[1].value for row in found.top_activations)
    alone = filters(network, data=noise(network, 1))
    assert all([one.index for one in row] == [0] for row in alone.top_activations)


def test_equal_images_stay_in_their_order():
    network = initialized(models.simple_cnn())
    images = np.tile(noise(network, 2), (200, 1, 1, 1))
    found = filters(network, data=images, count=3)
    for row in found.top_activations:
        assert [one.index for one in row] in ([0, 2, 4], [1, 3, 5])


def test_an_explanations_filters():
    network = initialized(models.simple_cnn())
    images = noise(network, 6)
    explanation = neocog.explain(network, images[0])
    assert explanation.filters().top_activations == ()
    found = explanation.filters("conv1", images, 2)
    assert found.top_activations == filters(network, "conv1", images, count=2).top_activations
    first = next(one for row in found.top_activations for one in row if one.index == 0)
    channel = next(k for k, row in enumerate(found.top_activations) if first in row)
    map_ = explanation["conv1"].output[channel]
    assert first.value == pytest.approx(map_.max(), rel=1e-5)
    assert map_[first.row, first.column] == map_.max()


@pytest.mark.parametrize(
    ("layer", "says"),
    [
        ("conv2", "The network has no layer 'conv2'. Did you mean 'conv1'? Known: conv1."),
        ("relu", "relu is a ReLU, and only convolutions have filters. Known: conv1."),
        ("image", "The network has no layer 'image'. Known: conv1."),
    ],
)
def test_layers_that_have_no_filters(layer, says):
    with pytest.raises(DataError, match=re.escape(says)):
        filters(initialized(models.simple_cnn()), layer)


def test_a_network_without_a_convolution():
    network = Network(input_shape=(1, 4, 4), flatten=Flatten(), fc=Linear(16, 2))
    with pytest.raises(DataError, match=r"The network has no convolution\."):
        filters(network)


def test_a_network_without_parameters():
    with pytest.raises(ArchitectureError, match="no parameters yet"):
        filters(models.simple_cnn())


def test_data_that_do_not_fit():
    network = initialized(models.simple_cnn())
    images = noise(network, 3)
    whole = Data("noise", Dataset(images, np.zeros(3, np.int64)), None, ())
    with pytest.raises(DataError, match=re.escape("such as load_data(…).train")):
        filters(network, data=whole)
    with pytest.raises(DataError, match=re.escape("uint8 [n, 32, 32, 3]")):
        filters(network, data=images[:, :16])
    with pytest.raises(DataError, match="no image in the data"):
        filters(network, data=images[:0])
    with pytest.raises(
        DataError, match=re.escape("count (=0) must be a whole number of at least 1.")
    ):
        filters(network, data=images, count=0)


# Receptive fields


def seen_by_impulses(network, layer):
    """For every place of a layer's map, which pixels change it, [rows, columns, H, W].

    With positive weights, no biases and images of zeros with one pixel of 1, everything up to the
    layer is positive where that pixel is seen, and zero elsewhere.
    """
    _, height, width = network.input_shape
    state = {}
    rng = np.random.default_rng(0)
    for name, shape in network.state_shapes.items():
        state[name] = np.zeros(shape)
        if name.endswith(("weight", "running_var")):
            state[name] = rng.uniform(0.5, 1.5, shape)
    x = np.zeros((height * width, *network.input_shape))
    for at in range(height * width):
        x[at, :, at // width, at % width] = 1
    y = reference.forward(network, state, x)[layer].sum(axis=1)
    return (y > 0).transpose(1, 2, 0).reshape(*y.shape[1:], height, width)


def box_of(seen):
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    if len(rows) == 0:
        return 0, 0, 0, 0
    return rows[0], columns[0], rows[-1] + 1, columns[-1] + 1


def check_every_place(network, layer):
    seen = seen_by_impulses(network, layer)
    for row, column in np.ndindex(*seen.shape[:2]):
        found = receptive_field(network, layer, row, column)
        assert found == box_of(seen[row, column]), (row, column)


@pytest.mark.parametrize("layer", list(nested().shapes)[:-2])
def test_receptive_fields(layer):
    check_every_place(nested(), layer)


PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))


@st.composite
def layers(draw, depth=0):
    kinds = ["conv", "max", "avg", "all", "pad", "row", "sum"]
    kind = draw(st.sampled_from(kinds if depth < 2 else ["conv"]))
    if kind == "conv":
        padding = st.tuples(st.integers(0, 3), st.integers(0, 3))
        spread = draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
        mode = draw(st.sampled_from(PADDING_MODES))
        geometry = draw(PAIRS), draw(PAIRS), draw(padding), spread
        return Conv2d(2, 2, *geometry, bias=False, padding_mode=mode)
    if kind in ("max", "avg"):
        kernel, pool = draw(PAIRS), MaxPool2d if kind == "max" else AvgPool2d
        padding = kernel[0] // 2, kernel[1] // 2
        return pool(kernel, draw(PAIRS), padding, ceil_mode=draw(st.booleans()))
    if kind == "pad":
        pad = draw(st.sampled_from([ZeroPad2d, ReflectionPad2d, ReplicationPad2d, CircularPad2d]))
        around = pad(draw(st.tuples(*[st.integers(0, 3)] * 4)))
        return draw(st.sampled_from([around, Upsample(scale_factor=draw(PAIRS))]))
    if kind == "all":
        return AdaptiveAvgPool2d(draw(PAIRS))
    if kind == "row":
        return Sequential(a=draw(layers(depth + 1)), b=draw(layers(depth + 1)))
    kernel = draw(st.sampled_from([1, 2, 3, (2, 4)]))
    lane = Conv2d(2, 2, kernel, padding="same", dilation=draw(st.integers(1, 2)), bias=False)
    other = draw(st.sampled_from([None, Conv2d(2, 2, 1, bias=False), ReLU()]))
    return Residual(lane, other)


def blind():
    """A lane of which every row lies in the padding, though its columns do not."""
    return Sequential(
        a=Conv2d(2, 2, 1, padding=(9, 1), bias=False),
        b=Conv2d(2, 2, (2, 3), dilation=(18, 1), bias=False),
    )


@settings(max_examples=60, deadline=None, derandomize=True)
# A kernel that can lie in the padding altogether, with what sees it behind.
@example([Conv2d(2, 2, 1, padding=2, bias=False), Conv2d(2, 2, 2, bias=False)])
@example([Residual(blind()), Conv2d(2, 2, 2, bias=False)])
@example([Residual(blind(), blind())])
@example([Conv2d(2, 2, 3, 2, 1, bias=False), Conv2d(2, 2, 2, 1, 1, 2, bias=False)])
@given(st.lists(layers(), min_size=1, max_size=3))
def test_receptive_fields_of_any_layers(row):
    named = {f"l{at}": layer for at, layer in enumerate(row)}
    try:
        network = Network(input_shape=(2, 9, 7), **named)
    except ArchitectureError:  # a map that is too small for what follows
        return
    check_every_place(network, f"l{len(row) - 1}")
