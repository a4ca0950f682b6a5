"""Ridge regression is scikit-learn's, for every strength of the same object."""

import numpy as np
import pytest

from neocog.transfer.ridge import Ridge

linear_model = pytest.importorskip("sklearn.linear_model")


def numbers(n, features):
    """Rows, two numbers of each, and their weights."""
    rng = np.random.default_rng(0)
    x = rng.normal(2, 1, (n, features)) * np.geomspace(0.1, 5, features)
    return x, rng.normal(1, 1, (n, 2)) + x[:, :1], rng.uniform(0, 2, n)


@pytest.mark.parametrize("strength", [0.01, 4.0])
@pytest.mark.parametrize(("n", "features"), [(80, 5), (20, 60)])
def test_scikit_learns_optimum(n, features, strength):
    x, y, weights = numbers(n, features)
    ridge = Ridge(x, y, weights)
    ridge.model(7.0)  # another strength changes nothing
    found = ridge.model(strength)
    expected = linear_model.Ridge(alpha=1 / strength, solver="cholesky").fit(x, y, weights)
    np.testing.assert_allclose(found.weight, expected.coef_, rtol=0, atol=1e-8)
    np.testing.assert_allclose(found.bias, expected.intercept_, rtol=0, atol=1e-8)


def test_without_weights():
    x, y, _ = numbers(50, 6)
    expected = linear_model.Ridge(alpha=0.5, solver="cholesky").fit(x, y)
    np.testing.assert_allclose(Ridge(x, y).model(2.0).weight, expected.coef_, rtol=0, atol=1e-8)


def test_blocks_of_rows_in_float32():
    x, y, weights = numbers(5000, 7)
    x = x.astype(np.float32)
    found = Ridge(x, y, weights).model(0.1)
    right = linear_model.Ridge(10.0).fit(x.astype(np.float64), y, sample_weight=weights)
    np.testing.assert_allclose(found.weight, right.coef_, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.bias, right.intercept_, rtol=0, atol=1e-9)
