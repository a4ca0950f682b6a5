"""No kernel of a training step writes, or uses, memory that is not its own."""

import subprocess
import sys

import numpy as np
import pytest
from child_processes import environment
from engine_networks import assert_same, prepared
from engines import parts_of
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from watched_memory import GUARD, WatchedMemory

from neocog import SGD
from neocog.engine.trainer import Trainer
from neocog.errors import ArchitectureError
from neocog.kernels.codegen.vector_types import LANES
from neocog.layers import (
    BatchNorm2d,
    Conv2d,
    Flatten,
    GroupNorm,
    LayerNorm2d,
    Linear,
    MaxPool2d,
    ReLU,
)
from neocog.network import Network
from neocog.settings.training import TrainingSettings

# Two images for each of two workers: what one takes at a time.
IMAGES = 4
CHANNELS = (2, 3, 4, 6, 7, 9, 10, 12, 18)


def trainer_of(network, images, labels):
    how = TrainingSettings(batch_size=IMAGES, optimizer=SGD(0.05, momentum=0.9), threads=2)
    return Trainer(*parts_of(network), images, labels, how)


def results(trainer):
    of_optimizer = {f"{name}, kept": value for name, value in trainer.optimizer_state().items()}
    gradients = {f"{name}, gradient": value for name, value in trainer.gradients().items()}
    return {**trainer.state(), **of_optimizer, **gradients}


def check(network, monkeypatch):
    """Two steps, in which each kernel changes its own memory only, to what it gives anywhere."""
    network, images, labels = prepared(network, IMAGES)
    start, order = network.state_dict(), np.arange(IMAGES)
    expected = trainer_of(network, images, labels)
    for _ in range(2):
        expected.run(order)

    monkeypatch.setattr("neocog.engine.memory._SLACK", GUARD)
    trainer = trainer_of(network, images, labels)
    watched = WatchedMemory(trainer)
    trainer.set_state(start)
    for _ in range(2):
        trainer.run(order)
    assert watched.calls > 20
    assert watched.faults == []
    assert watched.borders_not_zero() == []
    assert_same(results(trainer), results(expected))


def grouped():
    """Groups of fewer channels than a vector, and a border around what comes after their bias.

    And a gradient of pixels that are smaller than a vector.
    """
    return Network(
        input_shape=(2, 14, 6),
        norm=BatchNorm2d(2),
        first=Conv2d(2, 20, 1, stride=(2, 1)),
        conv=Conv2d(20, 20, (3, 2), stride=(2, 1), groups=10),
        relu=ReLU(),
        last=Conv2d(20, 3, 3, padding=1),
        flatten=Flatten(),
        fc=Linear(3 * 3 * 5, 3),
    )


def normalized():
    """By the image's own statistics, also of the image itself, which needs no gradient."""
    return Network(
        input_shape=(3, 6, 5),
        image=GroupNorm(1, 3),
        conv=Conv2d(3, 18, 3, padding=1),
        places=LayerNorm2d(18),
        groups=GroupNorm(3, 18, affine=False),
        last=Conv2d(18, 5, 3),
        flatten=Flatten(),
        fc=Linear(5 * 4 * 3, 3),
    )


@st.composite
def networks(draw):
    """Three convolutions of odd channels in groups, by strides, with what else may lie between."""
    layers, channels = {}, draw(st.sampled_from(CHANNELS))
    if draw(st.booleans()):
        layers["norm"] = BatchNorm2d(2)
    layers["first"] = Conv2d(2, channels, 1, stride=draw(st.sampled_from([1, 1, 2])))
    for n in range(3):
        groups = draw(st.sampled_from([g for g in range(1, channels + 1) if channels % g == 0]))
        outputs = groups * draw(st.integers(1, 3 if groups > 1 else 18))
        kernel, padding = (draw(st.tuples(st.integers(a, 3), st.integers(a, 3))) for a in (1, 0))
        stride, dilation = (draw(st.tuples(*[st.sampled_from([1, 1, 2])] * 2)) for _ in range(2))
        layers[f"conv{n}"] = Conv2d(
            channels,
            outputs,
            kernel,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            bias=draw(st.sampled_from([True, True, False])),
        )
        channels = outputs
        for name, layer in (
            ("norm", BatchNorm2d(channels)),
            ("pool", MaxPool2d(2)),
            ("relu", ReLU()),
        ):
            if draw(st.integers(0, 3 if name == "norm" else 1)) == 1:
                layers[f"{name}{n}"] = layer
    try:
        features = Network(input_shape=(2, 11, 9), **layers)
        shape = features.output_shape
        return Network(
            input_shape=(2, 11, 9), **layers, flatten=Flatten(), fc=Linear(int(np.prod(shape)), 3)
        )
    except ArchitectureError:  # nothing is left of the map
        assume(False)


def test_kernels_of_groups_write_their_own_memory_only(monkeypatch):
    check(grouped(), monkeypatch)


def test_kernels_of_normalizations_write_their_own_memory_only(monkeypatch):
    check(normalized(), monkeypatch)


# Each network compiles kernels of its own, so there are few, and none to make a failure smaller.
@pytest.mark.thorough
@settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)
@given(network=networks())
def test_kernels_of_random_networks_write_their_own_memory_only(network):
    with pytest.MonkeyPatch.context() as monkeypatch:
        check(network, monkeypatch)


@pytest.mark.thorough
@pytest.mark.parametrize("width", [width for width in (4, 8, 16) if width != LANES])
def test_kernels_of_groups_write_their_own_memory_only_in_another_width(width):
    command = [sys.executable, __file__]
    done = subprocess.run(
        command, env=environment(NEOCOG_LANES=str(width)), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


if __name__ == "__main__":
    with pytest.MonkeyPatch.context() as monkeypatch:
        check(grouped(), monkeypatch)
