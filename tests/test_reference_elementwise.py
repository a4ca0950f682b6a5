"""The formulas of activations and of dropout against PyTorch and by hand."""

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neocog import reference

NAN = float("nan")
quick = settings(max_examples=60, deadline=None, derandomize=True)

FUNCTIONS = {
    "leaky_relu": ("leaky_relu", {}),
    "leaky_relu, steep": ("leaky_relu", {"negative_slope": 2.5}),
    "leaky_relu, flat": ("leaky_relu", {"negative_slope": 0.0}),
    "silu": ("silu", {}),
    "gelu": ("gelu", {}),
    "gelu, tanh": ("gelu", {"approximate": "tanh"}),
    "sigmoid": ("sigmoid", {}),
    "tanh": ("tanh", {}),
    "relu6": ("relu6", {}),
    "hardsigmoid": ("hardsigmoid", {}),
    "hardswish": ("hardswish", {}),
    "elu": ("elu", {}),
    "elu, low": ("elu", {"alpha": 0.25}),
    "softplus": ("softplus", {}),
    "softplus, steep": ("softplus", {"beta": 2.5, "threshold": 3.0}),
    "mish": ("mish", {}),
}
#: Functions of which f(0) is not 0.
NOT_AT_ZERO = "sigmoid", "hardsigmoid", "softplus"
named_functions = pytest.mark.parametrize("name", FUNCTIONS)


@pytest.fixture(scope="module")
def torch():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    return torch


def formulas(name):
    kind, options = FUNCTIONS[name]
    return (
        getattr(reference, f"{kind}_forward"),
        getattr(reference, f"{kind}_backward"),
        options,
        kind,
    )


@named_functions
@quick
@given(x=hnp.arrays(np.float64, (3, 5), elements=st.floats(-1e4, 1e4) | st.floats(-4, 4)))
def test_activations_are_those_of_torch(torch, name, x):
    forward, backward, options, kind = formulas(name)
    tx = torch.tensor(x, requires_grad=True)
    ty = getattr(torch.nn.functional, kind)(tx, **options)
    dy = np.linspace(-2, 2, x.size).reshape(x.shape)
    ty.backward(torch.tensor(dy))
    # PyTorch's 1/6 is a float32 also for float64.
    off = 3e-8 if kind == "hardsigmoid" else 0
    expected = ty.detach().numpy()
    np.testing.assert_allclose(forward(x, **options), expected, rtol=1e-13 + off, atol=1e-13)
    found = backward(dy, x, **options)
    np.testing.assert_allclose(found, tx.grad.numpy(), rtol=1e-12 + off, atol=1e-12)


@named_functions
def test_activations_of_what_is_not_finite_are_those_of_torch(torch, name):
    forward, _backward, options, kind = formulas(name)
    x = np.array([np.inf, -np.inf, NAN, -0.0, 0.0])
    expected = getattr(torch.nn.functional, kind)(torch.tensor(x), **options).numpy()
    np.testing.assert_array_equal(forward(x, **options), expected)
    if kind not in NOT_AT_ZERO and kind != "relu6" and "flat" not in name:
        np.testing.assert_array_equal(np.signbit(forward(x, **options))[3:], [True, False])


@named_functions
def test_tails_keep_their_digits(name):
    """Against extended precision where the function is nearly flat, and PyTorch's loses digits."""
    forward, backward, options, kind = formulas(name)
    if kind == "gelu" and not options:
        # Mills' ratio for the lower tail: Φ(−t) = φ(t) / (t + 1/(t + 2/(t + 3/(t + …)))).
        t = 20.0
        ratio = t
        for k in range(200, 0, -1):
            ratio = t + k / ratio
        density = np.exp(-t * t / 2) / np.sqrt(2 * np.pi)
        np.testing.assert_allclose(forward(np.array([-t])), [-t * density / ratio], rtol=1e-12)
        expected = density / ratio - t * density
        np.testing.assert_allclose(backward(np.ones(1), np.array([-t])), [expected], rtol=1e-12)
        return
    x = np.array([-6.0, -3.5, 1.25, 4.0])
    wide = x.astype(np.longdouble)
    np.testing.assert_allclose(forward(x, **options), forward(wide, **options), rtol=1e-14)
    ones = np.ones(4)
    expected = backward(ones.astype(np.longdouble), wide, **options)
    np.testing.assert_allclose(backward(ones, x, **options), expected, rtol=1e-14)


@pytest.mark.parametrize("name", ["silu", "gelu", "gelu, tanh", "sigmoid", "elu", "mish"])
def test_in_float32_every_digit_is_right(name):
    """As float64's rounded: at 16.6 1 + exp(−x) is one unit off in float32, beyond 88 infinite."""
    forward, backward, options, _kind = formulas(name)
    x = np.concatenate([np.linspace(-100, 100, 4001), np.linspace(16, 17.4, 1400)])
    x = x.astype(np.float32)
    exact = forward(x.astype(np.float64), **options).astype(np.float32)
    np.testing.assert_array_equal(forward(x, **options), exact)
    dy = np.full(len(x), 0.5, np.float32)
    exact = backward(dy.astype(np.float64), x.astype(np.float64), **options).astype(np.float32)
    found = backward(dy, x, **options)
    np.testing.assert_array_equal(found, exact)
    assert found.dtype == np.float32


def test_scale_by_hand():
    x = np.array([1.0, -2.0, NAN])
    np.testing.assert_array_equal(reference.scale_forward(x, -0.5), [-0.5, 1, NAN])
    np.testing.assert_array_equal(reference.scale_backward(x, 4.0), [4, -8, NAN])


def test_dropout_by_hand():
    x = np.array([1.0, -2.0, NAN, NAN, np.inf])
    kept = np.array([True, False, False, True, True])
    np.testing.assert_array_equal(
        reference.dropout_forward(x, kept, 0.75), [4, -0.0, NAN, NAN, np.inf]
    )
    np.testing.assert_array_equal(
        reference.dropout_backward(np.arange(5.0), kept, 0.5), [0, 0, 0, 6, 8]
    )
    none = np.zeros(5, bool)
    np.testing.assert_array_equal(reference.dropout_forward(np.ones(5), none, 1.0), np.zeros(5))
    every = np.ones(5, bool)
    np.testing.assert_array_equal(reference.dropout_forward(x, every, 0.0), x)


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_dropout_is_that_of_torch_for_its_own_draws(torch, p):
    torch.manual_seed(0)
    x = torch.linspace(1, 2, 300, dtype=torch.float64).reshape(3, 100).requires_grad_()
    y = torch.nn.functional.dropout(x, p)
    dy = torch.linspace(-1, 1, 300, dtype=torch.float64).reshape(3, 100)
    y.backward(dy)
    kept = y.detach().numpy() != 0
    xs = x.detach().numpy()
    np.testing.assert_allclose(reference.dropout_forward(xs, kept, p), y.detach(), rtol=1e-15)
    np.testing.assert_allclose(
        reference.dropout_backward(dy.numpy(), kept, p), x.grad, rtol=1e-15, atol=1e-300
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.longdouble])
def test_the_precision_follows_the_inputs(dtype):
    x = np.array([[0.5, -1.5]], dtype)
    for name in FUNCTIONS:
        forward, backward, options, _kind = formulas(name)
        assert forward(x, **options).dtype == dtype
        assert backward(x, x, **options).dtype == dtype
    assert reference.dropout_forward(x, x > 0, 0.3).dtype == dtype
    assert reference.scale_forward(x, 0.3).dtype == dtype
