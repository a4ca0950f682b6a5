"""`neocog.explain`: that what it shows adds up, and is what predictions and training compute."""

import re

import numpy as np
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from PIL import Image

import neocog
from neocog import models, reference
from neocog.errors import ArchitectureError, DataError
from neocog.explanation.page.numbers import number
from neocog.layers import (
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    ReLU,
    Residual,
    Sequential,
)
from neocog.layers.padding import PADDING_MODES
from neocog.network import Network

UNIT = 2.0**-24
NAMES = ("plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def noise(network, seed=0):
    channels, height, width = network.input_shape
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, channels), np.uint8)


def with_norms():
    """Batch normalization with statistics, dropout, two lanes, and a row of layers at the end."""
    network = Network(
        input_shape=(3, 8, 10),
        conv1=Conv2d(3, 8, 3, padding=1, bias=False),
        norm1=BatchNorm2d(8),
        relu1=ReLU(),
        block=Residual(Sequential(conv=Conv2d(8, 8, 3, padding=1), norm=BatchNorm2d(8))),
        drop=Dropout(0.5),
        pool=AdaptiveAvgPool2d(),
        flatten=Flatten(),
        head=Sequential(fc=Linear(8, 5), drop=Dropout(0.5)),
    )
    network.initialize(1)
    rng = np.random.default_rng(1)
    state = network.state_dict()
    for key, value in state.items():
        if key.endswith("running_mean"):
            state[key] = rng.normal(size=value.shape).astype(np.float32)
        elif key.endswith("running_var"):
            state[key] = rng.uniform(0.25, 4, value.shape).astype(np.float32)
    network.load_state_dict(state)
    return network


@pytest.fixture(scope="module")
def simple():
    network = models.simple_cnn()
    network.initialize(0)
    network.name_classes(NAMES)
    return network


@pytest.fixture(scope="module")
def explained(simple):
    return neocog.explain(simple, noise(simple), "deer")


# What a number is made of


def sums(layer, channels):
    """Every output of a convolution as the sum of its products, and the sum of their sizes."""
    _, rows, columns = layer.output.shape
    parts = np.zeros((2, channels, rows, columns))
    for place in np.ndindex(channels, rows, columns):
        products = layer.contributions(*place).astype(np.float64)
        parts[(slice(None), *place)] = products.sum(), np.abs(products).sum()
    return parts


CONVOLUTIONS = st.tuples(
    st.sampled_from([1, 2, 3]),  # groups
    st.tuples(st.integers(1, 4), st.integers(1, 4)),  # kernel
    st.tuples(st.integers(1, 3), st.integers(1, 2)),  # stride
    st.tuples(st.integers(1, 2), st.integers(1, 3)),  # dilation
    st.one_of(st.just("same"), st.tuples(st.integers(0, 3), st.integers(0, 3))),
    st.booleans(),
    st.sampled_from(PADDING_MODES),
)


# Each compiles kernels of its own, so there are few, and none to make a failure smaller.
PHASES = (Phase.explicit, Phase.generate)


@settings(max_examples=2, deadline=None, derandomize=True, phases=PHASES)
@example((2, (2, 4), (1, 1), (1, 1), "same", True, "zeros"))
@example((3, (3, 2), (2, 1), (1, 2), (2, 1), False, "zeros"))
@example((3, (3, 2), (1, 1), (1, 1), "same", True, "reflect"))
@given(CONVOLUTIONS)
def test_contributions_add_up_to_a_convolutions_output(case):
    groups, kernel, stride, dilation, padding, bias, mode = case
    stride = (1, 1) if padding == "same" else stride
    given_ = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    given_["padding_mode"] = mode
    network = Network(
        input_shape=(2, 13, 11),
        first=Conv2d(2, 6, 1),
        conv=Conv2d(6, 6, kernel, bias=bias, **given_),
        pool=AdaptiveAvgPool2d(),
        flatten=Flatten(),
        fc=Linear(6, 3),
    )
    network.initialize(0)
    layer = neocog.explain(network, noise(network), 1)["conv"]
    assert layer.patch(0, 0, 0).shape == layer.parameters["weight"].shape[1:]
    total, size = sums(layer, 6)
    own = layer.parameters["bias"][:, None, None].astype(np.float64) if bias else 0.0
    # Each product and each addition is one rounding, here and in the engine.
    bound = 2 * UNIT * (layer.parameters["weight"][0].size + 3) * (size + np.abs(own)) + 1e-30
    assert (np.abs(total + own - layer.output) <= bound).all()


