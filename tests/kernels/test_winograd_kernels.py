"""The Winograd kernels alone against `neocog.reference` in float64; see `cases`.

The bound is that of sums whose every number was rounded so many times on its way, of absolute
values: |y − ŷ| ≤ γₙ · |A|ᵀ (Σ_c |G| |w| |G|ᵀ ⊙ |B|ᵀ |x| |B|) |A|, and the like for gradients.
"""

from math import inf, nan, sqrt

import numpy as np
import pytest
from cases import (
    BORDERS,
    CHANNELS,
    IMAGES,
    double,
    example,
    generator,
    in_parts,
    magnitude,
    once,
    real,
    shapes,
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
    read_parameter,
    rounding,
    step,
    weight_places,
)

from neocog import reference
from neocog.kernels.layout import ConvolutionWeight, FeatureMap, padded
from neocog.kernels.winograd import winograd_forward
from neocog.kernels.winograd_gradient import (
    WinogradGradient,
    winograd_backward_weight,
    winograd_outer,
    winograd_reduce,
    winograd_transform_gradient,
    winograd_transform_input,
)
from neocog.kernels.winograd_tiling import Winograd
from neocog.kernels.winograd_weight import (
    WinogradWeight,
    winograd_weight,
    winograd_weight_flipped,
)

# Cook and Toom: with m outputs, points p and f(p) = Π (p − q) over the other points q but ∞,
# Aᵀ has a row pʲ for each output j, G a row (1, p, p²) / f(p) for each point, and Bᵀ the
# coefficients of Π (z − q) over the other points; ∞ has the last power alone.
POINTS = {2: (0, 1, -1), 4: (0, sqrt(0.5), -sqrt(0.5), sqrt(2), -sqrt(2))}


def matrices(tile):
    """Bᵀ, G and Aᵀ; a row and its scale may have either sign, which does not matter here."""
    points = np.array(POINTS[tile], float)
    side = tile + 2
    b, g, a = np.zeros((side, side)), np.zeros((side, 3)), np.zeros((tile, side))
    for at, p in enumerate(points):
        others = np.delete(points, at)
        b[at, : side - 1] = np.poly(others)[::-1]
        g[at] = p ** np.arange(3) / np.prod(p - others)
        a[:, at] = p ** np.arange(tile)
    b[-1] = np.poly(points)[::-1]
    g[-1, -1] = a[-1, -1] = 1
    return b, g, a


#: Roundings along one dimension, those of the constants too and without fused multiply-adds: of an
#: input's or gradient's number, of a weight's, of an output's or weight gradient's.
INTO, WEIGHT, OUT = 5, 6, 6


@pytest.mark.parametrize("tile", [2, 4])
def test_the_matrices_give_a_convolution(tile):
    b, g, a = matrices(tile)
    rng = generator(tile)
    x, w = rng.normal(size=tile + 2), rng.normal(size=3)
    np.testing.assert_allclose(a @ ((g @ w) * (b @ x)), np.correlate(x, w), atol=1e-12)


def tiles_of(values, tile, side, rows, columns):
    """[N, C, H, W] cut into tiles [N, C, rows, columns, side, side], zero beyond its edges."""
    n, c, h, w = values.shape
    wide = np.zeros((n, c, rows * tile + side, columns * tile + side))
    wide[:, :, :h, :w] = values
    windows = np.lib.stride_tricks.sliding_window_view(wide, (side, side), axis=(2, 3))
    return windows[:, :, : rows * tile : tile, : columns * tile : tile]


