"""The Winograd kernels of y and of dx alone against `neocog.reference`; see `winograd_cases`."""

from math import inf, nan

import numpy as np
import pytest
from cases import (
    double,
    example,
    generator,
    in_parts,
    magnitude,
    once,
    real,
    sizes,
    whole,
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
    read,
    rounding,
    weight_places,
)
from winograd_cases import (
    INTO,
    OUT,
    WEIGHT,
    convolutions,
    data,
    layout,
    matrices,
    tile_counts,
    tiles_of,
    with_padding,
)

from neocog import reference
from neocog.kernels.compiler.spec import kind_of
from neocog.kernels.elementwise.limits import LIMITS
from neocog.kernels.layout import ConvolutionWeight, FeatureMap, padded
from neocog.kernels.winograd import forward, weight
from neocog.kernels.winograd.forward import winograd_forward
from neocog.kernels.winograd.tiling import Winograd
from neocog.kernels.winograd.weight import (
    WinogradWeight,
    winograd_weight,
    winograd_weight_flipped,
)


@pytest.mark.parametrize("tile", [2, 4])
def test_the_matrices_give_a_convolution(tile):
    b, g, a = matrices(tile)
    rng = generator(tile)
    x, w = rng.normal(size=tile + 2), rng.normal(size=3)
    np.testing.assert_allclose(a @ ((g @ w) * (b @ x)), np.correlate(x, w), atol=1e-12)


def forward_magnitude(x, w, tile, shape):
    """|A|ᵀ (Σ_c |G| |w| |G|ᵀ ⊙ |B|ᵀ |x| |B|) |A|, x with its padding, for an output's `shape`."""
    b, g, a = (np.abs(m) for m in matrices(tile))
    rows, columns = tile_counts(shape, tile)
    v = b @ tiles_of(magnitude(x), tile, tile + 2, rows, columns) @ b.T
    u = g @ magnitude(w) @ g.T
    y = a @ np.einsum("ncrsij,kcij->nkrsij", v, u, optimize=True) @ a.T
    y = y.swapaxes(3, 4).reshape(*y.shape[:2], rows * tile, columns * tile)
    return y[:, :, : shape[0], : shape[1]]


def stage_of(case, **options):
    _, x_map, y_map = layout(case)
    padding, tile = case[5], case[-1]
    return Winograd(x_map, y_map, padding[0][0], padding[1][0], tile, **options)


def packed_bias(b):
    return parameter(padded(len(b)), bias_places(len(b)), b)


def transformed(spec, w, flipped=False):
    """U of the weight, made in two calls."""
    u = Buffer(1, spec.u_size)
    layout_ = spec.w.flipped if flipped else spec.w
    kernel = winograd_weight_flipped if flipped else winograd_weight
    weight = parameter(layout_.size, weight_places(layout_), w)
    for first, count in in_parts(spec.w.blocks):
        call(kernel, WinogradWeight(spec), (weight, u), count, first=first)
    return u


def run_forward(spec, x, u, bias, y, parts=None, **apart):
    """y, in one call or in parts; `apart` are the gate and the addend."""
    n = len(x.items)
    for first, count in parts or [(0, n)]:
        at = {name: map_ and (map_, first) for name, map_ in apart.items()}
        scratch = Buffer(1, spec.scratch_size)
        of = {"x": (x, first), "u": u, "bias": bias, "y": (y, first), "scratch": scratch}
        call(winograd_forward, spec, count=count, **of, **at)
    return y


def run_part(spec, x, u, bias, y, first, count, **apart):
    """Some tiles of y."""
    of = {"x": x, "u": u, "bias": bias, "y": y, "scratch": Buffer(1, spec.scratch_size)}
    call(winograd_forward, spec, count=count, first=first, **of, **apart)


#: What becomes of the result: the function, and what is added or gated.
OPTIONS = st.one_of(
    st.tuples(st.sampled_from(list(LIMITS)), st.sampled_from(["", "adds"])),
    st.tuples(st.just("identity"), st.sampled_from(["accumulate", "gated", "accumulate gated"])),
)
PLAIN, ADDED, BOTH = ("identity", ""), ("relu6", "adds"), ("identity", "accumulate gated")


