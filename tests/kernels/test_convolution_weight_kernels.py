"""The kernels of a convolution's weight gradient against `neocog.reference`; see `cases`."""

from dataclasses import replace
from math import nan

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
    shapes,
    whole,
    winner_offsets,
)
from convolution_cases import GROUPS, MANY, RGB, SPARSE, Case, cases, conv_data
from hypothesis import given
from hypothesis import strategies as st
from kernel_caller import (
    Buffer,
    assert_within,
    bias_places,
    call,
    maps,
    parameter,
    places,
    read_parameter,
    rounding,
    step,
    weight_places,
)

from neocog import reference
from neocog.kernels.codegen.vector_types import LANES
from neocog.kernels.convolution.gradient import (
    conv2d_backward_bias,
    conv2d_backward_weight,
    conv2d_backward_weight_items,
    conv2d_backward_weight_of_winners,
    conv2d_reduce,
)
from neocog.kernels.layout import padded


def weight_gradient(spec, kernel, x, dy, winners, images):
    """dw and db, in two calls over the images as two workers make them, then reduced."""
    shards = -(-images // spec.shard)
    weight_sums = Buffer(shards, spec.partial_size)
    bias_sums = Buffer(shards, padded(spec.w.out_channels))
    middle = shards // 2 * spec.shard
    for first, until in ((0, middle), (middle, images)):
        operands = (
            (x, first),
            (dy, first),
            (winners, first) if winners else None,
            weight_sums,
            bias_sums,
        )
        if until > first:
            call(kernel, spec, operands, until - first, first=first)
    at = weight_places(spec.w)
    dw = parameter(spec.w.size, at, nan)
    db = parameter(padded(spec.w.out_channels), bias_places(spec.w.out_channels), nan)
    reduce = (weight_sums, bias_sums, dw, db if spec.bias else None, step(images))
    for first, count in in_parts(spec.w.blocks):
        call(conv2d_reduce, spec, reduce, count, first=first)
    bias = read_parameter(db, bias_places(spec.w.out_channels)) if spec.bias else None
    return read_parameter(dw, at), bias


def weight_gradient_by_items(spec, x, dy, images):
    """dw and db, of which two workers make a part each."""
    at = weight_places(spec.w)
    dw = parameter(spec.w.size, at, nan)
    for first, count in in_parts(spec.items):
        call(conv2d_backward_weight_items, spec, (x, dy, dw, step(images)), count, first=first)
    bias = bias_places(spec.w.out_channels)
    db = parameter(padded(spec.w.out_channels), bias, nan)
    for first, count in in_parts(padded(spec.w.out_channels) // LANES):
        call(conv2d_backward_bias, spec, (dy, db, step(images)), count, first=first)
    return read_parameter(dw, at), read_parameter(db, bias)


def assert_weight_gradient(case, actual, x, dy, exact):
    dw, db = actual
    # One rounding a place, at most one more a product, and one a shard.
    roundings = 2 * len(x) * dy[0, 0].size + len(x)

    def backward(x, dy):
        return reference.conv2d_backward_weight(x, dy, case.kernel, case.padding, **case.options)

    of_bias = reference.conv2d_backward_bias
    bound = rounding(roundings, backward(magnitude(x), magnitude(dy)))
    assert_within(dw, backward(double(x), double(dy)), np.zeros_like(bound) if exact else bound)
    if db is not None:
        bound = rounding(roundings, of_bias(magnitude(dy)))
        assert_within(db, of_bias(double(dy)), np.zeros_like(bound) if exact else bound)


#: What makes panels of several images, of parts of rows, of a group's last block; and what does not
#: fit into one.
WIDE = Case(4, 70, (5, 7), 72, (3, 3), (1, 1), (1, 1), bias=False)
LONG = Case(2, 3, (3, 150), 5, (1, 2), dense=True)
WIDE_LONG = Case(1, 66, (2, 140), 65, (1, 3), (0, 0), (1, 1))
WIDE_GROUPS = Case(3, 23, (4, 5), 35, (2, 2), (1, 0), (1, 1), (1, 2), (2, 1), 3)
#: Groups of fewer channels than a vector: more blocks of them than the bias has vectors.
FEW = Case(3, 1, (3, 4), 2, (2, 2), groups=5)
TOO_LARGE = Case(1, 64, (12, 120), 8, (3, 3), (1, 1), (1, 1), (3, 3))


@shapes(3)
@example(case=replace(RGB, n=5), shard=2)
@example(case=Case(2, 17, (33, 40), 24, (3, 3), (1, 1), (1, 1)), shard=1, once=True)
@example(case=Case(3, 5, (1, 1), 1, (3, 5), (4, 4), (2, 2), bias=False), shard=3, once=True)
@example(case=GROUPS, shard=2, once=True)
@example(case=SPARSE, shard=2, once=True)
@example(case=WIDE, shard=3, once=True)
@example(case=LONG, shard=1, once=True)
@example(case=WIDE_LONG, shard=1, once=True)
@example(case=WIDE_GROUPS, shard=2)
@example(case=FEW, shard=2)
@example(case=TOO_LARGE, shard=1, once=True)
@given(case=cases(), shard=st.integers(1, 3))
def test_conv2d_backward_weight(case, shard):
    """By shards of images, and by items of the weight."""
    spec = case.gradient_spec(case.y_map, False, shard)
    for kind in (whole, real):
        x, _, _ = conv_data(kind, case)
        dy = kind(generator(case), len(x), *places(case.y_map).shape)
        operands = maps(case.x_map, x), maps(case.y_map, dy)
        actual = weight_gradient(spec, conv2d_backward_weight, *operands, None, len(x))
        assert_weight_gradient(case, actual, x, dy, kind is whole)
        actual = weight_gradient_by_items(spec, *operands, len(x))
        assert_weight_gradient(case, actual, x, dy, kind is whole)


@once
@pytest.mark.parametrize("case", [MANY, WIDE])
def test_weight_gradients_are_the_same_however_images_are_cut_into_calls(case):
    case = replace(case, n=5, bias=True)
    spec = case.gradient_spec(case.y_map, False, 5)
    x, _, _ = conv_data(real, case)
    dy = real(generator(case), len(x), *places(case.y_map).shape)
    x, dy = maps(case.x_map, x), maps(case.y_map, dy)
    results = []
    for calls in ([(0, 5)], [(0, 1), (1, 3), (4, 1)]):
        sums = Buffer(1, spec.partial_size), Buffer(1, padded(case.k))
        for first, count in calls:
            operands = ((x, first), (dy, first), None, *sums)
            call(conv2d_backward_weight, spec, operands, count, first=first)
        results.append([buffer.items.tobytes() for buffer in sums])
    assert results[0] == results[1]


@shapes(3)
@example(case=replace(RGB, n=5, size=(8, 12), border=(0, 0)), shard=2)
@example(case=Case(3, 33, (6, 9), 5, (5, 5), (2, 2), (1, 1)), shard=1)
@example(case=Case(2, 24, (40, 33), 17, (3, 3), (1, 1), (1, 1), bias=False), shard=2, once=True)
@example(case=Case(2, 4, (9, 9), 8, (3, 2), (1, 2), (0, 1), (2, 1), extra=1), shard=2, once=True)
@given(case=cases(pool=True, plain=True), shard=st.integers(1, 3))
def test_conv2d_backward_weight_of_winners(case, shard):
    m = case.pooled.bare
    spec = case.gradient_spec(m, True, shard)
    for kind in (whole, real):
        x, _, _ = conv_data(kind, case)
        rng = generator(case)
        dy = kind(rng, len(x), *places(m).shape)
        winner = rng.integers(0, 4, dy.shape)
        winners = Buffer(len(x), m.size, np.int32)
        winners.items[:, places(m)] = winner_offsets(case.x_map, winner, case.stride)
        kernel = conv2d_backward_weight_of_winners
        operands = maps(case.x_map, x), maps(m, dy), winners
        actual = weight_gradient(spec, kernel, *operands, len(x))
        spread = reference.max_pool2d_backward(dy, winner, (len(x), case.k, *case.out))
        assert_weight_gradient(case, actual, x, spread, kind is whole)


def test_winners_know_no_groups():
    with pytest.raises(ValueError, match="neither dilation nor groups"):
        GROUPS.gradient_spec(GROUPS.pooled.bare, True, 1)