def test_contributions_add_up_to_a_linear_layers_output(explained):
    layer = explained["fc"]
    for output in range(10):
        products = layer.contributions(output)
        assert products.shape == (16, 16, 16)  # as it lay before Flatten
        total = products.sum(dtype=np.float64) + layer.parameters["bias"][output]
        size = np.abs(products).sum(dtype=np.float64)
        assert abs(total - explained.scores[output]) <= UNIT * 4100 * size
    vector = neocog.explain(with_norms(), noise(with_norms()))["head.fc"]
    assert vector.contributions(3).shape == (8,)
    total = vector.contributions(3).sum() + vector.parameters["bias"][3]
    assert total == pytest.approx(vector.output[3], rel=1e-5)


def test_only_convolutions_have_patches(explained):
    with pytest.raises(TypeError, match=re.escape("relu (ReLU) does not add up products.")):
        explained["relu"].contributions(0, 0, 0)
    with pytest.raises(TypeError, match=re.escape("fc (Linear) is not a convolution.")):
        explained["fc"].patch(0, 0, 0)


def test_importance_is_what_the_loss_would_change_by_without_a_channel(explained):
    """To first order: the difference quotient of the formulas, by a small part of a channel."""
    layer, network = explained["conv1"], explained.network
    state = {key: value.astype(np.float64) for key, value in network.state_dict().items()}
    x = layer.output.astype(np.float64)[None]
    rest = Network(input_shape=(16, 32, 32), **dict(list(network.layers.items())[1:]))
    found = layer.importance()
    for channel in (0, 7, 15):
        losses = []
        for part in (1 + 1e-6, 1 - 1e-6):
            scaled = x.copy()
            scaled[0, channel] *= part
            z = reference.forward(rest, state, scaled)["fc"]
            losses.append(reference.cross_entropy(z, np.array([explained.label]))[0])
        slope = abs(losses[0] - losses[1]) / 2e-6
        assert found[channel] == pytest.approx(slope, rel=1e-3, abs=1e-6)


# The end


def test_probabilities_loss_and_delta_follow_from_the_scores(explained):
    scores = explained.scores.astype(np.float64)[None]
    label = np.array([explained.label])
    expected = reference.softmax(scores)[0]
    np.testing.assert_allclose(explained.probabilities, expected, rtol=0, atol=8 * UNIT)
    delta = reference.cross_entropy_backward(scores, label)[0]
    np.testing.assert_allclose(explained.delta, delta, rtol=0, atol=8 * UNIT)
    assert explained.loss == pytest.approx(-np.log(expected[4]), rel=1e-6)
    np.testing.assert_array_equal(explained.scores, explained["fc"].output)


