"""The kernels that pool windows, against `neocog.reference` in float64; see `cases`."""

import numpy as np
from cases import (
    BORDERS,
    CHANNELS,
    IMAGES,
    SIZES,
    double,
    example,
    generator,
    in_every_width,
    magnitude,
    once,
    real,
    shapes,
    whole,
    wild,
)
from hypothesis import given
from hypothesis import strategies as st
from kernel_caller import (
    Buffer,
    assert_within,
    blank,
    call,
    maps,
    places,
    read,
    rounding,
)

from neocog import reference
from neocog.kernels.layout import FeatureMap
from neocog.kernels.pooling.average_pooling import avg_pool_backward, avg_pool_forward
from neocog.kernels.pooling.max_pooling import max_pool_backward, max_pool_forward
from neocog.kernels.pooling.windows import Side, WindowGradient, WindowPooling

OFTEN_ONE = st.sampled_from([1, 2, 2, 3, 3, 4, 5, 7])


@st.composite
def pools(draw):
    """(N, C, H, W, borders, dense maps, kernel, stride, padding): of x, y, dy, dx."""
    c = draw(CHANNELS)
    sides = []
    for _ in range(2):
        size, kernel = draw(SIZES), draw(OFTEN_ONE)
        padding = draw(st.integers(0, kernel // 2))
        # A window must fit; and sometimes it is the whole map.
        kernel = min(kernel, size + 2 * padding) if draw(st.booleans()) else size
        padding = min(padding, kernel // 2)
        sides.append((size, kernel, draw(st.sampled_from([kernel, 1, 2, 3])), padding))
    (h, w), kernel, stride, padding = zip(*sides, strict=True)
    borders = tuple(draw(BORDERS) for _ in range(4))
    dense = tuple(c <= 5 and draw(st.booleans()) for _ in range(4))
    return draw(IMAGES), c, h, w, borders, dense, kernel, stride, padding


B = ((1, 2), (0, 1), (2, 0), (1, 1))
NONE, ALL = (False,) * 4, (True,) * 4
CASES = (
    (2, 17, 5, 7, B, NONE, (2, 2), (2, 2), (0, 0)),  # tiled, with a row and a column left over
    (1, 33, 9, 8, B, NONE, (3, 3), (2, 2), (1, 1)),  # overlapping, clipped
    (2, 3, 6, 5, B, ALL, (3, 2), (2, 1), (1, 1)),  # dense
    (1, 5, 4, 6, B, (True, False, False, True), (2, 3), (2, 3), (0, 0)),  # dense on one side
    (2, 24, 8, 8, B, NONE, (8, 8), (8, 8), (0, 0)),  # a whole map
    (3, 8, 1, 1, B, NONE, (1, 1), (1, 1), (0, 0)),
    (1, 9, 7, 5, B, NONE, (2, 1), (3, 4), (0, 0)),  # places between windows
)


def with_cases(test):
    for case in in_every_width(CASES, 2):
        test = example(case=case)(test)
    return test


def pooling(case, of=WindowPooling, **flags):
    """The spec, the shape of x and of y, and what the reference needs to know."""
    n, c, h, w, borders, dense, kernel, stride, padding = case
    rows, columns = (
        (size + 2 * p - k) // s + 1
        for size, k, s, p in zip((h, w), kernel, stride, padding, strict=True)
    )
    sizes = ((h, w), (rows, columns), (rows, columns), (h, w))
    four = (
        FeatureMap(*size, c, *border, d)
        for size, border, d in zip(sizes, borders, dense, strict=True)
    )
    sides = (
        Side(*side) for side in zip((h, w), (rows, columns), kernel, stride, padding, strict=True)
    )
    spec = of(*four, *sides, **flags)
    return spec, (n, c, h, w), (n, c, rows, columns), (kernel, stride, padding)


@shapes(3)
@with_cases
@given(case=pools())
def test_max_pool_forward(case):
    spec, shape, _, windows = pooling(case)
    for kind, winners in ((whole, True), (wild, True), (real, True), (wild, False)):
        spec, *_ = pooling(case, winners=winners)
        x = kind(generator(case), *shape)
        y, won = blank(spec.y, len(x)), Buffer(len(x), spec.won.size, np.int32)
        kept = won if winners else None
        call(max_pool_forward, spec, count=len(x), x=maps(spec.x, x), y=y, winners=kept)
        expected, winner = reference.max_pool2d_forward(x, *windows)
        np.testing.assert_array_equal(read(spec.y, y), expected)
        if winners:
            np.testing.assert_array_equal(won.items[:, places(spec.won)], winner)


@once
def test_minus_infinity_alone_is_a_maximum():
    """And its first tap that lies in the map is the winner."""
    case = (1, 5, 4, 4, B, NONE, (3, 3), (2, 2), (1, 1))
    spec, shape, *_, windows = pooling(case)
    x = np.full(shape, -np.inf, np.float32)
    y, won = blank(spec.y, 1), Buffer(1, spec.won.size, np.int32)
    call(max_pool_forward, spec, x=maps(spec.x, x), y=y, winners=won)
    expected, winner = reference.max_pool2d_forward(x, *windows)
    np.testing.assert_array_equal(read(spec.y, y), expected)
    np.testing.assert_array_equal(won.items[:, places(spec.won)], winner)


def overlaps(spec):
    """How many windows a place lies in, at most."""
    return -(-spec.rows.kernel // spec.rows.stride) * -(-spec.columns.kernel // spec.columns.stride)


@shapes(3)
@with_cases
@given(case=pools())
def test_max_pool_backward(case):
    spec, shape, pooled, windows = pooling(case, WindowGradient)
    rng = generator(case)
    _, winner = reference.max_pool2d_forward(whole(rng, *shape), *windows)
    won = Buffer(len(winner), spec.won.size, np.int32)
    won.items[:, places(spec.won)] = winner
    backward = reference.max_pool2d_backward
    for kind in (whole, real, wild):
        dy = kind(rng, *pooled)
        dx = blank(spec.dx, len(dy))
        call(max_pool_backward, spec, count=len(dy), dy=maps(spec.dy, dy), winners=won, dx=dx)
        with np.errstate(invalid="ignore"):
            expected = backward(double(dy), winner, shape, *windows)
        bound = np.zeros_like(expected)
        if kind is real:
            bound = rounding(overlaps(spec) - 1, backward(magnitude(dy), winner, shape, *windows))
        assert_within(read(spec.dx, dx), expected, bound)


@shapes(3)
@with_cases
@given(case=pools())
def test_avg_pool(case):
    flags = [True, False] if any(case[-1]) else [True]
    for include in flags:
        spec, shape, pooled, windows = pooling(case, count_include_pad=include)
        rng = generator(case, include)
        for kind in (real, wild):
            x = kind(rng, *shape)
            y = blank(spec.y, len(x))
            call(avg_pool_forward, spec, count=len(x), x=maps(spec.x, x), y=y)
            forward = reference.avg_pool2d_forward
            with np.errstate(invalid="ignore"):
                expected = forward(double(x), *windows, count_include_pad=include)
            sums = forward(np.nan_to_num(magnitude(x)), *windows, count_include_pad=include)
            # All are added, 1 / d is rounded, and so is the product with it.
            assert_within(
                read(spec.y, y),
                expected,
                rounding(spec.rows.kernel * spec.columns.kernel + 2, sums),
            )

            dy = kind(rng, *pooled)
            dx = blank(spec.dx, len(dy))
            gradient, *_ = pooling(case, WindowGradient, count_include_pad=include)
            call(avg_pool_backward, gradient, count=len(dy), dy=maps(spec.dy, dy), dx=dx)
            backward = reference.avg_pool2d_backward
            with np.errstate(invalid="ignore"):
                expected = backward(double(dy), shape, *windows, count_include_pad=include)
            finite = np.nan_to_num(magnitude(dy), posinf=0)
            sums = backward(finite, shape, *windows, count_include_pad=include)
            assert_within(read(spec.dx, dx), expected, rounding(2 * overlaps(spec) + 1, sums))
