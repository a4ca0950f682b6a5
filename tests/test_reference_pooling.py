"""The formulas of pooling with any regions against PyTorch."""

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neocog import reference

NAN = float("nan")
quick = settings(max_examples=100, deadline=None, derandomize=True)
VALUES = st.sampled_from([-np.inf, -1.0, 0.0, 1.0, 2.0, np.inf, NAN])


@pytest.fixture(scope="module")
def torch():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    return torch


def assert_close(actual, expected):
    if hasattr(expected, "detach"):
        expected = expected.detach().numpy()
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-12)


@st.composite
def regions(draw):
    """A kernel, a stride (or none), a padding, `ceil_mode`, and the size of a map they fit."""
    kernel = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    stride = draw(st.none() | st.tuples(st.integers(1, 6), st.integers(1, 6)))
    padding = draw(st.integers(0, kernel[0] // 2)), draw(st.integers(0, kernel[1] // 2))
    size = [draw(st.integers(max(1, k - 2 * p), 9)) for k, p in zip(kernel, padding, strict=True)]
    return kernel, stride, padding, draw(st.booleans()), tuple(size)


@quick
@given(regions(), st.data())
def test_max_pool2d_is_that_of_torch_with_ties_and_nan(torch, region, data):
    *geometry, ceil_mode, size = region
    x = data.draw(hnp.arrays(np.float64, (data.draw(st.integers(1, 2)), 2, *size), elements=VALUES))
    tx = torch.tensor(x, requires_grad=True)
    ty, places = torch.nn.functional.max_pool2d(
        tx, *geometry, ceil_mode=ceil_mode, return_indices=True
    )
    dy = np.arange(1.0, ty.numel() + 1).reshape(ty.shape)
    ty.backward(torch.tensor(dy))
    y, winner = reference.max_pool2d_forward(x, *geometry, ceil_mode=ceil_mode)
    assert_close(y, ty)
    dx = reference.max_pool2d_backward(dy, winner, x.shape, *geometry, ceil_mode=ceil_mode)
    assert_close(dx, tx.grad)

    kernel, stride, padding = geometry
    for index in np.ndindex(*winner.shape):
        row, column = (
            index[2 + side] * (stride or kernel)[side] - padding[side] + offset
            for side, offset in enumerate(divmod(int(winner[index]), kernel[1]))
        )
        assert row * x.shape[3] + column == places[index].item()


@quick
@given(
    regions(),
    st.integers(1, 3),
    st.booleans(),
    st.none() | st.integers(1, 7),
    st.integers(0, 2**16),
)
def test_avg_pool2d_is_that_of_torch(torch, region, n, count_include_pad, divisor, seed):
    *geometry, ceil_mode, size = region
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2, *size))
    tx = torch.tensor(x, requires_grad=True)
    options = {
        "ceil_mode": ceil_mode,
        "count_include_pad": count_include_pad,
        "divisor_override": divisor,
    }
    ty = torch.nn.functional.avg_pool2d(tx, *geometry, **options)
    dy = rng.normal(size=ty.shape)
    ty.backward(torch.tensor(dy))
    assert_close(reference.avg_pool2d_forward(x, *geometry, **options), ty)
    assert_close(reference.avg_pool2d_backward(dy, x.shape, *geometry, **options), tx.grad)


@quick
@given(
    hnp.array_shapes(min_dims=4, max_dims=4, max_side=6),
    st.tuples(st.integers(1, 7), st.integers(1, 7)),
    st.data(),
)
def test_adaptive_pools_are_those_of_torch(torch, shape, size, data):
    x = data.draw(hnp.arrays(np.float64, shape, elements=VALUES))
    dy = np.arange(1.0, shape[0] * shape[1] * size[0] * size[1] + 1).reshape(*shape[:2], *size)
    tx = torch.tensor(x, requires_grad=True)
    ty, places = torch.nn.functional.adaptive_max_pool2d(tx, size, return_indices=True)
    ty.backward(torch.tensor(dy))
    y, winner = reference.adaptive_max_pool2d_forward(x, size)
    assert_close(y, ty)
    np.testing.assert_array_equal(winner, places)
    assert_close(reference.adaptive_max_pool2d_backward(dy, winner, shape), tx.grad)

    finite = np.nan_to_num(x, posinf=7.0, neginf=-7.0)
    tx = torch.tensor(finite, requires_grad=True)
    ty = torch.nn.functional.adaptive_avg_pool2d(tx, size)
    ty.backward(torch.tensor(dy))
    assert_close(reference.adaptive_avg_pool2d_forward(finite, size), ty)
    assert_close(reference.adaptive_avg_pool2d_backward(dy, shape), tx.grad)


def test_regions_that_overlap_and_reach_out_by_hand():
    x = np.array([[[[4.0, 1.0, 3.0]]]])
    y, winner = reference.max_pool2d_forward(x, (1, 2), (1, 1), (0, 1))
    np.testing.assert_array_equal(y, [[[[4, 4, 3, 3]]]])
    np.testing.assert_array_equal(winner, [[[[1, 0, 1, 0]]]])
    dy = np.array([[[[1.0, 2.0, 3.0, 4.0]]]])
    dx = reference.max_pool2d_backward(dy, winner, x.shape, (1, 2), (1, 1), (0, 1))
    np.testing.assert_array_equal(dx, [[[[3, 0, 7]]]])
    mean = reference.avg_pool2d_forward(x, (1, 2), (1, 1), (0, 1))
    np.testing.assert_array_equal(mean, [[[[2, 2.5, 2, 1.5]]]])
    mean = reference.avg_pool2d_forward(x, (1, 2), (1, 1), (0, 1), count_include_pad=False)
    np.testing.assert_array_equal(mean, [[[[4, 2.5, 2, 3]]]])
