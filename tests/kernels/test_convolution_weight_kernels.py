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
    sizes,
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
from neocog.kernels.compiler.spec import kind_of
from neocog.kernels.convolution import bias_gradient, gradient, winner_gradient
from neocog.kernels.convolution.bias_gradient import BiasGradient, conv2d_backward_bias
from neocog.kernels.convolution.gradient import (
    conv2d_backward_weight,
    conv2d_backward_weight_items,
)
from neocog.kernels.convolution.shard_sum import ShardSum, conv2d_reduce
from neocog.kernels.convolution.winner_gradient import (
    WinnerGradient,
    conv2d_backward_weight_of_winners,
)
from neocog.kernels.layout import padded


def shard_sum(spec):
    """Of the sums that a gradient's spec says."""
    if isinstance(spec, WinnerGradient):
        return ShardSum(spec.w, spec.bias, spec.shard, spec.line, spec.x.pixel)
    return ShardSum(spec.w, spec.bias, spec.shard)


def weight_gradient(spec, kernel, images, **maps):
    """dw and db, in two calls over the images as two workers make them, then reduced."""
    shards = -(-images // spec.shard)
    reduced = shard_sum(spec)
    sums = {
        "sums": Buffer(shards, reduced.size),
        "bias_sums": Buffer(shards, padded(spec.w.out_channels)),
    }
    middle = shards // 2 * spec.shard
    for first, until in ((0, middle), (middle, images)):
        if until > first:
            of = {name: (buffer, first) for name, buffer in maps.items()}
            call(kernel, spec, count=until - first, first=first, **of, **sums)
    at = weight_places(spec.w)
    dw = parameter(spec.w.size, at, nan)
    db = parameter(padded(spec.w.out_channels), bias_places(spec.w.out_channels), nan)
    of_bias = db if spec.bias else None
    for first, count in in_parts(spec.w.blocks):
        of = {"dw": dw, "db": of_bias, "step": step(images)}
        call(conv2d_reduce, reduced, count=count, first=first, **sums, **of)
    bias = read_parameter(db, bias_places(spec.w.out_channels)) if spec.bias else None
    return read_parameter(dw, at), bias


def weight_gradient_by_items(spec, x, dy, images):
    """dw and db, of which two workers make a part each."""
    at = weight_places(spec.w)
    dw = parameter(spec.w.size, at, nan)
    batch = step(images)
    for first, count in in_parts(spec.items):
        of = {"x": x, "dy": dy, "dw": dw, "step": batch}
        call(conv2d_backward_weight_items, spec, count=count, first=first, **of)
    bias = bias_places(spec.w.out_channels)
    db = parameter(padded(spec.w.out_channels), bias, nan)
    for first, count in in_parts(padded(spec.w.out_channels) // LANES):
        of = {"dy": dy, "db": db, "step": batch}
        call(conv2d_backward_bias, BiasGradient(spec.dy), count=count, first=first, **of)
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


@sizes(40)
@example(case=replace(RGB, n=5), shard=2)
@example(case=replace(RGB, kernel=(7, 7), outputs=33, stride=(2, 2), size=(19, 40)), shard=3)
@example(case=replace(RGB, kernel=(1, 2), outputs=50), shard=1)
@example(case=Case(2, 17, (33, 40), 24, (3, 3), (1, 1), (1, 1)), shard=1)
@example(case=Case(3, 5, (1, 1), 1, (3, 5), (4, 4), (2, 2), bias=False), shard=3)
@example(case=Case(3, 40, (12, 13), 70, (1, 1)), shard=2)
@example(case=GROUPS, shard=2)
@example(case=SPARSE, shard=2)
@example(case=WIDE, shard=3)
@example(case=LONG, shard=1)
@example(case=WIDE_LONG, shard=1)
@example(case=WIDE_GROUPS, shard=2)
@example(case=FEW, shard=2)
@example(case=TOO_LARGE, shard=1)
@given(case=cases(channels=st.integers(1, 70)), shard=st.integers(1, 3))
def test_conv2d_backward_weight(case, shard):
    """By shards of images, and by items of the weight."""
    spec = case.gradient_spec(case.y_map, shard)
    for kind in (whole, real):
        x, _, _ = conv_data(kind, case)
        dy = kind(generator(case), len(x), *places(case.y_map).shape)
        of = {"x": maps(case.x_map, x), "dy": maps(case.y_map, dy)}
        actual = weight_gradient(spec, conv2d_backward_weight, len(x), **of)
        assert_weight_gradient(case, actual, x, dy, kind is whole)
        of_batch = replace(spec, shard=0)
        actual = weight_gradient_by_items(of_batch, images=len(x), **of)
        assert_weight_gradient(case, actual, x, dy, kind is whole)


@once
@pytest.mark.parametrize("case", [MANY, WIDE, RGB])
def test_weight_gradients_are_the_same_however_images_are_cut_into_calls(case):
    case = replace(case, n=5, bias=True)
    spec = case.gradient_spec(case.y_map, 5)
    x, _, _ = conv_data(real, case)
    dy = real(generator(case), len(x), *places(case.y_map).shape)
    x, dy = maps(case.x_map, x), maps(case.y_map, dy)
    results = []
    for calls in ([(0, 5)], [(0, 1), (1, 3), (4, 1)]):
        sums = {"sums": Buffer(1, spec.w.size), "bias_sums": Buffer(1, padded(case.k))}
        for first, count in calls:
            of = {"x": (x, first), "dy": (dy, first)}
            call(conv2d_backward_weight, spec, count=count, first=first, **of, **sums)
        results.append([buffer.items.tobytes() for buffer in sums.values()])
    assert results[0] == results[1]


#: Maps of images, of one vector a pixel and of two; kernels that fit into registers, and others.
SQUARE = st.tuples(st.sampled_from([1, 2, 3, 4, LANES, 2 * LANES]), st.sampled_from([3, 5, 7]))


@st.composite
def pooled_cases(draw):
    """Half of them with square kernels, of which all rows may be in registers."""
    case = draw(cases(pool=True, plain=True))
    if draw(st.booleans()):
        return case
    inputs, kernel = draw(SQUARE)
    size = tuple(kernel + 2 * s + extra for s, extra in zip(case.stride, (1, 4), strict=True))
    return replace(case, inputs=inputs, kernel=(kernel, kernel), size=size, dense=inputs <= 4)


@sizes(40)
@example(case=replace(RGB, n=5, size=(8, 12), border=(0, 0)), shard=2)
@example(case=Case(3, 33, (6, 9), 5, (5, 5), (2, 2), (1, 1)), shard=1)
@example(case=Case(2, 24, (40, 33), 17, (3, 3), (1, 1), (1, 1), bias=False), shard=2)
@example(case=Case(2, 4, (9, 9), 8, (3, 2), (1, 2), (0, 1), (2, 1), extra=1), shard=2)
@given(case=pooled_cases(), shard=st.integers(1, 3))
def test_conv2d_backward_weight_of_winners(case, shard):
    m = case.pooled.bare
    spec = case.winner_spec(m, shard)
    for kind in (whole, real):
        x, _, _ = conv_data(kind, case)
        rng = generator(case)
        dy = kind(rng, len(x), *places(m).shape)
        winner = rng.integers(0, 4, dy.shape)
        winners = Buffer(len(x), m.size, np.int32)
        winners.items[:, places(m)] = winner_offsets(case.x_map, winner, case.stride)
        of = {"x": maps(case.x_map, x), "dy": maps(m, dy), "winners": winners}
        actual = weight_gradient(spec, conv2d_backward_weight_of_winners, len(x), **of)
        spread = reference.max_pool2d_backward(dy, winner, (len(x), case.k, *case.out))
        assert_weight_gradient(case, actual, x, spread, kind is whole)


def test_winners_know_no_groups():
    with pytest.raises(ValueError, match="from winners knows no groups"):
        GROUPS.winner_spec(GROUPS.pooled.bare, 1)


LISTED = {
    (kernel, kind_of(spec))
    for module in (gradient, winner_gradient, bias_gradient)
    for kernel, spec in module.kinds()
}


@once
@given(case=cases(channels=st.integers(1, 70)))
def test_all_kinds_are_listed(case):
    spec, of_batch = (case.gradient_spec(case.y_map, shard) for shard in (1, 0))
    assert (conv2d_backward_weight, kind_of(spec)) in LISTED
    assert (conv2d_backward_weight_items, kind_of(of_batch)) in LISTED
    assert (conv2d_backward_bias, kind_of(BiasGradient(spec.dy))) in LISTED


@once
@given(case=pooled_cases())
def test_all_kinds_from_winners_are_listed(case):
    spec = case.winner_spec(case.pooled.bare, 1)
    assert (conv2d_backward_weight_of_winners, kind_of(spec)) in LISTED


def test_there_are_few_kinds():
    assert len(LISTED) <= 32
