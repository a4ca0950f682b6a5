"""The formulas of convolution with strides, dilation, groups and padding against PyTorch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neocog import reference

quick = settings(max_examples=120, deadline=None, derandomize=True)


@pytest.fixture(scope="module")
def torch():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    return torch


def assert_close(actual, expected):
    if hasattr(expected, "detach"):
        expected = expected.detach().numpy()
    np.testing.assert_allclose(actual, expected, rtol=1e-11, atol=1e-11)


@st.composite
def cases(draw):
    """x, w, b, dy and the geometry of a convolution that fits."""
    n, groups = draw(st.integers(1, 3)), draw(st.sampled_from([1, 1, 2, 3]))
    c, k = groups * draw(st.integers(1, 3)), groups * draw(st.integers(1, 3))
    kernel, stride, dilation = (
        (draw(st.integers(1, most)), draw(st.integers(1, most))) for most in (4, 5, 3)
    )
    sides = [(draw(st.integers(0, 4)), draw(st.integers(0, 4))) for _ in range(2)]
    if draw(st.booleans()):
        sides = [(before, before) for before, _after in sides]
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    size = [
        draw(st.integers(max(1, r - sum(side)), 10)) for r, side in zip(reach, sides, strict=True)
    ]
    places = [
        (s + sum(side) - r) // step + 1
        for s, side, r, step in zip(size, sides, reach, stride, strict=True)
    ]
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    x, w = rng.normal(size=(n, c, *size)), rng.normal(size=(k, c // groups, *kernel))
    geometry = {"stride": stride, "dilation": dilation, "groups": groups}
    return x, w, rng.normal(size=k), rng.normal(size=(n, k, *places)), tuple(sides), geometry


@quick
@given(cases())
def test_conv2d_is_that_of_torch(torch, case):
    x, w, b, dy, sides, geometry = case
    tx, tw, tb = (torch.tensor(a, requires_grad=True) for a in (x, w, b))
    (top, bottom), (left, right) = sides
    padded = torch.nn.functional.pad(tx, (left, right, top, bottom))
    ty = torch.nn.functional.conv2d(padded, tw, tb, **geometry)
    ty.backward(torch.tensor(dy))
    same = (top, left) == (bottom, right)
    for padding in [sides, (top, left)] if same else [sides]:
        assert_close(reference.conv2d_forward(x, w, b, padding, **geometry), ty)
        assert_close(reference.conv2d_backward_input(dy, w, x.shape, padding, **geometry), tx.grad)
        assert_close(
            reference.conv2d_backward_weight(x, dy, w.shape[2:], padding, **geometry), tw.grad
        )
    assert_close(reference.conv2d_backward_bias(dy), tb.grad)


def test_groups_and_strides_by_hand():
    x = np.array([[[[1.0, 2.0, 3.0]], [[10.0, 20.0, 30.0]]]])
    w = np.array([[[[2.0, 1.0]]], [[[5.0, 0.5]]]])
    # Each output sees its own channel, at the columns −1, 0 and 1, 2.
    y = reference.conv2d_forward(x, w, None, ((0, 0), (1, 0)), stride=(1, 2), groups=2)
    np.testing.assert_array_equal(y, [[[[1.0, 7.0]], [[5.0, 115.0]]]])
    # Taps two columns apart.
    y = reference.conv2d_forward(x, w, None, dilation=(1, 2), groups=2)
    np.testing.assert_array_equal(y, [[[[5.0]], [[65.0]]]])
