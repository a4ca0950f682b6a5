"""Temperature scaling, the calibration error, and the temperature of a network."""

import copy
import json
import math
import pickle

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import neocog
from neocog import Flatten, Linear, Network, reference
from neocog.data import Data, Dataset
from neocog.errors import ArchitectureError, DataError, FormatError, NeocogError
from neocog.evaluation import fit_temperature, images_to_calibrate, mean_scores
from neocog.evaluation.reliability import reliability

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (60, 4, 4, 3), np.uint8)


def network(scale: float = 1.0) -> Network:
    net = Network(
        input_shape=(3, 4, 4), classes=("cat", "dog", "emu"), flatten=Flatten(), fc=Linear(48, 3)
    )
    net.initialize(1)
    state = net.state_dict()
    net.load_state_dict({name: scale * value for name, value in state.items()})
    return net


def drawn(n: int, classes: int, temperature: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores, and labels that are drawn by softmax(scores / temperature)."""
    rng = np.random.default_rng(seed)
    z = 3 * temperature * rng.normal(size=(n, classes))
    p = reference.softmax(z / temperature)
    labels = (p.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).clip(0, classes - 1)
    return z, labels.astype(np.int64)


def loss(z: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    return float(reference.cross_entropy(z / temperature, labels).mean())


# The temperature that fits


@pytest.mark.parametrize("temperature", [0.1, 0.7, 1.0, 2.5, 40.0])
def test_the_temperature_that_labels_were_drawn_by_is_found(temperature):
    z, labels = drawn(20_000, 5, temperature, seed=3)
    assert fit_temperature(z, labels) == pytest.approx(temperature, rel=0.04)


@settings(deadline=None)
@given(st.integers(5, 300), st.integers(2, 12), st.floats(0.02, 50), st.integers(0, 10**6))
def test_no_temperature_of_a_grid_is_better(n, classes, temperature, seed):
    z, labels = drawn(n, classes, temperature, seed)
    try:
        found = fit_temperature(z, labels)
    except DataError:
        assume(False)
    least = loss(z, labels, found)
    grid = found * np.exp(np.linspace(-3, 3, 101))
    assert least <= min(loss(z, labels, one) for one in grid) + 1e-12
    # A minimum: the derivative of the loss by log T, by differences, is near zero.
    step = 1e-4
    slope = (loss(z, labels, found * (1 + step)) - loss(z, labels, found / (1 + step))) / (2 * step)
    assert abs(slope) < 1e-6


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12, 1e30])
def test_the_scale_of_scores_is_that_of_the_temperature(scale):
    z, labels = drawn(500, 4, 2.0, seed=1)
    assert fit_temperature(scale * z, labels) == pytest.approx(
        scale * fit_temperature(z, labels), rel=1e-6
    )
    # Nor does it matter what is added to all scores of an image.
    moved = z + RNG.normal(size=(500, 1))
    assert fit_temperature(moved, labels) == pytest.approx(fit_temperature(z, labels), rel=1e-6)


def test_one_outlier_among_many():
    """Newton's first step from 1 leaves the range: where the curvature is almost zero."""
    z = np.array([[1000.0, 0.0]] * 99 + [[0.0, 1000.0]])
    labels = np.zeros(100, np.int64)
    # 1 / (1 + exp(−1000 / T)) is to be 99 of 100.
    assert fit_temperature(z, labels) == pytest.approx(1000 / math.log(99), rel=1e-6)


def test_as_lbfgs_in_torch_finds_it():
    torch = pytest.importorskip("torch")
    z, labels = drawn(1000, 10, 3.0, seed=7)
    inputs, targets = torch.from_numpy(z), torch.from_numpy(labels)
    log_t = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [log_t], max_iter=200, tolerance_grad=1e-12, line_search_fn="strong_wolfe"
    )

    def closure():
        optimizer.zero_grad()
        found = torch.nn.functional.cross_entropy(inputs / log_t.exp(), targets)
        found.backward()
        return found

    optimizer.step(closure)
    assert fit_temperature(z, labels) == pytest.approx(log_t.exp().item(), rel=1e-5)


@pytest.mark.parametrize(
    ("z", "labels", "message"),
    [
        ([[2.0, 1.0], [0.0, 5.0]], [0, 1], "All of the 2 images are predicted right"),
        ([[2.0, 1.0], [0.0, 5.0]], [1, 0], "no better than chance"),
        ([[1.0, 1.0], [1.0, 1.0]], [1, 0], "no better than chance"),
        (np.zeros((0, 2)), [], "no images to calibrate on"),
    ],
)
def test_images_without_a_best_temperature(z, labels, message):
    with pytest.raises(DataError, match=message):
        fit_temperature(np.array(z), np.array(labels, np.int64))


def test_more_images_than_are_looked_at_together(monkeypatch):
    z, labels = drawn(100, 3, 2.0, seed=5)
    whole = fit_temperature(z, labels)
    monkeypatch.setattr("neocog.evaluation.calibration._CHUNK", 7)
    assert fit_temperature(z, labels) == pytest.approx(whole, rel=1e-9)


# A network is calibrated


