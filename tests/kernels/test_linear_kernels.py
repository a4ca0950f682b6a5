"""The linear kernels alone against `neocog.reference` in float64; see `cases`."""

from math import nan

import numpy as np
from cases import (
    double,
    example,
    generator,
    in_parts,
    magnitude,
    once,
    real,
    sizes,
    unwritten,
    whole,
    wild,
)
from hypothesis import assume, given
from hypothesis import strategies as st
from kernel_caller import (
    assert_within,
    bias_places,
    blank,
    call,
    linear_places,
    maps,
    parameter,
    places,
    read,
    read_parameter,
    rounding,
    step,
)

from neocog import reference
from neocog.kernels.compiler.spec import kind_of
from neocog.kernels.layout import FeatureMap, padded
from neocog.kernels.linear import forward, gradient
from neocog.kernels.linear.forward import (
    linear_forward,
    linear_forward_outputs,
    linear_forward_parts,
    linear_sum_parts,
)
from neocog.kernels.linear.gradient import (
    linear_backward_bias,
    linear_backward_input,
    linear_backward_input_slices,
    linear_backward_weight,
)
from neocog.kernels.linear.tiling import FullyConnected

OUTPUTS = st.one_of(st.integers(1, 40), st.sampled_from([84, 100, 120]))


@st.composite
def linears(draw):
    """(N, C, H, W, outputs, dense, bias, relu or gated)."""
    c = draw(st.integers(1, 70))
    dense = c <= 5 and draw(st.booleans())
    most = 3 if c > 24 else 9
    h, w = draw(st.integers(1, most)), draw(st.integers(1, most))
    options = draw(st.booleans()), draw(st.booleans())
    return draw(st.integers(1, 9)), c, h, w, draw(OUTPUTS), dense, *options


linear_shapes = (
    example(case=(5, 3, 5, 7, 10, True, True, False)),
    example(case=(1, 1, 1, 1, 1, False, False, False)),
    example(case=(3, 33, 1, 1, 17, False, True, True)),
    example(case=(7, 16, 6, 5, 33, False, True, False)),
    example(case=(6, 64, 3, 3, 14, False, False, True)),
    example(case=(2, 8, 12, 6, 13, False, True, True)),
    example(case=(4, 5, 1, 2, 3, False, True, False)),
)


def on_linear_shapes(test):
    test = given(case=linears())(test)
    for add in linear_shapes:
        test = add(test)
    return sizes(60)(test)


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


def packed_linear(spec, x_map, w):
    return parameter(spec.w.size, linear_places(x_map, len(w)), w)


@on_linear_shapes
def test_linear_forward(case):
    n, x_map, z_map = linear_layout(case)
    bias, relu = case[-2:]
    spec = FullyConnected(x_map, z_map.channels, bias, relu)
    for kind in (whole, real, wild):
        x, w, b, _ = linear_data(kind, case)
        z = unwritten(z_map, n)
        b_packed = parameter(padded(len(b)), bias_places(len(b)), b) if bias else None
        operands = {"x": vectors_of(x_map, x), "weight": packed_linear(spec, x_map, w)}
        call(linear_forward, spec, count=n, **operands, bias=b_packed, z=z)
        b = b if bias else np.zeros_like(b)
        with np.errstate(invalid="ignore"):
            expected = reference.linear_forward(double(x), double(w), double(b))
        if relu:
            expected = reference.relu_forward(expected)
        bound = 0
        if kind is real:
            # One rounding a product and one a sum, zeros in the padding included, and the bias's.
            products = reference.linear_forward(magnitude(x), magnitude(w), magnitude(b))
            bound = rounding(2 * spec.w.inputs + 1, products)
        assert_within(read(z_map, z).reshape(n, -1), expected, bound)


@once
@on_linear_shapes
def test_linear_forward_does_not_depend_on_an_images_company(case):
    n, x_map, z_map = linear_layout(case)
    assume(n > 1)
    spec = FullyConnected(x_map, z_map.channels, *case[-2:])
    x, w, b, _ = linear_data(real, case)
    xs, packed = vectors_of(x_map, x), packed_linear(spec, x_map, w)
    b_packed = parameter(padded(len(b)), bias_places(len(b)), b)
    together, alone = unwritten(z_map, n), unwritten(z_map, n)
    call(linear_forward, spec, count=n, x=xs, weight=packed, bias=b_packed, z=together)
    for i in range(n):
        call(linear_forward, spec, x=(xs, i), weight=packed, bias=b_packed, z=(alone, i))
    np.testing.assert_array_equal(read(z_map, together), read(z_map, alone))


@on_linear_shapes
def test_linear_forward_by_outputs_is_the_same_to_the_bit(case):
    _, x_map, z_map = linear_layout(case)
    spec = FullyConnected(x_map, z_map.channels, *case[-2:])
    assume(spec.blocks)
    x, w, b, _ = linear_data(real, (1, *case[1:]))
    operands = {"x": vectors_of(x_map, x), "weight": packed_linear(spec, x_map, w)}
    operands["bias"] = parameter(padded(len(b)), bias_places(len(b)), b)
    whole_image, split = unwritten(z_map, 1), unwritten(z_map, 1)
    call(linear_forward, spec, **operands, z=whole_image)
    for first, count in in_parts(spec.blocks):
        call(linear_forward_outputs, spec, count=count, first=first, **operands, z=split)
    np.testing.assert_array_equal(read(z_map, split), read(z_map, whole_image))


