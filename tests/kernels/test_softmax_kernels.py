"""The softmax kernels alone against `neocog.reference` in float64; see `cases`."""

from math import inf, nan

import numpy as np
import pytest
from cases import double, generator, in_parts
from kernel_caller import (
    TINY,
    UNIT,
    Buffer,
    assert_within,
    blank,
    call,
    flat,
    maps,
    read,
    step,
)

from neocog import reference
from neocog.kernels.compiler.spec import kind_of
from neocog.kernels.loss import label_score
from neocog.kernels.loss import softmax as softmax_module
from neocog.kernels.loss.cross_entropy import CrossEntropy, cross_entropy
from neocog.kernels.loss.label_score import score_of_label
from neocog.kernels.loss.softmax import Softmax, softmax

# The exponential's own error, in units of UNIT: two in the last place.
EXP = 4


def share_bound(z):
    """Bounds of the probabilities of z [N, classes], and of the sum of exponentials relative to it.

    Where x is rounded by |x| u, exp(x) changes by that much of itself.
    """
    z = double(z)
    below = z.max(axis=1, keepdims=True) - z
    e = np.exp(-below)
    of_one = (below + EXP) * UNIT
    total = e.sum(axis=1, keepdims=True)
    of_sum = ((e * of_one).sum(axis=1, keepdims=True)) / total + z.shape[1] * (UNIT + TINY)
    # The quotient, the share of a batch and the product are three more; what is too small is zero.
    return e / total * (of_one + of_sum + 3 * UNIT) * 1.001 + 4 * TINY, of_sum[:, 0]


