"""Layer normalization of pixels alone against `neocog.reference` in float64."""

import numpy as np
from cases import BORDERS, double, generator, in_parts, real, sizes
from hypothesis import example, given
from hypothesis import strategies as st
from image_norm_cases import Exact
from kernel_caller import Buffer, assert_within, bias_places, blank, call, maps, parameter, read

from neocog.kernels.compiler.spec import kind_of
from neocog.kernels.elementwise import layer_norm
from neocog.kernels.elementwise.layer_norm import (
    LayerNormalization,
    layer_norm_backward,
    layer_norm_forward,
)
from neocog.kernels.layout import FeatureMap
from neocog.reference.image_normalization import layer_norm2d_backward_input, layer_norm2d_forward

SIDES = st.integers(1, 9)


@sizes(40)
@example(n=3, c=33, h=5, w=7, borders=((1, 0), (0, 2)), affine=True, passes=True)
@example(n=1, c=2, h=1, w=1, borders=((0, 0), (0, 0)), affine=False, passes=True)
@example(n=2, c=16, h=3, w=4, borders=((0, 0), (0, 0)), affine=True, passes=False)
@given(
    n=st.integers(1, 3),
    c=st.integers(1, 70),
    h=SIDES,
    w=SIDES,
    borders=st.tuples(BORDERS, BORDERS),
    affine=st.booleans(),
    passes=st.booleans(),
)
def test_layer_norm(n, c, h, w, borders, affine, passes):
    rng = generator(n, c, h, w)
    before, after = (FeatureMap(h, w, c, *border) for border in borders)
    spec = LayerNormalization(before, after, after, before, 1e-3, affine, passes)
    x, dy = real(rng, n, c, h, w), real(rng, n, c, h, w)
    weight, bias = (real(rng, c), real(rng, c)) if affine else (None, None)

    def mean_of(values):
        return values.mean(1, keepdims=True)

    exact = Exact(x, dy, mean_of, weight, bias, 1e-3, terms=c + 4, places=h + w + 4)
    # The formulas of the bounds are those of the reference.
    of = [double(x), double(weight), double(bias), 1e-3]
    np.testing.assert_allclose(exact.y, layer_norm2d_forward(*of), rtol=1e-9, atol=1e-9)
    wanted = layer_norm2d_backward_input(double(dy), double(x), double(weight), 1e-3)
    np.testing.assert_allclose(exact.dx, wanted, rtol=1e-7, atol=1e-7)

    of_x, of_dy, y, dx = maps(before, x), maps(after, dy), blank(after, n), blank(before, n)
    at, named = bias_places(c), {}
    if affine:
        named = {"weight": parameter(spec.size, at, weight), "bias": parameter(spec.size, at, bias)}
    statistics, sums = Buffer(n, spec.statistics_size), Buffer(n, 2 * spec.size)
    scratch = Buffer(1, 2 * spec.size)
    for first, count in in_parts(n):
        places = {"x": (of_x, first), "statistics": (statistics, first)}
        call(layer_norm_forward, spec, count=count, **places, y=(y, first), **named)
        back = {**places, "dy": (of_dy, first), "weight": named.get("weight")}
        if affine:
            back |= {"sums": (sums, first), "scratch": scratch}
        back["dx"] = (dx, first) if passes else None
        call(layer_norm_backward, spec, count=count, **back)
    assert_within(read(after, y), exact.y, exact.y_off)
    if passes:
        assert_within(read(before, dx), exact.dx, exact.dx_off)
    if affine:
        both = sums.items.reshape(n, 2, spec.size)
        np.testing.assert_array_equal(both[:, :, c:], 0)
        of_weight, of_bias = double(both)[:, :, :c].sum(0)
        assert_within(of_weight, exact.dweight, exact.dweight_off)
        assert_within(of_bias, exact.dbias, exact.dbias_off)


def test_no_size_makes_another_kind():
    one, other = FeatureMap(1, 1, 4), FeatureMap(9, 7, 60, 1, 2)
    specs = [
        LayerNormalization(m, m, m, m, 0.1, flag, not flag) for m, flag in ((one, 1), (other, 0))
    ]
    for kernel, listed in layer_norm.kinds():
        assert kernel in (layer_norm_forward, layer_norm_backward)
        assert {kind_of(spec) for spec in specs} == {kind_of(listed)}