@on_linear_shapes
def test_linear_forward_by_parts_of_the_inputs(case):
    n, x_map, z_map = linear_layout(case)
    bias, relu = case[-2:]
    batch = n + 1  # room for one more image than there are
    spec = FullyConnected(x_map, z_map.channels, bias, relu, batch=batch)
    plain = FullyConnected(x_map, z_map.channels, bias=False, batch=batch)
    for kind in (whole, real):
        x, w, b, _ = linear_data(kind, case)
        xs, packed = vectors_of(x_map, x), packed_linear(spec, x_map, w)
        b_packed = parameter(padded(len(b)), bias_places(len(b)), b) if bias else None
        b = b if bias else np.zeros_like(b)
        found = []
        for pieces in (in_parts(spec.parts), [(0, spec.parts)]):
            parts = maps(z_map, np.zeros((spec.parts * batch, *places(z_map).shape)))
            z = unwritten(z_map, n)
            for first, count in pieces:
                operands = {"x": xs, "weight": packed, "parts": parts, "step": step(n)}
                call(linear_forward_parts, plain, count=count, first=first, **operands)
            for i in range(n):
                call(linear_sum_parts, spec, first=i, parts=parts, bias=b_packed, z=(z, i))
            found.append(read(z_map, z).reshape(n, -1))
        np.testing.assert_array_equal(*found)
        expected = reference.linear_forward(double(x), double(w), double(b))
        if relu:
            expected = reference.relu_forward(expected)
        products = reference.linear_forward(magnitude(x), magnitude(w), magnitude(b))
        bound = rounding(2 * spec.w.inputs + spec.parts + 1, products) if kind is real else 0
        assert_within(found[0], expected, bound)


@on_linear_shapes
def test_linear_backward_input_by_slices_is_the_same_to_the_bit(case):
    n, x_map, z_map = linear_layout(case)
    spec = FullyConnected(x_map, z_map.channels, gated=case[-1])
    x, w, _, dz = linear_data(real, case)
    xs, slopes = vectors_of(x_map, np.maximum(x, 0)), vectors_of(z_map, dz)
    packed = packed_linear(spec, x_map, w)
    at_once, sliced = blank(x_map, n), blank(x_map, n)
    operands = {"dz": slopes, "weight": packed, "x": xs}
    call(linear_backward_input, spec, count=n, **operands, dx=at_once)
    operands |= {"dx": sliced, "step": step(n)}
    for first, count in in_parts(spec.input_vectors):
        call(linear_backward_input_slices, spec, count=count, first=first, **operands)
    np.testing.assert_array_equal(read(x_map, sliced), read(x_map, at_once))


@on_linear_shapes
def test_linear_backward_input(case):
    n, x_map, z_map = linear_layout(case)
    gated = case[-1]
    spec = FullyConnected(x_map, z_map.channels, gated=gated)
    for kind in (whole, real):
        x, w, _, dz = linear_data(kind, case)
        x = np.maximum(x, 0)
        dx = blank(x_map, n)
        operands = {"dz": vectors_of(z_map, dz), "weight": packed_linear(spec, x_map, w)}
        call(linear_backward_input, spec, count=n, **operands, x=vectors_of(x_map, x), dx=dx)
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
    spec = FullyConnected(x_map, z_map.channels)
    for kind in (whole, real):
        x, w, b, dz = linear_data(kind, case)
        xs, slopes = vectors_of(x_map, x), vectors_of(z_map, dz)
        at = linear_places(x_map, len(w))
        dw = parameter(spec.w.size, at, nan)
        db = parameter(padded(len(b)), bias_places(len(b)), nan)
        operands = {"x": xs, "dz": slopes, "dw": dw, "step": step(n)}
        for first, count in in_parts(spec.input_vectors):
            call(linear_backward_weight, spec, count=count, first=first, **operands)
        call(linear_backward_bias, spec, dz=slopes, db=db, step=step(n))
        exact = kind is whole
        products = reference.linear_backward_weight(magnitude(x), magnitude(dz))
        expected = reference.linear_backward_weight(double(x), double(dz))
        bound = np.zeros_like(products) if exact else rounding(2 * n, products)
        assert_within(read_parameter(dw, at), expected, bound)
        sums = reference.linear_backward_bias(magnitude(dz))
        expected = reference.linear_backward_bias(double(dz))
        bound = np.zeros_like(sums) if exact else rounding(n, sums)
        assert_within(read_parameter(db, bias_places(len(b))), expected, bound)


def test_every_layer_is_of_a_listed_kind():
    for module in (forward, gradient):
        listed = {(kernel, kind_of(spec)) for kernel, spec in module.kinds()}
        spec = FullyConnected(FeatureMap(3, 2, 7), 33, relu=True, gated=True, batch=3)
        assert listed == {(kernel, kind_of(spec)) for kernel, _ in listed}


@given(outputs=st.integers(1, 4000))
def test_blocks_cover_every_output(outputs):
    """Once, but where two blocks of five overlap; as `forward` places them."""
    spec = FullyConnected(FeatureMap(1, 1, 1), outputs)
    covered = [6 * n + o for n in range(spec.sixes) for o in range(6)]
    starts = [min(6 * spec.sixes + 5 * n, outputs - 5) for n in range(spec.fives)]
    covered += [start + o for start in starts for o in range(5)]
    covered += range(spec.ones)
    assert set(covered) == set(range(outputs))
    assert len(covered) <= outputs + (0 if outputs >= 20 else 3)
