"""The convolution kernels alone against `neocog.reference` in float64; see `cases`."""

from math import inf, nan

import numpy as np
from cases import (
    BORDERS,
    CHANNELS,
    IMAGES,
    KERNELS,
    PADDINGS,
    SIZES,
    double,
    generator,
    in_parts,
    magnitude,
    real,
    shapes,
    whole,
    wild,
    winner_offsets,
)
from hypothesis import example, given
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
    read_parameter,
    rounding,
    step,
    weight_places,
)

from neocog import reference
from neocog.kernels.convolution import Convolution, conv2d_forward
from neocog.kernels.convolution_gradient import (
    WeightGradient,
    conv2d_backward_weight,
    conv2d_backward_weight_of_winners,
    conv2d_flip_weight,
    conv2d_reduce,
)
from neocog.kernels.layout import ConvolutionWeight, FeatureMap, padded


@st.composite
def convolutions(draw, pool=False):
    """(N, C, H, W, K, kernel, padding, border of y, dense, bias, relu)."""
    (kh, kw), (ph, pw) = draw(KERNELS), draw(PADDINGS)
    least = 2 if pool else 1
    h = max(draw(SIZES), kh - 2 * ph + least - 1)
    w = max(draw(SIZES), kw - 2 * pw + least - 1)
    c, k = draw(CHANNELS), draw(CHANNELS)
    dense = c <= 5 and draw(st.booleans())
    bias, relu = draw(st.booleans()), draw(st.booleans())
    return draw(IMAGES), c, h, w, k, (kh, kw), (ph, pw), draw(BORDERS), dense, bias, relu


def conv_data(kind, case):
    rng = generator(kind.__name__, case)
    n, c, h, w, k, kernel, _padding, _border, _dense, bias, _relu = case
    plain = whole if kind is wild else kind
    return kind(rng, n, c, h, w), plain(rng, k, c, *kernel), plain(rng, k) if bias else None


