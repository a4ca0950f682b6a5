"""The depthwise convolution kernels alone against `neocog.reference` in float64; see `cases`."""

from math import nan

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
    in_parts,
    magnitude,
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
    parameter,
    read,
    read_parameter,
    rounding,
    step,
)

from neocog import reference
from neocog.kernels.codegen.vector_types import LANES
from neocog.kernels.convolution.depthwise import (
    Depthwise,
    depthwise_backward_input,
    depthwise_forward,
)
from neocog.kernels.convolution.depthwise_gradient import (
    depthwise_backward_weight,
    depthwise_reduce,
)
from neocog.kernels.layout import FeatureMap


@st.composite
def depthwise(draw):
    """(N, C, (side, side), borders, dense maps, bias, relu), a side as in `DOWN` and `ACROSS`."""
    c = draw(CHANNELS)
    sides = []
    for _ in range(2):
        size, kernel, spread = (
            draw(SIZES),
            draw(st.integers(1, 5)),
            draw(st.sampled_from([1, 1, 2])),
        )
        before, after = draw(st.integers(0, 4)), draw(st.integers(0, 4))
        missing = spread * (kernel - 1) + 1 - size - before - after
        sides.append(
            (size, kernel, draw(st.integers(1, 3)), spread, before + max(0, missing), after)
        )
    borders = tuple(draw(BORDERS) for _ in range(4))
    dense = tuple(c <= 5 and draw(st.booleans()) for _ in range(4))
    return draw(IMAGES), c, tuple(sides), borders, dense, draw(st.booleans()), draw(st.booleans())


B = ((0, 0), (0, 1), (2, 0), (1, 1))
WIDE = ((1, 0), (0, 1), (2, 3), (1, 1))
NONE, ALL = (False,) * 4, (True,) * 4
# A side: size, kernel, stride, dilation, zeros before, zeros after.
CASES = (
    (2, 17, ((7, 3, 1, 1, 1, 1), (9, 3, 1, 1, 1, 1)), B, NONE, True, True),
    (2, 33, ((6, 3, 1, 1, 1, 1), (16, 3, 1, 1, 1, 1)), WIDE, NONE, False, False),
    (1, 8, ((9, 3, 2, 1, 1, 1), (13, 3, 2, 1, 0, 1)), WIDE, NONE, True, False),
    (1, 24, ((5, 5, 1, 1, 2, 2), (6, 4, 1, 2, 3, 3)), B, NONE, True, True),
    (3, 3, ((6, 3, 1, 1, 1, 1), (5, 2, 3, 1, 0, 1)), B, ALL, True, False),
    (1, 9, ((1, 1, 1, 1, 0, 0), (1, 1, 1, 1, 0, 0)), B, NONE, False, True),
    (1, 5, ((4, 7, 2, 1, 3, 3), (3, 13, 1, 1, 6, 6)), B, (True, False, False, True), True, False),
    (1, 8, ((13, 2, 3, 2, 0, 0), (13, 2, 5, 1, 4, 0)), B, NONE, True, False),
)


def with_cases(**others):
    def decorate(test):
        for case in in_every_width(CASES, 2):
            test = example(case=case, **others)(test)
        return test

    return decorate


