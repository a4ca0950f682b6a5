"""The forward convolution kernels alone against `neocog.reference` in float64; see `cases`."""

from dataclasses import replace
from functools import partial
from math import inf

import numpy as np
import pytest
from cases import (
    double,
    example,
    generator,
    in_parts,
    magnitude,
    once,
    real,
    sizes,
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
from hypothesis import strategies as st
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
from neocog.kernels.codegen.vector_types import LANES
from neocog.kernels.compiler.spec import kind_of
from neocog.kernels.convolution.forward import conv2d_forward, kinds
from neocog.kernels.elementwise.limits import LIMITS
from neocog.kernels.layout import padded

CHANNELS = st.integers(1, 70)
OVER = Case(1, 5, (1, 1), 33, (2, 5), (4, 4), (3, 3))
#: A weight of more than a megabyte, whose next block is prefetched.
FAR = Case(1, 300, (3, 4), 120, (3, 3), (1, 1), (1, 1))
TALL = Case(1, 8, (96, 96), 8, (1, 2), (0, 0), (0, 1), extra=1)


def whole_spec(case):
    """With an addend, if there is one, of another border than y's."""
    addend = replace(case.y_map, border_h=1, border_w=case.extra)
    others = {"adds": case.adds, "addend": addend} if case.adds else {}
    return case.spec(case.y_map, accumulate=case.accumulate, **others)


def conv_operands(case, x, w, b):
    bias = None if b is None else parameter(padded(len(b)), bias_places(len(b)), b)
    weight = parameter(case.w_map.size, weight_places(case.w_map), w)
    return {"x": maps(case.x_map, x), "weight": weight, "bias": bias}


def forward(case, x, w, b):
    with np.errstate(invalid="ignore"):
        return reference.conv2d_forward(x, w, b, case.padding, **case.options)


def conv_bound(case, x, w, b, before=0, addend=0):
    """The bound of each number: one rounding a product and one a sum, which may be the same."""
    terms = w[0].size + (b is not None)
    sums = forward(case, magnitude(x), magnitude(w), magnitude(b))
    return rounding(terms + 3, sums + np.abs(before) + np.abs(addend))


def fresh_result(case, kind, x):
    return result(case, kind, x, case.y_map)[0]


def assert_same_in_parts(case, operands, fresh, expected):
    """Bitwise the same image by image, and where parts of one image are the items, in two calls."""
    spec, y = whole_spec(case), fresh()
    for n in range(case.n):
        of = {**operands, "x": (operands["x"], n)}
        if case.adds:
            of["addend"] = (operands["addend"], n)
        call(conv2d_forward, spec, y=(y, n), **of)
    np.testing.assert_array_equal(read(case.y_map, y), expected)
    if case.n > 1:
        return
    spec, y = replace(spec, parts=True), fresh()
    for first, count in in_parts(spec.bands * spec.w.blocks):
        call(conv2d_forward, spec, count=count, first=first, y=y, **operands)
    np.testing.assert_array_equal(read(case.y_map, y), expected)


@sizes(100)
@example(case=RGB)
@example(case=replace(RGB, n=2, kernel=(7, 7), stride=(2, 2), size=(30, 61), outputs=33))
@example(case=replace(RGB, inputs=1, size=(7, 40), function="relu"))
@example(case=replace(RGB, inputs=4, kernel=(5, 5), size=(9, 8)))
@example(case=Case(2, 3, (4, 5), 17, (1, 1), dense=True))
@example(case=Case(2, 9, (4, 5), 17, (1, 1)))
@example(case=MANY)
@example(case=replace(MANY, adds=True))
@example(case=ONE)
@example(case=OVER)
@example(case=GROUPS)
@example(case=LARGE_GROUPS)
@example(case=SPARSE)
@example(case=replace(HEAVY, n=5))
@example(case=TALL)
@example(case=FAR)
@given(case=cases(channels=CHANNELS))
def test_conv2d_forward(case):
    m, spec = case.y_map, whole_spec(case)
    for kind in (whole, real, wild):
        x, w, b = conv_data(kind, case)
        y, before = result(case, kind, x, m)
        operands, addend = conv_operands(case, x, w, b), np.float32(0)
        if case.adds:
            addend = kind(generator("addend", case), case.n, *places(m).shape)
            operands["addend"] = maps(spec.addend, addend)
        call(conv2d_forward, spec, count=len(x), y=y, **operands)
        with np.errstate(invalid="ignore"):  # ∞ − ∞
            expected = forward(case, double(x), double(w), double(b)) + double(addend)
        expected = np.clip(expected, *LIMITS[case.function])
        bound = conv_bound(case, x, w, b, before, addend) if kind is real else 0
        actual = read(case.y_map, y, finite=kind is not wild)
        assert_within(actual, expected + before, bound)
        if kind is real:
            fresh = partial(fresh_result, case, kind, x)
            assert_same_in_parts(case, operands, fresh, actual)


@st.composite
def pooled_cases(draw):
    """Groups have whole vectors."""
    case = draw(cases(pool=True, channels=CHANNELS))
    if case.groups == 1:
        return case
    return replace(case, outputs=draw(st.sampled_from([LANES, 2 * LANES, 5 * LANES])))


@sizes(60)
@example(case=replace(RGB, size=(8, 12), border=(0, 0), function="relu"))
@example(case=replace(RGB, size=(12, 32), outputs=48))
@example(case=replace(RGB, n=5, inputs=1, size=(14, 30), outputs=24))
@example(case=Case(2, 17, (7, 9), 24, (3, 3), (1, 1), (1, 1), border=(1, 2)))
@example(case=Case(1, 1, (1, 2), 5, (2, 1), (1, 1), bias=False))
@example(case=replace(GROUPS, size=(9, 8), outputs=LANES, function="relu"))
@given(case=pooled_cases())
def test_conv2d_forward_pooled(case):
    m = case.pooled
    for kind, keep in ((whole, True), (real, True), (wild, True), (whole, False)):
        spec = case.spec(m, pool=True, winners=keep)
        x, w, b = conv_data(kind, case)
        y = blank(m, len(x))
        winners = Buffer(len(x), m.bare.size, np.int32)
        of = {**conv_operands(case, x, w, b), "winners": winners if keep else None}
        call(conv2d_forward, spec, count=len(x), y=y, **of)
        sums = forward(case, double(x), double(w), double(b))
        expected, winner = reference.max_pool2d_forward(sums)
        expected = np.clip(expected, *LIMITS[case.function])
        bound = np.zeros_like(expected)
        if kind is real:
            # No maximum is further off than the furthest of its four numbers.
            bound = reference.max_pool2d_forward(conv_bound(case, x, w, b))[0]
        assert_within(read(m, y, finite=kind is not wild), expected, bound)
        won = winners.items[:, places(m.bare)]
        offsets = winner_offsets(case.x_map, np.arange(4), case.stride)
        if not keep:
            continue
        if kind is real:
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


LISTED = {(kernel, kind_of(spec)) for kernel, spec in kinds()}


@once
@given(case=cases(channels=CHANNELS) | pooled_cases(), pool=st.booleans())
@example(case=replace(RGB, size=(12, 32), outputs=48), pool=True)
@example(case=replace(RGB, inputs=1, size=(12, 12)), pool=False)
@example(case=replace(RGB, inputs=1, size=(12, 60)), pool=True)
def test_all_kinds_are_listed(case, pool):
    if pool and (case.w_map.lanes_left or min(case.out) < 2):
        return
    spec = replace(case.spec(case.pooled if pool else case.y_map), pool=pool)
    assert (conv2d_forward, kind_of(spec)) in LISTED


def test_there_are_few_kinds():
    assert len(LISTED) <= 20


def test_what_cannot_be_pooled_is_refused():
    for case, option in ((MANY, "gated"), (MANY, "accumulate"), (MANY, "adds"), (GROUPS, "pool")):
        with pytest.raises(ValueError, match=r"pooling exclude each other|needs groups of whole"):
            replace(case.spec(case.y_map, accumulate=False), **{"pool": True, option: True})