def conv_layout(case, pool=False):
    _n, c, h, w, k, kernel, padding, border, dense, _bias, _relu = case
    rows, columns = (s + 2 * p - t + 1 for s, p, t in zip((h, w), padding, kernel, strict=True))
    before = FeatureMap(rows, columns, k)
    y = FeatureMap(*((rows // 2, columns // 2) if pool else (rows, columns)), k, *border)
    return FeatureMap(h, w, c, *padding, dense), ConvolutionWeight(k, c, *kernel), before, y


def conv_operands(x_map, w_map, x, w, b):
    bias = None if b is None else parameter(padded(len(b)), bias_places(len(b)), b)
    return maps(x_map, x), parameter(w_map.size, weight_places(w_map), w), bias


def conv_bound(x, w, b, padding):
    """The bound of each number: one rounding a product and one a sum, which may be the same."""
    terms = w[0].size + (b is not None)
    return rounding(
        terms + 1, reference.conv2d_forward(magnitude(x), magnitude(w), magnitude(b), padding)
    )


@shapes(4)
@example(case=(3, 3, 9, 13, 16, (3, 3), (1, 1), (1, 1), True, True, False))
@example(case=(2, 24, 5, 13, 48, (3, 3), (1, 1), (0, 1), False, True, True))
@example(case=(1, 1, 1, 1, 1, (1, 1), (0, 0), (0, 0), False, False, False))
@example(case=(1, 5, 1, 1, 33, (2, 5), (4, 3), (0, 0), False, True, False))
@given(case=convolutions())
def test_conv2d_forward(case):
    padding, relu = case[6], case[-1]
    x_map, w_map, _, y_map = conv_layout(case)
    stage = Convolution(x_map, y_map, w_map, bias=case[-2], relu=relu)
    for kind in (whole, real, wild):
        x, w, b = conv_data(kind, case)
        y = blank(y_map, len(x))
        operands = (*conv_operands(x_map, w_map, x, w, b), y, None, None)
        call(conv2d_forward, stage, operands, len(x))
        with np.errstate(invalid="ignore"):
            expected = reference.conv2d_forward(double(x), double(w), double(b), padding)
        if relu:
            expected = reference.relu_forward(expected)
        bound = conv_bound(x, w, b, padding) if kind is real else 0
        assert_within(read(y_map, y, finite=kind is not wild), expected, bound)


@shapes(3)
@example(case=(3, 3, 8, 12, 16, (3, 3), (1, 1), (0, 0), True, True, True))
@example(case=(2, 17, 7, 9, 24, (3, 3), (1, 1), (1, 2), False, True, False))
@example(case=(1, 1, 1, 2, 5, (2, 1), (1, 0), (0, 0), False, False, False))
@given(case=convolutions(pool=True))
def test_conv2d_forward_pooled(case):
    padding, relu = case[6], case[-1]
    x_map, w_map, _, y_map = conv_layout(case, pool=True)
    for kind, keep in ((whole, True), (real, True), (wild, True), (whole, False)):
        if not keep and case[0] != 3:
            continue  # without winners is another kernel to compile
        stage = Convolution(x_map, y_map, w_map, case[-2], relu, pool=True, winners=keep)
        x, w, b = conv_data(kind, case)
        y = blank(y_map, len(x))
        winners = Buffer(len(x), y_map.bare.size, np.int32)
        operands = (*conv_operands(x_map, w_map, x, w, b), y, winners, None)
        call(conv2d_forward, stage, operands, len(x))
        with np.errstate(invalid="ignore"):
            sums = reference.conv2d_forward(double(x), double(w), double(b), padding)
        expected, winner = reference.max_pool2d_forward(sums)
        if relu:
            expected = reference.relu_forward(expected)
        bound = np.zeros_like(expected)
        if kind is real:
            # No maximum is further off than the furthest of its four numbers.
            bounds = conv_bound(x, w, b, padding)
            bound = reference.max_pool2d_forward(bounds)[0]
        assert_within(read(y_map, y, finite=kind is not wild), expected, bound)
        won = winners.items[:, places(y_map.bare)]
        if not keep:
            assert (winners.items == 77).all()
        elif kind is real:
            # The winner may be another one only where both are the largest within the bound.
            rows, columns = y_map.height, y_map.width
            fours = [sums[:, :, r // 2 : 2 * rows : 2, r % 2 : 2 * columns : 2] for r in range(4)]
            offsets = winner_offsets(x_map, np.arange(4))
            taken = np.select([won == at for at in offsets], fours, default=-inf)
            assert (taken >= np.max(fours, axis=0) - 2 * bound).all()
        else:
            # Which of the four is said to have won where one is NaN does not matter.
            known = ~np.isnan(expected)
            np.testing.assert_array_equal(won[known], winner_offsets(x_map, winner)[known])
            assert np.isin(won, winner_offsets(x_map, np.arange(4))).all()


@shapes(3)
@example(case=(2, 8, 5, 6, 16, (3, 3), (1, 1), (1, 1), False, False, True))
@example(case=(1, 5, 1, 3, 3, (1, 2), (4, 3), (0, 0), False, False, False))
@example(case=(3, 24, 6, 5, 17, (5, 4), (2, 0), (2, 0), False, False, True))
@given(case=convolutions())
def test_conv2d_backward_input(case):
    """The forward kernel with the turned weight, cropped and gated."""
    n, c, h, w, _k, (kh, kw), (ph, pw), border, _dense, _bias, gated = case
    _, w_map, y_map, _ = conv_layout(case)
    # A padding wider than the kernel reaches: those rows and columns of dy saw only zeros.
    gap_h, gap_w = max(0, kh - 1 - ph), max(0, kw - 1 - pw)
    dy_map = FeatureMap(y_map.height, y_map.width, y_map.channels, gap_h, gap_w)
    dx_map = FeatureMap(h, w, c, *border)
    gate_map = FeatureMap(h, w, c, ph, pw)
    crop = max(0, ph - kh + 1), max(0, pw - kw + 1)
    stage = Convolution(
        dy_map,
        dx_map,
        w_map.turned,
        bias=False,
        crop_h=crop[0],
        crop_w=crop[1],
        gated=gated,
        gate=gate_map if gated else FeatureMap(1, 1, 1),
    )
    for kind in (whole, real):
        rng = generator(kind.__name__, case)
        _, weight, _ = conv_data(kind, case)
        dy = kind(rng, n, *places(y_map).shape)
        gate = np.maximum(whole(rng, n, c, h, w), 0)
        turned = weight.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1]
        dx = blank(dx_map, n)
        gates = maps(gate_map, gate) if gated else None
        turned_weight = parameter(w_map.turned.size, weight_places(w_map.turned), turned)
        call(conv2d_forward, stage, (maps(dy_map, dy), turned_weight, None, dx, None, gates), n)
        backward = reference.conv2d_backward_input
        expected = backward(double(dy), double(weight), gate.shape, (ph, pw))
        terms = weight[:, 0].size
        products = backward(magnitude(dy), magnitude(weight), gate.shape, (ph, pw))
        bound = rounding(terms + 1, products) if kind is real else np.zeros_like(expected)
        if gated:
            expected = reference.relu_backward(expected, double(gate))
            bound = reference.relu_backward(bound, gate)
        assert_within(read(dx_map, dx), expected, bound)


@shapes(1)
@example(case=(1, 17, 3, 3, 33, (3, 2), (1, 0), (0, 0), False, True, False))
@given(case=convolutions())
def test_conv2d_flip_weight(case):
    x_map, w_map, y_map, _ = conv_layout(case)
    weight = real(generator(case), *weight_places(w_map).shape)
    packed = parameter(w_map.size, weight_places(w_map), weight)
    at = weight_places(w_map.turned)
    turned = parameter(w_map.turned.size, at, nan)
    stage = WeightGradient(x_map, y_map, w_map, True, False, 1)
    for first, count in in_parts(w_map.blocks):
        call(conv2d_flip_weight, stage, (packed, turned), count, first=first)
    expected = weight.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1]
    np.testing.assert_array_equal(read_parameter(turned, at), expected)


def weight_gradient(stage, kernel, x, dy, winners, images):
    """dw and db, in two calls over the images as two workers make them, then reduced."""
    shards = -(-images // stage.shard)
    weight_sums = Buffer(shards, stage.partial_size)
    bias_sums = Buffer(shards, padded(stage.w.out_channels))
    middle = shards // 2 * stage.shard
    for first, until in ((0, middle), (middle, images)):
        operands = (
            (x, first),
            (dy, first),
            (winners, first) if winners else None,
            weight_sums,
            bias_sums,
        )
        if until > first:
            call(kernel, stage, operands, until - first, first=first)
    at = weight_places(stage.w)
    dw = parameter(stage.w.size, at, nan)
    db = parameter(padded(stage.w.out_channels), bias_places(stage.w.out_channels), nan)
    reduce = (weight_sums, bias_sums, dw, db if stage.bias else None, step(images))
    for first, count in in_parts(stage.w.blocks):
        call(conv2d_reduce, stage, reduce, count, first=first)
    bias = read_parameter(db, bias_places(stage.w.out_channels)) if stage.bias else None
    return read_parameter(dw, at), bias


def assert_weight_gradient(stage, actual, x, dy, kernel, padding, exact):
    dw, db = actual
    backward, of_bias = reference.conv2d_backward_weight, reference.conv2d_backward_bias
    # One rounding a place, at most one more a product, and one a shard.
    roundings = 2 * len(x) * dy[0, 0].size + len(x)
    bound = rounding(roundings, backward(magnitude(x), magnitude(dy), kernel, padding))
    expected = backward(double(x), double(dy), kernel, padding)
    assert_within(dw, expected, np.zeros_like(bound) if exact else bound)
    if stage.bias:
        bound = rounding(roundings, of_bias(magnitude(dy)))
        assert_within(db, of_bias(double(dy)), np.zeros_like(bound) if exact else bound)


@shapes(3)
@example(case=(5, 3, 9, 13, 16, (3, 3), (1, 1), (1, 1), True, True, False), shard=2)
@example(case=(2, 17, 33, 40, 24, (3, 3), (1, 1), (0, 0), False, True, False), shard=1)
@example(case=(3, 5, 1, 1, 1, (3, 5), (4, 2), (0, 0), False, False, False), shard=3)
@given(case=convolutions(), shard=st.integers(1, 3))
def test_conv2d_backward_weight(case, shard):
    x_map, w_map, _, dy_map = conv_layout(case)
    stage = WeightGradient(x_map, dy_map, w_map, case[-2], False, shard)
    for kind in (whole, real):
        x, _, _ = conv_data(kind, case)
        dy = kind(generator(case), len(x), *places(dy_map).shape)
        operands = maps(x_map, x), maps(dy_map, dy), None
        actual = weight_gradient(stage, conv2d_backward_weight, *operands, len(x))
        assert_weight_gradient(stage, actual, x, dy, case[5], case[6], kind is whole)


@shapes(3)
@example(case=(5, 3, 8, 12, 16, (3, 3), (1, 1), (0, 0), True, True, False), shard=2)
@example(case=(3, 33, 6, 9, 5, (5, 5), (2, 1), (0, 0), False, True, False), shard=1)
@example(case=(2, 24, 40, 33, 17, (3, 3), (1, 1), (0, 0), False, False, False), shard=2)
@given(case=convolutions(pool=True), shard=st.integers(1, 3))
def test_conv2d_backward_weight_of_winners(case, shard):
    x_map, w_map, before, y_map = conv_layout(case, pool=True)
    stage = WeightGradient(x_map, y_map.bare, w_map, case[-2], True, shard)
    for kind in (whole, real):
        x, _, _ = conv_data(kind, case)
        rng = generator(case)
        dy = kind(rng, len(x), *places(y_map).shape)
        winner = rng.integers(0, 4, dy.shape)
        winners = Buffer(len(x), y_map.bare.size, np.int32)
        winners.items[:, places(y_map.bare)] = winner_offsets(x_map, winner)
        operands = maps(x_map, x), maps(y_map.bare, dy), winners
        kernel = conv2d_backward_weight_of_winners
        actual = weight_gradient(stage, kernel, *operands, len(x))
        spread = reference.max_pool2d_backward(dy, winner, (len(x), *places(before).shape))
        assert_weight_gradient(stage, actual, x, spread, case[5], case[6], kind is whole)
