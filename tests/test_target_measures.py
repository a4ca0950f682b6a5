"""Measures of several labels an image and of numbers, against scikit-learn and by hand."""

import copy
import json
import math
import pickle

import numpy as np
import pytest

from neocog.evaluation.target_measures import (
    LabelsEvaluation,
    NumbersEvaluation,
    average_precision,
)


def labels(n=60, count=5, seed=0):
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, 2, (n, count)).astype(np.float32)
    # Few different probabilities, so that many are equal.
    p = np.clip(0.3 * targets + rng.integers(0, 8, (n, count)) / 10, 0, 1)
    return LabelsEvaluation(0.4, tuple("abcde"[:count]), targets, p, 1.0)


def numbers(n=40, seed=0):
    rng = np.random.default_rng(seed)
    targets = rng.normal(3, 2, (n, 2)).astype(np.float32)
    outputs = targets + rng.normal(0, 0.5, (n, 2))
    loss = float(((outputs - targets) ** 2).mean())
    return NumbersEvaluation(loss, ("x", "y"), targets, outputs, 1.0)


def test_labels_against_sklearn():
    metrics = pytest.importorskip("sklearn.metrics")
    found = labels()
    there, predicted = found.targets >= 0.5, found.probabilities >= 0.5
    assert found.accuracy == pytest.approx((there == predicted).mean())
    assert found.f1 == pytest.approx(metrics.f1_score(there, predicted, average="macro"))
    expected = metrics.average_precision_score(there, found.probabilities, average=None)
    np.testing.assert_allclose(found.average_precisions, expected, rtol=1e-12)
    assert found.mean_precision == pytest.approx(expected.mean())
    for threshold in (0.5, 0.8):
        found = labels()
        object.__setattr__(found, "threshold", threshold)
        scores = metrics.precision_recall_fscore_support(there, found.probabilities >= threshold)
        of_labels = found.precisions, found.recalls, found.f1_scores, found.counts
        for own, theirs in zip(of_labels, scores, strict=True):
            np.testing.assert_allclose(own, theirs, rtol=1e-12)


def test_numbers_against_sklearn():
    metrics = pytest.importorskip("sklearn.metrics")
    found = numbers()
    assert found.rmse == pytest.approx(
        metrics.root_mean_squared_error(found.targets.ravel(), found.outputs.ravel())
    )
    assert found.r2 == pytest.approx(metrics.r2_score(found.targets, found.outputs))
    each = metrics.mean_absolute_error(found.targets, found.outputs, multioutput="raw_values")
    np.testing.assert_allclose(found.maes, each, rtol=1e-12)
    assert found.mae == pytest.approx(each.mean())


def test_mistakes_by_hand():
    targets, p = np.float32([[1, 0], [0, 0]]), np.array([[0.4, 0.6], [0.9, 0.1]])
    found = LabelsEvaluation(0.1, ("a", "b"), targets, p, 0.0, names=("x.png", "y.png"))
    said = [(one.name, one.label, one.there, one.probability) for one in found.mistakes]
    assert said == [
        ("y.png", "a", False, 0.9),
        ("x.png", "a", True, 0.4),
        ("x.png", "b", False, 0.6),
    ]
    outputs = np.array([[1.0, 25.0], [4.5, 40.0]])  # deviations of the targets: 1 and 10
    numbers = NumbersEvaluation(0.1, ("a", "b"), np.float32([[2, 20], [4, 40]]), outputs, 0.0)
    assert [(one.name, one.output, one.error) for one in numbers.mistakes] == [
        ("0", "a", -1.0),
        ("0", "b", 5.0),
        ("1", "a", 0.5),
        ("1", "b", 0.0),
    ]


def test_average_precision_by_hand():
    """Precisions 1/1 and 2/3 where the two images are found that have the label."""
    there = np.array([True, False, True, False])
    assert average_precision(there, np.array([0.9, 0.8, 0.7, 0.1])) == pytest.approx(
        (1 + 2 / 3) / 2
    )
    assert average_precision(there, np.full(4, 0.5)) == 0.5
    assert math.isnan(average_precision(np.zeros(3, bool), np.ones(3)))


def test_labels_that_no_image_has_do_not_count():
    targets, p = np.float32([[1, 0], [0, 0]]), np.array([[0.9, 0.1], [0.2, 0.3]])
    found = LabelsEvaluation(0.1, ("a", "b"), targets, p, 0.0)
    assert found.accuracy == found.f1 == found.mean_precision == 1
    unknown = dict.fromkeys(("precision", "recall", "f1", "average_precision"))
    assert found.to_dict()["labels"][1] == {"name": "b", "count": 0, **unknown}


def test_numbers_whose_targets_are_all_equal():
    found = NumbersEvaluation(1.0, ("x",), np.ones((3, 1), np.float32), np.zeros((3, 1)), 0.0)
    assert math.isnan(found.r2) and found.to_dict()["r2"] is None


@pytest.mark.parametrize("result", [labels(), numbers()], ids=["labels", "numbers"])
def test_what_they_say(result):
    assert len(result) == len(result.targets)
    assert len(repr(result)) < 140 and len(result.line) < 80
    assert json.loads(json.dumps(result.to_dict())) == result.to_dict()
    for other in (copy.deepcopy(result), pickle.loads(pickle.dumps(result))):
        assert other.to_dict() == result.to_dict()
