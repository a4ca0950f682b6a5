"""The depthwise convolution kernels alone against `neocog.reference` in float64; see `cases`."""

from math import inf, nan

import numpy as np
import pytest
from cases import double, example, generator, in_parts, magnitude, once, real, sizes, whole, wild
from depthwise_cases import CASES, Case, Side, depthwise, with_cases, with_images
from hypothesis import given
from hypothesis import strategies as st
from kernel_caller import (
    TINY,
    UNIT,
    Buffer,
    assert_within,
    blank,
    call,
    maps,
    parameter,
    read,
    read_parameter,
    rounding,
    step,
)

from neocog import reference
from neocog.kernels.codegen.vector_types import LANES
from neocog.kernels.compiler.spec import kind_of
from neocog.kernels.convolution import depthwise as forward_kernels
from neocog.kernels.convolution import depthwise_gradient as gradient_kernels
from neocog.kernels.convolution.depthwise import depthwise_forward
from neocog.kernels.convolution.depthwise_gradient import (
    depthwise_backward_weight,
    depthwise_reduce,
)
from neocog.kernels.convolution.depthwise_tiling import FUSED, DepthwiseSum
from neocog.kernels.layout import padded

# Roundings of a function of exactly this number: for silu the exponential's error of four, three
# more of the sigmoid, and the product; for hardswish a sum, a sixth and its product, the product.
ROUNDINGS = {"silu": 4 + 3 + 1, "hardswish": 4}

# The least and the largest result of the functions that only limit it.
LIMITS = {"identity": (-inf, inf), "relu": (0, inf), "relu6": (0, 6)}


def forward(case, spec, x, w, b):
    """y, computed in one call."""
    weight = parameter(case.weight_size, case.weight_places, w)
    bias = parameter(padded(case.channels), case.bias_places, b) if case.bias else None
    y = blank(spec.y, len(x))
    x = maps(spec.x, x)
    call(depthwise_forward, spec, count=case.images, x=x, weight=weight, bias=bias, y=y)
    return y


@sizes(60)
@with_cases(function="relu")
@given(case=depthwise(), function=st.sampled_from(list(LIMITS)))
def test_depthwise_forward(case, function):
    spec = case.forward(function=function)
    for kind in (whole, real, wild):
        x, w, b = case.data(kind)
        y = forward(case, spec, x, w, b)
        with np.errstate(invalid="ignore"):
            expected = reference.conv2d_forward(double(x), double(w), double(b), **case.called)
        expected = np.minimum(np.maximum(expected, LIMITS[function][0]), LIMITS[function][1])
        bound = 0
        if kind is real:
            sums = reference.conv2d_forward(magnitude(x), magnitude(w), magnitude(b), **case.called)
            bound = rounding(case.kernel[0] * case.kernel[1] + 1, sums)
        assert_within(read(spec.y, y), expected, bound)


@sizes(20)
@with_cases(function="hardswish")
@given(case=depthwise(), function=st.sampled_from(list(ROUNDINGS)))
def test_functions_behind_the_convolution(case, function):
    x, w, b = case.data(real)
    bare = case.forward()
    of = double(read(bare.y, forward(case, bare, x, w, b)))
    spec = case.forward(function=function)
    expected = getattr(reference, f"{function}_forward")(of)
    bound = ROUNDINGS[function] * 1.001 * UNIT * np.abs(expected) + 4 * TINY * (1 + np.abs(of))
    assert_within(read(spec.y, forward(case, spec, x, w, b)), expected, bound)


@sizes(40)
@with_cases()
@given(case=depthwise())
def test_depthwise_backward_input(case):
    spec = case.input_gradient
    for kind in (whole, real, wild):
        rng = generator(kind.__name__, case)
        dy = kind(rng, *case.out_shape)
        w = (real if kind is real else whole)(rng, case.channels, 1, *case.kernel)
        weight = parameter(case.weight_size, case.weight_places, w)
        dx = blank(spec.y, len(dy))
        of_dy = maps(spec.x, dy)
        call(depthwise_forward, spec, count=len(dy), x=of_dy, weight=weight, y=dx)
        backward = reference.conv2d_backward_input
        with np.errstate(invalid="ignore"):
            expected = backward(double(dy), double(w), case.shape, **case.called)
        bound = 0
        if kind is real:
            sums = backward(magnitude(dy), magnitude(w), case.shape, **case.called)
            bound = rounding(case.kernel[0] * case.kernel[1], sums)
        assert_within(read(spec.y, dx), expected, bound)


