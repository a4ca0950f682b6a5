"""The cross-entropy with smoothing, weights and mixed labels against PyTorch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neocog import reference

quick = settings(max_examples=60, deadline=None, derandomize=True)


@pytest.fixture(scope="module")
def torch():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    return torch


def assert_close(actual, expected):
    expected = expected.detach().numpy() if hasattr(expected, "detach") else expected
    np.testing.assert_allclose(actual, expected, rtol=1e-11, atol=1e-11)


@st.composite
def cases(draw):
    """z, two rows of labels, weights, smoothing."""
    n, classes = draw(st.integers(1, 6)), draw(st.integers(1, 9))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    z = rng.normal(0, draw(st.floats(0.1, 100)), (n, classes))
    labels = rng.integers(0, classes, (2, n))
    weight = rng.uniform(0.1, 3, classes) if draw(st.booleans()) else None
    return z, *labels, weight, draw(st.sampled_from([0.0, 0.1, 0.7]))


@quick
@given(cases())
def test_the_labels_score_and_its_gradient(torch, case):
    z, labels, *_ = case
    tz = torch.tensor(z, requires_grad=True)
    score = tz.gather(1, torch.tensor(labels)[:, None])[:, 0]
    score.sum().backward()
    assert_close(reference.label_score(z, labels), score)
    assert_close(reference.label_score_backward(z, labels), tz.grad)


@quick
@given(cases())
def test_the_mean_is_that_of_torch(torch, case):
    z, labels, _other, weight, smoothing = case
    tz = torch.tensor(z, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(
        tz,
        torch.tensor(labels),
        weight=None if weight is None else torch.tensor(weight),
        label_smoothing=smoothing,
    )
    expected.backward()
    options = {"smoothing": smoothing, "weight": weight}
    divisor = reference.cross_entropy_divisor(z, labels, weight=weight)
    losses = reference.cross_entropy(z, labels, **options)
    assert losses.shape == (len(z),)
    assert_close(losses.sum() / divisor, expected)
    assert_close(reference.cross_entropy_backward(z, labels, **options) / divisor, tz.grad)


@quick
@given(cases(), st.data())
def test_mixed_labels_are_probabilities_of_torch(torch, case, data):
    z, labels, other, _weight, smoothing = case
    share = np.array([data.draw(st.floats(0, 1)) for _ in z])
    t = np.zeros_like(z)
    np.add.at(t, (np.arange(len(z)), labels), share)
    np.add.at(t, (np.arange(len(z)), other), 1 - share)
    assert_close(reference.mixed_targets(z, labels, other, share), t)
    tz = torch.tensor(z, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(
        tz, torch.tensor(t), label_smoothing=smoothing, reduction="none"
    )
    expected.sum().backward()
    options = {"other": other, "share": share, "smoothing": smoothing}
    assert_close(reference.cross_entropy(z, labels, **options), expected)
    assert_close(reference.cross_entropy_backward(z, labels, **options), tz.grad)
    assert reference.cross_entropy_divisor(z, labels, other=other, share=share) == len(z)


@quick
@given(cases(), st.floats(0, 1))
def test_mixed_labels_are_two_losses_mixed(case, share):
    """With weights too, as both batches of labels have the same divisor where they are the same."""
    z, labels, _other, weight, smoothing = case
    other = np.roll(labels, 1)
    options = {"smoothing": smoothing, "weight": weight}
    divisor = reference.cross_entropy_divisor(z, labels, weight=weight)
    first, second = (
        reference.cross_entropy(z, chosen, **options).sum() / divisor for chosen in (labels, other)
    )
    mixed = reference.cross_entropy(z, labels, other=other, share=share, **options).sum()
    total = reference.cross_entropy_divisor(z, labels, other=other, share=share, weight=weight)
    assert_close(total, divisor)
    assert_close(mixed / total, share * first + (1 - share) * second)


@quick
@given(cases(), st.floats(0, 1))
def test_sample_weights_are_those_of_torch(torch, case, share):
    """The mean with the weights of samples and classes; both labels mixed have the same divisor."""
    z, labels, _other, weight, smoothing = case
    samples = np.random.default_rng(len(z)).uniform(0.1, 3, len(z))
    samples[1:2] = 0
    tz = torch.tensor(z, requires_grad=True)
    class_weight = np.ones(z.shape[1]) if weight is None else weight

    def mean(labels, samples):
        losses = torch.nn.functional.cross_entropy(
            tz,
            torch.tensor(labels),
            weight=torch.tensor(class_weight),
            label_smoothing=smoothing,
            reduction="none",
        )
        return (torch.tensor(samples) * losses).sum() / (samples * class_weight[labels]).sum()

    options = {"smoothing": smoothing, "weight": weight, "sample_weight": samples}
    divisor = reference.cross_entropy_divisor(z, labels, weight=weight, sample_weight=samples)
    expected = mean(labels, samples)
    expected.backward()
    assert_close(reference.cross_entropy(z, labels, **options).sum() / divisor, expected)
    assert_close(reference.cross_entropy_backward(z, labels, **options) / divisor, tz.grad)

    partners = {"other": np.roll(labels, 1), "other_weight": np.roll(samples, 1), "share": share}
    tz.grad = None
    expected = share * mean(labels, samples) + (1 - share) * mean(
        np.roll(labels, 1), np.roll(samples, 1)
    )
    expected.backward()
    options |= partners
    assert_close(
        reference.cross_entropy_divisor(
            z, labels, weight=weight, sample_weight=samples, **partners
        ),
        divisor,
    )
    assert_close(reference.cross_entropy(z, labels, **options).sum() / divisor, expected)
    assert_close(reference.cross_entropy_backward(z, labels, **options) / divisor, tz.grad)


def test_samples_that_all_weigh_nothing_have_no_loss():
    z, labels, nothing = np.array([[0.0, 3.0], [1.0, 2.0]]), np.array([0, 1]), np.zeros(2)
    assert reference.cross_entropy_divisor(z, labels, sample_weight=nothing) == 1
    losses = reference.cross_entropy(z, labels, smoothing=0.1, sample_weight=nothing)
    gradient = reference.cross_entropy_backward(z, labels, smoothing=0.1, sample_weight=nothing)
    np.testing.assert_array_equal(losses, [0, 0])
    np.testing.assert_array_equal(gradient, [[0, 0], [0, 0]])


def test_scores_of_minus_infinity_count_only_where_they_are_meant():
    z, labels = np.array([[0.0, -np.inf, 0.0], [0.0, -np.inf, 0.0]]), np.array([0, 1])
    losses = reference.cross_entropy(z, labels)
    assert_close(losses[0], np.log(2))
    assert losses[1] == np.inf
    assert np.isinf(reference.cross_entropy(z, labels, smoothing=0.1)).all()


def test_nan_stays():
    z = np.array([[0.0, np.nan]])
    assert np.isnan(reference.cross_entropy(z, np.array([0]))).all()
    assert np.isnan(reference.cross_entropy_backward(z, np.array([0]))).all()
