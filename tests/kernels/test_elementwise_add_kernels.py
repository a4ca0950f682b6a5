"""The kernels that add, copy and spread maps, against NumPy; see `cases`."""

import numpy as np
from cases import BORDERS, CHANNELS, IMAGES, SIZES, example, generator, real, shapes, wild
from hypothesis import given
from hypothesis import strategies as st
from kernel_caller import blank, call, maps, read

from neocog.kernels.elementwise.add import (
    ElementwiseAdd,
    ZeroInsert,
    add_maps,
    copy_map,
    zero_insert,
)
from neocog.kernels.layout import FeatureMap


@st.composite
def pairs(draw):
    """(N, C, H, W, border before, border after, dense before, dense after)."""
    c = draw(CHANNELS)
    dense = [c <= 5 and draw(st.booleans()) for _ in range(2)]
    return draw(IMAGES), c, draw(SIZES), draw(SIZES), draw(BORDERS), draw(BORDERS), *dense


def map_pair(case):
    _, c, h, w, before, after, dense_before, dense_after = case
    x_map = FeatureMap(h, w, c, *before, dense_before)
    return x_map, FeatureMap(h, w, c, *after, dense_after)


@shapes(4)
@example(case=(2, 17, 5, 7, (1, 2), (0, 1), False, False))
@example(case=(1, 33, 1, 1, (0, 0), (0, 0), False, False), once=True)
@example(case=(3, 3, 6, 5, (0, 1), (1, 0), True, True))
@example(case=(2, 1, 3, 9, (0, 1), (1, 0), True, True))
@example(case=(2, 4, 3, 2, (0, 1), (1, 0), True, False), once=True)
@example(case=(2, 2, 3, 5, (2, 1), (1, 0), False, True), once=True)
@given(case=pairs())
def test_add_and_copy(case):
    x_map, y_map = map_pair(case)
    rng = generator(case)
    for kind in (real, wild):
        x, before = (kind(rng, case[0], *case[1:4]) for _ in range(2))
        y = maps(y_map, before)
        call(add_maps, ElementwiseAdd(x_map, y_map), (maps(x_map, x), y), len(x))
        with np.errstate(invalid="ignore"):
            np.testing.assert_array_equal(read(y_map, y), before + x)
        y = blank(y_map, len(x))
        call(copy_map, ElementwiseAdd(x_map, y_map), (maps(x_map, x), y), len(x))
        np.testing.assert_array_equal(read(y_map, y), x)


@shapes(4)
@example(case=(2, 17, 5, 7, (1, 2), (0, 1), False, False), stride=(2, 2), more=(1, 0))
@example(case=(2, 3, 3, 5, (1, 2), (0, 1), True, True), stride=(1, 3), more=(0, 2))
@example(case=(1, 4, 1, 1, (0, 0), (1, 1), False, True), stride=(5, 1), more=(4, 0), once=True)
@given(
    case=pairs(),
    stride=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    more=st.tuples(st.integers(0, 5), st.integers(0, 5)),
)
def test_zero_insert(case, stride, more):
    x_map, y_map = map_pair(case)
    h, w = ((m - 1) * s + 1 + a for m, s, a in zip(case[2:4], stride, more, strict=True))
    y_map = FeatureMap(h, w, case[1], *case[5], case[7])
    x = wild(generator(case), case[0], *case[1:4])
    y = blank(y_map, len(x))
    call(zero_insert, ZeroInsert(x_map, y_map, *stride), (maps(x_map, x), y), len(x))
    expected = np.zeros((*x.shape[:2], h, w), np.float32)
    expected[:, :, : (x.shape[2] - 1) * stride[0] + 1 : stride[0], :: stride[1]][
        :, :, :, : x.shape[3]
    ] = x
    np.testing.assert_array_equal(read(y_map, y), expected)
