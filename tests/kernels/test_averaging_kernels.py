"""Averages of weights, step by step, against the formulas in float64."""

import numpy as np
import pytest
from cases import double, generator, in_parts, real, sizes
from hypothesis import given
from hypothesis import strategies as st
from kernel_caller import Buffer, assert_within, call, flat, rounding, step

from neocog.kernels.optimizer.averaging import Averaging, average_step, lookahead_step
from neocog.kernels.optimizer.update import RATES

DECAYS = [0.0, 0.9, np.nan, 0.5, 0.999, np.nan, 1.0]


@pytest.mark.parametrize("kernel", [average_step, lookahead_step])
@sizes(10)
@given(vectors=st.integers(1, 12), middle=st.integers(1, 5))
def test_averages_of_some_steps(kernel, vectors, middle):
    """Of the items but the first and the last, in two calls."""
    item, items = 16 * vectors, middle + 2
    inside = slice(item, -item)
    rng = generator("average", item, items)
    w, a = flat(real(rng, items * item)), flat(real(rng, items * item))
    rates = Buffer(len(DECAYS), RATES, np.float64)
    rates.items[:, 2] = DECAYS
    average = double(a.items[0, inside])
    off = np.zeros_like(average)
    for done, decay in enumerate(DECAYS):
        w.items[:] += real(rng, items * item)
        weights, before_w, before_a = double(w.items[0, inside]), w.items.copy(), a.items.copy()
        of = {"w": w, "a": a, "rates": rates, "step": step(1, taken=11, done=done)}
        for first, count in in_parts(middle):
            call(kernel, Averaging(item), count=count, first=1 + first, **of)
        for buffer, before in ((w, before_w), (a, before_a)):
            for end in (slice(0, item), slice(-item, None)):
                np.testing.assert_array_equal(buffer.items[0, end], before[0, end])
        if np.isnan(decay):
            np.testing.assert_array_equal(a.items, before_a)
            np.testing.assert_array_equal(w.items, before_w)
            continue
        size = np.abs(average) + (1 - decay) * np.abs(weights - average)
        average = decay * average + (1 - decay) * weights
        off = decay * off + rounding(4, size)
        assert_within(a.items[0, inside], average, off)
        if kernel is lookahead_step:
            np.testing.assert_array_equal(w.items[0, inside], a.items[0, inside])
        else:
            np.testing.assert_array_equal(w.items, before_w)
    # With 1 the average stays as it is.
    np.testing.assert_array_equal(a.items, before_a)


@pytest.mark.parametrize("kernel", [average_step, lookahead_step])
def test_numbers_that_are_not_finite_pass(kernel):
    w, a = flat(np.zeros(16)), flat(np.ones(16))
    w.items[0, :3] = np.nan, np.inf, -np.inf
    rates = flat([1, np.nan, 0.5, np.nan], np.float64)
    call(kernel, Averaging(16), w=w, a=a, rates=rates, step=step(1))
    np.testing.assert_array_equal(a.items[0, :4], [np.nan, np.inf, -np.inf, 0.5])
