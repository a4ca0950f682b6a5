"""Group normalization alone against `neocog.reference` in float64."""

import numpy as np
from cases import BORDERS, double, generator, in_parts, real, sizes
from hypothesis import example, given
from hypothesis import strategies as st
from image_norm_cases import Exact
from kernel_caller import (
    Buffer,
    assert_within,
    bias_places,
    blank,
    call,
    flat,
    maps,
    parameter,
    read,
    read_parameter,
    step,
)

from neocog.kernels.compiler.spec import kind_of
from neocog.kernels.elementwise import group_norm, parameter_sums
from neocog.kernels.elementwise.group_norm import (
    GroupNormalization,
    group_norm_backward,
    group_norm_forward,
)
from neocog.kernels.elementwise.parameter_sums import ParameterSums, sum_over_images
from neocog.kernels.layout import FeatureMap
from neocog.reference.image_normalization import (
    group_norm_backward_input,
)
from neocog.reference.image_normalization import (
    group_norm_forward as reference_forward,
)

SIDES = st.integers(1, 14)


def vector(values, size):
    return parameter(size, bias_places(len(values)), values)


@sizes(40)
@example(n=3, groups=2, each=12, h=5, w=7, borders=((1, 0), (0, 2)), affine=True, passes=True)
@example(n=1, groups=1, each=1, h=1, w=2, borders=((0, 0), (0, 0)), affine=False, passes=False)
@given(
    n=st.integers(1, 3),
    groups=st.integers(1, 8),
    each=st.integers(1, 9),
    h=SIDES,
    w=SIDES,
    borders=st.tuples(BORDERS, BORDERS),
    affine=st.booleans(),
    passes=st.booleans(),
)
def test_group_norm(n, groups, each, h, w, borders, affine, passes):
    c = groups * each
    rng = generator(n, groups, each, h, w)
    before, after = (FeatureMap(h, w, c, *border) for border in borders)
    spec = GroupNormalization(before, after, after, before, groups, 1e-3, affine, passes)
    x, dy = real(rng, n, c, h, w), real(rng, n, c, h, w)
    weight, bias = (real(rng, c), real(rng, c)) if affine else (None, None)

    def mean_of(values):
        means = values.reshape(n, groups, -1).mean(2)
        return np.repeat(means, each, axis=1)[:, :, None, None]

    terms = h + w + 8
    exact = Exact(x, dy, mean_of, weight, bias, 1e-3, terms=terms, places=terms)
    # The formulas of the bounds are those of the reference.
    of = [double(x), groups, double(weight), double(bias), 1e-3]
    np.testing.assert_allclose(exact.y, reference_forward(*of), rtol=1e-9, atol=1e-9)
    dx = group_norm_backward_input(double(dy), double(x), groups, double(weight), 1e-3)
    np.testing.assert_allclose(exact.dx, dx, rtol=1e-7, atol=1e-7)

    of_x, of_dy, y, dx = maps(before, x), maps(after, dy), blank(after, n), blank(before, n)
    named = {"weight": vector(weight, spec.size), "bias": vector(bias, spec.size)} if affine else {}
    statistics, sums = Buffer(n, spec.statistics_size), Buffer(n, 2 * spec.size)
    scratch = Buffer(1, 3 * spec.size)
    for first, count in in_parts(n):
        places = {"x": (of_x, first), "statistics": (statistics, first), "scratch": scratch}
        call(group_norm_forward, spec, count=count, **places, y=(y, first), **named)
        back = {**places, "dy": (of_dy, first), "sums": (sums, first)}
        back["dx"] = (dx, first) if passes else None
        call(group_norm_backward, spec, count=count, weight=named.get("weight"), **back)
    assert_within(read(after, y), exact.y, exact.y_off)
    if passes:
        assert_within(read(before, dx), exact.dx, exact.dx_off)

    dweight, dbias = Buffer(1, spec.size), Buffer(1, spec.size)
    added = {"sums": flat(sums.items), "step": step(n), "dweight": dweight, "dbias": dbias}
    for first, count in in_parts(spec.size // group_norm.LANES):
        call(sum_over_images, ParameterSums(spec.size), count=count, first=first, **added)
    at = bias_places(c)
    assert_within(read_parameter(dweight, at), exact.dweight, exact.dweight_off)
    assert_within(read_parameter(dbias, at), exact.dbias, exact.dbias_off)


def test_no_size_makes_another_kind():
    one, other = FeatureMap(1, 1, 4), FeatureMap(9, 7, 60, 1, 2)
    specs = [
        GroupNormalization(m, m, m, m, groups, 0.1, flag, flag)
        for m, groups, flag in ((one, 2, True), (other, 6, False))
    ]
    for kernel, listed in group_norm.kinds():
        assert kernel in (group_norm_forward, group_norm_backward)
        assert {kind_of(spec) for spec in specs} == {kind_of(listed)}
    [(kernel, listed)] = parameter_sums.kinds()
    assert kernel is sum_over_images
    assert kind_of(listed) == kind_of(ParameterSums(48))
