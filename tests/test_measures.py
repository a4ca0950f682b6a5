"""Measures of a classifier, counted one by one, and as scikit-learn has them where it is there."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neocog.evaluation import wilson_interval
from neocog.evaluation.measures import class_scores, confusion_matrix, image_scores, macro

NAMES = tuple("abcde")


@st.composite
def labeled(draw):
    """Labels and predictions of the classes 0 to 4, some of which may not occur."""
    whole = st.integers(0, draw(st.integers(0, 4)))
    n = draw(st.integers(1, 40))
    labels, predicted = (draw(st.lists(whole, min_size=n, max_size=n)) for _ in range(2))
    return np.array(labels, np.int64), np.array(predicted, np.int64)


@pytest.mark.parametrize(
    ("right", "count", "low", "high"),
    [
        # R. G. Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in
        # Medicine 17 (1998), table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_intervals_as_published(right, count, low, high):
    assert wilson_interval(right, count) == pytest.approx((low, high), abs=6e-5)


@settings(deadline=None)
@given(st.integers(1, 10**6), st.data())
def test_the_ends_solve_wilsons_equation(count, data):
    """(p − x)² = q² x (1 − x) / n, of which the interval has the two roots."""
    right = data.draw(st.integers(0, count))
    low, high = wilson_interval(right, count)
    assert 0 <= low <= right / count <= high <= 1
    q = 1.959963984540054
    for x in (low, high):
        distance = (right / count - x) ** 2 - q * q * x * (1 - x) / count
        assert distance == pytest.approx(0, abs=1e-12)
    mirrored = wilson_interval(count - right, count)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-12)


def test_intervals_of_other_levels_and_of_nothing():
    (low, high), (wider, higher) = wilson_interval(8, 10), wilson_interval(8, 10, 0.99)
    assert wider < low < 0.8 < high < higher
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert wilson_interval(5, 5)[1] == 1.0


@settings(deadline=None)
@given(labeled())
def test_each_class_counted_one_by_one(pair):
    labels, predicted = pair
    confusion = confusion_matrix(labels, predicted, 5)
    scores = class_scores(confusion, NAMES)
    for k, score in enumerate(scores):
        both = sum(y == k and p == k for y, p in zip(labels, predicted, strict=True))
        of_class, called = list(labels).count(k), list(predicted).count(k)
        assert [confusion[k, j] for j in range(5)] == [
            sum(y == k and p == j for y, p in zip(labels, predicted, strict=True)) for j in range(5)
        ]
        assert (score.name, score.count) == (NAMES[k], of_class)
        assert score.recall == (both / of_class if of_class else None)
        assert score.precision == (both / called if called else None)
        if score.precision and score.recall:  # F1 is their harmonic mean
            assert score.f1 == pytest.approx(2 / (1 / score.precision + 1 / score.recall))
        else:
            assert score.f1 == (0.0 if of_class or called else None)


@settings(deadline=None)
@given(labeled())
def test_means_over_classes(pair):
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    expected = metrics.precision_recall_fscore_support(*pair, average="macro", zero_division=0)
    scores = class_scores(confusion_matrix(*pair, 5), NAMES)
    assert macro(scores) == pytest.approx(expected[:3], abs=1e-12)


def test_means_over_classes_by_hand():
    #                                   is: a a a b b c;  called: a a b b a b;  d, e: never
    confusion = confusion_matrix(np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 0, 1]), 5)
    precision, recall, f1 = macro(class_scores(confusion, NAMES))
    assert precision == pytest.approx((2 / 3 + 1 / 3 + 0) / 3)
    assert recall == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert f1 == pytest.approx((2 / 3 + 2 / 5 + 0) / 3)


@settings(deadline=None)
@given(st.integers(1, 7), st.integers(1, 6), st.floats(0.05, 20), st.data())
def test_ranks_probabilities_and_losses(n, classes, temperature, data):
    whole = st.integers(-4, 4)  # so that some are equal
    rows = st.lists(whole, min_size=classes, max_size=classes)
    z = np.array(data.draw(st.lists(rows, min_size=n, max_size=n)), np.float64)
    labels = np.array(
        data.draw(st.lists(st.integers(0, classes - 1), min_size=n, max_size=n)), np.int64
    )
    found = image_scores(z, labels, temperature)
    np.testing.assert_array_equal(found.predicted, z.argmax(axis=1))
    for i in range(n):
        # A stable order: of equal scores the first class is the first.
        order = sorted(range(classes), key=lambda k: -z[i, k])
        assert found.ranks[i] == order.index(labels[i])
        powers = [math.exp(value / temperature) for value in z[i]]
        p = powers[labels[i]] / sum(powers)
        assert found.label_probability[i] == pytest.approx(p, rel=1e-9)
        assert found.confidence[i] == pytest.approx(max(powers) / sum(powers), rel=1e-9)
        assert found.losses[i] == pytest.approx(-math.log(p), rel=1e-9, abs=1e-12)


def test_a_probability_that_is_rounded_to_zero_has_a_finite_loss():
    found = image_scores(np.array([[0.0, 1e5]]), np.array([0]), 0.5)
    assert found.label_probability[0] == 0
    assert found.losses[0] == pytest.approx(2e5)


def test_more_images_than_are_looked_at_together(monkeypatch):
    rng = np.random.default_rng(0)
    z, labels = rng.normal(size=(50, 4)), rng.integers(0, 4, 50)
    whole = image_scores(z, labels, 1.5)
    monkeypatch.setattr("neocog.evaluation.measures._CHUNK", 7)
    for one, other in zip(
        vars(whole).values(), vars(image_scores(z, labels, 1.5)).values(), strict=True
    ):
        np.testing.assert_array_equal(one, other)
