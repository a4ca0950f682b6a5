"""The kernels of a convolution's input gradient against `neocog.reference`; see `cases`."""

from dataclasses import replace

import numpy as np
import pytest
from cases import (
    double,
    example,
    generator,
    magnitude,
    once,
    real,
    sizes,
    whole,
)
from convolution_cases import (
    GROUPS,
    HEAVY,
    LARGE_GROUPS,
    MANY,
    ONE,
    RGB,
    SPARSE,
    Case,
    cases,
    conv_data,
    result,
)
from hypothesis import given
from hypothesis import strategies as st
from kernel_caller import (
    assert_within,
    call,
    maps,
    parameter,
    read,
    rounding,
    weight_places,
)

from neocog import reference
from neocog.kernels.compiler.spec import kind_of
from neocog.kernels.convolution.forward import conv2d_forward
from neocog.kernels.convolution.input_gradient import (
    InputGradient,
    conv2d_backward_input_strided,
    kinds,
)
from neocog.kernels.convolution.tiling import Convolution
from neocog.kernels.layout import FeatureMap


def assert_input_gradient(case, kernel, spec, dy_map, names):
    """dx against the formula; `names` are those that the kernel has for dy and dx."""
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
        gates = maps(spec.gate, gate) if case.gated else None
        of = {"weight": flipped_weight, "gate": gates}
        call(
            kernel,
            spec,
            count=case.n,
            **dict(zip(names, (maps(dy_map, dy), dx), strict=True)),
            **of,
        )
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
        if case.gated:
            expected = reference.relu_backward(expected, double(gate))
        assert_within(read(dx_map(case), dx), expected + before, bound)


def dx_map(case):
    return FeatureMap(*case.size, case.c, *case.border, case.dense)


def gate_map(case):
    if not case.gated:
        return FeatureMap(1, 1, 1)
    return FeatureMap(*case.size, case.c, case.extra, 1, case.dense)


@sizes(100)
@example(case=replace(MANY, n=1, inputs=8, outputs=16))
@example(case=Case(1, 5, (1, 3), 3, (1, 2), (4, 4), (3, 3)))
@example(case=Case(3, 24, (6, 5), 17, (5, 4), (2, 2), (0, 0), border=(2, 0), gated=True))
@example(case=replace(GROUPS, stride=(1, 1), accumulate=True, gated=True))
@example(case=replace(RGB, gated=True, border=(0, 0)))
@given(case=cases(channels=st.integers(1, 70)))
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
        gated=case.gated,
        gate=gate_map(case),
        dilation_h=case.dilation[0],
        dilation_w=case.dilation[1],
        accumulate=case.accumulate,
    )
    assert_input_gradient(case, conv2d_forward, spec, dy_map, ("x", "y"))


def strided_spec(case, dy_map):
    top, left = (sides[0] for sides in case.padding)
    steps = (*case.stride, *case.dilation)
    w, gate = case.w_map.flipped, gate_map(case)
    return InputGradient(
        dy_map, dx_map(case), w, *steps, top, left, case.gated, gate, case.accumulate
    )


@sizes(100)
@example(case=replace(MANY, stride=(2, 2), size=(8, 12)))
@example(case=replace(MANY, stride=(2, 2), size=(4, 4), gated=False))
@example(case=replace(MANY, stride=(2, 3), size=(7, 19)))
@example(case=GROUPS)
@example(case=replace(LARGE_GROUPS, stride=(2, 2)))
@example(case=SPARSE)
@example(case=replace(HEAVY, stride=(2, 2)))
@example(case=ONE)
@example(case=replace(RGB, stride=(2, 2), border=(0, 0)))
@given(case=cases(channels=st.integers(1, 70)))
def test_conv2d_backward_input_strided(case):
    reaches = FeatureMap(*case.out, case.k, 99, 99)
    wide = strided_spec(case, reaches)
    dy_map = FeatureMap(*case.out, case.k, wide.reach_h, wide.reach_w)
    spec = strided_spec(case, dy_map)
    assert_input_gradient(case, conv2d_backward_input_strided, spec, dy_map, ("dy", "dx"))


def test_a_border_of_dy_that_is_too_narrow_is_refused():
    case = replace(MANY, stride=(2, 2), size=(8, 12))
    with pytest.raises(ValueError, match="dy's border of 0 × 0 must be at least 1 × 1"):
        strided_spec(case, FeatureMap(*case.out, case.k))


LISTED = {(kernel, kind_of(spec)) for kernel, spec in kinds()}


@once
@given(case=cases(channels=st.integers(1, 70)))
def test_all_kinds_are_listed(case):
    spec = strided_spec(case, FeatureMap(*case.out, case.k, 99, 99))
    assert (conv2d_backward_input_strided, kind_of(spec)) in LISTED


def test_there_are_few_kinds():
    assert len(LISTED) <= 3
