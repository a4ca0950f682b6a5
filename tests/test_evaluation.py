"""Evaluation on cases that are counted by hand, and against the formulas."""

import json
import math

import numpy as np
import pytest

import neocog
from neocog import Flatten, Linear, evaluation, reference
from neocog.data import Dataset
from neocog.errors import DataError, NeocogError
from neocog.evaluation import ClassScore, views
from neocog.network import Network


def network(classes=("cat", "dog", "emu")) -> neocog.Network:
    return neocog.Network(
        input_shape=(3, 4, 4), classes=classes, flatten=Flatten(), fc=Linear(48, 3)
    )


def labeled(*labels: int) -> Dataset:
    return Dataset(np.zeros((len(labels), 4, 4, 3), np.uint8), np.array(labels, np.int64))


@pytest.fixture
def given_scores(monkeypatch):
    """Evaluate as if the network had put out these scores."""

    def evaluate(scores, *labels, net=None):
        array = np.array(scores, np.float32)
        monkeypatch.setattr(Network, "predict_scores", lambda *_, threads=None: array)
        return neocog.evaluate(net or network(), labeled(*labels))

    return evaluate


def called(*classes: int) -> np.ndarray:
    return np.eye(3)[list(classes)]


def test_confusion_precision_recall_and_count_by_hand(given_scores):
    #             is:     cat cat cat dog dog emu;  called:
    result = given_scores(called(0, 0, 1, 1, 0, 1), 0, 0, 0, 1, 1, 2)
    assert result.confusion.tolist() == [[2, 1, 0], [1, 1, 0], [0, 1, 0]]
    assert result.accuracy == 0.5
    assert result.per_class == [
        ClassScore("cat", precision=2 / 3, recall=2 / 3, f1=2 / 3, count=3),
        ClassScore("dog", precision=1 / 3, recall=1 / 2, f1=2 / 5, count=2),
        ClassScore("emu", precision=None, recall=0.0, f1=0.0, count=1),  # nothing was called emu
    ]


def test_a_class_without_images_has_no_recall(given_scores):
    result = given_scores(called(0, 2), 0, 0)
    assert result.per_class == [
        ClassScore("cat", precision=1.0, recall=0.5, f1=2 / 3, count=2),
        ClassScore("dog", precision=None, recall=None, f1=None, count=0),
        ClassScore("emu", precision=0.0, recall=None, f1=0.0, count=0),
    ]


def test_loss_by_hand(given_scores):
    # Softmax gives 1/4, 1/4, 1/2 for the first image, thirds for the second.
    result = given_scores([[0, 0, math.log(2)], [5, 5, 5]], 0, 1)
    assert result.loss == pytest.approx((math.log(4) + math.log(3)) / 2, rel=1e-6)


def test_scores_too_large_for_exp_give_a_finite_loss(given_scores):
    result = given_scores([[1e4, 0, 0], [0, -3e38, 0]], 1, 1)
    assert result.loss == pytest.approx((1e4 + 3e38) / 2, rel=1e-6)


def test_of_equal_scores_the_first_class_is_called(given_scores):
    assert given_scores([[1, 1, 1]], 2).confusion.tolist() == [[0, 0, 0], [0, 0, 0], [1, 0, 0]]


def test_as_plain_data_it_is_json_without_nan(given_scores):
    result = given_scores(called(0, 2), 0, 0)
    plain = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert plain["accuracy"] == 0.5
    assert plain["count"] == 2
    assert plain["confusion"] == [[1, 0, 1], [0, 0, 0], [0, 0, 0]]
    assert plain["classes"][1] == {
        **dict.fromkeys(("precision", "recall", "f1")),
        "name": "dog",
        "count": 0,
    }
    assert plain["loss"] == result.loss
    assert plain["seconds"] >= 0


def test_without_names_classes_are_numbered(given_scores):
    result = given_scores(called(0), 0, net=network(classes=None))
    assert result.classes == ("0", "1", "2")


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_outputs_that_are_no_numbers_are_an_error(given_scores, bad):
    with pytest.raises(NeocogError, match="NaN or infinite"):
        given_scores([[0, 1, 2], [0, bad, 1]], 0, 1)


def test_a_real_network_agrees_with_the_formulas():
    rng = np.random.default_rng(0)
    net = network()
    net.initialize(1)
    data = Dataset(rng.integers(0, 256, (101, 4, 4, 3), np.uint8), rng.integers(0, 3, 101))
    x = reference.preprocess(data.images, (0.5,) * 3, (0.5,) * 3)
    weights = {name: value.astype(np.float64) for name, value in net.state_dict().items()}
    z = reference.forward(net, weights, x)["fc"]
    result = neocog.evaluate(net, data)
    assert result.loss == pytest.approx(reference.cross_entropy(z, data.labels).mean(), abs=1e-5)
    confusion = np.zeros((3, 3), int)
    for label, row in zip(data.labels, z, strict=True):
        confusion[label, row.argmax()] += 1
    np.testing.assert_array_equal(result.confusion, confusion)
    assert result.accuracy == pytest.approx(np.trace(confusion) / 101)


