"""The pointwise kernels alone against `neocog.reference` in float64; see `cases`."""

from dataclasses import replace
from math import inf, nan, pi, sqrt

import numpy as np
import pytest
from cases import (
    BORDERS,
    IMAGES,
    double,
    example,
    generator,
    in_parts,
    once,
    real,
    sizes,
    wild,
)
from hypothesis import given
from hypothesis import strategies as st
from kernel_caller import (
    TINY,
    UNIT,
    Buffer,
    assert_within,
    blank,
    call,
    flat,
    maps,
    read,
    rounding,
)

from neocog import reference
from neocog.kernels.compiler.spec import kind_of
from neocog.kernels.elementwise.functions import FUNCTIONS
from neocog.kernels.elementwise.pointwise import (
    Pointwise,
    kinds,
    pointwise_backward,
    pointwise_forward,
)
from neocog.kernels.layout import FeatureMap, padded

NAMES = sorted(FUNCTIONS)
# Whole in float32.
PARAMETERS = {"leaky_relu": (0.0625,), "scale": (-1.75,), "elu": (0.75,), "softplus": (1.5, 10.0)}
EPSILON = np.finfo(np.float64).eps

# The exponential's own error, in units of UNIT: two in the last place.
EXP = 4
# σ is exp, a sum, a quotient and a product; its slope is one product more.
SIGMOID = EXP + 3
# Φ is exp, r (a fused product and a quotient), a polynomial of degree 8 in r ≤ 1 whose terms'
# absolute values sum to at most 2.4 of its own, the fit's own error of a third, two products.
NORMAL = EXP + 2 + 2.4 * 9 + 1 + 2
# Above it tanh is 1 − 2tr, where 2tr is less than tanh itself; below it is Cephes' polynomial.
TANH = SIGMOID + 2
# exp(x) − 1 is at least 0.41 exp(x) where n < 0, and exp(f) − 1 has its polynomial's roundings.
EXPM1 = 2.5 * EXP + 3
# A sum of numbers that were given, so that its error is a part of itself, and the rounded 1/6.
HARDSIGMOID = 3
# t / (2 + t), a series of eight terms of which each is a third of the one before, twice it.
LOG1P = EXP + 5
# In the quotient p / (p + 2) the error of p counts once at most; p has three roundings.
MISH = EXP + 6


def value(name, x):
    """f(x) in float64."""
    if name == "identity":
        return x
    if name.startswith("gelu"):
        return reference.gelu_forward(x, "tanh" if name == "gelu_tanh" else "none")
    return getattr(reference, f"{name}_forward")(x, *PARAMETERS.get(name, ()))


def gradient(name, dy, x):
    """dy · f′(x) in float64."""
    if name == "identity":
        return dy
    if name == "scale":
        return reference.scale_backward(dy, *PARAMETERS[name])
    if name.startswith("gelu"):
        return reference.gelu_backward(dy, x, "tanh" if name == "gelu_tanh" else "none")
    return getattr(reference, f"{name}_backward")(dy, x, *PARAMETERS.get(name, ()))