def test_an_improbable_label_keeps_its_digits(simple):
    network = models.simple_cnn()
    state = simple.state_dict()
    state["fc.bias"][3] -= 30
    network.load_state_dict(state)
    found = neocog.explain(network, noise(network), 3)
    expected = reference.softmax(found.scores.astype(np.float64))
    assert expected[3] < 1e-12
    assert found.probabilities[3] == pytest.approx(expected[3], rel=1e-5, abs=0)
    step = found.steps["adam"]
    assert step.probabilities_before[3] == found.probabilities[3]
    assert step.probabilities[3] == pytest.approx(np.exp(-step.loss), rel=1e-5, abs=0)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(with_norms, id="norms"),
        pytest.param(models.resnet8, id="resnet8", marks=pytest.mark.thorough),
    ],
)
def test_it_explains_what_is_predicted(make):
    """Normalized by the running statistics, nothing dropped: as the network predicts."""
    network = make()
    if not network.initialized:
        network.initialize(0)
    image = noise(network)
    found = neocog.explain(network, image)
    expected = network.predict_proba(image[None])[0]
    np.testing.assert_allclose(found.probabilities, expected, rtol=0, atol=1e-5)
    assert found.label == expected.argmax()
    state = {key: value.astype(np.float64) for key, value in network.state_dict().items()}
    p = network.preprocessing
    x = reference.preprocess(image[None], p.mean, p.std).astype(np.float64)
    scores = list(reference.forward(network, state, x).values())[-1][0]
    np.testing.assert_allclose(found.scores, scores, rtol=0, atol=1e-5 * np.abs(scores).max())


def test_the_network_stays_as_it_is(simple):
    before = simple.state_dict()
    found = neocog.explain(simple, noise(simple), 3, lr=1.0)
    assert not np.array_equal(found.steps["sgd"].after["fc.bias"], before["fc.bias"])
    for name, value in simple.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_an_explanation_stays_when_the_network_learns_on(simple):
    network = models.simple_cnn()
    network.load_state_dict(simple.state_dict())
    found = neocog.explain(network, noise(network), 3)
    expected = neocog.explain(network, noise(network), 3).occlusion(8, 8)
    network.load_state_dict({k: 2 * v for k, v in network.state_dict().items()})
    np.testing.assert_array_equal(found.occlusion(8, 8).map, expected.map)


# One step


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_a_step_is_the_optimizers_formula(simple, name):
    found = neocog.explain(simple, noise(simple), "ship", lr=0.03, momentum=0.8, adaptive_lr=0.002)
    step = found.steps[name]
    assert step.before.keys() == simple.parameter_shapes.keys()
    for key, before in step.before.items():
        np.testing.assert_array_equal(before, simple.state_dict()[key])
        p, g = before.astype(np.float64), step.gradients[key].astype(np.float64)
        zero = np.zeros_like(p)
        if name == "sgd":
            after, velocity = reference.sgd_step(p, g, zero, 0.03, 0.8)
            np.testing.assert_allclose(step.state[f"{key}.velocity"], velocity, rtol=1e-6)
        else:
            after, *_moments = reference.adam_step(p, g, zero, zero, 1, 0.002)
        # One rounding of the result, and a few of the change.
        bound = 2 * UNIT * np.abs(after) + 1e-5 * np.abs(after - p) + 1e-9
        assert (np.abs(step.after[key] - after) <= bound).all(), key
        layer, _, part = key.rpartition(".")
        np.testing.assert_array_equal(found[layer].gradients[part], step.gradients[key])
    then = models.simple_cnn()
    then.load_state_dict(step.after)
    expected = then.predict_proba(found.image[None])[0]
    np.testing.assert_allclose(step.probabilities, expected, rtol=0, atol=1e-5)
    assert step.loss == pytest.approx(-np.log(np.float64(expected[8])), rel=1e-4)
    np.testing.assert_array_equal(step.probabilities_before, found.probabilities)
    assert step.loss_before == found.loss
    assert step.label == 8 and step.classes == NAMES


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_what_a_step_changes_with_batch_normalization(name):
    """Its weight moves, and with it what it multiplies by; its statistics stay."""
    network = with_norms()
    image = noise(network)
    step = neocog.explain(network, image, 2, lr=0.1, adaptive_lr=0.05).steps[name]
    then = with_norms()
    then.load_state_dict(network.state_dict() | step.after)
    expected = then.predict_proba(image[None])[0]
    np.testing.assert_allclose(step.probabilities, expected, rtol=0, atol=1e-6)
    assert step.loss == pytest.approx(-np.log(np.float64(expected[2])), rel=1e-5)