@sizes(12)
@example(case=(3, 24, 9, 13, 33, ((1, 1), (1, 1)), (0, 0), (1, 1), 4), bias=True, options=PLAIN)
@example(case=(2, 17, 8, 12, 16, ((1, 1), (1, 1)), (1, 0), (0, 2), 4), bias=True, options=ADDED)
@example(case=(5, 3, 3, 5, 5, ((2, 0), (0, 1)), (0, 1), (0, 0), 4), bias=True, options=BOTH)
@example(case=(1, 1, 1, 1, 1, ((1, 1), (1, 1)), (0, 0), (0, 0), 2), bias=False, options=PLAIN)
@example(case=(2, 5, 7, 7, 17, ((0, 2), (2, 1)), (0, 0), (1, 0), 2), bias=True, options=BOTH)
@given(case=convolutions(), bias=st.booleans(), options=OPTIONS)
def test_winograd_forward(case, bias, options):
    function, also = options
    adds, accumulate, gated = (word in also.split() for word in ("adds", "accumulate", "gated"))
    n, x_map, y_map = layout(case)
    padding, tile = case[5], case[-1]
    other = FeatureMap(y_map.height, y_map.width, y_map.channels, 1, 2)
    choice = {"bias": bias, "function": function, "accumulate": accumulate}
    choice |= {"gated": gated, "gate": other} if gated else {}
    choice |= {"adds": adds, "addend": other} if adds else {}
    spec = stage_of(case, **choice)
    for kind in (whole, real):
        x, w, b = data(kind, case)
        rng = generator(case, bias, options)
        shape = n, y_map.channels, y_map.height, y_map.width
        before, gate = kind(rng, *shape), np.maximum(whole(rng, *shape), 0)
        apart = {"gate": maps(other, gate) if gated else None}
        apart["addend"] = maps(other, before) if adds else None
        operands = maps(x_map, x), transformed(spec, w), packed_bias(b) if bias else None

        def fresh(before=before):
            return maps(y_map, before) if accumulate else blank(y_map, n)

        wide = with_padding(x, padding)
        expected = reference.conv2d_forward(double(wide), double(w), double(b) if bias else None)
        size = forward_magnitude(wide, w, tile, shape[2:])
        size += magnitude(b)[:, None, None] if bias else 0
        if gated:
            expected = reference.relu_backward(expected, double(gate))
        if adds or accumulate:
            expected, size = expected + before, size + magnitude(before)
        expected = np.clip(expected, *LIMITS[function])
        roundings = 2 * (INTO + WEIGHT + OUT) + x_map.channels + 3
        actual = read(y_map, run_forward(spec, *operands, fresh(), **apart))
        assert_within(actual, expected, rounding(roundings, size))
        if gated and not accumulate:
            assert (actual[gate <= 0] == 0).all()
        # Bitwise the same, however the images are cut into calls, and tiles into groups.
        others = [(spec, [(i, 1) for i in range(n)])]
        if kind is real and case[0] == 3:
            others.append((stage_of(case, **choice, group=5), [(0, n)]))
        for other_spec, parts in others:
            cut = read(y_map, run_forward(other_spec, *operands, fresh(), parts, **apart))
            np.testing.assert_array_equal(cut, actual)
        if n == 1:
            tiles = stage_of(case, **choice, parts=True)
            y = fresh()
            for part in in_parts(tiles.tiles):
                run_part(tiles, *operands, y, *part, **apart)
            np.testing.assert_array_equal(read(y_map, y), actual)


@once
@pytest.mark.parametrize("function", list(LIMITS))
@pytest.mark.parametrize("tile", [2, 4])
def test_what_is_not_finite_spreads_over_its_tile_alone(tile, function):
    case = (2, 5, 9, 7, 17, ((1, 1), (1, 1)), (0, 0), (0, 0), tile)
    n, x_map, y_map = layout(case)
    adds = function != "identity"
    spec = stage_of(case, function=function, adds=adds, addend=y_map)
    x, w, b = data(whole, case)
    w = np.where(w == 0, 1, w).astype(np.float32)
    bad = x.copy()
    bad[0, 2, 4, 3], bad[0, 1, 8, 6], bad[1, 4, 0, 0] = nan, inf, -inf
    u = transformed(spec, w)

    addend = maps(y_map, np.zeros((n, y_map.channels, y_map.height, y_map.width)))

    def run(values):
        operands = maps(x_map, values), u, packed_bias(b), blank(y_map, n)
        y = run_forward(spec, *operands, addend=addend if adds else None)
        return read(y_map, y, finite=values is x)

    rows, columns = tile_counts((y_map.height, y_map.width), tile)
    wide = with_padding(bad, case[5])
    sick = ~np.isfinite(tiles_of(wide, tile, tile + 2, rows, columns)).all((1, 4, 5))
    sick = sick.repeat(tile, 1).repeat(tile, 2)[:, : y_map.height, : y_map.width]
    sick = np.broadcast_to(sick[:, None], (n, y_map.channels, y_map.height, y_map.width))
    assert sick.any()
    assert not sick.all()
    well, ill = run(x), run(bad)
    np.testing.assert_array_equal(ill[~sick], well[~sick])
    with np.errstate(invalid="ignore"):
        expected = reference.conv2d_forward(double(wide), double(w), double(b))
    sick = np.isnan(ill) if adds else ~np.isfinite(ill)  # a limit is finite where infinity was
    assert sick[np.isnan(expected) if adds else ~np.isfinite(expected)].all()


