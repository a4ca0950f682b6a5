"""The head is scikit-learn's optimum, written for features as they are."""

import numpy as np
import pytest

from neocog.transfer import axes as axes_module
from neocog.transfer import cross_validation
from neocog.transfer import head as head_module
from neocog.transfer.cross_validation import folds_of, sample_of
from neocog.transfer.head import fit_head

linear_model = pytest.importorskip("sklearn.linear_model")


def features(n, count, classes, seed=0, views=2):
    """Views of features of very different sizes, and the classes."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    centers = rng.normal(size=(classes, count))
    whole = centers[labels] + 1.2 * rng.normal(size=(n, count))
    several = [whole + 0.1 * rng.normal(size=whole.shape) for _ in range(views)]
    size, shift = np.geomspace(0.01, 10, count), rng.normal(size=count)
    return [(one * size + shift).astype(np.float32) for one in several], labels


def standardized(views):
    rows = np.concatenate(views).astype(np.float64)
    return rows.mean(axis=0), rows.std(axis=0)


@pytest.mark.parametrize(("n", "count", "classes"), [(60, 12, 3), (40, 70, 2), (30, 8, 5)])
def test_the_optimum_of_standardized_features(n, count, classes):
    views, labels = features(n, count, classes)
    found = fit_head(views, labels, classes, "cross-entropy")
    mean, deviation = standardized(views)
    x = (np.concatenate(views) - mean) / deviation
    model = linear_model.LogisticRegression(C=found.strength, tol=1e-12, max_iter=100_000)
    model.fit(x, np.tile(labels, 2), sample_weight=np.full(2 * n, 0.5))
    z = views[0].astype(np.float64) @ found.weight.T.astype(np.float64) + found.bias
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    expected = model.predict_proba((views[0] - mean) / deviation)
    np.testing.assert_allclose(p, expected, rtol=0, atol=1e-3)
    # Coefficients, too: of softmax they sum to zero over the classes, in both.
    weight = found.weight * deviation
    if classes == 2:
        weight = weight[1:] - weight[:1]
    np.testing.assert_allclose(weight, model.coef_, rtol=0, atol=1e-3)


def test_the_strength_is_that_of_the_least_loss_in_cross_validation():
    views, labels = features(60, 10, 3, views=1)
    found = fit_head(views, labels, 3, "cross-entropy", seed=4)
    mean, deviation = standardized(views)
    x = (views[0] - mean) / deviation
    fold, losses = folds_of(labels, 4), {}
    for strength in found.losses:
        p = np.empty((60, 3))
        for k in range(5):
            model = linear_model.LogisticRegression(C=strength, tol=1e-10, max_iter=100_000)
            p[fold == k] = model.fit(x[fold != k], labels[fold != k]).predict_proba(x[fold == k])
        losses[strength] = -np.log(p[np.arange(60), labels]).mean()
        assert found.losses[strength] == pytest.approx(losses[strength], abs=2e-3)
    assert found.strength == min(losses, key=losses.get)
    assert len(losses) < len(cross_validation.STRENGTHS)  # it stopped when the loss grew


def test_scores_are_of_heads_that_have_not_seen_the_picture():
    """Of labels that mean nothing a head that has seen them would know more than chance."""
    rng = np.random.default_rng(0)
    views = [rng.normal(size=(200, 150)).astype(np.float32)]
    labels = rng.integers(0, 2, 200)
    found = fit_head(views, labels, 2, "cross-entropy")
    accuracy = (found.scores.argmax(axis=1) == labels).mean()
    assert 0.35 < accuracy < 0.65


def test_folds_deal_every_class_evenly():
    labels = np.repeat([0, 1, 2], [23, 10, 7])
    fold = folds_of(labels, 0)
    for one in range(3):
        counts = np.bincount(fold[labels == one], minlength=5)
        assert counts.max() - counts.min() <= 1
    assert np.ptp(np.bincount(fold)) <= 1
    assert (fold == folds_of(labels, 0)).all()
    assert (fold != folds_of(labels, 1)).any()


@pytest.mark.parametrize(("least", "folds"), [(2, 2), (3, 3), (9, 5)])
def test_as_many_folds_as_the_smallest_class_allows(least, folds):
    labels = np.repeat([0, 1], [20, least])
    assert folds_of(labels, 0).max() + 1 == folds


def test_several_labels():
    views, labels = features(60, 9, 3)
    targets = np.stack([labels == 0, labels > 0], axis=1).astype(np.float32)
    found = fit_head(views, targets, 2, "binary-cross-entropy")
    mean, deviation = standardized(views)
    x = (np.concatenate(views) - mean) / deviation
    for k in range(2):
        model = linear_model.LogisticRegression(C=found.strength, tol=1e-12, max_iter=100_000)
        model.fit(x, np.tile(targets[:, k], 2), sample_weight=np.full(120, 0.5))
        np.testing.assert_allclose(found.weight[k] * deviation, model.coef_[0], atol=1e-3, rtol=0)


def test_numbers():
    views, labels = features(60, 9, 3)
    targets = np.stack([labels * 2.0 - 1, views[0][:, 0]], axis=1).astype(np.float32)
    found = fit_head(views, targets, 2, "mse")
    mean, deviation = standardized(views)
    x = (np.concatenate(views) - mean) / deviation
    model = linear_model.Ridge(alpha=1 / found.strength, solver="cholesky")
    model.fit(x, np.tile(targets, (2, 1)), sample_weight=np.full(120, 0.5))
    np.testing.assert_allclose(found.weight * deviation, model.coef_, atol=1e-3, rtol=0)


@pytest.mark.parametrize("loss", ["binary-cross-entropy", "mse"])
def test_one_output(loss):
    """The same as the first of two, as each has a regression of its own, if C is the same."""
    views, labels = features(60, 9, 2)
    targets = np.stack([labels, labels], axis=1).astype(np.float32)
    one = fit_head(views, targets[:, :1], 1, loss)
    two = fit_head(views, targets, 2, loss)
    assert one.weight.shape == (1, 9)
    np.testing.assert_allclose(one.weight[0], two.weight[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(one.bias[0], two.bias[0], rtol=1e-4, atol=1e-5)


def test_a_feature_that_never_varies_does_no_harm():
    views, labels = features(40, 6, 2)
    for view in views:
        view[:, 3] = 7.0
    found = fit_head(views, labels, 2, "cross-entropy")
    assert np.isfinite(found.weight).all()
    assert abs(found.weight[:, 3]).max() < 1e-6


def test_features_that_are_all_the_same():
    found = fit_head([np.ones((10, 4), np.float32)], np.arange(10) % 2, 2, "cross-entropy")
    assert np.isfinite(found.weight).all()
    np.testing.assert_allclose(np.ptp(found.weight @ np.ones(4) + found.bias), 0, atol=1e-6)


def test_many_rows_are_kept_narrow(monkeypatch):
    views, labels = features(80, 10, 3)
    wide = fit_head(views, labels, 3, "cross-entropy")
    monkeypatch.setattr(axes_module, "_WIDE", 0)
    narrow = fit_head(views, labels, 3, "cross-entropy")
    assert narrow.strength == wide.strength
    np.testing.assert_allclose(narrow.weight, wide.weight, rtol=1e-3, atol=1e-4)


LOSSES = ["cross-entropy", "binary-cross-entropy", "mse"]


def of_loss(loss, n, seed=0):
    """Views of features, and what is learned of them."""
    views, labels = features(n, 12, 3, seed)
    if loss == "cross-entropy":
        return views, labels
    return views, (labels[:, None] == np.arange(3)).astype(np.float32)


@pytest.mark.parametrize("loss", LOSSES)
def test_many_pictures_have_the_optimum_of_all_by_the_strength_of_some(loss, monkeypatch):
    views, labels = of_loss(loss, 900)
    whole = fit_head(views, labels, 3, loss)
    assert whole.tried == 900
    monkeypatch.setattr(head_module, "_MOST_ROWS", 600)
    monkeypatch.setattr(axes_module, "_WIDE", 0)
    monkeypatch.setattr(cross_validation, "_ROUGH", 1e-9)  # so that scores can be compared
    found = fit_head(views, labels, 3, loss)
    assert 295 <= found.tried <= 305
    monkeypatch.setattr(cross_validation, "STRENGTHS", (found.strength,))
    monkeypatch.setattr(head_module, "_MOST_ROWS", 1800)
    right = fit_head(views, labels, 3, loss)
    np.testing.assert_allclose(found.weight, right.weight, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found.bias, right.bias, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found.scores, right.scores, rtol=1e-3, atol=1e-3)
    # The loss of the strength of some is nearly the least one of all.
    assert whole.losses[found.strength] < 1.01 * min(whole.losses.values())


@pytest.mark.parametrize("loss", LOSSES)
def test_scores_of_many_pictures_are_of_heads_that_have_not_seen_them(loss, monkeypatch):
    """Of labels that mean nothing a head that has seen them would know more than chance."""
    monkeypatch.setattr(head_module, "_MOST_ROWS", 200)
    rng = np.random.default_rng(0)
    views, labels = [rng.normal(size=(400, 150)).astype(np.float32)], rng.integers(0, 2, 400)
    targets = labels if loss == "cross-entropy" else np.eye(2, dtype=np.float32)[labels]
    found = fit_head(views, targets, 2, loss)
    assert 0.4 < (found.scores.argmax(axis=1) == labels).mean() < 0.6


def test_some_pictures_are_of_every_class_and_fold():
    labels = np.repeat([0, 1, 2], [900, 90, 6])
    fold = folds_of(labels, 0)
    some = sample_of(labels, fold, 100, 0)
    assert (np.diff(some) > 0).all()
    counts = np.zeros((3, 5), int)
    np.add.at(counts, (labels[some], fold[some]), 1)
    assert (counts == [[18] * 5, [2] * 5, [1] * 5]).all()
    assert (sample_of(labels, fold, 100, 0) == some).all()
    assert (sample_of(labels, fold, 100, 1) != some).any()
    assert (sample_of(labels, fold, 996, 0) == np.arange(996)).all()
    targets = np.zeros((500, 2), np.float32)
    assert len(sample_of(targets, folds_of(targets, 0), 100, 0)) == 100


@pytest.mark.parametrize(("most", "fits"), [(600, 6), (1800, 1)])
def test_progress_is_of_fits(most, fits, monkeypatch):
    monkeypatch.setattr(head_module, "_MOST_ROWS", most)
    views, labels = of_loss("mse", 900)
    told = []
    found = fit_head(views, labels, 3, "mse", progress=lambda *said: told.append(said))
    strengths = [("strength", 5 * k, 65) for k in range(len(found.losses))]
    assert told == [*strengths, ("strength", 65, 65), *(("head", k, fits) for k in range(fits + 1))]
