"""The convolution kernels alone against `neocog.reference` in float64; see `cases`."""

from dataclasses import dataclass, replace
from math import inf, nan

import numpy as np
import pytest
from cases import (
    BORDERS,
    IMAGES,
    SIZES,
    double,
    example,
    generator,
    in_parts,
    magnitude,
    once,
    real,
    shapes,
    unwritten,
    whole,
    wild,
    winner_offsets,
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
    read_parameter,
    rounding,
    step,
    weight_places,
)

from neocog import reference
from neocog.kernels.convolution import conv2d_forward
from neocog.kernels.convolution_gradient import (
    WeightGradient,
    conv2d_backward_bias,
    conv2d_backward_weight,
    conv2d_backward_weight_items,
    conv2d_backward_weight_of_winners,
    conv2d_flip_weight,
    conv2d_reduce,
)
from neocog.kernels.convolution_tiling import Convolution
from neocog.kernels.input_gradient import InputGradient, conv2d_backward_input_strided
from neocog.kernels.layout import ConvolutionWeight, FeatureMap, padded
from neocog.kernels.simd import LANES


@dataclass(frozen=True)
class Case:
    """A convolution; `extra` is border that x has beyond its padding, `border` that of the result.

    What `inputs` and `outputs` count are channels of one group.
    """

    n: int
    inputs: int
    size: tuple[int, int]
    outputs: int
    kernel: tuple[int, int]
    rows: tuple[int, int] = (0, 0)
    columns: tuple[int, int] = (0, 0)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    border: tuple[int, int] = (0, 0)
    extra: int = 0
    dense: bool = False
    bias: bool = True
    relu: bool = False
    accumulate: bool = False

    @property
    def c(self):
        return self.inputs * self.groups

    @property
    def k(self):
        return self.outputs * self.groups

    @property
    def padding(self):
        return self.rows, self.columns

    @property
    def options(self):
        """What the formulas take beside the padding."""
        return {"stride": self.stride, "dilation": self.dilation, "groups": self.groups}

    @property
    def reach(self):
        """From a window's first row and column to its last."""
        pairs = zip(self.kernel, self.dilation, strict=True)
        return tuple((kernel - 1) * dilation for kernel, dilation in pairs)

    @property
    def out(self):
        sizes = zip(self.size, self.padding, self.reach, self.stride, strict=True)
        return tuple((h + sum(p) - reach - 1) // s + 1 for h, p, reach, s in sizes)

    @property
    def x_map(self):
        border = (max(sides) + self.extra for sides in self.padding)
        return FeatureMap(*self.size, self.c, *border, self.dense)

    @property
    def y_map(self):
        return FeatureMap(*self.out, self.k, *self.border)

    @property
    def pooled(self):
        return FeatureMap(*(size // 2 for size in self.out), self.k, *self.border)

    @property
    def w_map(self):
        return ConvolutionWeight(self.k, self.c, *self.kernel, self.groups)

    @property
    def crop(self):
        """How far into x's border the first window begins."""
        return (
            self.x_map.border_h - self.padding[0][0],
            self.x_map.border_w - self.padding[1][0],
        )

    def spec(self, y_map, **others):
        (sh, sw), (dh, dw) = self.stride, self.dilation
        return Convolution(
            self.x_map,
            y_map,
            self.w_map,
            self.bias,
            self.relu,
            crop_h=self.crop[0],
            crop_w=self.crop[1],
            stride_h=sh,
            stride_w=sw,
            dilation_h=dh,
            dilation_w=dw,
            **others,
        )

    def gradient_spec(self, dy_map, winners, shard):
        steps = (*self.stride, *self.dilation)
        return WeightGradient(
            self.x_map, dy_map, self.w_map, self.bias, winners, shard, *steps, *self.crop
        )


CHANNELS = st.sampled_from([1, 3, 5, 8, 17, 24, 33])
SIDES = st.tuples(st.integers(0, 3), st.integers(0, 3))


@st.composite
def cases(draw, pool=False, plain=False):
    """Random convolutions; `plain` ones have neither dilation nor groups."""
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    stride = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    dilation = (1, 1) if plain else draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    groups = 1 if plain else draw(st.integers(1, 4))
    rows, columns = draw(SIDES), draw(SIDES)
    size = []
    for k, d, s, sides in zip(kernel, dilation, stride, (rows, columns), strict=True):
        least = (k - 1) * d + 1 + (s if pool else 0) - sum(sides)
        size.append(max(draw(SIZES), least))
    inputs, outputs = draw(CHANNELS), draw(CHANNELS)
    case = Case(draw(IMAGES), inputs, tuple(size), outputs, kernel, rows, columns)
    return replace(
        case,
        stride=stride,
        dilation=dilation,
        groups=groups,
        border=draw(BORDERS),
        extra=draw(st.integers(0, 1)),
        dense=inputs * groups <= 5 and draw(st.booleans()),
        bias=draw(st.booleans()),
        relu=draw(st.booleans()),
        accumulate=draw(st.booleans()),
    )


RGB = Case(3, 3, (9, 13), 16, (3, 3), (1, 1), (1, 1), border=(1, 1), dense=True)
MANY = Case(2, 24, (5, 13), 48, (3, 3), (1, 1), (1, 1), border=(0, 1), relu=True)
ONE = Case(1, 1, (1, 1), 1, (1, 1), bias=False)
OVER = Case(1, 5, (1, 1), 33, (2, 5), (4, 4), (3, 3))
GROUPS = Case(2, 3, (6, 7), 5, (3, 2), (1, 2), (0, 3), (2, 1), (1, 2), 3, (1, 0), 1)
LARGE_GROUPS = Case(1, 17, (3, 5), 33, (2, 2), (0, 1), (1, 0), groups=2, relu=True)
SPARSE = Case(2, 6, (7, 8), 9, (2, 1), stride=(3, 2), dilation=(2, 3), accumulate=True)
#: The weights of many channels pass before the images; of large maps, bands pass.
HEAVY = Case(2, 96, (3, 3), 96, (3, 3), (1, 1), (1, 1), accumulate=True)
TALL = Case(1, 8, (96, 96), 8, (1, 2), (0, 0), (0, 1), extra=1)


def result(case, kind, values, m):
    """A map for a kernel to write or add to, and what it holds before."""
    n, lanes_left = len(values), case.w_map.lanes_left
    if case.accumulate:
        before = (whole if kind is wild else kind)(generator("before", case), n, *places(m).shape)
        return maps(m, before), before
    return unwritten(m, n) if lanes_left else blank(m, n), np.zeros((n, *places(m).shape))


def conv_data(kind, case):
    rng = generator(kind.__name__, case)
    plain = whole if kind is wild else kind
    weight = plain(rng, case.k, case.inputs, *case.kernel)
    return kind(rng, case.n, case.c, *case.size), weight, plain(rng, case.k) if case.bias else None


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


def assert_input_gradient(case, kernel, spec, dy_map, order):
    """dx against the formula; `order` makes the kernel's operands of dy, weight, dx and gate."""
    flipped_case = replace(case, inputs=case.outputs, outputs=case.inputs)
    for kind in (whole, real):
        rng = generator(kind.__name__, case)
        _, weight, _ = conv_data(kind, case)
        dy = kind(rng, case.n, case.k, *case.out)
        gate = np.maximum(whole(rng, case.n, case.c, *case.size), 0)
        groups = weight.reshape(case.groups, case.outputs, *weight.shape[1:])
        flipped = groups.swapaxes(1, 2)[..., ::-1, ::-1].reshape(case.c, -1, *case.kernel)
        dx, before = result(flipped_case, kind, dy, dx_map(case))
        w = case.w_map.flipped
        flipped_weight = parameter(w.size, weight_places(w), flipped)
        gates = maps(spec.gate, gate) if case.relu else None
        call(kernel, spec, order(maps(dy_map, dy), flipped_weight, dx, gates), case.n)
        shape = (gate.shape, case.padding)
        expected = reference.conv2d_backward_input(
            double(dy), double(weight), *shape, **case.options
        )
        products = reference.conv2d_backward_input(
            magnitude(dy), magnitude(weight), *shape, **case.options
        )
        terms = case.outputs * case.kernel[0] * case.kernel[1]
        bound = rounding(terms + 2, products + np.abs(before))
        bound = bound if kind is real else np.zeros_like(expected)
        if case.relu:
            expected = reference.relu_backward(expected, double(gate))
        assert_within(read(dx_map(case), dx), expected + before, bound)


def dx_map(case):
    return FeatureMap(*case.size, case.c, *case.border)


def gate_map(case):
    return FeatureMap(*case.size, case.c, case.extra, 1) if case.relu else FeatureMap(1, 1, 1)


@shapes(3)
@example(case=replace(MANY, n=1, inputs=8, outputs=16), once=True)
@example(case=Case(1, 5, (1, 3), 3, (1, 2), (4, 4), (3, 3)), once=True)
@example(case=Case(3, 24, (6, 5), 17, (5, 4), (2, 2), (0, 0), border=(2, 0), relu=True))
@example(case=replace(GROUPS, stride=(1, 1), accumulate=True, relu=True))
@given(case=cases())
def test_conv2d_backward_input(case):
    """The forward kernel with the flipped weight, cropped and gated: for stride 1."""
    case = replace(case, stride=(1, 1))
    # A padding wider than the kernel reaches: those rows and columns of dy saw only zeros.
    pairs = list(zip(case.reach, case.padding, strict=True))
    border = [max(0, reach - min(sides)) for reach, sides in pairs]
    crop = [b - (reach - sides[0]) for b, (reach, sides) in zip(border, pairs, strict=True)]
    dy_map = FeatureMap(*case.out, case.k, *border)
    spec = Convolution(
        dy_map,
        dx_map(case),
        case.w_map.flipped,
        bias=False,
        crop_h=crop[0],
        crop_w=crop[1],
        gated=case.relu,
        gate=gate_map(case),
        dilation_h=case.dilation[0],
        dilation_w=case.dilation[1],
        accumulate=case.accumulate,
    )
    assert_input_gradient(
        case, conv2d_forward, spec, dy_map, lambda dy, w, dx, gate: (dy, w, None, dx, None, gate)
    )


def strided_spec(case, dy_map):
    top, left = (sides[0] for sides in case.padding)
    steps = (*case.stride, *case.dilation)
    w, gate = case.w_map.flipped, gate_map(case)
    return InputGradient(
        dy_map, dx_map(case), w, *steps, top, left, case.relu, gate, case.accumulate
    )


@shapes(4)
@example(case=replace(MANY, stride=(2, 2), size=(8, 12)))
@example(case=replace(MANY, stride=(2, 2), size=(4, 4), relu=False), once=True)
@example(case=replace(MANY, stride=(2, 3), size=(7, 19)), once=True)
@example(case=GROUPS)
@example(case=replace(LARGE_GROUPS, stride=(2, 2)), once=True)
@example(case=SPARSE, once=True)
@example(case=replace(HEAVY, stride=(2, 2)), once=True)
@example(case=ONE, once=True)
@given(case=cases())
def test_conv2d_backward_input_strided(case):
    reaches = FeatureMap(*case.out, case.k, 99, 99)
    wide = strided_spec(case, reaches)
    dy_map = FeatureMap(*case.out, case.k, wide.reach_h, wide.reach_w)
    spec = strided_spec(case, dy_map)
    assert_input_gradient(
        case, conv2d_backward_input_strided, spec, dy_map, lambda *operands: operands
    )


def test_a_border_of_dy_that_is_too_narrow_is_refused():
    case = replace(MANY, stride=(2, 2), size=(8, 12))
    with pytest.raises(ValueError, match="dy's border of 0 × 0 must be at least 1 × 1"):
        strided_spec(case, FeatureMap(*case.out, case.k))


@shapes(1)
@example(case=Case(1, 17, (3, 3), 33, (3, 2), (1, 1)))
@example(case=GROUPS, once=True)
@example(case=LARGE_GROUPS)
@given(case=cases())
def test_conv2d_flip_weight(case):
    w_map = case.w_map
    weight = real(generator(case), *weight_places(w_map).shape)
    packed = parameter(w_map.size, weight_places(w_map), weight)
    at = weight_places(w_map.flipped)
    flipped = parameter(w_map.flipped.size, at, nan)
    spec = case.gradient_spec(case.y_map, False, 1)
    for first, count in in_parts(w_map.blocks):
        call(conv2d_flip_weight, spec, (packed, flipped), count, first=first)
    groups = weight.reshape(case.groups, case.outputs, *weight.shape[1:])
    expected = groups.swapaxes(1, 2)[..., ::-1, ::-1].reshape(case.c, -1, *case.kernel)
    np.testing.assert_array_equal(read_parameter(flipped, at), expected)


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
