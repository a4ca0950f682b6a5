"""The norm of all gradients, its factor, and sums over batches, against float64."""

import math

import numpy as np
import pytest
from cases import double, generator, in_parts, real, sizes
from hypothesis import example, given
from hypothesis import strategies as st
from kernel_caller import Buffer, assert_within, call, flat, rounding, step

from neocog.kernels.optimizer.clipping import (
    Accumulation,
    Clipping,
    Squares,
    accumulate_gradient,
    clip_factor,
    square_sums,
)

DOUBLE_UNIT = 2.0**-53


@sizes(40)
@example(vectors=37, items=5)
@given(vectors=st.integers(1, 70), items=st.integers(1, 6))
def test_square_sums(vectors, items):
    item = 16 * vectors
    rng = generator(item, items)
    g = flat(real(rng, items * item))
    sums = Buffer(1, items, np.float64)
    for first, count in in_parts(items):
        call(square_sums, Squares(item), count=count, first=first, g=g, sums=sums)
    # A square of a float32 is exact in float64.
    squares = [math.fsum(part**2) for part in double(g.items[0]).reshape(items, item)]
    bound = item * DOUBLE_UNIT * np.array(squares)
    assert_within(sums.items[0], squares, 1.01 * bound)
    assert (bound < 1e-12 * np.array(squares)).all()


def test_sums_do_not_overflow_or_vanish():
    """Squares of which float32 knows nothing."""
    for value in (1e30, 1e-30):
        g, sums = flat(np.full(16 * 9, value)), Buffer(1, 1, np.float64)
        call(square_sums, Squares(16 * 9), g=g, sums=sums)
        exact = 16 * 9 * double(g.items[0, :1]) ** 2
        assert_within(sums.items[0], exact, 200 * DOUBLE_UNIT * exact)


@pytest.mark.parametrize("limit", [0.1, 1.0, 1e6])
def test_clip_factor(limit):
    """As PyTorch's, which this computes by hand."""
    sums = flat(np.abs(real(generator(limit), 7)), np.float64)
    clip = Buffer(1, 1, np.float64)
    call(clip_factor, Clipping(7), sums=sums, limit=flat([limit], np.float64), clip=clip)
    wanted = min(1.0, limit / (math.sqrt(math.fsum(sums.items[0])) + 1e-6))
    assert clip.items[0, 0] == pytest.approx(wanted, rel=1e-14)
    assert (clip.items[0, 0] == 1.0) == (limit == 1e6)


@pytest.mark.parametrize("limit", [0.5, 1e3])
def test_all_gradients_together_as_pytorch(limit):
    try:
        import torch
    except ImportError:
        return  # the formula is tested above
    rng = generator("torch", limit)
    gradients = [real(rng, 3, 16), real(rng, 1, 96)]
    sums, clip = Buffer(1, 4, np.float64), Buffer(1, 1, np.float64)
    for values, begin in zip(gradients, (0, 3), strict=True):
        part = Buffer(1, len(values), np.float64)
        call(square_sums, Squares(values.shape[1]), count=len(values), g=flat(values), sums=part)
        sums.items[0, begin : begin + len(values)] = part.items[0]
    call(clip_factor, Clipping(4), sums=sums, limit=flat([limit], np.float64), clip=clip)
    parameters = [torch.nn.Parameter(torch.zeros(v.shape, dtype=torch.float64)) for v in gradients]
    for parameter, values in zip(parameters, gradients, strict=True):
        parameter.grad = torch.tensor(double(values))
    torch.nn.utils.clip_grad_norm_(parameters, limit)
    for parameter, values in zip(parameters, gradients, strict=True):
        np.testing.assert_allclose(
            clip.items[0, 0] * double(values), parameter.grad.numpy(), rtol=1e-13
        )


def test_norms_that_are_not_finite():
    limit, clip = flat([1.0], np.float64), Buffer(1, 1, np.float64)
    for value, wanted in ((np.nan, np.nan), (np.inf, 0.0)):
        sums = Buffer(1, 1, np.float64)
        call(square_sums, Squares(16), g=flat([value] + [1.0] * 15), sums=sums)
        call(clip_factor, Clipping(1), sums=sums, limit=limit, clip=clip)
        np.testing.assert_array_equal(clip.items[0], [wanted])


@sizes(30)
@given(every=st.integers(1, 4), vectors=st.integers(1, 12), middle=st.integers(1, 4))
def test_accumulate_gradient(every, vectors, middle):
    """Of the items but the first and the last, in two calls."""
    rng = generator("sum", every, vectors, middle)
    item, items = 16 * vectors, middle + 2
    total = Buffer(1, items * item)  # NaN, so that a sum must begin afresh
    inside = slice(item, -item)
    for done in range(2 * every):
        of = {"g": flat(real(rng, items * item)), "total": total}
        words = step(1, taken=7, done=done)
        spec = Accumulation(item, every)
        for first, count in in_parts(middle):
            call(accumulate_gradient, spec, count=count, first=1 + first, step=words, **of)
        if done % every == 0:
            exact = magnitude = 0.0
        exact = exact + double(of["g"].items[0, inside])
        magnitude = magnitude + np.abs(double(of["g"].items[0, inside]))
        assert_within(total.items[0, inside], exact, rounding(done % every, magnitude))
        assert np.isnan(total.items[0, :item]).all()
        assert np.isnan(total.items[0, -item:]).all()