def tile_counts(shape, tile):
    return tuple(-(-size // tile) for size in shape)


def forward_magnitude(x, w, tile, shape):
    """|A|ᵀ (Σ_c |G| |w| |G|ᵀ ⊙ |B|ᵀ |x| |B|) |A|, x with its padding, for an output's `shape`."""
    b, g, a = (np.abs(m) for m in matrices(tile))
    rows, columns = tile_counts(shape, tile)
    v = b @ tiles_of(magnitude(x), tile, tile + 2, rows, columns) @ b.T
    u = g @ magnitude(w) @ g.T
    y = a @ np.einsum("ncrsij,kcij->nkrsij", v, u, optimize=True) @ a.T
    y = y.swapaxes(3, 4).reshape(*y.shape[:2], rows * tile, columns * tile)
    return y[:, :, : shape[0], : shape[1]]


def gradient_magnitude(x, dy, tile):
    """|G|ᵀ (Σ |B|ᵀ |x| |B| ⊙ |A| |dy| |A|ᵀ) |G|, x with its padding."""
    b, g, a = (np.abs(m) for m in matrices(tile))
    rows, columns = tile_counts(dy.shape[2:], tile)
    v = b @ tiles_of(magnitude(x), tile, tile + 2, rows, columns) @ b.T
    w = a.T @ tiles_of(magnitude(dy), tile, tile, rows, columns) @ a
    return g.T @ np.einsum("ncrsij,nkrsij->kcij", v, w, optimize=True) @ g


@st.composite
def convolutions(draw):
    """(N, C, H, W, K, padding of each side, x's border beyond it, border of y, tile)."""
    vertical = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    horizontal = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    sizes = st.sampled_from([1, 3, 5, 7, 9, 13])
    h = max(draw(sizes), 3 - sum(vertical))
    w = max(draw(sizes), 3 - sum(horizontal))
    channels = draw(CHANNELS), draw(CHANNELS)
    beyond = draw(st.tuples(st.integers(0, 1), st.integers(0, 1)))
    tile = draw(st.sampled_from([2, 4]))
    c, k = channels
    return draw(IMAGES), c, h, w, k, (vertical, horizontal), beyond, draw(BORDERS), tile


def layout(case):
    n, c, h, w, k, padding, beyond, border, _tile = case
    x_border = (max(sides) + more for sides, more in zip(padding, beyond, strict=True))
    rows, columns = (size + sum(sides) - 2 for size, sides in zip((h, w), padding, strict=True))
    return n, FeatureMap(h, w, c, *x_border), FeatureMap(rows, columns, k, *border)


def stage_of(case, **options):
    _, x_map, y_map = layout(case)
    padding, tile = case[5], case[-1]
    return Winograd(x_map, y_map, padding[0][0], padding[1][0], tile, **options)


def with_padding(values, padding):
    return np.pad(values, ((0, 0), (0, 0), *padding))


def data(kind, case):
    n, c, h, w, k = case[:5]
    rng = generator(kind.__name__, case)
    return kind(rng, n, c, h, w), kind(rng, k, c, 3, 3), kind(rng, k)


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


def run_forward(spec, x, u, bias, y, gates=None, parts=None):
    """y, in one call or in parts."""
    n = len(x.items)
    for first, count in parts or [(0, n)]:
        scratch = Buffer(1, spec.scratch_size)
        gate = gates and (gates, first)
        call(winograd_forward, spec, ((x, first), u, bias, (y, first), gate, scratch), count)
    return y


def run_part(spec, x, u, bias, y, gates, first, count):
    """Some tiles of y."""
    scratch = Buffer(1, spec.scratch_size)
    call(winograd_forward, spec, (x, u, bias, y, gates, scratch), count, first=first)


@shapes(2)
@example(case=(3, 24, 9, 13, 33, ((1, 1), (1, 1)), (0, 0), (1, 1), 4), options=0)
@example(case=(2, 17, 8, 12, 16, ((1, 1), (1, 1)), (1, 0), (0, 2), 4), options=1, once=True)
@example(case=(5, 3, 3, 5, 5, ((2, 0), (0, 1)), (0, 1), (0, 0), 4), options=2, once=True)
@example(case=(1, 1, 1, 1, 1, ((1, 1), (1, 1)), (0, 0), (0, 0), 2), options=3)
@example(case=(2, 5, 7, 7, 17, ((0, 2), (2, 1)), (0, 0), (1, 0), 2), options=2, once=True)
@given(case=convolutions(), options=st.integers(0, 3))
def test_winograd_forward(case, options):
    bias, relu = options != 3, options == 1
    accumulate, gated = options == 2, options >= 2
    n, x_map, y_map = layout(case)
    padding, tile = case[5], case[-1]
    gate_map = FeatureMap(y_map.height, y_map.width, y_map.channels, 1, 2)
    choice = {"bias": bias, "relu": relu, "accumulate": accumulate, "gated": gated}
    choice["gate"] = gate_map if gated else FeatureMap(1, 1, 1)
    spec = stage_of(case, **choice)
    for kind in (whole, real):
        x, w, b = data(kind, case)
        rng = generator(case, options)
        shape = n, y_map.channels, y_map.height, y_map.width
        before, gate = kind(rng, *shape), np.maximum(whole(rng, *shape), 0)
        gates = maps(gate_map, gate) if gated else None
        operands = maps(x_map, x), transformed(spec, w), packed_bias(b) if bias else None

        def fresh(before=before):
            return maps(y_map, before) if accumulate else blank(y_map, n)

        wide = with_padding(x, padding)
        expected = reference.conv2d_forward(double(wide), double(w), double(b) if bias else None)
        size = forward_magnitude(wide, w, tile, shape[2:])
        size += magnitude(b)[:, None, None] if bias else 0
        if relu:
            expected = reference.relu_forward(expected)
        if gated:
            expected = reference.relu_backward(expected, double(gate))
        if accumulate:
            expected, size = expected + before, size + magnitude(before)
        roundings = 2 * (INTO + WEIGHT + OUT) + x_map.channels + 3
        actual = read(y_map, run_forward(spec, *operands, fresh(), gates))
        assert_within(actual, expected, rounding(roundings, size))
        if gated and not accumulate:
            assert (actual[gate <= 0] == 0).all()
        # Bitwise the same, however the images are cut into calls, and tiles into groups.
        others = [(spec, [(i, 1) for i in range(n)])]
        if kind is real and case[0] == 3:
            others.append((stage_of(case, **choice, group=5), [(0, n)]))
        for other, parts in others:
            cut = read(y_map, run_forward(other, *operands, fresh(), gates, parts))
            np.testing.assert_array_equal(cut, actual)
        if n == 1:
            tiles = stage_of(case, **choice, parts=True)
            y = fresh()
            for part in in_parts(tiles.tiles):
                run_part(tiles, *operands, y, gates, *part)
            np.testing.assert_array_equal(read(y_map, y), actual)


@once
@pytest.mark.parametrize("tile", [2, 4])
def test_what_is_not_finite_spreads_over_its_tile_alone(tile):
    case = (2, 5, 9, 7, 17, ((1, 1), (1, 1)), (0, 0), (0, 0), tile)
    n, x_map, y_map = layout(case)
    spec = stage_of(case)
    x, w, b = data(whole, case)
    w = np.where(w == 0, 1, w).astype(np.float32)
    bad = x.copy()
    bad[0, 2, 4, 3], bad[0, 1, 8, 6], bad[1, 4, 0, 0] = nan, inf, -inf
    u = transformed(spec, w)

    def run(values):
        y = run_forward(spec, maps(x_map, values), u, packed_bias(b), blank(y_map, n))
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
    assert not np.isfinite(ill[~np.isfinite(expected)]).any()


@shapes(1)
@example(case=(1, 17, 7, 9, 33, ((1, 1), (1, 1)), (0, 0), (0, 0), 4), once=True)
@example(case=(3, 24, 3, 5, 8, ((2, 2), (0, 0)), (0, 0), (1, 2), 2), once=True)
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


def weight_gradient(spec, run, count, bias_sums, *operands):
    """dw and db, from a kernel that is called twice, with what comes before them and behind."""
    at, k = weight_places(spec.w), spec.w.out_channels
    dw = parameter(spec.w.size, at, nan)
    db = parameter(padded(k), bias_places(k), nan)
    before, behind = operands
    table = *before, bias_sums, dw, db if spec.bias else None, *behind
    for first, items in in_parts(count):
        call(run, spec, table, items, first=first)
    return read_parameter(dw, at), read_parameter(db, bias_places(k)) if spec.bias else None


def of_shards(spec, x, dy, parts):
    """dw and db by way of shards; `parts` are the calls."""
    images = len(x.items)
    shards = -(-images // spec.shard)
    sums, bias = Buffer(shards, spec.s_size), Buffer(shards, padded(spec.w.out_channels))
    for first, count in parts:
        scratch = Buffer(1, spec.scratch_size)
        operands = (x, first), (dy, first), sums, bias, scratch
        call(winograd_backward_weight, spec, operands, count, first=first)
    around = (sums,), (step(images),)
    return weight_gradient(spec, winograd_reduce, spec.w.blocks, bias, *around)


def of_batch(spec, x, dy, parts):
    """dw and db by way of the whole batch's V and W."""
    images = len(x.items)
    v, w = Buffer(1, spec.v_size), Buffer(1, spec.w_size)
    bias = Buffer(images, padded(spec.w.out_channels))
    for first, count in parts:
        call(winograd_transform_input, spec, ((x, first), v), count, first=first)
        operands = (dy, first), w, (bias, first) if spec.bias else None
        call(winograd_transform_gradient, spec, operands, count, first=first)
    around = (v, w), (step(images), Buffer(1, spec.scratch_size))
    return weight_gradient(spec, winograd_outer, spec.items, bias, *around)


@shapes(1)
@example(case=(5, 17, 8, 12, 33, ((1, 1), (1, 1)), (0, 0), (1, 1), 4), shard=2)
@example(case=(3, 5, 13, 13, 24, ((1, 1), (0, 2)), (1, 1), (0, 1), 2), shard=3, once=True)
@example(case=(2, 57, 1, 1, 1, ((1, 1), (1, 1)), (0, 0), (0, 0), 2), shard=1, once=True)
@given(case=convolutions(), shard=st.integers(1, 3))
def test_winograd_backward_weight(case, shard):
    n, x_map, dy_map = layout(case)
    padding, tile = case[5], case[-1]
    common = {"top": padding[0][0], "left": padding[1][0], "tile": tile, "bias": shard != 3}
    spec = WinogradGradient(x_map, dy_map, shard=shard, **common)
    kept = WinogradGradient(x_map, dy_map, images=n + 1, **common)
    for kind in (whole, real):
        x, _, _ = data(kind, case)
        dy = kind(generator(case), n, dy_map.channels, dy_map.height, dy_map.width)
        operands = maps(x_map, x), maps(dy_map, dy)
        middle = n // 2 // shard * shard
        wide = with_padding(x, padding)
        backward = reference.conv2d_backward_weight
        expected = backward(double(wide), double(dy), (3, 3))
        tiles = spec.forward.tiles
        roundings = 2 * (INTO + INTO + OUT) + n * tiles + 1 + n
        bound = rounding(roundings, gradient_magnitude(wide, dy, tile))
        bias_bound = rounding(n * dy[0, 0].size + n, magnitude(dy).sum((0, 2, 3)))
        results = [of_shards(spec, *operands, [(0, n)])]
        if middle:
            results.append(of_shards(spec, *operands, [(0, middle), (middle, n - middle)]))
            np.testing.assert_array_equal(results[1][0], results[0][0])
        results.append(of_batch(kept, *operands, in_parts(n)))
        if shard >= n:  # one chain of sums either way, in whatever groups
            np.testing.assert_array_equal(results[-1][0], results[0][0])
        for dw, db in results:
            assert_within(dw, expected, bound)
            if spec.bias:
                assert_within(db, double(dy).sum((0, 2, 3)), bias_bound)


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