def labels_of(net: Network, temperature: float) -> np.ndarray:
    """Labels drawn by the network's own probabilities at another temperature."""
    p = reference.softmax(mean_scores(net, IMAGES) / temperature)
    draws = np.random.default_rng(1).random((len(IMAGES), 1))
    return (p.cumsum(axis=1) < draws).sum(axis=1).clip(0, 2)


def test_calibrating_a_network():
    net = network(scale=30)
    data = Dataset(IMAGES, labels_of(net, 20.0))
    before = neocog.evaluate(net, data)
    found = neocog.calibrate(net, data)
    after = neocog.evaluate(net, data)
    z = net.predict_scores(IMAGES).astype(np.float64)
    assert net.temperature == found.temperature == fit_temperature(z, data.labels)
    assert found.count == 60
    assert found.temperature > 3
    assert (found.loss_before, found.loss) == (before.loss, after.loss)
    assert found.loss == pytest.approx(loss(z, data.labels, found.temperature), rel=1e-9)
    assert found.loss < found.loss_before
    assert (found.ece_before, found.ece) == (before.reliability().ece, after.reliability().ece)
    assert found.ece < found.ece_before
    assert found.to_dict()["temperature"] == found.temperature
    np.testing.assert_array_equal(after.predicted, before.predicted)
    # Again it is the same, from the scores and not from probabilities that are calibrated.
    assert neocog.calibrate(net, data).temperature == found.temperature


def test_of_data_only_those_for_validation_are_taken():
    data = Dataset(IMAGES, np.arange(60) % 3)
    split = Data("mine", data[:20], data[20:40], ("cat", "dog", "emu"), validation=data[40:])
    assert images_to_calibrate(split) is split.validation
    with pytest.raises(DataError, match=r"write calibrate\(network, data.validation\)"):
        neocog.calibrate(network(), split)
    with pytest.raises(DataError, match="Of mine only test images are held out, so there are no"):
        images_to_calibrate(Data("mine", data[:20], data[20:40], ("cat", "dog", "emu")))
    with pytest.raises(DataError, match="Of mine nothing is held out"):
        images_to_calibrate(Data("mine", data[:20], data[:0], ("cat", "dog", "emu")))


def test_a_network_that_cannot_be_calibrated_stays_as_it_is():
    net = network()
    with pytest.raises(DataError, match="predicted right"):
        neocog.calibrate(net, (IMAGES, net.predict(IMAGES)))
    assert net.temperature == 1


# The calibration error


def test_bins_by_hand():
    confidence = np.array([0.0, 0.2, 0.21, 0.4, 0.99, 1.0])
    right = np.array([True, False, True, True, True, False])
    found = reliability(confidence, right, 5)
    assert [one.count for one in found.bins] == [2, 2, 0, 0, 2]  # 0.2 and 0.4 end their bins
    assert [(one.low, one.high) for one in found.bins[:2]] == [(0.0, 0.2), (0.2, 0.4)]
    assert [one.accuracy for one in found.bins] == [0.5, 1.0, None, None, 0.5]
    means = [one.confidence for one in found.bins]
    assert means[2:4] == [None, None]
    assert [means[0], means[1], means[4]] == pytest.approx([0.1, 0.305, 0.995])
    assert found.ece == pytest.approx((2 * 0.4 + 2 * 0.695 + 2 * 0.495) / 6)
    assert found.accuracy == pytest.approx(4 / 6)
    assert found.confidence == pytest.approx(2.8 / 6)
    assert repr(found) == (
        "<Reliability in 5 bins: ECE=0.5300, confidence=0.4667, accuracy=0.6667>"
    )


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1), st.integers(1, 30))
def test_bins_as_in_the_paper(pairs, bins):
    """Eq. 2 and 3 of Guo et al., one prediction and one bin after another."""
    found = reliability(np.array([c for c, _ in pairs]), np.array([r for _, r in pairs]), bins)
    ece = 0.0
    for m in range(1, bins + 1):
        inside = [p for p in pairs if (m - 1) / bins < p[0] <= m / bins or (m == 1 and p[0] == 0)]
        assert found.bins[m - 1].count == len(inside)
        if inside:
            accuracy = sum(right for _, right in inside) / len(inside)
            confidence = sum(c for c, _ in inside) / len(inside)
            ece += len(inside) / len(pairs) * abs(accuracy - confidence)
    assert found.ece == pytest.approx(ece, abs=1e-12)


# The temperature of a network


@pytest.mark.parametrize("count", [1, 3, 60])
@pytest.mark.parametrize("threads", [1, 2])
def test_probabilities_are_by_the_temperature(count, threads):
    net = network(scale=20)
    z = net.predict_scores(IMAGES[:count])
    plain = net.predict_proba(IMAGES[:count])
    net.temperature = 2.5
    np.testing.assert_array_equal(net.predict_scores(IMAGES[:count]), z)
    found = net.predict_proba(IMAGES[:count], threads=threads)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, reference.softmax(z / 2.5), rtol=1e-5, atol=1e-7)
    assert np.abs(found - plain).max() > 0.002
    for tta in ("flip", "flip+shift"):
        scores = mean_scores(net, IMAGES[:count], tta=tta)
        np.testing.assert_allclose(
            neocog.predict_proba(net, IMAGES[:count], tta=tta),
            reference.softmax(scores / 2.5),
            rtol=1e-5,
        )
    net.temperature = 1
    np.testing.assert_array_equal(net.predict_proba(IMAGES[:count]), plain)