def value_bound(name, x):
    """How far f of exactly this x may be off: units of itself, and what is too small for float32.

    An argument of exp that is rounded by a part of itself changes exp by that part times the
    argument: in Φ by x² / 2, in gelu_tanh's σ by three roundings of 2w, in softplus by βx.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        y = np.abs(value(name, x))
        argument = np.abs(2 * sqrt(2 / pi) * (x + 0.044715 * x**3))
        units = {
            "sigmoid": SIGMOID,
            "tanh": TANH,
            "silu": SIGMOID + 1,
            "gelu": NORMAL + 1 + np.minimum(x * x, 180) / 2,
            "gelu_tanh": SIGMOID + 1 + 3 * np.minimum(argument, 90),
            "scale": 1,
            "leaky_relu": 1,
            "hardsigmoid": HARDSIGMOID,
            "hardswish": HARDSIGMOID + 1,
            "elu": EXPM1 + 1,
            "softplus": LOG1P + 3 + np.minimum(1.5 * np.abs(x), 90),
            "mish": MISH + 1,
        }
        return units.get(name, 0) * UNIT * 1.001 * y + 4 * TINY * (1 + np.abs(x))


def slope_bound(name, x):
    """How far f′ of exactly this x may be off, of the sum of its terms' absolute values.

    The reference itself has 1 − σ and 1 − tanh² only as float64 has them.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        s = reference.sigmoid_forward(x)
        t = np.exp(-np.abs(x))
        slope = t / (1 + t) ** 2
        if name in ("identity", "relu", "relu6"):
            return np.zeros_like(x)
        if name == "hardsigmoid":
            return np.full_like(x, 2 / 6 * UNIT)
        if name == "hardswish":  # a rounded third, a fused sum, a product
            return 2.001 * UNIT * (np.minimum(np.abs(x), 3) / 3 + 0.5)
        if name in ("leaky_relu", "scale"):
            return np.full_like(x, UNIT)
        if name == "sigmoid":
            units, magnitude = SIGMOID + 1, slope
        elif name == "tanh":
            t = np.exp(-2 * np.abs(x))
            units, magnitude = SIGMOID + 2, 4 * t / (1 + t) ** 2
        elif name == "silu":
            units, magnitude = SIGMOID + 2, s + np.abs(x) * slope
        elif name == "gelu":
            share = np.abs(value("gelu", x) / np.where(x == 0, 1, x)) + (x == 0)
            density = np.exp(-x * x / 2) / sqrt(2 * pi)
            units = NORMAL + 2 + np.minimum(x * x, 180) / 2
            magnitude = share + np.abs(x) * density
        elif name == "elu":
            units, magnitude = EXP + 2, 0.75 * np.exp(np.minimum(x, 0))
        elif name == "softplus":
            s = reference.sigmoid_forward(1.5 * x)
            units, magnitude = SIGMOID + 1 + np.minimum(1.5 * np.abs(x), 90), s
        elif name == "mish":
            share = np.abs(np.tanh(reference.softplus_forward(x)))
            magnitude = share + np.abs(x) * s * (1 - share) * (1 + share)
            units = 2 * MISH + 3
        else:
            w = 2 * sqrt(2 / pi) * (x + 0.044715 * x**3)
            w_slope = 2 * sqrt(2 / pi) * (1 + 3 * 0.044715 * x * x)
            t = np.exp(-np.abs(w))
            magnitude = reference.sigmoid_forward(w) + np.abs(x) * w_slope * t / (1 + t) ** 2
            units = SIGMOID + 6 + 3 * np.minimum(np.abs(w), 90)
        flushed = 8 * TINY * (1 + np.abs(x)) ** 3
        return 1.001 * units * UNIT * magnitude + flushed + 16 * EPSILON * (1 + np.abs(x)) ** 3


PLACES = 750  # of all maps in the tests of functions, so that each kernel is compiled once


def numbers_of(name):
    """The fields of `Pointwise` with the function's numbers."""
    return dict(zip(("parameter", "threshold"), PARAMETERS.get(name, ()), strict=False))


def spread(values):
    """The values again and again, [1, 16, 1, PLACES]."""
    return np.resize(values, 16 * PLACES).astype(np.float32).reshape(1, 16, 1, -1)


def grid():
    """Numbers of every size."""
    small = np.logspace(-36, 4, 3000)
    x = np.concatenate([np.linspace(-20, 20, 5983), small, -small, [0, -0.0, 0.625, -1e4, 1e4]])
    return spread(x)


def run(name, x, dy, *, flush=False):
    """(f(x), dy · f′(x)) by the kernels."""
    m = FeatureMap(1, PLACES, 16)
    spec = Pointwise(m, m, m, m, m, function=name, **numbers_of(name))
    y, g = blank(m, 1), blank(m, 1)
    call(pointwise_forward, spec, x=maps(m, x), y=y, flush=flush)
    call(pointwise_backward, spec, x=maps(m, x), dy=maps(m, dy), g=g, flush=flush)
    return read(m, y, finite=False), read(m, g, finite=False)


@pytest.mark.parametrize("name", NAMES)
def test_functions_are_within_a_few_units_in_the_last_place(name):
    x = grid()
    y, g = run(name, x, np.ones_like(x))
    x = double(x)
    assert_within(y, value(name, x), value_bound(name, x))
    assert_within(g, gradient(name, np.ones_like(x), x), slope_bound(name, x))


@once
@pytest.mark.parametrize("name", NAMES)
def test_functions_of_what_is_not_finite(name):
    x = spread([nan, inf, -inf, 0])
    dy = np.full_like(x, 2)
    y, g = run(name, x, dy)
    x, dy = double(x), double(dy)
    # log 2 is not a float32, and all else is right to the bit.
    assert_within(y, value(name, x), value_bound(name, 0 * dy) if name == "softplus" else 0.0)
    # GELU's 2 · Φ(0) is 1 only to a few units.
    assert_within(g, gradient(name, dy, x), 2 * slope_bound(name, np.zeros_like(x)))


