"""The kernels that add and copy maps, against NumPy; see `cases`."""

import numpy as np
from cases import BORDERS, IMAGES, example, generator, real, sizes, wild
from hypothesis import given
from hypothesis import strategies as st
from kernel_caller import blank, call, maps, read

from neocog.kernels.compiler.spec import kind_of
from neocog.kernels.elementwise.add import ElementwiseAdd, add_maps, copy_map, kinds
from neocog.kernels.layout import FeatureMap


@st.composite
def pairs(draw):
    """(N, C, H, W, border before, border after, dense before, dense after)."""
    c = draw(st.integers(1, 70))
    dense = [c <= 5 and draw(st.booleans()) for _ in range(2)]
    return (
        draw(IMAGES),
        c,
        draw(st.integers(1, 20)),
        draw(st.integers(1, 70)),
        draw(BORDERS),
        draw(BORDERS),
        *dense,
    )


def map_pair(case):
    _, c, h, w, before, after, dense_before, dense_after = case
    x_map = FeatureMap(h, w, c, *before, dense_before)
    return x_map, FeatureMap(h, w, c, *after, dense_after)


@sizes(60)
@example(case=(2, 17, 5, 7, (1, 2), (0, 1), False, False))
@example(case=(1, 33, 1, 1, (0, 0), (0, 0), False, False))
@example(case=(3, 3, 6, 5, (0, 1), (1, 0), True, True))
@example(case=(2, 1, 3, 9, (0, 1), (1, 0), True, True))
@example(case=(2, 4, 3, 2, (0, 1), (1, 0), True, False))
@example(case=(2, 2, 3, 5, (2, 1), (1, 0), False, True))
@given(case=pairs())
def test_add_and_copy(case):
    x_map, y_map = map_pair(case)
    spec = ElementwiseAdd(x_map, y_map)
    assert kind_of(spec) in {kind_of(one) for _, one in kinds()}
    rng = generator(case)
    for kind in (real, wild):
        x, before = (kind(rng, case[0], *case[1:4]) for _ in range(2))
        y = maps(y_map, before)
        call(add_maps, spec, count=len(x), x=maps(x_map, x), y=y)
        with np.errstate(invalid="ignore"):
            np.testing.assert_array_equal(read(y_map, y), before + x)
        y = blank(y_map, len(x))
        call(copy_map, spec, count=len(x), x=maps(x_map, x), y=y)
        np.testing.assert_array_equal(read(y_map, y), x)