def layout(case, shard=1):
    """The spec, the shape of x and y, and how the reference calls the convolution."""
    n, c, sides, borders, dense, bias, relu = case
    out, room = [], []
    for size, kernel, stride, spread, before, after in sides:
        out.append((size + before + after - spread * (kernel - 1) - 1) // stride + 1)
        room.append(max(before, after))
    (h, kh, sh, dh, top, below), (w, kw, sw, dw, left, right) = sides
    x_border = tuple(r + b for r, b in zip(room, borders[0], strict=True))
    four = (
        FeatureMap(*size, c, *border, d)
        for size, border, d in zip(
            ((h, w), out, out, (h, w)), (x_border, *borders[1:]), dense, strict=True
        )
    )
    spec = Depthwise(*four, kh, kw, sh, sw, dh, dw, top, left, bias, relu, shard)
    called = {
        "padding": ((top, below), (left, right)),
        "stride": (sh, sw),
        "dilation": (dh, dw),
        "groups": c,
    }
    return spec, (n, c, h, w), (n, c, *out), called


def data(kind, case, spec, shape):
    """x, weight as in PyTorch, and bias."""
    rng = generator(kind.__name__, case)
    other = whole if kind is wild else kind
    x, w = kind(rng, *shape), other(rng, shape[1], 1, spec.kernel_h, spec.kernel_w)
    return x, w, other(rng, shape[1]) if spec.bias else None


def weight_places(spec):
    """Where in the packed weight the numbers [C, 1, i, j] stand."""
    c, _, i, j = np.ogrid[: spec.x.channels, :1, : spec.kernel_h, : spec.kernel_w]
    return (i * spec.kernel_w + j) * spec.floats + c


def bias_places(spec):
    return np.arange(spec.x.channels)


@shapes(3)
@with_cases()
@given(case=depthwise())
def test_depthwise_forward(case):
    spec, shape, _, called = layout(case)
    for kind in (whole, real, wild):
        x, w, b = data(kind, case, spec, shape)
        weight = parameter(spec.size, weight_places(spec), w)
        bias = parameter(spec.floats, bias_places(spec), b) if spec.bias else None
        y = blank(spec.y, len(x))
        call(depthwise_forward, spec, (maps(spec.x, x), weight, bias, y), len(x))
        with np.errstate(invalid="ignore"):
            expected = reference.conv2d_forward(double(x), double(w), double(b), **called)
        if spec.relu:
            expected = reference.relu_forward(expected)
        bound = 0
        if kind is real:
            sums = reference.conv2d_forward(magnitude(x), magnitude(w), magnitude(b), **called)
            bound = rounding(spec.taps + 1, sums)
        assert_within(read(spec.y, y), expected, bound)


@shapes(3)
@with_cases()
@given(case=depthwise())
def test_depthwise_backward_input(case):
    spec, shape, out, called = layout(case)
    for kind in (whole, real, wild):
        rng = generator(kind.__name__, case)
        dy = kind(rng, *out)
        w = (real if kind is real else whole)(rng, shape[1], 1, spec.kernel_h, spec.kernel_w)
        weight = parameter(spec.size, weight_places(spec), w)
        dx = blank(spec.dx, len(dy))
        call(depthwise_backward_input, spec, (maps(spec.dy, dy), weight, dx), len(dy))
        backward = reference.conv2d_backward_input
        with np.errstate(invalid="ignore"):
            expected = backward(double(dy), double(w), shape, **called)
        bound = 0
        if kind is real:
            bound = rounding(spec.taps, backward(magnitude(dy), magnitude(w), shape, **called))
        assert_within(read(spec.dx, dx), expected, bound)


def gradients(spec, x, dy):
    """dw and db, in two calls over the images as two workers make them, then reduced."""
    images = len(x)
    shards = -(-images // spec.shard)
    weight_sums, bias_sums = Buffer(shards, spec.size), Buffer(shards, spec.floats)
    x, dy = maps(spec.x, x), maps(spec.dy, dy)
    middle = shards // 2 * spec.shard
    for first, until in ((0, middle), (middle, images)):
        if until > first:
            operands = ((x, first), (dy, first), weight_sums, bias_sums if spec.bias else None)
            call(depthwise_backward_weight, spec, operands, until - first, first=first)
    dw = parameter(spec.size, weight_places(spec), nan)
    db = parameter(spec.floats, bias_places(spec), nan) if spec.bias else None
    operands = (weight_sums, bias_sums, dw, db, step(images))
    for first, count in in_parts(spec.floats // LANES):
        call(depthwise_reduce, spec, operands, count, first=first)
    bias = read_parameter(db, bias_places(spec)) if spec.bias else None
    return read_parameter(dw, weight_places(spec)), bias


@shapes(3)
@example(case=(5, 8, *CASES[0][2:]), shard=2, once=True)
@example(case=(3, 24, *CASES[2][2:]), shard=3)
@with_cases(shard=1)
@given(case=depthwise(), shard=st.integers(1, 3))
def test_depthwise_backward_weight(case, shard):
    spec, shape, out, called = layout(case, shard)
    kernel = (spec.kernel_h, spec.kernel_w)
    for kind in (whole, real, wild):
        rng = generator(kind.__name__, case)
        # Not both wild: the reference adds in another order, so inf and −inf meet elsewhere.
        x, dy = kind(rng, *shape), (real if kind is real else whole)(rng, *out)
        dw, db = gradients(spec, x, dy)
        backward, of_bias = reference.conv2d_backward_weight, reference.conv2d_backward_bias
        with np.errstate(invalid="ignore"):
            expected = backward(double(x), double(dy), kernel, **called)
        bound = bias_bound = 0
        if kind is real:
            # One rounding a place, and one a shard.
            roundings = dy[:, 0].size + len(x)
            bound = rounding(roundings, backward(magnitude(x), magnitude(dy), kernel, **called))
            bias_bound = rounding(roundings, of_bias(magnitude(dy)))
        assert_within(dw, expected, bound)
        if spec.bias:
            assert_within(db, of_bias(double(dy)), bias_bound)
