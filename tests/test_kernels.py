"""Every kernel alone against `neocog.reference` in float64.

Whole numbers are exact in float32 as long as all sums stay below 2**24, so with them a kernel must
give the reference's numbers exactly, ties included. With other numbers each result must lie within
the bound that float32 arithmetic guarantees: so many roundings (u = 2**-24 each) of at most the sum
of the absolute values of what is added.
"""

import os
import zlib
from math import inf, nan

import numpy as np
import pytest
from hypothesis import Phase, assume, example, given, settings
from hypothesis import strategies as st
from kernel_caller import (
    TINY,
    UNIT,
    Buffer,
    assert_within,
    bias_places,
    blank,
    call,
    flat,
    linear_places,
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
from neocog.kernels.activation import Activation, relu_backward, relu_forward
from neocog.kernels.convolution import Convolution, conv2d_forward
from neocog.kernels.convolution_gradient import (
    WeightGradient,
    conv2d_backward_weight,
    conv2d_backward_weight_of_winners,
    conv2d_flip_weight,
    conv2d_reduce,
)
from neocog.kernels.image import Images, load_images
from neocog.kernels.layout import ConvolutionWeight, FeatureMap, padded
from neocog.kernels.linear import (
    FullyConnected,
    linear_forward,
    linear_forward_parts,
    linear_sum_parts,
)
from neocog.kernels.linear_gradient import (
    linear_backward_bias,
    linear_backward_input,
    linear_backward_input_slices,
    linear_backward_weight,
)
from neocog.kernels.pooling import Pooling, copy_rows, max_pool2d_backward, max_pool2d_forward
from neocog.kernels.simd import LANES
from neocog.kernels.softmax import Softmax, softmax, softmax_cross_entropy
from neocog.kernels.update import Update, adam_step, sgd_step

# Each example compiles kernels of its own, so there are few, and none to make a failure smaller.
# With a width that was asked for (`test_widths.py`), only those that are written out.
PHASES = (Phase.explicit,) if os.environ.get("NEOCOG_LANES") else (Phase.explicit, Phase.generate)


def shapes(examples):
    return settings(max_examples=examples, deadline=None, derandomize=True, phases=PHASES)


CHANNELS = st.sampled_from([1, 3, 5, 8, 17, 24, 33])
SIZES = st.sampled_from([1, 2, 3, 5, 6, 9, 13])
IMAGES = st.sampled_from([1, 2, 3, 5])
KERNELS = st.tuples(st.integers(1, 5), st.integers(1, 5))
PADDINGS = st.tuples(st.integers(0, 4), st.integers(0, 4))
BORDERS = st.tuples(st.integers(0, 2), st.integers(0, 2))


def whole(rng, *shape):
    """Small whole numbers, so that there are ties and every float32 operation is exact."""
    return rng.integers(-3, 4, shape).astype(np.float32)


def real(rng, *shape):
    """Numbers of very different sizes."""
    return (rng.normal(size=shape) * 10.0 ** rng.uniform(-3, 1, shape)).astype(np.float32)


def wild(rng, *shape):
    """Whole numbers with a few that are not finite."""
    values = whole(rng, *shape)
    for value in (nan, inf, -inf):
        values.flat[rng.integers(values.size)] = value
    return values


def generator(*seed):
    return np.random.default_rng(zlib.crc32(repr(seed).encode()))


def double(values):
    return None if values is None else values.astype(np.float64)


def magnitude(values):
    return None if values is None else np.abs(values.astype(np.float64))


def in_parts(count):
    """The items 0 … count in two calls, as (first, items), unless there is only one."""
    return [(0, count)] if count == 1 else [(0, count // 2), (count // 2, count - count // 2)]


# Convolution


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


def winner_offsets(x_map, winner):
    """Winners 0 … 3 as the offsets that kernels keep."""
    return winner // 2 * x_map.row + winner % 2 * x_map.pixel


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


# Linear


@st.composite
def linears(draw):
    """(N, C, H, W, outputs, dense, bias, relu or gated)."""
    c = draw(CHANNELS)
    dense = c <= 5 and draw(st.booleans())
    h, w = draw(SIZES), draw(SIZES)
    outputs = draw(st.sampled_from([1, 3, 5, 8, 10, 17, 33]))
    return draw(IMAGES), c, h, w, outputs, dense, draw(st.booleans()), draw(st.booleans())


linear_shapes = (
    example(case=(5, 3, 5, 7, 10, True, True, False)),
    example(case=(1, 1, 1, 1, 1, False, False, False)),
    example(case=(3, 33, 1, 1, 17, False, True, True)),
    example(case=(2, 16, 6, 5, 33, False, True, False)),
)


def on_linear_shapes(test):
    test = given(case=linears())(test)
    for add in linear_shapes:
        test = add(test)
    return shapes(2)(test)


def linear_layout(case):
    n, c, h, w, outputs, dense, _bias, _relu = case
    return n, FeatureMap(h, w, c, dense=dense), FeatureMap(1, 1, outputs)


def vectors_of(m, values):
    return maps(m, values.reshape(len(values), *places(m).shape))


def linear_data(kind, case):
    n, c, h, w, outputs, _dense, _bias, _relu = case
    rng = generator(kind.__name__, case)
    plain = whole if kind is wild else kind
    inputs = c * h * w
    return (
        kind(rng, n, inputs),
        plain(rng, outputs, inputs),
        plain(rng, outputs),
        plain(rng, n, outputs),
    )


def packed_linear(stage, x_map, w):
    return parameter(stage.w.size, linear_places(x_map, len(w)), w)


def unwritten(m, count):
    """For kernels that write numbers one by one and leave the padding alone."""
    return maps(m, np.full((count, *places(m).shape), nan))


@on_linear_shapes
def test_linear_forward(case):
    n, x_map, z_map = linear_layout(case)
    bias, relu = case[-2:]
    stage = FullyConnected(x_map, z_map.channels, bias, relu)
    for kind in (whole, real, wild):
        x, w, b, _ = linear_data(kind, case)
        z = unwritten(z_map, n)
        b_packed = parameter(padded(len(b)), bias_places(len(b)), b) if bias else None
        call(
            linear_forward,
            stage,
            (vectors_of(x_map, x), packed_linear(stage, x_map, w), b_packed, z),
            n,
        )
        b = b if bias else np.zeros_like(b)
        with np.errstate(invalid="ignore"):
            expected = reference.linear_forward(double(x), double(w), double(b))
        if relu:
            expected = reference.relu_forward(expected)
        bound = 0
        if kind is real:
            # One rounding a product and one a sum, zeros in the padding included, and the bias's.
            products = reference.linear_forward(magnitude(x), magnitude(w), magnitude(b))
            bound = rounding(2 * stage.w.inputs + 1, products)
        assert_within(read(z_map, z).reshape(n, -1), expected, bound)


@on_linear_shapes
def test_linear_forward_does_not_depend_on_an_images_company(case):
    n, x_map, z_map = linear_layout(case)
    assume(n > 1)
    stage = FullyConnected(x_map, z_map.channels, *case[-2:])
    x, w, b, _ = linear_data(real, case)
    xs, packed = vectors_of(x_map, x), packed_linear(stage, x_map, w)
    b_packed = parameter(padded(len(b)), bias_places(len(b)), b)
    together, alone = unwritten(z_map, n), unwritten(z_map, n)
    call(linear_forward, stage, (xs, packed, b_packed, together), n)
    for i in range(n):
        call(linear_forward, stage, ((xs, i), packed, b_packed, (alone, i)), 1)
    np.testing.assert_array_equal(read(z_map, together), read(z_map, alone))


@on_linear_shapes
def test_linear_forward_by_parts_of_the_inputs(case):
    n, x_map, z_map = linear_layout(case)
    bias, relu = case[-2:]
    batch = n + 1  # room for one more image than there are
    stage = FullyConnected(x_map, z_map.channels, bias, relu, batch=batch)
    plain = FullyConnected(x_map, z_map.channels, bias=False, batch=batch)
    for kind in (whole, real):
        x, w, b, _ = linear_data(kind, case)
        xs, packed = vectors_of(x_map, x), packed_linear(stage, x_map, w)
        b_packed = parameter(padded(len(b)), bias_places(len(b)), b) if bias else None
        b = b if bias else np.zeros_like(b)
        found = []
        for pieces in (in_parts(stage.parts), [(0, stage.parts)]):
            parts = maps(z_map, np.zeros((stage.parts * batch, *places(z_map).shape)))
            z = unwritten(z_map, n)
            for first, count in pieces:
                call(linear_forward_parts, plain, (xs, packed, parts, step(n)), count, first=first)
            for i in range(n):
                call(linear_sum_parts, stage, (parts, b_packed, (z, i)), 1, first=i)
            found.append(read(z_map, z).reshape(n, -1))
        np.testing.assert_array_equal(*found)
        expected = reference.linear_forward(double(x), double(w), double(b))
        if relu:
            expected = reference.relu_forward(expected)
        products = reference.linear_forward(magnitude(x), magnitude(w), magnitude(b))
        bound = rounding(2 * stage.w.inputs + stage.parts + 1, products) if kind is real else 0
        assert_within(found[0], expected, bound)


@on_linear_shapes
def test_linear_backward_input_by_slices_is_the_same_to_the_bit(case):
    n, x_map, z_map = linear_layout(case)
    stage = FullyConnected(x_map, z_map.channels, gated=case[-1])
    x, w, _, dz = linear_data(real, case)
    xs, slopes = vectors_of(x_map, np.maximum(x, 0)), vectors_of(z_map, dz)
    packed = packed_linear(stage, x_map, w)
    at_once, sliced = blank(x_map, n), blank(x_map, n)
    call(linear_backward_input, stage, (slopes, packed, at_once, xs), n)
    for first, count in in_parts(stage.slices):
        operands = slopes, packed, sliced, xs, step(n)
        call(linear_backward_input_slices, stage, operands, count, first=first)
    np.testing.assert_array_equal(read(x_map, sliced), read(x_map, at_once))


@on_linear_shapes
def test_linear_backward_input(case):
    n, x_map, z_map = linear_layout(case)
    gated = case[-1]
    stage = FullyConnected(x_map, z_map.channels, gated=gated)
    for kind in (whole, real):
        x, w, _, dz = linear_data(kind, case)
        x = np.maximum(x, 0)
        dx = blank(x_map, n)
        operands = (vectors_of(z_map, dz), packed_linear(stage, x_map, w), dx, vectors_of(x_map, x))
        call(linear_backward_input, stage, operands, n)
        expected = reference.linear_backward_input(double(dz), double(w))
        products = reference.linear_backward_input(magnitude(dz), magnitude(w))
        bound = rounding(2 * len(w), products) if kind is real else np.zeros_like(products)
        if gated:
            expected = reference.relu_backward(expected, double(x))
            bound = reference.relu_backward(bound, x)
        assert_within(read(x_map, dx).reshape(n, -1), expected, bound)


@on_linear_shapes
def test_linear_backward_weight_and_bias(case):
    n, x_map, z_map = linear_layout(case)
    stage = FullyConnected(x_map, z_map.channels)
    for kind in (whole, real):
        x, w, b, dz = linear_data(kind, case)
        xs, slopes = vectors_of(x_map, x), vectors_of(z_map, dz)
        at = linear_places(x_map, len(w))
        dw = parameter(stage.w.size, at, nan)
        db = parameter(padded(len(b)), bias_places(len(b)), nan)
        for first, count in in_parts(stage.slices):
            operands = xs, slopes, dw, step(n)
            call(linear_backward_weight, stage, operands, count, first=first)
        call(linear_backward_bias, stage, (slopes, db, step(n)), 1)
        exact = kind is whole
        products = reference.linear_backward_weight(magnitude(x), magnitude(dz))
        expected = reference.linear_backward_weight(double(x), double(dz))
        bound = np.zeros_like(products) if exact else rounding(2 * n, products)
        assert_within(read_parameter(dw, at), expected, bound)
        sums = reference.linear_backward_bias(magnitude(dz))
        expected = reference.linear_backward_bias(double(dz))
        bound = np.zeros_like(sums) if exact else rounding(n, sums)
        assert_within(read_parameter(db, bias_places(len(b))), expected, bound)


# ReLU, pooling, copying


@st.composite
def feature_maps(draw):
    """(N, C, H, W, border before, border after, dense)."""
    c = draw(CHANNELS)
    dense = c <= 5 and draw(st.booleans())
    return draw(IMAGES), c, draw(SIZES), draw(SIZES), draw(BORDERS), draw(BORDERS), dense


@shapes(4)
@example(case=(2, 3, 5, 7, (1, 2), (0, 1), True))
@given(case=feature_maps())
def test_relu(case):
    n, c, h, w, before, after, dense = case
    x_map = FeatureMap(h, w, c, *before, dense)
    y_map = FeatureMap(h, w, c, *after, dense)
    stage = Activation(x_map, y_map)
    rng = generator(case)
    x = wild(rng, n, c, h, w)
    y = blank(y_map, n)
    call(relu_forward, stage, (maps(x_map, x), y), n)
    np.testing.assert_array_equal(read(y_map, y), reference.relu_forward(x))

    x = whole(rng, n, c, h, w)
    dy = real(rng, n, c, h, w)
    dx = blank(x_map.bare, n)
    y = reference.relu_forward(x)
    call(relu_backward, stage, (maps(y_map, y), maps(x_map.bare, dy), dx), n)
    np.testing.assert_array_equal(read(x_map.bare, dx), reference.relu_backward(dy, x))


@shapes(3)
@example(case=(2, 3, 5, 7, (1, 2), (0, 1), True))
@example(case=(3, 17, 2, 3, (0, 0), (1, 0), False))
@given(case=feature_maps())
def test_max_pool2d(case):
    n, c, h, w, before, after, dense = case
    h, w = max(h, 2), max(w, 2)
    x_map = FeatureMap(h, w, c, *before, dense)
    y_map = FeatureMap(h // 2, w // 2, c, *after, dense)
    bare = y_map.bare
    for kind, keep in ((whole, True), (wild, True), (real, False)):
        stage = Pooling(x_map, y_map, x_map, winners=keep)
        x = kind(generator(case), n, c, h, w)
        y, winners = blank(y_map, n), Buffer(n, bare.size, np.int32)
        call(max_pool2d_forward, stage, (maps(x_map, x), y, winners), n)
        expected, winner = reference.max_pool2d_forward(x)
        np.testing.assert_array_equal(read(y_map, y), expected)
        if keep:
            kept = winners.items[:, places(bare)]
            np.testing.assert_array_equal(kept, winner_offsets(x_map, winner))
        else:
            assert (winners.items == 77).all()


@shapes(3)
@example(case=(2, 5, 5, 7, (1, 2), (0, 1), False))
@given(case=feature_maps())
def test_max_pool2d_backward(case):
    n, c, h, w, before, after, _dense = case
    h, w = max(h, 2), max(w, 2)
    x_map, dx_map = FeatureMap(h, w, c, *before), FeatureMap(h, w, c, *after)
    y_map = FeatureMap(h // 2, w // 2, c)
    rng = generator(case)
    dy = real(rng, n, *places(y_map).shape)
    winner = rng.integers(0, 4, dy.shape)
    winners = Buffer(n, y_map.size, np.int32)
    winners.items[:, places(y_map)] = winner_offsets(x_map, winner)
    dx = blank(dx_map, n)
    # What is in no region has no gradient, and nobody writes it.
    outside = np.ones((h, w), bool)
    outside[: 2 * (h // 2), : 2 * (w // 2)] = False
    corner = places(dx_map)[0][outside][:, None] + np.arange(dx_map.pixel)
    dx.items[:, corner] = 0
    call(
        max_pool2d_backward,
        Pooling(x_map, y_map, dx_map),
        (maps(y_map, dy), winners, dx),
        n,
    )
    expected = reference.max_pool2d_backward(dy, winner, (n, c, h, w))
    np.testing.assert_array_equal(read(dx_map, dx), expected)


@shapes(1)
@example(case=(3, 17, 2, 3, (0, 0), (1, 2), False))
@given(case=feature_maps())
def test_copy_rows(case):
    n, c, h, w, _before, after, _dense = case
    bare, bordered = FeatureMap(h, w, c), FeatureMap(h, w, c, *after)
    values = wild(generator(case), n, c, h, w)
    copy = blank(bordered, n)
    call(copy_rows, Pooling(bare, bare, bordered), (maps(bare, values), copy), n)
    np.testing.assert_array_equal(read(bordered, copy), values)


# Images


@shapes(3)
@example(case=(3, 3, 6, 13, (1, 1), (0, 0), True), gathered=True)
@example(case=(5, 1, 1, 1, (0, 0), (0, 0), True), gathered=False)
@given(case=feature_maps(), gathered=st.booleans())
def test_load_images(case, gathered):
    n, c, h, w, border, _after, _dense = case
    c = min(c, 8)
    x_map = FeatureMap(h, w, c, *border, True)
    rng = generator(case)
    bytes_ = rng.integers(0, 256, (3 * n, h, w, c), dtype=np.uint8)
    bytes_.flat[:2] = 0, 255
    mean, std = tuple(rng.uniform(0, 1, c)), tuple(rng.uniform(0.1, 1, c))
    pixel = np.zeros((2, w, x_map.pixel), np.float32)
    pixel[0, :, :c] = 1 / (255 * np.array(std))
    pixel[1, :, :c] = -np.array(mean) / np.array(std)
    scale, shift = pixel
    order = rng.integers(0, 3 * n, 3 * n)
    x = unwritten(x_map, n)
    # The second batch of the epoch; its images 0 … n, and what comes after them is fetched.
    operands = (
        flat(bytes_, np.uint8),
        flat(order, np.int64) if gathered else None,
        step(n, begin=n, total=3 * n),
        flat(scale),
        flat(shift),
    )
    for first, count in in_parts(n):
        call(load_images, Images(x_map, gathered), (*operands, (x, first)), count, first=first)
    taken = bytes_[order[n : 2 * n]] if gathered else bytes_[n : 2 * n]
    expected = reference.preprocess(taken, mean, std)
    # Scale and shift are rounded, then the product and the sum.
    parts = taken / 255 / np.array(std) + np.array(mean) / np.array(std)
    assert_within(read(x_map, x), expected, rounding(3, parts.transpose(0, 3, 1, 2)))


# Softmax

# The exponential's own error, in units of UNIT: two in the last place.
EXP = 4


def share_bound(z):
    """Bounds of the probabilities of z [N, classes], and of the sum of exponentials relative to it.

    Where x is rounded by |x| u, exp(x) changes by that much of itself.
    """
    z = double(z)
    below = z.max(axis=1, keepdims=True) - z
    e = np.exp(-below)
    of_one = (below + EXP) * UNIT
    total = e.sum(axis=1, keepdims=True)
    of_sum = ((e * of_one).sum(axis=1, keepdims=True)) / total + z.shape[1] * (UNIT + TINY)
    # The quotient, the share of a batch and the product are three more; what is too small is zero.
    return e / total * (of_one + of_sum + 3 * UNIT) * 1.001 + 4 * TINY, of_sum[:, 0]


def score_cases(classes):
    rng = generator(classes)
    rows = [
        rng.normal(size=classes) * 3,
        rng.normal(size=classes) * 30,
        np.zeros(classes),
        np.full(classes, 1e4),
        rng.choice([-1e4, 1e4], classes),
        rng.choice([-88.0, 88.0], classes),
        np.where(np.arange(classes) == classes // 2, 88.0, 0.0),
        np.where(np.arange(classes) == classes // 2, -88.0, 0.0),
        np.linspace(-87.4, 0, classes),
        rng.choice([-3e38, 0.0], classes),
        rng.integers(-1, 2, classes),
    ]
    return np.array(rows, np.float32)


# 1 and 2 classes, whole vectors, one more and one less than a vector.
CLASSES = [1, 2, 10, 16, 33]


@pytest.mark.parametrize("classes", CLASSES)
def test_softmax(classes):
    z = score_cases(classes)
    stage = Softmax(classes)
    scores, p = Buffer(len(z), classes), Buffer(len(z), classes)
    call(softmax, stage, (maps(stage.z, z[..., None, None]), scores, p), len(z))
    np.testing.assert_array_equal(scores.items, z)
    assert_within(p.items, reference.softmax(double(z)), share_bound(z)[0])
    sums = p.items.astype(np.float64).sum(axis=1)
    assert_within(sums, np.ones(len(z)), (2 * classes + 8) * UNIT)


def test_the_exponential_is_within_two_units_in_the_last_place():
    """Softmax leaves exp(z − max z) where z was; with a maximum of 0 nothing else is rounded."""
    stage = Softmax(2)
    z = np.zeros((4000, 2), np.float32)
    z[:, 1] = -np.concatenate([np.linspace(0, 2, 2000), np.linspace(2, 90, 2000)])
    zs, n = maps(stage.z, z[..., None, None]), len(z)
    call(softmax, stage, (zs, Buffer(n, 2), Buffer(n, 2)), n)
    expected = np.exp(double(z))
    assert_within(zs.items[:, :2], expected, EXP * UNIT * expected + TINY)


@pytest.mark.parametrize("classes", CLASSES)
@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_softmax_of_what_is_not_finite(classes, value):
    stage = Softmax(classes)
    z = np.zeros((classes, classes), np.float32)
    np.fill_diagonal(z, value)
    scores, p = Buffer(classes, classes), Buffer(classes, classes)
    call(softmax, stage, (maps(stage.z, z[..., None, None]), scores, p), classes)
    np.testing.assert_array_equal(scores.items, z)
    with np.errstate(invalid="ignore"):
        expected = reference.softmax(double(z))
    assert_within(p.items, expected, (classes + EXP + 3) * UNIT)


@pytest.mark.parametrize("classes", CLASSES)
def test_softmax_cross_entropy(classes):
    z = score_cases(classes)
    n, begin = len(z), 3
    rng = generator(classes)
    stage = Softmax(classes)
    labels = rng.integers(0, classes, 2 * n)
    order = rng.permutation(2 * n)
    dz = blank(stage.z, n)
    losses = Buffer(n, 1, np.float64)
    told = step(n, begin=begin, total=2 * n)
    zs = maps(stage.z, z[..., None, None])
    for first, count in in_parts(n):
        operands = (
            (zs, first),
            (dz, first),
            (losses, first),
            flat(order, np.int64),
            flat(labels, np.int64),
            told,
        )
        call(softmax_cross_entropy, stage, operands, count, first=first)
    own = labels[order[begin : begin + n]]
    z_bound, sum_bound = share_bound(z)
    # The logarithm of a sum that is off by a part of itself is off by that much; the rest is
    # float64, but for scores of 3e38.
    spread = np.abs(double(z)).max(axis=1)
    bound = 1.001 * sum_bound + 2 * TINY + 4 * np.finfo(np.float64).eps * (spread + 100)
    assert_within(losses.items[:, 0], reference.cross_entropy(double(z), own), bound)
    expected = reference.cross_entropy_backward(double(z), own) / n
    # y − t once more rounded, and the share itself, which is taken off where y is the label's.
    bound = (z_bound + 2 * UNIT) / n
    assert_within(read(stage.z, dz)[..., 0, 0], expected, bound)


@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_cross_entropy_of_what_is_not_finite(value):
    classes = 10
    stage = Softmax(classes)
    z = np.zeros((classes, classes), np.float32)
    np.fill_diagonal(z, value)
    labels = np.arange(classes)[::-1].copy()
    losses = Buffer(classes, 1, np.float64)
    zs = maps(stage.z, z[..., None, None])
    tail = flat(np.arange(classes), np.int64), flat(labels, np.int64), step(classes)
    call(softmax_cross_entropy, stage, (zs, blank(stage.z, classes), losses, *tail), classes)
    with np.errstate(invalid="ignore"):
        expected = reference.cross_entropy(double(z), labels)
    assert_within(losses.items[:, 0], expected, (classes + EXP) * UNIT)


# Optimisers

ITEM, ITEMS = 48, 5


def state(rng, scale=1.0):
    return flat(real(rng, ITEMS * ITEM) * scale)


def run_update(kernel, operands):
    """Items 1 … 4 of five, in two calls; the first and the last must stay."""
    before = [o.items.copy() for o in operands]
    call(kernel, Update(ITEM), operands, 1, first=1)
    call(kernel, Update(ITEM), operands, 2, first=2)
    for buffer, old in zip(operands, before, strict=True):
        if buffer.items.dtype == np.float32:
            for end in (slice(0, ITEM), slice(-ITEM, None)):
                np.testing.assert_array_equal(buffer.items[0, end], old[0, end])
    middle = slice(ITEM, -ITEM)
    return [double(old[0, middle]) for old in before if old.dtype == np.float32]


@pytest.mark.parametrize(("lr", "momentum"), [(0.001, 0.9), (0.3, 0.0), (7.0, 0.99)])
def test_sgd_step(lr, momentum):
    rng = generator(lr, momentum)
    operands = w, _g, _settings, v = (
        state(rng),
        state(rng),
        flat([lr, momentum], np.float64),
        state(rng),
    )
    old_w, old_g, old_v = run_update(sgd_step, operands)
    new_w, new_v = reference.sgd_step(old_w, old_g, old_v, lr, momentum)
    middle = slice(ITEM, -ITEM)
    # μ is rounded, the product may be, and so is the sum.
    v_bound = rounding(3, np.abs(momentum * old_v) + np.abs(old_g))
    assert_within(v.items[0, middle], new_v, v_bound)
    w_bound = rounding(3, np.abs(old_w) + lr * np.abs(new_v)) + 1.001 * lr * v_bound
    assert_within(w.items[0, middle], new_w, w_bound)


@pytest.mark.parametrize("taken", [0, 1, 1000])
@pytest.mark.parametrize("settings_", [(0.001, 0.9, 0.999, 1e-8), (0.1, 0.5, 0.5, 1e-3)])
def test_adam_step(taken, settings_):
    lr, beta1, beta2, eps = settings_
    rng = generator(taken, settings_)
    w, g, m = state(rng), state(rng), state(rng)
    v = flat(np.abs(real(rng, ITEMS * ITEM)))
    if taken == 0:
        m.items[:], v.items[:] = 0, 0
    operands = w, g, flat(settings_, np.float64), m, v, step(1, taken=taken)
    old_w, old_g, old_m, old_v = run_update(adam_step, operands)
    new_w, new_m, new_v = reference.adam_step(
        old_w, old_g, old_m, old_v, taken + 1, lr, beta1, beta2, eps
    )
    middle = slice(ITEM, -ITEM)
    # A β rounded to float32 is off by u, which is what its 1 − β is off by, too.
    m_bound = rounding(4, np.abs(old_m) + np.abs(old_g - old_m))
    v_bound = rounding(4, old_v + old_g**2)
    assert_within(m.items[0, middle], new_m, m_bound)
    assert_within(v.items[0, middle], new_v, v_bound)
    m_hat, v_hat = new_m / (1 - beta1 ** (taken + 1)), new_v / (1 - beta2 ** (taken + 1))
    root = np.sqrt(v_hat) + eps
    part_v = v_bound / np.maximum(new_v, TINY) / 2
    part = rounding(8, 1.0) + part_v
    moved = lr * (np.abs(m_hat) * part + m_bound / (1 - beta1 ** (taken + 1))) / root
    assert_within(
        w.items[0, middle], new_w, 1.01 * moved + rounding(2, np.abs(new_w) + np.abs(old_w))
    )


# Denormals


def test_denormals_count_as_zero_where_they_are_flushed():
    """As every worker does; `flush` off shows that the numbers would otherwise be there."""
    small = np.float32(1e-40)
    for flush, expected in ((True, 0.0), (False, small)):
        w, g, v = flat(np.zeros(LANES)), flat(np.full(LANES, small)), flat(np.zeros(LANES))
        operands = w, g, flat([0.5, 0.0], np.float64), v
        call(sgd_step, Update(LANES), operands, 1, flush=flush)
        np.testing.assert_array_equal(v.items[0], np.full(LANES, expected, np.float32))
    assert small * np.float32(1) == small, "this thread's own arithmetic is as it was"
