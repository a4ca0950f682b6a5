"""The kernels of PReLU against `neocog.reference` in float64; see `cases`."""

import numpy as np
from cases import BORDERS, IMAGES, double, example, generator, in_parts, real, sizes, wild
from hypothesis import given
from hypothesis import strategies as st
from kernel_caller import Buffer, assert_within, blank, call, flat, maps, read, rounding, step

from neocog import reference
from neocog.kernels.codegen.vector_types import LANES
from neocog.kernels.compiler.spec import kind_of
from neocog.kernels.elementwise.prelu import (
    LearnedSlope,
    kinds,
    prelu_backward,
    prelu_forward,
    prelu_reduce,
)
from neocog.kernels.layout import FeatureMap, padded


@st.composite
def cases(draw):
    """(N, C, H, W, four borders, which maps are dense, whether all channels share a slope)."""
    c = draw(st.integers(1, 70))
    dense = [c <= 4 and draw(st.booleans()) for _ in range(4)]
    borders = [draw(BORDERS) for _ in range(4)]
    sides = draw(st.integers(1, 20)), draw(st.integers(1, 40))
    return draw(IMAGES), c, *sides, borders, dense, draw(st.booleans())


SOME = [(1, 2), (0, 1), (1, 0), (0, 0)]
NO = [False] * 4


@sizes(30)
@example(case=(2, 17, 5, 7, SOME, NO, False))
@example(case=(3, 64, 6, 9, [(0, 0)] * 4, NO, True))
@example(case=(2, 3, 5, 7, SOME, [True, False, True, False], False))
@example(case=(2, 2, 5, 7, SOME, [False, True, False, True], True))
@given(case=cases())
def test_prelu(case):
    n, c, h, w, borders, dense, shared = case
    each = [FeatureMap(h, w, c, *border, d) for border, d in zip(borders, dense, strict=True)]
    x_map, y_map, dy_map, dx_map = each
    spec = LearnedSlope(*each, shared)
    assert {kind_of(one) for _, one in kinds()} == {kind_of(spec)}
    rng = generator(case)
    slope = real(rng, 1 if shared else c)
    size = padded(len(slope))
    for kind in (real, wild):
        x, dy = kind(rng, n, c, h, w), real(rng, n, c, h, w)
        y, dx, sums = blank(y_map, n), blank(dx_map, n), Buffer(n, padded(c))
        slopes = flat(np.pad(slope, (0, size - len(slope))))
        xs, dys = maps(x_map, x), maps(dy_map, dy)
        for first, count in in_parts(n):
            fixed = {"x": (xs, first), "slope": slopes}
            call(prelu_forward, spec, count=count, first=first, y=(y, first), **fixed)
            ends = {"dy": (dys, first), "dx": (dx, first), "sums": (sums, first)}
            call(prelu_backward, spec, count=count, first=first, **fixed, **ends)
        da = Buffer(1, size)
        for first, count in in_parts(size // LANES):
            call(prelu_reduce, spec, count=count, first=first, sums=sums, step=step(n), dslope=da)

        with np.errstate(invalid="ignore"):
            expected = reference.prelu_forward(double(x), double(slope))
            assert_within(read(y_map, y), expected, rounding(1, np.nan_to_num(np.abs(expected))))
            expected = reference.prelu_backward_input(double(dy), x, double(slope))
            assert_within(read(dx_map, dx), expected, rounding(1, np.abs(expected)))
            expected = reference.prelu_backward_weight(double(dy), double(x), slope)
            most = reference.prelu_backward_weight(np.abs(double(dy)), -np.abs(double(x)), slope)
        bound = rounding(h * w + 3, np.nan_to_num(np.abs(most)))
        assert_within(da.items[0, : len(slope)], expected, bound)
        np.testing.assert_array_equal(da.items[0, len(slope) :], 0)
