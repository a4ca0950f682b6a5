"""Batches of large images, which a worker takes strip by strip: they compute the same."""

import numpy as np
import pytest
from engine_networks import assert_same
from engines import parts_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strip_networks import networks, of_blocks
from test_written_memory import check as check_memory

from neocog import SGD
from neocog.engine import plan, strips
from neocog.engine.trainer import Trainer
from neocog.settings.training import TrainingSettings

few = settings(
    max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
# Bytes that are near: none, those of a few rows, and those of some layers.
NEAR = st.sampled_from([1, 1000, 4000, 20_000])
# Bytes from which on an image is too large for chunks of several, as none is.
CHUNKS = 2**30


def in_strips(monkeypatch, near, large=0):
    """From now on plans are for images of which so many bytes are near."""
    monkeypatch.setattr(strips, "_NEAR", near)
    monkeypatch.setattr(plan, "_LARGE_IMAGE", large)


def pictures(network, count):
    """Images, and labels for them."""
    rng = np.random.default_rng(0)
    c, h, w = network.input_shape
    images = rng.integers(0, 256, (count, h, w, c), np.uint8)
    return images, rng.integers(0, network.output_shape[0], count)


# Predictions


def check_scores(network, near):
    """Scores of batches of any size, on any number of threads, and for any size of chunks."""
    network.initialize(0)
    images, _ = pictures(network, 5)
    expected = network.predict_scores(images, threads=1)
    for large in (0, CHUNKS):
        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.setattr("neocog.engine.predictor._WORK_A_THREAD", 1)
            in_strips(monkeypatch, near, large)
            network.initialize(0)  # the same parameters, and nothing kept for predicting
            for count in (5, 2, 1):
                for threads in (1, 2):
                    scores = network.predict_scores(images[:count], threads=threads)
                    np.testing.assert_array_equal(scores, expected[:count])


@pytest.mark.parametrize("near", [1, 2000, 20_000])
def test_scores_of_blocks(near):
    check_scores(of_blocks(), near)


@few
@given(network=networks(), near=NEAR)
def test_scores_of_any_layers(network, near):
    check_scores(network, near)


# Training


def two_steps(network, batch, threads):
    """Losses, and the whole state after two steps."""
    images, labels = pictures(network, batch)
    how = TrainingSettings(batch_size=batch, optimizer=SGD(0.01, momentum=0.9), threads=threads)
    trainer = Trainer(*parts_of(network), images, labels, how)
    losses = [trainer.run(np.arange(batch)), trainer.run(np.arange(batch)[::-1])]
    groups = trainer._program.plan.groups
    kept = {f"{name}, kept": value for name, value in trainer.optimizer_state().items()}
    state = {"losses": np.array(losses), **trainer.state(), **kept}
    return state, sum(group.strips > 1 for group in groups)


def check_steps(network, batch, near):
    """Two steps are the same for all threads, and but for rounding those of whole images."""
    network.initialize(0)
    expected, none = two_steps(network, batch, 1)
    assert none == 0
    with pytest.MonkeyPatch.context() as monkeypatch:
        in_strips(monkeypatch, near)
        found, groups = two_steps(network, batch, 1)
        for threads in (2, 3, 4):
            assert_same(two_steps(network, batch, threads)[0], found)
    # Gradients are sums of terms of which some cancel, such as that of a bias that is normalized.
    largest = max(np.abs(value).max() for name, value in expected.items() if ", kept" in name)
    for name, value in expected.items():
        scale = largest if ", kept" in name else np.abs(value).max() + 1e-3
        off = np.abs(found[name] - value).max() / scale
        assert off < 1e-5, f"{name} is off by {off}"
    return groups


@pytest.mark.parametrize("batch", [1, 2, 3, 5])
@pytest.mark.parametrize("near", [1, 8000])
def test_steps_of_blocks(batch, near):
    assert check_steps(of_blocks(), batch, near) > 0


@few
@given(network=networks(), batch=st.integers(1, 5), near=NEAR)
def test_steps_of_any_layers(network, batch, near):
    check_steps(network, batch, near)


@pytest.mark.parametrize("near", [1, 8000])
def test_no_strip_writes_memory_that_is_not_its_own(near, monkeypatch):
    """Each instruction's own maps only, without their borders."""
    in_strips(monkeypatch, near, CHUNKS)
    check_memory(of_blocks(), monkeypatch)


@few
@given(network=networks(), near=NEAR)
def test_no_strip_of_any_layers_writes_memory_that_is_not_its_own(network, near):
    with pytest.MonkeyPatch.context() as monkeypatch:
        in_strips(monkeypatch, near, CHUNKS)
        check_memory(network, monkeypatch)
