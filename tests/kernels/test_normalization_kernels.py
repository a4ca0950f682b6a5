"""The batch normalization kernels alone against the formulas in float64; see `cases`."""

from dataclasses import replace
from math import inf, nan

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
    step,
)

from neocog import reference
from neocog.kernels.codegen.vector_types import LANES
from neocog.kernels.compiler.spec import kind_of
from neocog.kernels.elementwise.limits import LIMITS
from neocog.kernels.elementwise.normalization import (
    Normalization,
    batch_norm_backward,
    batch_norm_backward_finish,
    batch_norm_finish,
    batch_norm_statistics,
    kinds,
)
from neocog.kernels.elementwise.pointwise import Pointwise, pointwise_backward, pointwise_forward
from neocog.kernels.layout import FeatureMap, padded

RUNNING = "running_mean", "running_var"
NUMBERS = "mean", "scale", "invstd"


def channel_array(values):
    """A number a channel, zeros behind."""
    return flat(np.pad(values, (0, padded(len(values)) - len(values))))


def blank_array(parts, channels):
    return Buffer(1, parts * padded(channels))


def pairs(values, channels):
    """Two numbers a channel, after a look at the channels that only fill a vector."""
    size = padded(channels)
    one, two = values[..., :size], values[..., size:]
    for part in (one, two):
        np.testing.assert_array_equal(part[..., channels:], 0)
    return one[..., :channels], two[..., :channels]


def statistics_by_kernel(spec, x):
    """Each image's mean and M2 of every channel, [N, C]."""
    n, c = x.shape[:2]
    xs, stats = maps(spec.x, x), Buffer(n, 3 * padded(c))
    for first, count in in_parts(n):
        operands = {"x": (xs, first), "statistics": (stats, first)}
        call(batch_norm_statistics, spec, count=count, first=first, **operands)
    return stats, pairs(stats.items[:, : 2 * padded(c)], c)


def statistics_bounds(spec, x):
    """How far an image's mean and M2 may be off, from the sums that the kernel adds up.

    p is the first rows' mean, d = x − p. A row's sum has W additions, the rows' at most 4 H.
    """
    x, places = double(x), spec.places
    steps = spec.x.width + 4 * spec.x.height + 4
    begin = x[:, :, : spec.first_rows]
    p = begin.mean((2, 3), keepdims=True)
    p_off = rounding(steps, np.abs(begin).mean((2, 3), keepdims=True))
    d = np.abs(x - p) + p_off
    sizes, squares = d.sum((2, 3)), (d * d).sum((2, 3))
    of_mean = rounding(1, np.abs(x.mean((2, 3)))) + rounding(steps, sizes) / places
    # Σ d² once, and (Σ d)² / n, which is no larger, twice; then their difference.
    return of_mean * 1.001, rounding(3 * steps + 4, squares)


def check_statistics(spec, x):
    _, (mean, m2) = statistics_by_kernel(spec, x)
    of_mean, of_m2 = statistics_bounds(spec, x)
    x = double(x)
    expected = x.mean((2, 3))
    assert_within(mean, expected, of_mean)
    expected = ((x - expected[..., None, None]) ** 2).sum((2, 3))
    assert_within(m2, expected, of_m2)
    assert (m2 >= 0).all()
    return m2, of_m2


def one_map(c, h, w, border=(0, 0), *, dense=False):
    m = FeatureMap(h, w, c, *border, dense)
    return Normalization(m, m, m)


PLACES = st.tuples(st.integers(1, 20), st.integers(1, 40))


@st.composite
def cases(draw):
    n, c, h, w = draw(IMAGES), draw(st.integers(1, 70)), *draw(PLACES)
    dense = [c <= 4 and draw(st.booleans()) for _ in range(3)]
    borders, function = [draw(BORDERS) for _ in range(3)], draw(st.sampled_from(list(LIMITS)))
    return n, c, h, w, borders, dense, draw(st.booleans()), function


NO = [False] * 3


