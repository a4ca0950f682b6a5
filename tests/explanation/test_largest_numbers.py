"""Which numbers of a parameter a page shows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neocog.explanation.page.steps import largest


@given(
    n=st.integers(1, 5000),
    count=st.integers(1, 60),
    kinds=st.sampled_from([1, 2, 30, 10**6]),
    seed=st.integers(0, 2**32 - 1),
)
def test_they_are_those_of_sorting_all(n, count, kinds, seed):
    """With few kinds of values most are equal, of which the first come first."""
    values = np.random.default_rng(seed).integers(0, kinds, n).astype(np.float32)
    wanted = np.argsort(-values, kind="stable")[:count]
    np.testing.assert_array_equal(largest(values, count), wanted)


@pytest.mark.parametrize("place", [0, 2047, 2048, 2050])
def test_the_end_that_fills_no_part_counts(place):
    values = np.zeros(2051, np.float32)
    values[place] = 1
    assert largest(values, 2).tolist() == [place, 0 if place else 1]
