"""The forward convolution kernels alone against `neocog.reference` in float64; see `cases`."""

from dataclasses import replace
from math import inf

import numpy as np
from cases import (
    double,
    example,
    in_parts,
    magnitude,
    real,
    shapes,
    unwritten,
    whole,
    wild,
    winner_offsets,
)
from convolution_cases import (
    GROUPS,
    HEAVY,
    LARGE_GROUPS,
    MANY,
    ONE,
    RGB,
    SPARSE,
    Case,
    cases,
    conv_data,
    result,
)
from hypothesis import given
from kernel_caller import (
    Buffer,
    assert_within,
    bias_places,
    blank,
    call,
    maps,
    parameter,
    places,
    read,
    rounding,
    weight_places,
)

from neocog import reference
from neocog.kernels.convolution.forward import conv2d_forward
from neocog.kernels.layout import padded

OVER = Case(1, 5, (1, 1), 33, (2, 5), (4, 4), (3, 3))
TALL = Case(1, 8, (96, 96), 8, (1, 2), (0, 0), (0, 1), extra=1)


def conv_operands(case, x, w, b):
    bias = None if b is None else parameter(padded(len(b)), bias_places(len(b)), b)
    return maps(case.x_map, x), parameter(case.w_map.size, weight_places(case.w_map), w), bias


def forward(case, x, w, b):
    with np.errstate(invalid="ignore"):
        return reference.conv2d_forward(x, w, b, case.padding, **case.options)


def conv_bound(case, x, w, b, before=0):
    """The bound of each number: one rounding a product and one a sum, which may be the same."""
    terms = w[0].size + (b is not None)
    sums = forward(case, magnitude(x), magnitude(w), magnitude(b))
    return rounding(terms + 2, sums + np.abs(before))


def assert_same_in_parts(case, operands, y, expected):
    """Bitwise the same where parts of one image are the items, in two calls."""
    spec = case.spec(case.y_map, accumulate=case.accumulate, parts=True)
    for first, count in in_parts(spec.bands * spec.w.blocks):
        call(conv2d_forward, spec, (*operands, y, None, None), count, first=first)
    np.testing.assert_array_equal(read(case.y_map, y), expected)


@shapes(4)
@example(case=RGB)
@example(case=MANY)
@example(case=ONE, once=True)
@example(case=OVER, once=True)
@example(case=GROUPS)
@example(case=LARGE_GROUPS)
@example(case=SPARSE, once=True)
@example(case=HEAVY, once=True)
@example(case=TALL, once=True)
@given(case=cases())
def test_conv2d_forward(case):
    m = case.y_map
    spec = case.spec(m, accumulate=case.accumulate)
    for kind in (whole, real, wild):
        x, w, b = conv_data(kind, case)
        y, before = result(case, kind, x, m)
        call(conv2d_forward, spec, (*conv_operands(case, x, w, b), y, None, None), len(x))
        expected = forward(case, double(x), double(w), double(b))
        if case.relu:
            expected = reference.relu_forward(expected)
        bound = conv_bound(case, x, w, b, before) if kind is real else 0
        actual = read(case.y_map, y, finite=kind is not wild)
        assert_within(actual, expected + before, bound)
        if kind is real and case.n == 1:  # another kernel to compile
            assert_same_in_parts(
                case, conv_operands(case, x, w, b), result(case, kind, x, m)[0], actual
            )


@shapes(3)
@example(case=replace(RGB, size=(8, 12), border=(0, 0), relu=True), once=True)
@example(case=Case(2, 17, (7, 9), 24, (3, 3), (1, 1), (1, 1), border=(1, 2)))
@example(case=Case(1, 1, (1, 2), 5, (2, 1), (1, 1), bias=False), once=True)
@example(case=replace(GROUPS, size=(9, 8), relu=True))
@given(case=cases(pool=True))
def test_conv2d_forward_pooled(case):
    m = case.pooled
    for kind, keep in ((whole, True), (real, True), (wild, True), (whole, False)):
        if not keep and case.n != 3:
            continue  # without winners is another kernel to compile
        spec = case.spec(m, pool=True, winners=keep)
        x, w, b = conv_data(kind, case)
        y = unwritten(m, len(x)) if case.w_map.lanes_left else blank(m, len(x))
        winners = Buffer(len(x), m.bare.size, np.int32)
        call(conv2d_forward, spec, (*conv_operands(case, x, w, b), y, winners, None), len(x))
        sums = forward(case, double(x), double(w), double(b))
        expected, winner = reference.max_pool2d_forward(sums)
        if case.relu:
            expected = reference.relu_forward(expected)
        bound = np.zeros_like(expected)
        if kind is real:
            # No maximum is further off than the furthest of its four numbers.
            bound = reference.max_pool2d_forward(conv_bound(case, x, w, b))[0]
        assert_within(read(m, y, finite=kind is not wild), expected, bound)
        won = winners.items[:, places(m.bare)]
        offsets = winner_offsets(case.x_map, np.arange(4), case.stride)
        if not keep:
            assert (winners.items == 77).all()
        elif kind is real:
            # The winner may be another one only where both are the largest within the bound.
            rows, columns = m.height, m.width
            fours = [sums[:, :, r // 2 : 2 * rows : 2, r % 2 : 2 * columns : 2] for r in range(4)]
            taken = np.select([won == at for at in offsets], fours, default=-inf)
            assert (taken >= np.max(fours, axis=0) - 2 * bound).all()
        else:
            # Which of the four is said to have won where one is NaN does not matter.
            known = ~np.isnan(expected)
            np.testing.assert_array_equal(won[known], offsets[winner][known])
            assert np.isin(won, offsets).all()