def test_no_images():
    net = network()
    net.initialize(0)
    with pytest.raises(DataError, match="no images"):
        neocog.evaluate(net, labeled())


@pytest.mark.parametrize(("labels", "shown"), [((0, 3), "from 0 to 3"), ((-1, 2), "from -1 to 2")])
def test_labels_that_are_no_classes(labels, shown):
    net = network()
    net.initialize(0)
    with pytest.raises(DataError, match=f"{shown}, but the network has 3 classes"):
        neocog.evaluate(net, labeled(*labels))


def test_images_of_another_size():
    net = network()
    net.initialize(0)
    data = Dataset(np.zeros((2, 4, 5, 3), np.uint8), np.zeros(2, np.int64))
    with pytest.raises(DataError, match="5"):
        neocog.evaluate(net, data)


@pytest.mark.parametrize("threads", [0, -1])
def test_no_threads(threads):
    net = network()
    net.initialize(0)
    with pytest.raises(
        NeocogError, match=rf"threads \(={threads}\) must be a whole number from 1 to 256"
    ):
        neocog.evaluate(net, labeled(0), threads=threads)


def test_a_network_without_weights():
    with pytest.raises(NeocogError, match="no parameters yet"):
        neocog.evaluate(network(), labeled(0))


# Views


def noisy(images=21, height=4, width=4):
    rng = np.random.default_rng(5)
    pixels = rng.integers(0, 256, (images, height, width, 3), np.uint8)
    return Dataset(pixels, rng.integers(0, 3, images))


def by_hand(net, images, tta):
    """Means of scores over views that are made pixel by pixel."""

    def scores(views):
        return net.predict_scores(np.ascontiguousarray(views)).astype(np.float64)

    def flipped(views):
        return (scores(views) + scores(views[:, :, ::-1])) / 2

    def moved(by):
        n = images.shape[1]

        def mirrored(at):
            return -at if at < 0 else 2 * (n - 1) - at if at >= n else at

        rows = [mirrored(at - by) for at in range(n)]
        return images[:, rows][:, :, rows]

    if tta == "flip":
        return flipped(images)
    return (flipped(images) + (flipped(moved(1)) + flipped(moved(-1))) / 2) / 2


@pytest.mark.parametrize("tta", ["flip", "flip+shift"])
def test_scores_are_means_over_views(tta, monkeypatch):
    monkeypatch.setattr(views, "_CHUNK", 8)
    net, data = network(), noisy()
    net.initialize(2)
    z = by_hand(net, data.images, tta)
    found = evaluation.mean_scores(net, data.images, tta=tta)
    np.testing.assert_allclose(found, z, rtol=1e-12, atol=1e-12)
    result = neocog.evaluate(net, data, tta=tta)
    assert result.loss == pytest.approx(reference.cross_entropy(z, data.labels).mean(), abs=1e-9)
    assert result.accuracy == pytest.approx((z.argmax(axis=1) == data.labels).mean())
    probabilities = neocog.predict_proba(net, data.images, tta=tta)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, reference.softmax(z), atol=1e-6)
    assert np.abs(z - evaluation.mean_scores(net, data.images)).max() > 0.01


def test_a_mirror_image_has_the_same_mean():
    net, data = network(), noisy()
    net.initialize(2)
    first = evaluation.mean_scores(net, data.images, tta="flip+shift")
    mirrored = np.ascontiguousarray(data.images[:, :, ::-1])
    found = evaluation.mean_scores(net, mirrored, tta="flip")
    np.testing.assert_allclose(
        found, evaluation.mean_scores(net, data.images, tta="flip"), rtol=1e-12
    )
    assert first.shape == (21, 3)


def test_without_views_probabilities_are_the_networks():
    net, data = network(), noisy()
    net.initialize(2)
    np.testing.assert_array_equal(
        neocog.predict_proba(net, data.images), net.predict_proba(data.images)
    )
    assert neocog.predict_proba(net, data.images[:0], tta="flip").shape == (0, 3)


@pytest.mark.parametrize("tta", ["flop", "none", True])
def test_unknown_views(tta):
    net = network()
    net.initialize(0)
    for look in (neocog.evaluate, lambda n, d, tta: neocog.predict_proba(n, d.images, tta=tta)):
        with pytest.raises(NeocogError, match=r"tta \(=.*\) must be None or one of 'flip', "):
            look(net, noisy(), tta=tta)


def test_images_of_one_pixel_have_views():
    net = neocog.Network(input_shape=(3, 1, 1), flatten=Flatten(), fc=Linear(3, 3))
    net.initialize(0)
    data = noisy(5, 1, 1)
    np.testing.assert_allclose(
        evaluation.mean_scores(net, data.images, tta="flip+shift"),
        evaluation.mean_scores(net, data.images),
        rtol=1e-12,
    )