def score_cases(classes):
    rng = generator(classes)
    rows = [
        rng.normal(size=classes) * 3,
        rng.normal(size=classes) * 30,
        np.zeros(classes),
        np.full(classes, 1e4),
        rng.choice([-1e4, 1e4], classes),
        rng.choice([-88.0, 88.0], classes),
        np.where(np.arange(classes) == classes // 2, 88.0, 0.0),
        np.where(np.arange(classes) == classes // 2, -88.0, 0.0),
        np.linspace(-87.4, 0, classes),
        rng.choice([-3e38, 0.0], classes),
        rng.integers(-1, 2, classes),
    ]
    return np.array(rows, np.float32)


# 1 and 2 classes, whole vectors, one more and one less than a vector.
CLASSES = [1, 2, 10, 16, 33, 100, 1000]


@pytest.mark.parametrize("classes", CLASSES)
def test_softmax(classes):
    z = score_cases(classes)
    spec = Softmax(classes)
    scores, p = Buffer(len(z), classes), Buffer(len(z), classes)
    call(softmax, spec, count=len(z), z=maps(spec.z, z[..., None, None]), scores=scores, p=p)
    np.testing.assert_array_equal(scores.items, z)
    assert_within(p.items, reference.softmax(double(z)), share_bound(z)[0])
    sums = p.items.astype(np.float64).sum(axis=1)
    assert_within(sums, np.ones(len(z)), (2 * classes + 8) * UNIT)


def test_the_exponential_is_within_two_units_in_the_last_place():
    """Softmax leaves exp(z − max z) where z was; with a maximum of 0 nothing else is rounded."""
    spec = Softmax(2)
    z = np.zeros((4000, 2), np.float32)
    z[:, 1] = -np.concatenate([np.linspace(0, 2, 2000), np.linspace(2, 90, 2000)])
    zs, n = maps(spec.z, z[..., None, None]), len(z)
    call(softmax, spec, count=n, z=zs, scores=Buffer(n, 2), p=Buffer(n, 2))
    expected = np.exp(double(z))
    assert_within(zs.items[:, :2], expected, EXP * UNIT * expected + TINY)


@pytest.mark.parametrize("classes", CLASSES)
@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_softmax_of_what_is_not_finite(classes, value):
    spec = Softmax(classes)
    z = np.zeros((classes, classes), np.float32)
    np.fill_diagonal(z, value)
    scores, p = Buffer(classes, classes), Buffer(classes, classes)
    call(softmax, spec, count=classes, z=maps(spec.z, z[..., None, None]), scores=scores, p=p)
    np.testing.assert_array_equal(scores.items, z)
    with np.errstate(invalid="ignore"):
        expected = reference.softmax(double(z))
    assert_within(p.items, expected, (classes + EXP + 3) * UNIT)


@pytest.mark.parametrize("classes", CLASSES)
def test_softmax_cross_entropy(classes):
    z = score_cases(classes)
    n, begin = len(z), 3
    rng = generator(classes)
    spec = CrossEntropy(classes)
    labels = rng.integers(0, classes, 2 * n)
    order = rng.permutation(2 * n)
    dz = blank(spec.z, n)
    losses = Buffer(n, 1, np.float64)
    told = step(n, begin=begin, total=2 * n)
    zs = maps(spec.z, z[..., None, None])
    for first, count in in_parts(n):
        operands = {"z": (zs, first), "dz": (dz, first), "losses": (losses, first)}
        operands |= {"order": flat(order, np.int64), "labels": flat(labels, np.int64)}
        call(cross_entropy, spec, count=count, first=first, **operands, step=told)
    own = labels[order[begin : begin + n]]
    z_bound, sum_bound = share_bound(z)
    # The logarithm of a sum that is off by a part of itself is off by that much; the rest is
    # float64, but for scores of 3e38.
    spread = np.abs(double(z)).max(axis=1)
    bound = 1.001 * sum_bound + 2 * TINY + 4 * np.finfo(np.float64).eps * (spread + 100)
    assert_within(losses.items[:, 0], reference.cross_entropy(double(z), own), bound)
    expected = reference.cross_entropy_backward(double(z), own) / n
    # y − t once more rounded, and the share itself, which is taken off where y is the label's.
    bound = (z_bound + 2 * UNIT) / n
    assert_within(read(spec.z, dz)[..., 0, 0], expected, bound)


@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_cross_entropy_of_what_is_not_finite(value):
    classes = 10
    spec = CrossEntropy(classes)
    z = np.zeros((classes, classes), np.float32)
    np.fill_diagonal(z, value)
    labels = np.arange(classes)[::-1].copy()
    losses = Buffer(classes, 1, np.float64)
    zs = maps(spec.z, z[..., None, None])
    operands = {"z": zs, "dz": blank(spec.z, classes), "losses": losses, "step": step(classes)}
    operands |= {"order": flat(np.arange(classes), np.int64), "labels": flat(labels, np.int64)}
    call(cross_entropy, spec, count=classes, **operands)
    with np.errstate(invalid="ignore"):
        expected = reference.cross_entropy(double(z), labels)
    assert_within(losses.items[:, 0], expected, (classes + EXP) * UNIT)


@pytest.mark.parametrize("classes", CLASSES)
def test_score_of_label(classes):
    """Nothing is rounded, nor divided by the images of the batch."""
    z = score_cases(classes)
    n, begin = len(z), 2
    rng = generator("score", classes)
    spec = Softmax(classes)
    labels = rng.integers(0, classes, 2 * n)
    order = rng.permutation(2 * n)
    zs, dz = maps(spec.z, z[..., None, None]), blank(spec.z, n)
    losses = Buffer(n, 1, np.float64)
    tail = {"order": flat(order, np.int64), "labels": flat(labels, np.int64)}
    tail["step"] = step(n, begin=begin, total=2 * n)
    for first, count in in_parts(n):
        operands = {"z": (zs, first), "dz": (dz, first), "losses": (losses, first)} | tail
        call(score_of_label, spec, count=count, first=first, **operands)
    own = labels[order[begin : begin + n]]
    np.testing.assert_array_equal(losses.items[:, 0], reference.label_score(double(z), own))
    expected = reference.label_score_backward(double(z), own)
    np.testing.assert_array_equal(read(spec.z, dz)[..., 0, 0], expected)


@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_score_of_label_of_what_is_not_finite(value):
    """The score is what it is, and the gradient does not depend on it."""
    classes = 10
    spec = Softmax(classes)
    z = np.zeros((2, classes), np.float32)
    z[0, 3], z[1, 4] = value, value
    losses, dz = Buffer(2, 1, np.float64), blank(spec.z, 2)
    operands = {"z": maps(spec.z, z[..., None, None]), "dz": dz, "losses": losses}
    operands |= {"order": flat([0, 1], np.int64), "labels": flat([3, 3], np.int64), "step": step(2)}
    call(score_of_label, spec, count=2, **operands)
    np.testing.assert_array_equal(losses.items[:, 0], [value, 0])
    expected = np.tile(np.arange(classes) == 3, (2, 1))
    np.testing.assert_array_equal(read(spec.z, dz)[..., 0, 0], expected)


def test_any_number_of_classes_is_of_a_listed_kind():
    for module, kernel in ((softmax_module, softmax), (label_score, score_of_label)):
        assert [(k, kind_of(s)) for k, s in module.kinds()] == [(kernel, kind_of(Softmax(77)))]
