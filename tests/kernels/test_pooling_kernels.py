"""The pooling kernels alone against `neocog.reference` in float64; see `cases`."""

import numpy as np
from cases import (
    feature_maps,
    generator,
    real,
    shapes,
    whole,
    wild,
    winner_offsets,
)
from hypothesis import example, given
from kernel_caller import (
    Buffer,
    blank,
    call,
    maps,
    places,
    read,
)

from neocog import reference
from neocog.kernels.layout import FeatureMap
from neocog.kernels.pooling import Pooling, copy_rows, max_pool2d_backward, max_pool2d_forward


@shapes(3)
@example(case=(2, 3, 5, 7, (1, 2), (0, 1), True))
@example(case=(3, 17, 2, 3, (0, 0), (1, 0), False))
@given(case=feature_maps())
def test_max_pool2d(case):
    n, c, h, w, before, after, dense = case
    h, w = max(h, 2), max(w, 2)
    x_map = FeatureMap(h, w, c, *before, dense)
    y_map = FeatureMap(h // 2, w // 2, c, *after, dense)
    bare = y_map.bare
    for kind, keep in ((whole, True), (wild, True), (real, False)):
        stage = Pooling(x_map, y_map, x_map, winners=keep)
        x = kind(generator(case), n, c, h, w)
        y, winners = blank(y_map, n), Buffer(n, bare.size, np.int32)
        call(max_pool2d_forward, stage, (maps(x_map, x), y, winners), n)
        expected, winner = reference.max_pool2d_forward(x)
        np.testing.assert_array_equal(read(y_map, y), expected)
        if keep:
            kept = winners.items[:, places(bare)]
            np.testing.assert_array_equal(kept, winner_offsets(x_map, winner))
        else:
            assert (winners.items == 77).all()


@shapes(3)
@example(case=(2, 5, 5, 7, (1, 2), (0, 1), False))
@given(case=feature_maps())
def test_max_pool2d_backward(case):
    n, c, h, w, before, after, _dense = case
    h, w = max(h, 2), max(w, 2)
    x_map, dx_map = FeatureMap(h, w, c, *before), FeatureMap(h, w, c, *after)
    y_map = FeatureMap(h // 2, w // 2, c)
    rng = generator(case)
    dy = real(rng, n, *places(y_map).shape)
    winner = rng.integers(0, 4, dy.shape)
    winners = Buffer(n, y_map.size, np.int32)
    winners.items[:, places(y_map)] = winner_offsets(x_map, winner)
    dx = blank(dx_map, n)
    # What is in no region has no gradient, and nobody writes it.
    outside = np.ones((h, w), bool)
    outside[: 2 * (h // 2), : 2 * (w // 2)] = False
    corner = places(dx_map)[0][outside][:, None] + np.arange(dx_map.pixel)
    dx.items[:, corner] = 0
    call(
        max_pool2d_backward,
        Pooling(x_map, y_map, dx_map),
        (maps(y_map, dy), winners, dx),
        n,
    )
    expected = reference.max_pool2d_backward(dy, winner, (n, c, h, w))
    np.testing.assert_array_equal(read(dx_map, dx), expected)


@shapes(1)
@example(case=(3, 17, 2, 3, (0, 0), (1, 2), False))
@given(case=feature_maps())
def test_copy_rows(case):
    n, c, h, w, _before, after, _dense = case
    bare, bordered = FeatureMap(h, w, c), FeatureMap(h, w, c, *after)
    values = wild(generator(case), n, c, h, w)
    copy = blank(bordered, n)
    call(copy_rows, Pooling(bare, bare, bordered), (maps(bare, values), copy), n)
    np.testing.assert_array_equal(read(bordered, copy), values)