def gradients(case, spec, x, dy):
    """dw and db, in two calls over the images as two workers make them, then reduced."""
    images, floats = len(x), padded(case.channels)
    shards = -(-images // spec.shard)
    sums, bias_sums = Buffer(shards, spec.size), Buffer(shards, floats)
    x, dy = maps(spec.x, x), maps(spec.dy, dy)
    middle = shards // 2 * spec.shard
    of_bias = bias_sums if case.bias else None
    for first, until in ((0, middle), (middle, images)):
        if until > first:
            of = {"x": (x, first), "dy": (dy, first), "sums": sums, "bias_sums": of_bias}
            call(depthwise_backward_weight, spec, first=first, count=until - first, **of)
    reduced = DepthwiseSum(spec)
    dw = parameter(spec.size, case.weight_places, nan)
    db = parameter(floats, case.bias_places, nan) if case.bias else None
    of = {"sums": sums, "bias_sums": bias_sums, "dw": dw, "db": db, "step": step(images)}
    for first, count in in_parts(floats // LANES):
        call(depthwise_reduce, reduced, first=first, count=count, **of)
    bias = read_parameter(db, case.bias_places) if case.bias else None
    return read_parameter(dw, case.weight_places), bias


@sizes(40)
@example(case=with_images(CASES[0], 5, 8), shard=2)
@example(case=with_images(CASES[1], 3, 24), shard=3)
@with_cases(shard=1)
@given(case=depthwise(), shard=st.integers(1, 3))
def test_depthwise_backward_weight(case, shard):
    spec = case.weight_gradient(shard)
    for kind in (whole, real, wild):
        rng = generator(kind.__name__, case)
        # Not both wild: the reference adds in another order, so inf and −inf meet elsewhere.
        x = kind(rng, *case.shape)
        dy = (real if kind is real else whole)(rng, *case.out_shape)
        dw, db = gradients(case, spec, x, dy)
        backward, of_bias = reference.conv2d_backward_weight, reference.conv2d_backward_bias
        with np.errstate(invalid="ignore"):
            expected = backward(double(x), double(dy), case.kernel, **case.called)
        bound = bias_bound = 0
        if kind is real:
            # One rounding a place, and one a shard.
            roundings = dy[:, 0].size + len(x)
            sums = backward(magnitude(x), magnitude(dy), case.kernel, **case.called)
            bound = rounding(roundings, sums)
            bias_bound = rounding(roundings, of_bias(magnitude(dy)))
        assert_within(dw, expected, bound)
        if case.bias:
            assert_within(db, of_bias(double(dy)), bias_bound)


@once
def test_a_map_that_is_processed_in_bands():
    case = Case(1, 40, (Side(60, 3, 1, 1, 1, 1), Side(60, 3, 1, 1, 1, 1)))
    spec = case.weight_gradient()
    assert 1 < spec.band < spec.dy.height
    rng = generator(case)
    x, dy = whole(rng, *case.shape), whole(rng, *case.out_shape)
    dw, _ = gradients(case, spec, x, dy)
    expected = reference.conv2d_backward_weight(double(x), double(dy), case.kernel, **case.called)
    assert_within(dw, expected, 0)


@once
@sizes(200)
@given(
    case=depthwise(),
    side=st.integers(1, 8),
    stride=st.integers(1, 3),
    function=st.sampled_from(FUSED),
)
def test_every_kind_is_listed(case, side, stride, function):
    square = tuple(Side(s.size + side, side, stride, 1, s.before, s.after) for s in case.sides)
    listed = [*forward_kernels.kinds(), *gradient_kernels.kinds()]
    kinds = {(kernel, kind_of(spec)) for kernel, spec in listed}
    assert len(kinds) == len(listed)
    for one in (case, Case(1, case.channels, square, dense=case.dense)):
        gradient = one.weight_gradient()
        for kernel, spec in (
            (depthwise_forward, one.forward(function=function)),
            (depthwise_forward, one.input_gradient),
            (depthwise_backward_weight, gradient),
            (depthwise_reduce, DepthwiseSum(gradient)),
        ):
            assert (kernel, kind_of(spec)) in kinds


def test_a_border_that_is_too_small_is_refused():
    case = Case(1, 4, (Side(5, 3, 1, 1, 1, 1), Side(5, 5, 1, 1, 1, 1)), ((0, -1), *[(0, 0)] * 3))
    with pytest.raises(ValueError, match=r"too small .* it must be \(1, 1\)"):
        case.forward()