@pytest.mark.parametrize("temperature", [5e-324, 1e-30, 1e300])
def test_extreme_temperatures_give_probabilities(temperature):
    net = network(scale=20)
    net.temperature = temperature
    found = net.predict_proba(IMAGES)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)
    expected = 1.0 if temperature < 1 else 1 / 3
    np.testing.assert_allclose(found.max(axis=1), expected, rtol=1e-6)


@pytest.mark.parametrize("value", [0, -1.0, math.nan, math.inf, "2", None, True])
def test_temperatures_that_cannot_be(value):
    net = network()
    with pytest.raises(ArchitectureError, match=r"temperature \(=.*\) must be a number above 0"):
        net.temperature = value
    assert net.temperature == 1


def test_it_goes_with_copies_pickles_files_and_other_weights(tmp_path):
    net = network()
    net.temperature, net.threshold = 1.7, 0.4
    net.save(tmp_path / "net.safetensors")
    twins = [copy.copy(net), net.copy(), copy.deepcopy(net), pickle.loads(pickle.dumps(net))]
    twins.append(neocog.load(tmp_path / "net.safetensors"))
    for twin in twins:
        assert (twin.temperature, twin.threshold) == (1.7, 0.4)
        np.testing.assert_array_equal(twin.predict_proba(IMAGES), net.predict_proba(IMAGES))
    twins[0].temperature = 3
    assert net.temperature == 1.7
    net.load_state_dict(network(scale=2).state_dict())
    net.preprocessing = neocog.Preprocessing((0.4,) * 3, (0.5,) * 3)
    assert net.temperature == 1.7


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *[("temperature", one) for one in ("0", "-1", '"2"', "null", "true", "[1]", "1e999")],
        *[("threshold", one) for one in ("1.5", "-0.1", '"1"', "[]", "true", "1" + 400 * "0")],
    ],
)
def test_a_file_with_one_that_cannot_be(tmp_path, key, value):
    net, path = network(), tmp_path / "net.safetensors"
    net.temperature, net.threshold = 1.7, 0.4
    net.save(path)
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    text, old = header["__metadata__"]["neocog"], {"temperature": "1.7", "threshold": "0.4"}[key]
    assert f'"{key}": {old}' in text
    header["__metadata__"]["neocog"] = text.replace(f'"{key}": {old}', f'"{key}": {value}')
    changed = json.dumps(header).encode()
    path.write_bytes(len(changed).to_bytes(8, "little") + changed + content[8 + size :])
    with pytest.raises(FormatError, match=rf"net.safetensors: .*{key} \(=.*\) must be a number"):
        neocog.load(path)


def test_files_without_them_are_as_before(tmp_path):
    network().save(tmp_path / "net.safetensors")
    content = (tmp_path / "net.safetensors").read_bytes()
    assert b"temperature" not in content
    assert b"threshold" not in content


def test_training_on_sets_it_back():
    net = network()
    net.temperature, net.threshold = 1.7, 0.4
    neocog.fit(net, (IMAGES, np.arange(60) % 3), epochs=1, batch_size=20, threads=1)
    assert (net.temperature, net.threshold) == (1.0, 0.4)


def test_an_explanation_has_the_predictions_probabilities():
    net = network(scale=20)
    plain = neocog.explain(net, IMAGES[0], 1)
    np.testing.assert_array_equal(plain.uncalibrated, plain.probabilities)
    net.temperature, net.threshold = 4.0, 1.0
    found = neocog.explain(net, IMAGES[0])
    np.testing.assert_allclose(found.probabilities, net.predict_proba(IMAGES[:1])[0], rtol=1e-4)
    np.testing.assert_array_equal(
        found.uncalibrated, neocog.explain(network(scale=20), IMAGES[0], found.label).probabilities
    )
    assert found.label == found.probabilities.argmax()
    assert "temperature" in found.to_html()


# None of these


def test_below_the_threshold_it_is_none_of_them():
    net = network(scale=20)
    p = net.predict_proba(IMAGES)
    best, sure = p.argmax(axis=1), p.max(axis=1).astype(float)
    least = float(np.sort(sure)[30])
    found = net.predict(IMAGES, threshold=least)
    assert (found == -1).sum() == 30
    np.testing.assert_array_equal(found, np.where(sure >= least, best, -1))
    np.testing.assert_array_equal(net.predict(IMAGES), best)
    net.threshold = least
    np.testing.assert_array_equal(net.predict(IMAGES), found)
    np.testing.assert_array_equal(net.predict(IMAGES, threshold=0), best)
    net.threshold = 0
    assert net.threshold is None
    for value in (-0.1, 1.1, math.nan, "x"):
        with pytest.raises(NeocogError, match="threshold"):
            net.predict(IMAGES, threshold=value)
        with pytest.raises(ArchitectureError, match="threshold"):
            net.threshold = value
