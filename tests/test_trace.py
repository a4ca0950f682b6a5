"""Every layer's map and gradient, as the engine computed them, against the formulas in float64."""

import numpy as np
import pytest
from engines import parts_of

from neocog import SGD, models, reference
from neocog.engine.trainer import Trainer
from neocog.layers import (
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
    SiLU,
)
from neocog.network import Network
from neocog.settings.training import TrainingSettings

# Float32's roundings over some thousand operations in a row, of the largest number of a map.
CLOSE = 2e-5


def unusual():
    """Lanes that share a map, layers whose input others read, dropout, a sum of a sum."""
    return Network(
        input_shape=(2, 9, 11),
        act0=ReLU(),
        conv1=Conv2d(2, 17, 3, padding=1),
        norm1=BatchNorm2d(17),
        block=Residual(
            Sequential(act=ReLU(), conv=Conv2d(17, 17, 3, padding=1), norm=BatchNorm2d(17)),
        ),
        outer=Residual(
            Sequential(
                inner=Residual(Conv2d(17, 17, 3, padding="same"), SiLU()),
                drop=Dropout(0.5),
            ),
            Conv2d(17, 17, 1),
        ),
        pool=MaxPool2d(2),
        depthwise=Conv2d(17, 17, 3, padding=1, groups=17),
        mean=AvgPool2d(2),
        flatten=Flatten(),
        act1=ReLU(),
        fc1=Linear(17 * 2 * 2, 9),
        act2=ReLU(),
        fc2=Linear(9, 5),
    )


NETWORKS = {
    "simple-cnn": models.simple_cnn,
    "lenet5": models.lenet5,
    "resnet8": models.resnet8,
    "airbench": lambda: models.airbench(width=0.125),
    "unusual": unusual,
}


def case(name):
    """A network whose running statistics are not those of the start, an image and a label."""
    network = NETWORKS[name]()
    network.initialize(0)
    rng = np.random.default_rng(0)
    state = network.state_dict()
    for key, value in state.items():
        if key.endswith("running_mean"):
            state[key] = rng.normal(size=value.shape).astype(np.float32) / 4
        elif key.endswith("running_var"):
            state[key] = rng.uniform(0.25, 2, value.shape).astype(np.float32)
        elif key.endswith(("norm.weight", "norm1.weight", "norm.bias", "norm1.bias")):
            state[key] = value + rng.normal(size=value.shape).astype(np.float32) / 4
    network.load_state_dict(state)
    channels, height, width = network.input_shape
    image = rng.integers(0, 256, (1, height, width, channels), np.uint8)
    return network, image, np.array([2])


def flat(value, like):
    """A vector that the engine keeps as a map, as the formulas have it."""
    return value.reshape(like.shape)


@pytest.mark.parametrize(
    "name",
    [
        *("simple-cnn", "lenet5"),
        *(pytest.param(name, marks=pytest.mark.thorough) for name in ("resnet8", "unusual")),
    ],
)
def test_every_map_and_gradient(name):
    network, image, label = case(name)
    optimizer = SGD(0.1, 0.9)
    trainer = Trainer(
        *parts_of(network),
        image,
        label,
        TrainingSettings(batch_size=1, optimizer=optimizer, threads=1),
        unfused=True,
    )
    (loss,) = trainer.run(np.arange(1))
    found = trainer.maps()

    state = {key: value.astype(np.float64) for key, value in network.state_dict().items()}
    p = network.preprocessing
    x = reference.preprocess(image, p.mean, p.std).astype(np.float64)
    outputs = reference.forward(network, state, x)
    expected_loss, gradients, slopes = reference.backward(network, state, x, label, training=False)
    assert loss == pytest.approx(expected_loss, rel=CLOSE)
    for key, value in trainer.gradients().items():
        np.testing.assert_allclose(
            value, gradients[key], rtol=0, atol=CLOSE * np.abs(gradients[key]).max(), err_msg=key
        )
    compared = 0
    for layer, maps in found.items():
        key = "input" if layer == "image" else layer
        for word, all_ in (("output", outputs), ("output_gradient", slopes)):
            expected = all_[key][0]
            actual = flat(maps[word], expected)
            close = CLOSE * max(np.abs(expected).max(), 1e-30)
            np.testing.assert_allclose(
                actual, expected, rtol=0, atol=close, err_msg=f"{key} {word}"
            )
            compared += 1
    leaves = [key for key, layer in network.leaves.items() if not isinstance(layer, Dropout)]
    assert set(leaves) <= found.keys()
    assert compared == 2 * len(found)


@pytest.mark.parametrize(
    "name", ["simple-cnn", pytest.param("unusual", marks=pytest.mark.thorough)]
)
def test_what_a_layer_reads_is_what_another_gave(name):
    network, image, label = case(name)
    trainer = Trainer(
        *parts_of(network),
        image,
        label,
        TrainingSettings(batch_size=1, optimizer=SGD(0.1), threads=1),
        unfused=True,
    )
    trainer.run(np.arange(1))
    found = trainer.maps()
    given = [maps["output"] for maps in found.values()]
    for layer, maps in found.items():
        if layer == "image":
            continue
        for word in {"input", "addend"} & maps.keys():
            assert any(np.array_equal(maps[word], output) for output in given), layer


def test_it_computes_what_training_computes():
    """Layers apart differ from layers that run as one by the order of roundings at most."""
    network, image, label = case("lenet5")
    results = []
    for unfused in (False, True):
        trainer = Trainer(
            *parts_of(network),
            image,
            label,
            TrainingSettings(batch_size=1, optimizer=SGD(0.1, 0.9), threads=1),
            unfused=unfused,
        )
        trainer.run(np.zeros(1, np.int64))
        results.append({**trainer.gradients(), **trainer.parameters()})
    for key, value in results[0].items():
        np.testing.assert_allclose(results[1][key], value, rtol=0, atol=1e-5 * np.abs(value).max())