# What it is given


def test_a_label_by_number_or_name_or_none(simple):
    image = noise(simple)
    assert neocog.explain(simple, image, 3).label == 3
    assert neocog.explain(simple, image, np.int64(3)).label == 3
    assert neocog.explain(simple, image, "cat").label == 3
    found = neocog.explain(simple, image)
    assert found.label == simple.predict(image[None])[0]
    assert found.classes == NAMES


@pytest.mark.parametrize(
    ("label", "says"),
    [
        ("frogg", "The network has no class 'frogg'. Did you mean 'frog'? Known: plane, "),
        ("zzz", "The network has no class 'zzz'. Known: plane, car, "),
        (10, "label (=10) must be a class, from 0 to 9."),
        (-1, "label (=-1) must be a class, from 0 to 9."),
        (True, "label (=True) must be a class, from 0 to 9."),
        (2.5, "label (=2.5) must be a class, from 0 to 9."),
    ],
)
def test_labels_that_there_are_not(simple, label, says):
    with pytest.raises(DataError, match=re.escape(says)):
        neocog.explain(simple, noise(simple), label)


def test_a_name_of_a_network_without_names():
    network = with_norms()
    with pytest.raises(DataError, match=r"no class 'cat'\. Known: only numbers, because its"):
        neocog.explain(network, noise(network), "cat")
    assert neocog.explain(network, noise(network), 2).classes == ("0", "1", "2", "3", "4")


@pytest.mark.parametrize("shape", [(32, 31, 3), (32, 32, 1), (1, 32, 32, 3), (32, 32)])
def test_an_image_of_another_size(simple, shape):
    with pytest.raises(DataError, match=re.escape("uint8 [n, 32, 32, 3]")):
        neocog.explain(simple, np.zeros(shape, np.uint8))


def test_an_image_of_floats(simple):
    with pytest.raises(DataError, match="not float64"):
        neocog.explain(simple, np.zeros((32, 32, 3)))


def test_a_picture_file(simple, tmp_path):
    image = noise(simple)
    Image.fromarray(image).save(tmp_path / "one.png")
    expected = neocog.explain(simple, image)
    for path in (tmp_path / "one.png", str(tmp_path / "one.png")):
        found = neocog.explain(simple, path)
        np.testing.assert_array_equal(found.image, image)
        np.testing.assert_array_equal(found.scores, expected.scores)
    with pytest.raises(DataError, match="No such file"):
        neocog.explain(simple, tmp_path / "two.png")


@pytest.mark.parametrize("label", [None, 1])
def test_a_network_without_parameters(label):
    network = models.simple_cnn()
    with pytest.raises(ArchitectureError, match="no parameters yet"):
        neocog.explain(network, np.zeros((32, 32, 3), np.uint8), label)


def test_layers_by_name(explained):
    assert list(explained) == ["image", "conv1", "relu", "pool", "flatten", "fc"]
    assert len(explained) == 6
    assert explained["conv1"].type == "Conv2d" and explained["image"].type == "Image"
    assert explained["flatten"].output.shape == (4096,)
    np.testing.assert_array_equal(explained["relu"].input, explained["conv1"].output)
    with pytest.raises(DataError, match=r"no layer 'conv2'\. Did you mean 'conv1'\?"):
        explained["conv2"]


def test_numbers_in_sentences_keep_short_decimals():
    """Of others three digits; a float32 counts as the decimal that it is nearest to."""
    values = [0.0625, 0.03125, np.float32(0.1), 1 / 3, -0.5, 1e6, -1e18, 2.5e-7, 12345.678, 0.0]
    written = [
        "0.0625",
        "0.03125",
        "0.1",
        "0.333",
        "−0.5",
        "10⁶",
        "−10¹⁸",
        "2.5·10⁻⁷",
        "1.23·10⁴",
        "0",
    ]
    assert [number(value) for value in values] == written
