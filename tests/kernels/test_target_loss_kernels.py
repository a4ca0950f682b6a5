"""Binary cross-entropy and squared error alone against `neocog.reference` in float64."""

from math import inf, nan

import numpy as np
import pytest
from cases import double, generator, in_parts, once
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_caller import TINY, UNIT, Buffer, assert_within, blank, call, flat, maps, read, step
from test_cross_entropy_kernels import SETTINGS, mixing_of

from neocog import reference
from neocog.kernels.compiler.spec import kind_of
from neocog.kernels.loss import binary_cross_entropy as binary
from neocog.kernels.loss import squared_error as squared
from neocog.kernels.loss.binary_cross_entropy import binary_cross_entropy
from neocog.kernels.loss.squared_error import squared_error
from neocog.kernels.loss.targets import Targets

EPSILON = np.finfo(np.float64).eps
FORMULAS = {
    binary_cross_entropy: (
        reference.binary_cross_entropy,
        reference.binary_cross_entropy_backward,
    ),
    squared_error: (reference.squared_error, reference.squared_error_backward),
}


def run(kernel, spec, z, targets, order, begin, weights=None, of_true=None, *, finite=True):
    """The losses and the gradient of a batch that begins in the middle of an epoch."""
    n = len(z)
    dz, losses, zs = blank(spec.z, n), Buffer(n, 1, np.float64), maps(spec.z, z[..., None, None])
    others = {"order": flat(order, np.int64), "targets": flat(targets)}
    others["step"] = step(n, begin=begin, total=len(order))
    others["augment"] = flat(SETTINGS, np.int64) if spec.mixup else None
    others["sample_weights"] = flat(weights) if spec.sample_weighted else None
    if kernel is binary_cross_entropy:
        others["pos_weight"] = flat(of_true) if spec.weighted else None
    for first, count in in_parts(n):
        operands = {"z": (zs, first), "dz": (dz, first), "losses": (losses, first)} | others
        call(kernel, spec, count=count, first=first, **operands)
    return losses.items[:, 0], read(spec.z, dz, finite=finite)[..., 0, 0]


def check(kernel, spec, n, seed):
    rng = generator(kernel.__name__, spec, n, seed)
    z = (rng.normal(size=(n, spec.outputs)) * 10 ** rng.uniform(-2, 2)).astype(np.float32)
    targets = rng.uniform(0, 1, (2 * n, spec.outputs)).astype(np.float32)
    targets[rng.random(targets.shape) < 0.5] = 1
    order, begin = rng.permutation(2 * n), n // 2
    weights = rng.uniform(0, 3, 2 * n).astype(np.float32) if spec.sample_weighted else None
    of_true = rng.uniform(0, 9, spec.outputs).astype(np.float32) if spec.weighted else None
    losses, dz = run(kernel, spec, z, targets, order, begin, weights, of_true)

    own = order[begin : begin + n]
    share, rotation = 1.0, 0
    if spec.mixes:
        share, rotation = mixing_of(spec.mixup, SETTINGS, np.array([begin, n]))
    parts = [(share, own), (1 - share, own[(np.arange(n) + rotation) % n])]
    a = np.ones(2 * n) if weights is None else double(weights)
    loss, gradient = FORMULAS[kernel]
    whole = a[own].sum()
    more = {"pos_weight": double(of_true)} if spec.weighted else {}
    of = [(part * a[chosen], double(targets)[chosen]) for part, chosen in parts]
    expected = sum(loss(double(z), t, weight, **more) for weight, t in of) * n / whole
    slopes = (
        sum(gradient(double(z), t, weight, **more) for weight, t in of) / whole / spec.accumulate
    )
    # A few float64 operations on numbers no larger than this, and of dz the rounding to float32.
    size = (np.abs(double(z)).max(initial=0) + 1) ** 2 * sum(weight for weight, _ in of) * n / whole
    size = size * (1 if of_true is None else 1 + of_true.max())
    bound = (spec.outputs + 20) * EPSILON * size
    assert_within(losses, expected, bound)
    assert_within(dz, slopes, (UNIT * np.abs(slopes) + bound[:, None]) + TINY)


SPECS = st.builds(
    Targets,
    outputs=st.integers(1, 70),
    mixup=st.sampled_from([0.0, 0.7]),
    accumulate=st.sampled_from([1, 3]),
    sample_weighted=st.booleans(),
    weighted=st.booleans(),
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(spec=SPECS, n=st.integers(1, 7), seed=st.integers(0, 999))
def test_binary_cross_entropy(spec, n, seed):
    check(binary_cross_entropy, spec, n, seed)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    outputs=st.integers(1, 70),
    accumulate=st.sampled_from([1, 3]),
    weighted=st.booleans(),
    n=st.integers(1, 7),
    seed=st.integers(0, 999),
)
def test_squared_error(outputs, accumulate, weighted, n, seed):
    spec = Targets(outputs, accumulate=accumulate, sample_weighted=weighted)
    check(squared_error, spec, n, seed)


@once
@pytest.mark.parametrize("value", [nan, inf, -inf])
@pytest.mark.parametrize("kernel", FORMULAS, ids=lambda kernel: kernel.__name__)
def test_scores_that_are_not_finite(kernel, value):
    """A wrong score is seen in its image's loss, unless it is right without end."""
    spec = Targets(2)
    z, targets = np.float32([[value, 0], [0, 0]]), np.float32([[0.5, 1], [0, 1]])
    losses, _ = run(kernel, spec, z, targets, np.arange(2), 0, finite=False)
    with np.errstate(invalid="ignore"):
        expected = FORMULAS[kernel][0](double(z), double(targets))
    assert_within(losses, expected, 8 * EPSILON)


@pytest.mark.parametrize("kernel", FORMULAS, ids=lambda kernel: kernel.__name__)
def test_images_whose_weights_are_all_zero_have_no_loss_and_no_gradient(kernel):
    spec = Targets(3, sample_weighted=True)
    z, targets = np.ones((2, 3), np.float32), np.zeros((4, 3), np.float32)
    losses, dz = run(kernel, spec, z, targets, np.arange(4), 1, np.float32([1, 0, 0, 1]))
    np.testing.assert_array_equal(losses, 0)
    np.testing.assert_array_equal(dz, 0)


@settings(deadline=None)
@given(spec=SPECS)
def test_every_loss_is_of_a_listed_kind(spec):
    kinds = {(kernel, kind_of(of)) for module in (binary, squared) for kernel, of in module.kinds()}
    assert (binary_cross_entropy, kind_of(spec)) in kinds
    if not (spec.mixes or spec.weighted):  # the settings refuse that
        assert (squared_error, kind_of(spec)) in kinds
