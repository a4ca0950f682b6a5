"""The Winograd kernels of dw alone against `neocog.reference`; see `winograd_cases`."""

from math import nan

import numpy as np
from cases import (
    double,
    example,
    generator,
    in_parts,
    magnitude,
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
    call,
    maps,
    parameter,
    read_parameter,
    rounding,
    step,
    weight_places,
)
from winograd_cases import (
    INTO,
    OUT,
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
from neocog.kernels.layout import padded
from neocog.kernels.winograd.gradient import (
    kinds,
    winograd_backward_weight,
    winograd_outer,
    winograd_reduce,
    winograd_transform_gradient,
    winograd_transform_input,
)
from neocog.kernels.winograd.gradient_tiling import WinogradGradient, WinogradPass


def gradient_magnitude(x, dy, tile):
    """|G|ᵀ (Σ |B|ᵀ |x| |B| ⊙ |A| |dy| |A|ᵀ) |G|, x with its padding."""
    b, g, a = (np.abs(m) for m in matrices(tile))
    rows, columns = tile_counts(dy.shape[2:], tile)
    v = b @ tiles_of(magnitude(x), tile, tile + 2, rows, columns) @ b.T
    w = a.T @ tiles_of(magnitude(dy), tile, tile, rows, columns) @ a
    return g.T @ np.einsum("ncrsij,nkrsij->kcij", v, w, optimize=True) @ g


def weight_gradient(spec, run, count, bias_sums, *operands):
    """dw and db, from a kernel that is called twice, with what comes before them and behind."""
    at, k = weight_places(spec.w), spec.w.out_channels
    dw = parameter(spec.w.size, at, nan)
    db = parameter(padded(k), bias_places(k), nan)
    before, behind = operands
    table = *before, bias_sums, dw, db if spec.bias else None, *behind
    of = WinogradPass(spec) if run is winograd_reduce else spec
    for first, items in in_parts(count):
        call(run, of, table, items, first=first)
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
        call(winograd_transform_input, WinogradPass(spec), ((x, first), v), count, first=first)
        operands = (dy, first), w, (bias, first) if spec.bias else None
        call(winograd_transform_gradient, WinogradPass(spec), operands, count, first=first)
    around = (v, w), (step(images), Buffer(1, spec.scratch_size))
    return weight_gradient(spec, winograd_outer, spec.items, bias, *around)


@sizes(5)
@example(case=(5, 17, 8, 12, 33, ((1, 1), (1, 1)), (0, 0), (1, 1), 4), shard=2)
@example(case=(3, 5, 13, 13, 24, ((1, 1), (0, 2)), (1, 1), (0, 1), 2), shard=3)
@example(case=(2, 57, 1, 1, 1, ((1, 1), (1, 1)), (0, 0), (0, 0), 2), shard=1)
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


@sizes(50)
@given(case=convolutions(), shard=st.integers(0, 3))
def test_all_kinds_are_listed(case, shard):
    """Of tiles of 4 × 4, which are the only ones that the engine asks for."""
    n, x_map, dy_map = layout(case)
    padding = case[5]
    spec = WinogradGradient(x_map, dy_map, padding[0][0], padding[1][0], shard=shard, images=n)
    listed = {(kernel, kind_of(one)) for kernel, one in kinds()}
    products = (winograd_outer, spec), (winograd_backward_weight, spec)
    passes = winograd_reduce, winograd_transform_input, winograd_transform_gradient
    for kernel, of in (*products, *((one, WinogradPass(spec)) for one in passes)):
        assert (kernel, kind_of(of)) in listed
