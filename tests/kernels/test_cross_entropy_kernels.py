"""Cross-entropy with all that labels can be, against its formula in float64 and PyTorch."""

from math import inf, nan

import numba
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
from test_softmax_kernels import CLASSES, score_cases, share_bound

from neocog.kernels.compiler.numba_passes import KernelCompiler
from neocog.kernels.compiler.spec import kind_of
from neocog.kernels.input.mixup import draw_mixing
from neocog.kernels.layout import padded
from neocog.kernels.loss.cross_entropy import CrossEntropy, cross_entropy, kinds

EPSILON = np.finfo(np.float64).eps
SETTINGS = np.array([7, 3, 0, 0, 0])


@numba.njit(pipeline_class=KernelCompiler)
def mixing_of(alpha, settings, step):
    return draw_mixing(alpha, settings, step)


def run(spec, z, labels, order, begin, weights=None, *, sample_weights=None, finite=True):
    """The losses and the gradient of a batch that begins in the middle of an epoch."""
    n = len(z)
    told = step(n, begin=begin, total=len(order))
    dz, losses = blank(spec.z, n), Buffer(n, 1, np.float64)
    zs = maps(spec.z, z[..., None, None])
    filled = None
    if spec.weighted:
        filled = flat(np.pad(weights, (0, padded(spec.classes) - spec.classes)))
    others = {"order": flat(order, np.int64), "labels": flat(labels, np.int64), "step": told}
    others["class_weights"] = filled
    others["augment"] = flat(SETTINGS, np.int64) if spec.mixup else None
    others["sample_weights"] = flat(sample_weights) if spec.sample_weighted else None
    for first, count in in_parts(n):
        operands = {"z": (zs, first), "dz": (dz, first), "losses": (losses, first)} | others
        call(cross_entropy, spec, count=count, first=first, **operands)
    return losses.items[:, 0], read(spec.z, dz, finite=finite)[..., 0, 0]


def mixed(spec, order, begin, n):
    """The batch's images and their partners, and the share of the image itself."""
    own = order[begin : begin + n]
    if not spec.mixup:
        return own, own, 1.0
    share, rotation = mixing_of(spec.mixup, SETTINGS, np.array([begin, n]))
    return own, own[(np.arange(n) + rotation) % n], share


def goals(spec, label, weights):
    """(1 − ε) w[t] [j = t] + ε / K · w[j]: [n, classes]."""
    w = np.ones(spec.classes) if weights is None else weights.astype(np.float64)
    return (1 - spec.smoothing) * np.eye(spec.classes)[label] * w + (
        spec.smoothing / spec.classes * w
    )


def label_weights(label, weights):
    return np.ones(len(label)) if weights is None else double(weights)[label]


STAGES = [
    {},
    {"smoothing": 0.2},
    {"weighted": True},
    {"mixup": 0.7},
    {"smoothing": 0.1, "weighted": True, "mixup": 1.0, "accumulate": 4},
    {"smoothing": 1.0, "mixup": 0.3},
    {"sample_weighted": True},
    {"sample_weighted": True, "smoothing": 0.2},
    {"sample_weighted": True, "smoothing": 0.1, "weighted": True, "mixup": 1.0, "accumulate": 2},
]


