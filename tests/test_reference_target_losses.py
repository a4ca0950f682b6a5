"""Binary cross-entropy and squared error against PyTorch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neocog import reference

quick = settings(max_examples=40, deadline=None, derandomize=True)
LOSSES = {
    "binary_cross_entropy": "binary_cross_entropy_with_logits",
    "squared_error": "mse_loss",
}


@quick
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", LOSSES)
@given(n=st.integers(1, 6), outputs=st.integers(1, 9), seed=st.integers(0, 2**16))
def test_losses_with_targets(name, weighted, n, outputs, seed):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(seed)
    z, t = rng.normal(0, 30, (n, outputs)), rng.uniform(0, 1, (n, outputs))
    weight = rng.uniform(0, 3, n) if weighted else None
    tz = torch.tensor(z, requires_grad=True)
    each = getattr(torch.nn.functional, LOSSES[name])(tz, torch.tensor(t), reduction="none")
    expected = each.mean(dim=1) * (1 if weight is None else torch.tensor(weight))
    found = getattr(reference, name)(z, t, weight)
    np.testing.assert_allclose(found, expected.detach().numpy(), rtol=1e-11, atol=1e-11)
    expected.sum().backward()
    found = getattr(reference, f"{name}_backward")(z, t, weight)
    np.testing.assert_allclose(found, tz.grad.numpy(), rtol=1e-11, atol=1e-11)


@quick
@given(n=st.integers(1, 6), outputs=st.integers(1, 9), seed=st.integers(0, 2**16))
def test_weights_of_what_is_true(n, outputs, seed):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(seed)
    z, t, p = (
        rng.normal(0, 30, (n, outputs)),
        rng.uniform(0, 1, (n, outputs)),
        rng.uniform(0, 9, outputs),
    )
    tz = torch.tensor(z, requires_grad=True)
    function = torch.nn.functional.binary_cross_entropy_with_logits
    expected = function(tz, torch.tensor(t), pos_weight=torch.tensor(p), reduction="none").mean(
        dim=1
    )
    found = reference.binary_cross_entropy(z, t, pos_weight=p)
    np.testing.assert_allclose(found, expected.detach().numpy(), rtol=1e-11, atol=1e-11)
    expected.sum().backward()
    found = reference.binary_cross_entropy_backward(z, t, pos_weight=p)
    np.testing.assert_allclose(found, tz.grad.numpy(), rtol=1e-11, atol=1e-11)


def test_scores_that_are_far_from_zero():
    z, t = np.array([[1e4, -1e4]]), np.array([[0.0, 0.0]])
    np.testing.assert_array_equal(reference.binary_cross_entropy(z, t), [5e3])
    np.testing.assert_array_equal(reference.binary_cross_entropy_backward(z, t), [[0.5, 0]])
