"""Batch normalization with fixed statistics, as a trained network's: its kernels; see `cases`."""

from math import nan

import numpy as np
from cases import double, example, generator, in_parts, real, sizes
from hypothesis import given
from kernel_caller import (
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
from test_normalization_kernels import NO, blank_array, cases, channel_array

from neocog import reference
from neocog.kernels.codegen.vector_types import LANES
from neocog.kernels.elementwise.normalization import (
    Normalization,
    batch_norm_backward,
    batch_norm_backward_finish,
)
from neocog.kernels.elementwise.pointwise import Pointwise, pointwise_backward, pointwise_forward
from neocog.kernels.layout import FeatureMap, padded


@sizes(12)
@example(case=(2, 17, 9, 5, [(1, 2), (0, 1), (1, 0)], NO, True, ""))
@example(case=(2, 3, 3, 7, [(1, 1), (0, 0), (1, 0)], [True, False, True], False, ""))
@example(case=(1, 64, 16, 4, [(0, 0), (1, 0), (0, 0)], NO, True, ""))
@given(case=cases())
def test_the_way_back_with_fixed_statistics(case):
    """dx = scale · g alone: what flows back through mean and variance is not there."""
    n, c, h, w, borders, dense, affine, _ = case
    each = [FeatureMap(h, w, c, *border, d) for border, d in zip(borders, dense, strict=True)]
    x_map, g_map, dx_map = each
    spec = Normalization(*each, affine=affine, fixed=True)
    rng = generator("fixed", case)
    x, g, scale = real(rng, n, c, h, w), real(rng, n, c, h, w), real(rng, c)
    xs, gs, dx = maps(x_map, x), maps(g_map, g), blank(dx_map, n)
    # What must not be used would show.
    unused = {name: channel_array(np.full(c, nan)) for name in ("mean", "invstd")}
    unused["means"] = flat(np.full(2 * padded(c), nan))
    fixed = unused | {"scale": channel_array(scale)}
    for first, count in in_parts(n):
        operands = fixed | {"x": (xs, first), "dy": (gs, first), "dx": (dx, first)}
        call(batch_norm_backward, spec, count=count, first=first, **operands)
    expected = double(scale)[:, None, None] * double(g)
    assert_within(read(dx_map, dx), expected, rounding(1, np.abs(expected)))


def test_all_kernels_together_with_fixed_statistics():
    """A trained network's batch normalization, forward and back, by its running statistics."""
    rng = generator("all fixed")
    n, c, h, w = shape = 2, 17, 6, 5
    x, dy = rng.normal(size=(2, *shape)).astype(np.float32)
    weight, bias, mean = rng.normal(size=(3, c)).astype(np.float32)
    var = rng.uniform(0.25, 4, c)
    invstd = (1 / np.sqrt(var + 1e-5)).astype(np.float32)
    scale = weight * invstd
    m = FeatureMap(h, w, c)
    spec = Normalization(m, m, m, fixed=True)
    point = Pointwise(m, m, m, m, m, normalized=True)
    arrays = {"mean": channel_array(mean), "scale": channel_array(scale)}
    given = arrays | {"bias": channel_array(bias)}
    inverse = channel_array(invstd)
    xs, y, g, dx = maps(m, x), blank(m, n), maps(m, dy), blank(m, n)
    sums = Buffer(n, 2 * padded(c))
    call(pointwise_forward, point, count=n, x=xs, y=y, **given)
    call(pointwise_backward, point, count=n, x=xs, dy=g, g=g, invstd=inverse, sums=sums, **given)
    gradients, means = [blank_array(1, c) for _ in range(2)], blank_array(2, c)
    vectors = padded(c) // LANES
    operands = {"sums": sums, "dweight": gradients[0], "dbias": gradients[1], "means": means}
    call(batch_norm_backward_finish, spec, count=vectors, step=step(n), **operands)
    operands = arrays | {"invstd": inverse, "means": means}
    call(batch_norm_backward, spec, count=n, x=xs, dy=g, dx=dx, **operands)

    x, dy, weight, bias, mean = (double(v) for v in (x, dy, weight, bias, mean))
    wide = np.abs(weight / np.sqrt(var + 1e-5))[:, None, None]
    x_hat = np.abs(x - mean[:, None, None]) / np.sqrt(var + 1e-5)[:, None, None]
    expected = reference.batch_norm2d_forward(x, mean, var, weight, bias)
    # x − mean, scale from invstd and weight, their product, and the bias.
    size = np.abs(weight)[:, None, None] * x_hat + np.abs(bias)[:, None, None]
    assert_within(read(m, y), expected, rounding(6, size))
    expected = reference.batch_norm2d_backward_input(dy, x, mean, var, weight, training=False)
    assert_within(read(m, dx), expected, rounding(4, wide * np.abs(dy)))
    dweight, dbias = (buffer.items[0, :c] for buffer in gradients)
    adding = h * w + 8
    expected = reference.batch_norm2d_backward_weight(dy, x, mean, var)
    assert_within(dweight, expected, rounding(adding, (np.abs(dy) * x_hat).sum((0, 2, 3))))
    expected = reference.batch_norm2d_backward_bias(dy)
    assert_within(dbias, expected, rounding(adding, np.abs(dy).sum((0, 2, 3))))