@pytest.mark.parametrize("fields", STAGES, ids=lambda f: "-".join(f) or "plain")
@pytest.mark.parametrize("classes", CLASSES)
def test_cross_entropy(classes, fields):
    torch = pytest.importorskip("torch")
    spec = CrossEntropy(classes, **fields)
    z = score_cases(classes)
    n, begin = len(z), 3
    rng = generator(classes, *fields)
    labels, order = rng.integers(0, classes, 2 * n), rng.permutation(2 * n)
    weights = rng.uniform(0.1, 3, classes).astype(np.float32) if spec.weighted else None
    samples = rng.uniform(0, 3, 2 * n).astype(np.float32)
    samples[order[begin]] = 0
    losses, dz = run(spec, z, labels, order, begin, weights, sample_weights=samples)

    own, other, share = mixed(spec, order, begin, n)
    a = double(samples) if spec.sample_weighted else np.ones(2 * n)
    q = share * a[own, None] * goals(spec, labels[own], weights)
    q += (1 - share) * a[other, None] * goals(spec, labels[other], weights)
    whole = (a[own] * label_weights(labels[own], weights)).sum()
    mass = q.sum(axis=1, keepdims=True)
    below = z.max(axis=1, keepdims=True) - double(z)
    total = np.exp(-below).sum(axis=1)
    expected = (mass[:, 0] * np.log(total) + (q * below).sum(axis=1)) * n / whole
    p = np.exp(-below) / total[:, None]
    gradient = (mass * p - q) / whole / spec.accumulate

    z_bound, sum_bound = share_bound(z)
    # The logarithm of a sum that is off by a part of itself is off by that much; the rest is
    # float64: some sums over the classes, of scores of up to 3e38.
    rest = (2 * classes + 20) * EPSILON * ((q * below).sum(axis=1) + mass[:, 0] * 100)
    assert_within(
        losses, expected, n / whole * (1.001 * mass[:, 0] * (sum_bound + 2 * TINY) + rest)
    )
    # Three parts of q, each with its factors in float32 and their product, are taken off in turn,
    # and no difference on the way is larger than mass · p + q.
    bound = (mass * z_bound + 6 * UNIT * (mass * p + q)) / whole / spec.accumulate
    assert_within(dz, gradient, bound + 4 * TINY)

    # PyTorch's mean of the batch, and its gradient.
    scores = torch.tensor(double(z), requires_grad=True)
    asked = {
        "weight": None if weights is None else torch.tensor(double(weights)),
        "label_smoothing": spec.smoothing,
        "reduction": "none" if spec.sample_weighted else "mean",
    }
    both = [
        torch.nn.functional.cross_entropy(scores, torch.tensor(labels[chosen]), **asked)
        for chosen in (own, other)
    ]
    if spec.sample_weighted:
        both = [
            (torch.tensor(a[chosen]) * losses).sum() / whole
            for losses, chosen in zip(both, (own, other), strict=True)
        ]
    loss = sum(part * one for part, one in zip((share, 1 - share), both, strict=True))
    assert_within(expected.mean(), loss.item(), 100 * n * EPSILON * np.abs(expected).mean())
    (loss / spec.accumulate).backward()
    # p = exp(−below) is off by `below` roundings of itself, which is less than one of 1.
    far = (4 * classes + 100) * EPSILON * (mass + q)
    assert_within(gradient, scores.grad.numpy(), far / whole / spec.accumulate)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_scores_that_are_not_finite(value, smoothing):
    torch = pytest.importorskip("torch")
    classes = 10
    spec = CrossEntropy(classes, smoothing=smoothing)
    z = np.zeros((classes, classes), np.float32)
    np.fill_diagonal(z, value)
    labels = np.arange(classes)[::-1].copy()
    losses, _ = run(spec, z, labels, np.arange(classes), 0, finite=False)
    expected = torch.nn.functional.cross_entropy(
        torch.tensor(double(z)), torch.tensor(labels), reduction="none", label_smoothing=smoothing
    )
    assert_within(losses, expected.numpy(), 40 * UNIT)


def test_weights_that_are_all_zero_give_nan_as_in_torch():
    z = np.zeros((3, 4), np.float32)
    spec = CrossEntropy(4, weighted=True)
    weights = np.float32([0, 1, 1, 1])
    losses, dz = run(spec, z, np.zeros(3, int), np.arange(3), 0, weights, finite=False)
    assert np.isnan(losses).all()
    assert np.isnan(dz).all()


@pytest.mark.parametrize("fields", [{}, {"smoothing": 0.1, "weighted": True, "mixup": 0.5}])
def test_images_whose_weights_are_all_zero_have_no_loss_and_no_gradient(fields):
    z = score_cases(6)
    n = len(z)
    spec = CrossEntropy(6, sample_weighted=True, **fields)
    samples = np.zeros(n + 2, np.float32)
    samples[[0, -1]] = 1  # of the images before and after this batch
    labels = np.zeros(n + 2, int)
    weights = np.ones(6, np.float32)
    losses, dz = run(spec, z, labels, np.arange(n + 2), 1, weights, sample_weights=samples)
    np.testing.assert_array_equal(losses, 0)
    np.testing.assert_array_equal(dz, 0)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_equal_weights_of_images_change_nothing(smoothing):
    """Weights that are a power of two are not even rounded differently."""
    z = score_cases(10)
    n = len(z)
    labels, order = generator(10).integers(0, 10, n), np.arange(n)
    expected = run(CrossEntropy(10, smoothing), z, labels, order, 0)
    spec = CrossEntropy(10, smoothing, sample_weighted=True)
    found = run(spec, z, labels, order, 0, sample_weights=np.full(n, 0.25, np.float32))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_one_image_is_its_own_partner():
    z = score_cases(5)[:1]
    order, labels = np.arange(1), np.array([2])
    mixed_losses, mixed_dz = run(CrossEntropy(5, mixup=1.0), z, labels, order, 0)
    losses, dz = run(CrossEntropy(5), z, labels, order, 0)
    assert_within(mixed_losses, losses, 8 * EPSILON * np.abs(z).max())
    assert_within(mixed_dz, dz, 4 * UNIT)


@pytest.mark.parametrize("fields", STAGES, ids=lambda f: "-".join(f) or "plain")
def test_every_cross_entropy_is_of_a_listed_kind(fields):
    spec = CrossEntropy(77, **fields)
    assert (cross_entropy, kind_of(spec)) in [(kernel, kind_of(spec)) for kernel, spec in kinds()]