# f and f′ change by at most this much of what u does, kinks apart.
STEEP = {
    "hardswish": 1.5,
    "hardsigmoid": 0.17,
    "sigmoid": 0.25,
    "leaky_relu": 1,
    "scale": 1.75,
    "silu": 1.1,
    "gelu": 1.13,
}
# Where a slope changes at once.
KINKS = {
    "relu": (0,),
    "leaky_relu": (0,),
    "elu": (0,),
    "relu6": (0, 6),
    "hardsigmoid": (-3, 3),
    "hardswish": (-3, 3),
}
STEEP_SLOPE = {
    "elu": 0.75,
    "softplus": 0.375,
    "mish": 0.65,
    "hardswish": 0.34,
    "sigmoid": 0.1,
    "tanh": 0.77,
    "silu": 0.5,
    "gelu": 0.8,
    "gelu_tanh": 0.85,
}


HEIGHTS, WIDTHS = st.integers(1, 20), st.integers(1, 40)


@st.composite
def cases(draw):
    n, c, h, w = draw(IMAGES), draw(st.integers(1, 70)), draw(HEIGHTS), draw(WIDTHS)
    dense = [c <= 4 and draw(st.booleans()) for _ in range(5)]
    borders = [draw(BORDERS) for _ in range(5)]
    name, normalized, adds = draw(st.sampled_from(NAMES)), draw(st.booleans()), draw(st.booleans())
    return n, c, h, w, borders, dense, name, normalized, adds


def channel_array(values):
    """A number a channel, zeros behind."""
    size = padded(len(values))
    return flat(np.pad(values, (0, size - len(values))))


NO, ALL = [False] * 5, [True] * 5
MIXED = [(1, 2), (0, 1), (1, 0), (2, 2), (0, 0)]
BARE = [(0, 0)] * 5
TALL = [(0, 0), (1, 0), (2, 0), (0, 0), (1, 0)]  # rows one behind another, inside a border


@sizes(25)
@example(case=(2, 17, 5, 7, MIXED, NO, "relu", True, True))
@example(case=(3, 64, 3, 2, BARE, NO, "sigmoid", True, False))
@example(case=(1, 33, 1, 1, MIXED, NO, "sigmoid", False, True))
@example(case=(5, 24, 4, 9, TALL, NO, "silu", True, False))
@example(case=(2, 3, 5, 3, MIXED, ALL, "sigmoid", True, True))
@example(case=(2, 1, 2, 5, BARE, [True, False, True, False, True], "gelu", True, True))
@example(case=(2, 2, 3, 3, MIXED, ALL, "identity", False, True))
@example(case=(2, 40, 2, 3, MIXED, NO, "leaky_relu", True, True))
@given(case=cases())
def test_pointwise(case):
    n, c, h, w, borders, dense, name, normalized, adds = case
    each = [FeatureMap(h, w, c, *border, d) for border, d in zip(borders, dense, strict=True)]
    x_map, y_map, a_map, dy_map, g_map = each
    spec = Pointwise(*each, normalized, adds, name, **numbers_of(name))
    assert kind_of(spec) in {kind_of(one) for _, one in kinds()}
    rng = generator(case)
    x, addend, dy = (real(rng, n, c, h, w) for _ in range(3))
    mean, bias = real(rng, c), real(rng, c)
    scale, invstd = real(rng, c), np.abs(real(rng, c))
    xs, dys, y, g = maps(x_map, x), maps(dy_map, dy), blank(y_map, n), blank(g_map, n)
    fixed, ends, each = {}, {}, {"x": xs}
    if normalized:
        numbers = zip(("mean", "scale", "bias"), (mean, scale, bias), strict=True)
        fixed = {name: channel_array(values) for name, values in numbers}
        ends = {"invstd": channel_array(invstd)}
        sums = Buffer(n, 2 * padded(c))
    if adds:
        each["addend"] = maps(a_map, addend)
    for first, count in in_parts(n):
        operands = fixed | {name: (buffer, first) for name, buffer in each.items()}
        call(pointwise_forward, spec, count=count, first=first, y=(y, first), **operands)
        written = ends | {"dy": (dys, first), "g": (g, first)}
        written |= {"sums": (sums, first)} if normalized else {}
        call(pointwise_backward, spec, count=count, first=first, **operands, **written)
    if normalized and not adds and FUNCTIONS[name].short:
        again = Buffer(n, 2 * padded(c))
        operands = fixed | each | ends | {"dy": dys, "sums": again}
        call(pointwise_backward, replace(spec, stored=False), count=n, **operands)
        np.testing.assert_array_equal(again.items, sums.items)

    u, u_size, shifted = double(x), np.zeros(1), np.zeros(1)
    if normalized:
        mean, scale, bias, invstd = (double(v)[:, None, None] for v in (mean, scale, bias, invstd))
        shifted = u - mean
        u, u_size = shifted * scale + bias, np.abs(shifted * scale) + np.abs(bias)
    if adds:
        u, u_size = u + addend, u_size + np.abs(double(addend)) + np.abs(x) * (not normalized)
    off = rounding(3, u_size) if normalized or adds else np.zeros_like(u)
    bound = value_bound(name, u) * 1.001 + STEEP.get(name, 1.2) * off
    values = read(y_map, y)
    assert_within(values, value(name, u), bound)

    gradients = read(g_map, g)
    bound = slope_bound(name, u) * 1.001 + STEEP_SLOPE.get(name, 0) * off + 2 * UNIT
    for kink in KINKS.get(name, ()):
        bound = np.where(np.abs(u - kink) <= off, 1, bound)
    bound = np.abs(dy) * bound
    assert_within(gradients, gradient(name, double(dy), u), bound + 2 * TINY)

    if normalized:
        one, two = sums.items[:, : padded(c)], sums.items[:, padded(c) :]
        np.testing.assert_array_equal(one[:, c:], 0)
        np.testing.assert_array_equal(two[:, c:], 0)
        gradients, size = double(gradients), np.abs(double(gradients))
        assert_within(one[:, :c], gradients.sum((2, 3)), rounding(h * w, size.sum((2, 3))))
        product = gradients * shifted * invstd
        size = np.abs(product).sum((2, 3)) + TINY * invstd[:, 0, 0]
        assert_within(two[:, :c], product.sum((2, 3)), rounding(h * w + 3, size))


