"""The formulas of padding and upsampling against PyTorch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neocog import reference
from neocog.layers.padding import PADDING_MODES, padding_sources

quick = settings(max_examples=100, deadline=None, derandomize=True)
TORCH = {
    "zeros": "constant",
    "reflect": "reflect",
    "replicate": "replicate",
    "circular": "circular",
}


@pytest.fixture(scope="module")
def torch():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    return torch


@st.composite
def padded(draw):
    """A mode, the shape of x, and ((top, bottom), (left, right)), no more than the mode allows."""
    mode = draw(st.sampled_from(PADDING_MODES))
    shape = tuple(draw(st.integers(1, most)) for most in (2, 3, 6, 7))
    sides = []
    for size in shape[2:]:
        most = {"reflect": size - 1, "circular": size}.get(mode, 9)
        sides.append((draw(st.integers(0, most)), draw(st.integers(0, most))))
    return mode, shape, tuple(sides)


@quick
@given(padded(), st.integers(0, 2**16))
def test_padding_is_that_of_torch(torch, case, seed):
    mode, shape, (rows, columns) = case
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    tx = torch.tensor(x, requires_grad=True)
    ty = torch.nn.functional.pad(tx, (*columns, *rows), mode=TORCH[mode])
    dy = rng.normal(size=ty.shape)
    ty.backward(torch.tensor(dy))
    y = reference.pad2d_forward(x, (rows, columns), mode)
    np.testing.assert_array_equal(y, ty.detach().numpy())
    dx = reference.pad2d_backward(dy, shape, (rows, columns), mode)
    np.testing.assert_allclose(dx, tx.grad.numpy(), rtol=1e-12, atol=1e-12)


@quick
@given(padded())
def test_where_padding_comes_from(case):
    mode, (_, _, height, width), sides = case
    x = 1.0 + np.arange(height * width).reshape(1, 1, height, width)
    rows, columns = (
        np.array(padding_sources(mode, size, *side))
        for size, side in zip((height, width), sides, strict=True)
    )
    there = (rows[:, None] >= 0) & (columns >= 0)
    found = np.where(there, x[0, 0][rows[:, None], columns], 0)
    np.testing.assert_array_equal(found, reference.pad2d_forward(x, sides, mode)[0, 0])


@quick
@given(
    st.tuples(*[st.integers(1, 4)] * 4),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.integers(0, 2**16),
)
def test_upsampling_is_that_of_torch(torch, shape, scale, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    tx = torch.tensor(x, requires_grad=True)
    ty = torch.nn.Upsample(scale_factor=tuple(map(float, scale)))(tx)
    dy = rng.normal(size=ty.shape)
    ty.backward(torch.tensor(dy))
    np.testing.assert_array_equal(reference.upsample_forward(x, scale), ty.detach().numpy())
    dx = reference.upsample_backward(dy, scale)
    np.testing.assert_allclose(dx, tx.grad.numpy(), rtol=1e-12, atol=1e-12)