@sizes(5)
@example(case=(1, 17, 7, 9, 33, ((1, 1), (1, 1)), (0, 0), (0, 0), 4))
@example(case=(3, 24, 3, 5, 8, ((2, 2), (0, 0)), (0, 0), (1, 2), 2))
@example(case=(2, 40, 4, 4, 3, ((0, 0), (2, 1)), (0, 0), (0, 0), 4))
@given(case=convolutions())
def test_winograd_backward_input(case):
    """The forward kernel over dy, with the weight flipped."""
    n, c, h, w, k, padding, _beyond, border, tile = case
    _, _, y_map = layout(case)
    gaps = [[2 - p for p in sides] for sides in padding]
    dy_map = FeatureMap(y_map.height, y_map.width, k, max(gaps[0]), max(gaps[1]))
    dx_map = FeatureMap(h, w, c, *border)
    spec = Winograd(dy_map, dx_map, gaps[0][0], gaps[1][0], tile, bias=False)
    for kind in (whole, real):
        _, weight, _ = data(kind, case)
        dy = kind(generator(case), n, k, y_map.height, y_map.width)
        flipped = weight.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1]
        u = transformed(spec, weight, flipped=True)
        np.testing.assert_array_equal(u.items, transformed(spec, flipped).items)
        dx = run_forward(spec, maps(dy_map, dy), u, None, blank(dx_map, n))
        (top, _), (left, _) = padding
        outer = h + sum(padding[0]), w + sum(padding[1])
        backward = reference.conv2d_backward_input
        expected = backward(double(dy), double(weight), (n, c, *outer))
        expected = expected[:, :, top : top + h, left : left + w]
        size = forward_magnitude(with_padding(dy, gaps), flipped, tile, (h, w))
        roundings = 2 * (INTO + WEIGHT + OUT) + k + 1
        assert_within(read(dx_map, dx), expected, rounding(roundings, size))


def test_what_cannot_be_done_is_refused():
    x, y = FeatureMap(8, 8, 16, 1, 1), FeatureMap(8, 8, 16)
    with pytest.raises(ValueError, match="must be 2 or 4"):
        Winograd(x, y, 1, 1, 3)
    with pytest.raises(ValueError, match="too small"):
        Winograd(x, y, 2, 1)
    with pytest.raises(ValueError, match="too small"):
        Winograd(x, FeatureMap(9, 8, 16), 1, 1)
    with pytest.raises(ValueError, match="whole vectors"):
        Winograd(FeatureMap(8, 8, 1, 1, 1, dense=True), y, 1, 1)
    with pytest.raises(ValueError, match="neither a function nor an addend"):
        Winograd(x, y, 1, 1, function="relu", gated=True)
    with pytest.raises(ValueError, match="neither a function nor an addend"):
        Winograd(x, y, 1, 1, adds=True, addend=y, accumulate=True)


@sizes(50)
@given(case=convolutions(), bias=st.booleans(), options=OPTIONS, parts=st.booleans())
def test_all_kinds_are_listed(case, bias, options, parts):
    """Of tiles of 4 × 4, which are the only ones that the engine asks for."""
    function, also = options
    flags = dict.fromkeys(also.split(), True)
    spec = stage_of((*case[:-1], 4), bias=bias, function=function, parts=parts, **flags)
    listed = {(kernel, kind_of(one)) for of in (forward, weight) for kernel, one in of.kinds()}
    assert (winograd_forward, kind_of(spec)) in listed
    for kernel in (winograd_weight, winograd_weight_flipped):
        assert (kernel, kind_of(WinogradWeight(spec))) in listed


def test_few_numbers_of_a_weight_stand_where_they_should():
    """U of one channel pair is G w Gᵀ, at its place in [ξ][K / block][C][block]."""
    spec = Winograd(FeatureMap(8, 8, 5, 1, 1), FeatureMap(8, 8, 33), 1, 1)
    w = real(generator(0), 33, 5, 3, 3)
    u = transformed(spec, w).items[0]
    _, g, _ = matrices(4)
    layout_ = ConvolutionWeight(33, 5, 3, 3)
    k, c, spot = np.ogrid[:33, :5, :36]
    at = spot * spec.u_spot + (k // layout_.block * 5 + c) * layout_.block + k % layout_.block
    expected = np.reshape(g @ double(w) @ g.T, (33, 5, 36))
    bound = rounding(2 * WEIGHT, np.reshape(np.abs(g) @ magnitude(w) @ np.abs(g).T, (33, 5, 36)))
    # Bᵀ, and so G, may have a row's sign the other way round.
    assert_within(np.abs(u[at]), np.abs(expected), bound)