def test_the_gradient_may_be_written_where_it_came_from():
    m = FeatureMap(3, 5, 17, 1, 1)
    spec = Pointwise(m, m, m, m, m, function="silu")
    rng = generator("in place")
    x, dy = real(rng, 2, 17, 3, 5), real(rng, 2, 17, 3, 5)
    apart, both = blank(m, 2), maps(m, dy)
    call(pointwise_backward, spec, count=2, x=maps(m, x), dy=maps(m, dy), g=apart)
    call(pointwise_backward, spec, count=2, x=maps(m, x), dy=both, g=both)
    np.testing.assert_array_equal(read(m, both), read(m, apart))


def test_relu_of_what_is_not_finite_is_the_reference():
    m = FeatureMap(3, 5, 17)
    spec = Pointwise(m, m, m, m, m, function="relu")
    rng = generator("wild")
    x, dy = wild(rng, 2, 17, 3, 5), real(rng, 2, 17, 3, 5)
    y, g = blank(m, 2), blank(m, 2)
    call(pointwise_forward, spec, count=2, x=maps(m, x), y=y)
    np.testing.assert_array_equal(read(m, y), reference.relu_forward(x))
    call(pointwise_backward, spec, count=2, x=maps(m, x), dy=maps(m, dy), g=g)
    np.testing.assert_array_equal(read(m, g), reference.relu_backward(dy, x))


def test_a_large_mean_costs_no_digits():
    """Around 1e6 float32 keeps sixteenths; x − mean is exact, so y is right to the last bits."""
    m = FeatureMap(4, 4, 8)
    spec = Pointwise(m, m, normalized=True)
    rng = generator("large mean")
    x = (1e6 + rng.normal(size=(2, 8, 4, 4))).astype(np.float32)
    scale = real(rng, 8)
    numbers = {"mean": np.full(8, 1e6), "scale": scale, "bias": np.zeros(8)}
    fixed = {name: channel_array(values) for name, values in numbers.items()}
    y = blank(m, 2)
    call(pointwise_forward, spec, count=2, x=maps(m, x), y=y, **fixed)
    expected = (double(x) - 1e6) * double(scale)[:, None, None]
    assert_within(read(m, y), expected, rounding(1, np.abs(expected)))


@once
@pytest.mark.parametrize("name", NAMES)
def test_denormals_are_zero_or_right(name):
    """As in every worker, where they are flushed."""
    x = spread([1e-40, -1e-40, 1e-38, -1e-38])
    y, g = run(name, x, np.ones_like(x), flush=True)
    x = double(x)
    assert_within(y, value(name, x), value_bound(name, x) + 2 * TINY)
    if name not in (
        "relu",
        "leaky_relu",
        "relu6",
        "elu",
    ):  # which know a small x's sign, or take it for 0
        assert_within(g, gradient(name, np.ones_like(x), x), slope_bound(name, x))
