"""The formulas of batch normalization against PyTorch and by hand."""

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
    np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-9)


@st.composite
def cases(draw):
    n, c, h, w = (draw(st.integers(1, most)) for most in (4, 5, 5, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    x = rng.normal(draw(st.floats(-50, 50)), draw(st.floats(0.01, 20)), (n, c, h, w))
    weight, bias, mean = rng.normal(size=(3, c))
    var = rng.uniform(0.01, 3, c)
    eps = draw(st.sampled_from([1e-5, 1e-12, 0.3]))
    return x, weight, bias, mean, var, eps, rng.normal(size=x.shape)


@quick
@given(cases(), st.booleans(), st.booleans(), st.floats(0, 1))
def test_batch_norm2d_is_that_of_torch(torch, case, training, affine, momentum):
    x, weight, bias, mean, var, eps, dy = case
    if training and x.size == x.shape[1]:
        return  # PyTorch refuses it
    # With hardly any spread the quotient by it, and so the test, would be about rounding alone.
    if training and reference.batch_norm2d_statistics(x)[1].min() < 1e-6:
        return
    if not affine:
        weight = bias = None
    tx = torch.tensor(x, requires_grad=True)
    parameters = [
        None if p is None else torch.tensor(p, requires_grad=True) for p in (weight, bias)
    ]
    running = [torch.tensor(mean), torch.tensor(var)]
    ty = torch.nn.functional.batch_norm(tx, *running, *parameters, training, momentum, eps)
    ty.backward(torch.tensor(dy))

    if training:
        new = reference.batch_norm2d_running(mean, var, x, momentum)
        for actual, expected in zip(new, running, strict=True):
            assert_close(actual, expected)
        mean, var = reference.batch_norm2d_statistics(x)
    assert_close(reference.batch_norm2d_forward(x, mean, var, weight, bias, eps), ty)
    dx = reference.batch_norm2d_backward_input(dy, x, mean, var, weight, eps, training=training)
    np.testing.assert_allclose(dx, tx.grad, rtol=1e-7, atol=1e-8 / min(1, np.sqrt(var.min() + eps)))
    if affine:
        dw = reference.batch_norm2d_backward_weight(dy, x, mean, var, eps)
        assert_close(dw, parameters[0].grad)
        assert_close(reference.batch_norm2d_backward_bias(dy), parameters[1].grad)


def test_batch_norm2d_by_hand():
    x = np.array([[[[1.0, 3.0]], [[5.0, 5.0]]], [[[5.0, 7.0]], [[5.0, 5.0]]]])
    mean, var = reference.batch_norm2d_statistics(x)
    np.testing.assert_array_equal(mean, [4, 5])
    np.testing.assert_array_equal(var, [5, 0])
    y = reference.batch_norm2d_forward(
        x, mean, var, np.array([3.0, 2.0]), np.array([1.0, 8.0]), 4.0
    )
    np.testing.assert_array_equal(y[:, 0, 0], [[-2, 0], [2, 4]])
    np.testing.assert_array_equal(y[:, 1, 0], [[8, 8], [8, 8]])
    running = reference.batch_norm2d_running(np.array([0.0, 1.0]), np.ones(2), x, 0.25)
    np.testing.assert_allclose(running, [[1, 2], [0.75 + 0.25 * 20 / 3, 0.75]], rtol=1e-15)


def test_of_a_single_number_the_spread_is_zero():
    x = np.full((1, 2, 1, 1), 3.0)
    mean, var = reference.batch_norm2d_running(np.zeros(2), np.ones(2), x, 0.5)
    np.testing.assert_array_equal([mean, var], [[1.5, 1.5], [0.5, 0.5]])