@sizes(12)
@example(case=(2, 17, 9, 5, [(1, 2), (0, 1), (1, 0)], NO, True, "relu6"))
@example(case=(1, 33, 1, 1, [(0, 0), (0, 0), (2, 2)], NO, False, "identity"))
@example(case=(3, 64, 16, 4, [(0, 0), (1, 0), (0, 0)], NO, True, "relu"))
@example(case=(2, 3, 3, 7, [(1, 1), (0, 0), (1, 0)], [True, False, True], True, "relu6"))
@example(case=(2, 1, 13, 1, [(0, 0), (0, 0), (0, 0)], [True, True, True], True, "identity"))
@example(case=(2, 24, 2, 6, [(0, 0), (0, 1), (2, 1)], NO, True, "relu"))
@given(case=cases())
def test_batch_norm(case):
    """Every kernel of a step, each against the formula of what it was given."""
    n, c, h, w, borders, dense, affine, function = case
    each = [FeatureMap(h, w, c, *border, d) for border, d in zip(borders, dense, strict=True)]
    x_map, g_map, dx_map = each
    spec = Normalization(*each, eps=1e-3, momentum=0.25, affine=affine)
    known = [(kernel, kind_of(one)) for kernel, one in kinds()]
    assert (batch_norm_backward, kind_of(replace(spec, function=function))) in known
    assert known.count((batch_norm_statistics, kind_of(spec))) == 1
    rng = generator(case)
    x, g = real(rng, n, c, h, w), real(rng, n, c, h, w)
    check_statistics(spec, x)

    stats, (means, m2) = statistics_by_kernel(spec, x)
    weight = real(rng, c)
    running_mean, running_var = real(rng, c), np.abs(real(rng, c))
    given = [channel_array(v) for v in (running_mean, running_var)]
    written = [blank_array(1, c) for _ in range(3)]
    operands = {"statistics": stats, "step": step(n)}
    operands |= {"weight": channel_array(weight)} if affine else {}
    operands |= dict(zip(RUNNING, given, strict=True)) | dict(zip(NUMBERS, written, strict=True))
    for first, count in in_parts(padded(c) // LANES):
        call(batch_norm_finish, spec, count=count, first=first, **operands)
    numbers, means = n * h * w, double(means)
    weight, running_mean, running_var = (double(v) for v in (weight, running_mean, running_var))
    batch = means.mean(0)
    var = (double(m2).sum(0) + h * w * ((means - batch) ** 2).sum(0)) / numbers
    factor = 1 / np.sqrt(var + 1e-3)
    new = 0.75 * running_mean + 0.25 * batch
    spread = 0.75 * running_var + 0.25 * var * numbers / max(numbers - 1, 1)
    scale = weight * factor if affine else factor
    results = [buffer.items[0] for buffer in (*given, *written)]
    for actual, expected in zip(results, (new, spread, batch, scale, factor), strict=True):
        np.testing.assert_array_equal(actual[c:], 0)
        size = np.abs(expected) + 1e-6 * UNIT * np.abs(means).max()  # float64's own roundings
        assert_within(actual[:c], expected, rounding(1, size))

    mean, scale, invstd = (buffer.items[0, :c].astype(np.float64) for buffer in written)
    sums = Buffer(n, 2 * padded(c))
    sums.items[:] = 0
    sums.items[:, :c], sums.items[:, padded(c) :][:, :c] = real(rng, n, c), real(rng, n, c)
    totals = pairs(double(sums.items), c)
    gradients, average = [blank_array(1, c) for _ in range(2)], blank_array(2, c)
    for buffer in gradients:
        buffer.items[:] = 0
    operands = {"sums": sums, "step": step(n), "means": average}
    operands |= {"dweight": gradients[0], "dbias": gradients[1]} if affine else {}
    for first, count in in_parts(padded(c) // LANES):
        call(batch_norm_backward_finish, spec, count=count, first=first, **operands)
    averages = pairs(average.items[0], c)
    for total, gradient, actual in zip(totals, gradients[::-1], averages, strict=True):
        bound = rounding(1, np.abs(total.sum(0)) + 1e-6 * UNIT * np.abs(total).sum(0))
        assert_within(gradient.items[0, :c], total.sum(0) * affine, bound)
        np.testing.assert_array_equal(gradient.items[0, c:], 0)
        assert_within(actual, total.sum(0) / numbers, bound / numbers + TINY)

    bias = real(rng, c)
    u = (double(x) - mean[:, None, None]) * scale[:, None, None] + double(bias)[:, None, None]
    low, high = LIMITS[function]
    passes = (u > low) & (u < high)
    # Where rounding decides whether a gradient passes, there is none.
    apart = np.minimum(np.abs(u - low), np.abs(u - high))
    g[apart < 1e-4 * (1 + np.abs(bias)[:, None, None])] = 0
    fixed = dict(zip(NUMBERS, written, strict=True)) | {"means": average}
    fixed["bias"] = channel_array(bias)
    xs, gs, dx = maps(x_map, x), maps(g_map, g), blank(dx_map, n)
    g, spec = g * passes, replace(spec, function=function)
    for first, count in in_parts(n):
        operands = fixed | {"x": (xs, first), "dy": (gs, first), "dx": (dx, first)}
        call(batch_norm_backward, spec, count=count, first=first, **operands)
    columns = (mean, scale, invstd, *(double(v) for v in averages))
    mean, scale, invstd, of_g, of_product = (v[:, None, None] for v in columns)
    product = (double(x) - mean) * invstd * of_product
    size = np.abs(scale) * (np.abs(g) + np.abs(of_g) + np.abs(product))
    assert_within(read(dx_map, dx), scale * (g - of_g - product), rounding(6, size))


def whole_step(x, dy, weight, bias, eps=1e-5):
    """(y, dx, dweight, dbias, running variance) by all kernels one after another; f is identity."""
    n, c, h, w = x.shape
    m = FeatureMap(h, w, c)
    spec = Normalization(m, m, m, eps=eps)
    point = Pointwise(m, m, m, m, m, normalized=True)
    xs, (stats, _) = maps(m, x), statistics_by_kernel(spec, x)
    weight, bias = channel_array(weight), channel_array(bias)
    running = channel_array(np.zeros(c)), channel_array(np.ones(c))
    mean, scale, invstd = (blank_array(1, c) for _ in range(3))
    vectors = padded(c) // LANES
    operands = {"statistics": stats, "step": step(n), "weight": weight}
    operands |= dict(zip((*RUNNING, *NUMBERS), (*running, mean, scale, invstd), strict=True))
    call(batch_norm_finish, spec, count=vectors, **operands)
    y, g, sums = blank(m, n), maps(m, dy), Buffer(n, 2 * padded(c))
    operands = {"x": xs, "mean": mean, "scale": scale, "bias": bias}
    call(pointwise_forward, point, count=n, y=y, **operands)
    call(pointwise_backward, point, count=n, dy=g, g=g, invstd=invstd, sums=sums, **operands)
    gradients, means = [blank_array(1, c) for _ in range(2)], blank_array(2, c)
    operands = {"sums": sums, "dweight": gradients[0], "dbias": gradients[1], "means": means}
    call(batch_norm_backward_finish, spec, count=vectors, step=step(n), **operands)
    operands = {"mean": mean, "invstd": invstd, "scale": scale, "means": means}
    call(batch_norm_backward, spec, count=n, x=xs, dy=g, dx=g, **operands)
    ends = [buffer.items[0, :c] for buffer in (*gradients, running[1])]
    return read(m, y, finite=False), read(m, g, finite=False), *ends


def test_all_kernels_together_are_batch_normalization():
    """And dx may be written where g was."""
    rng = generator("all")
    n, c, h, w = shape = 3, 17, 6, 5
    x, dy = real(rng, *shape), real(rng, *shape)
    weight, bias = real(rng, c), real(rng, c)
    y, dx, dweight, dbias, running_var = whole_step(x, dy, weight, bias)
    x, dy, weight, bias = (double(v) for v in (x, dy, weight, bias))
    mean, var = reference.batch_norm2d_statistics(x)
    root = np.sqrt(var + 1e-5)[:, None, None]
    x_hat = (x - mean[:, None, None]) / root
    wide = np.abs(weight)[:, None, None]

    # var is off by a part of itself, and mean by a part of |x|'s mean.
    parts, means_off = statistics_bounds(one_map(c, h, w), x)[::-1]
    part = parts.sum(0) / (n * h * w * var) + rounding(4, 1)
    part += (means_off.max(0) / np.sqrt(var)) ** 2
    part = part[:, None, None] + 8 * UNIT
    mean_off = (means_off.max(0) + UNIT * np.abs(mean))[:, None, None] / root
    x_off = np.abs(x_hat) * part + mean_off
    expected = reference.batch_norm2d_forward(x, mean, var, weight, bias)
    y_bound = wide * x_off + rounding(3, np.abs(expected) + wide * np.abs(x_hat))
    assert_within(y, expected, y_bound * 1.01 + UNIT * np.abs(bias)[:, None, None])

    adding = rounding(h * w + 6, 1)
    sums_off = (np.abs(dy) * (x_off + np.abs(x_hat) * adding)).sum((0, 2, 3))
    expected = reference.batch_norm2d_backward_weight(dy, x, mean, var)
    assert_within(dweight, expected, sums_off * 1.01)
    dbias_off = adding * np.abs(dy).sum((0, 2, 3))
    assert_within(dbias, reference.batch_norm2d_backward_bias(dy), dbias_off)
    numbers = n * h * w
    through = np.abs(expected)[:, None, None] / numbers
    size = np.abs(dy) + np.abs(dy.mean((0, 2, 3)))[:, None, None] + np.abs(x_hat) * through
    off = dbias_off[:, None, None] / numbers + x_off * through
    off = off + np.abs(x_hat) * sums_off[:, None, None] / numbers + size * (part + rounding(8, 1))
    expected = reference.batch_norm2d_backward_input(dy, x, mean, var, weight)
    assert_within(dx, expected, wide / root * off * 1.01)

    _, expected = reference.batch_norm2d_running(np.zeros(c), np.ones(c), x)
    assert_within(running_var, expected, expected * part.max())


def test_a_large_mean_leaves_the_variance():
    """Of x = 1e6 ± 1 the sum of squares would keep nothing: its last bit is 65536.

    Here even the bound, which has the first rows' mean off by the most that rounding could, leaves
    two digits.
    """
    spec = one_map(8, 32, 32)
    rng = generator("large mean")
    x = (1e6 + rng.normal(size=(2, 8, 32, 32))).astype(np.float32)
    m2, bound = check_statistics(spec, x)
    assert (bound < 1e-2 * m2).all()


@once
def test_first_rows_far_from_the_others_cost_three_bits_at_most():
    spec = one_map(8, 32, 16)
    rng = generator("far")
    x = rng.normal(size=(2, 8, 32, 16))
    x[:, :, :4] += 1e5
    m2, bound = check_statistics(spec, x.astype(np.float32))
    assert (bound < 8 * rounding(3 * (16 + 4 * 32 + 4) + 5, m2)).all()


@once
@pytest.mark.parametrize("value", [0.0, 0.1, -1e6, 3e15, 1e-40])
@pytest.mark.parametrize("eps", [1e-5, 0.0])
def test_a_constant_channel_is_normalized_to_its_bias(value, eps):
    """Of what rounding leaves of a mean of equal numbers, x̂ is a part of √eps."""
    rng = generator("constant")
    shape = 2, 9, 3, 5
    x = np.full(shape, value, np.float32)
    weight, bias, dy = real(rng, 9), real(rng, 9), real(rng, *shape)
    y, dx, dweight, dbias, running_var = whole_step(x, dy, weight, bias, eps)
    for values in (y, dx, dweight, dbias, running_var):
        assert np.isfinite(values).all()
    if abs(value) < 1:
        off = np.abs(weight * x[0, 0, 0, 0]) * 8 * UNIT / np.sqrt(eps + TINY) * (eps > 0)
        expected = np.broadcast_to(bias[:, None, None], shape)
        assert_within(y, expected, (off + UNIT * np.abs(bias))[:, None, None])
        assert_within(running_var, np.full(9, 0.9), 2 * UNIT)


@once
def test_one_number_a_channel():
    """PyTorch refuses to train with it; here x̂ is 0, and so is what flows back."""
    rng = generator("one")
    x, dy = real(rng, 1, 10, 1, 1), real(rng, 1, 10, 1, 1)
    weight, bias = real(rng, 10), real(rng, 10)
    y, dx, dweight, dbias, running_var = whole_step(x, dy, weight, bias)
    np.testing.assert_array_equal(y[0, :, 0, 0], bias)
    np.testing.assert_array_equal(dx, 0)
    np.testing.assert_array_equal(dweight, 0)
    np.testing.assert_array_equal(dbias, dy[0, :, 0, 0])
    np.testing.assert_array_equal(running_var, np.float32(0.9))


@once
@pytest.mark.parametrize("value", [nan, inf, -inf])
@pytest.mark.parametrize("row", [0, 8])
def test_what_is_not_finite_shows_in_its_whole_channel_and_no_other(value, row):
    rng = generator("not finite")
    shape = 2, 9, 9, 3
    x, dy = real(rng, *shape), real(rng, *shape)
    x[1, 4, row, 1] = value
    y, dx, dweight, _, running_var = whole_step(x, dy, np.ones(9), np.zeros(9))
    others = np.arange(9) != 4
    for values in (y[:, ~others], dx[:, ~others], dweight[~others], running_var[~others]):
        assert np.isnan(values).all()
    for values in (y[:, others], dx[:, others], dweight[others], running_var[others]):
        assert np.isfinite(values).all()
