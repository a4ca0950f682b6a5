"""The spreading kernel alone against `neocog.reference` in float64; see `cases`."""

import numpy as np
from cases import example, feature_maps, generator, real, sizes, winner_offsets
from hypothesis import given
from hypothesis import strategies as st
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
from neocog.kernels.pooling.max_unpool import MaxUnpool, max_unpool


@sizes(40)
@example(case=(2, 5, 5, 7, (1, 2), (0, 1), False), stride=(1, 1))
@given(case=feature_maps(), stride=st.tuples(st.integers(1, 3), st.integers(1, 2)))
def test_spread_winners(case, stride):
    n, c, h, w, before, after, _dense = case
    h, w = max(h, 2), max(w, 2)
    x_map = FeatureMap(h * stride[0], w * stride[1], c, *before)
    dx_map = FeatureMap(h, w, c, *after)
    y_map = FeatureMap(h // 2, w // 2, c)
    rng = generator(case)
    dy = real(rng, n, *places(y_map).shape)
    winner = rng.integers(0, 4, dy.shape)
    winners = Buffer(n, y_map.size, np.int32)
    winners.items[:, places(y_map)] = winner_offsets(x_map, winner, stride)
    dx = blank(dx_map, n)
    # What is in no region has no gradient, and nobody writes it.
    outside = np.ones((h, w), bool)
    outside[: 2 * (h // 2), : 2 * (w // 2)] = False
    corner = places(dx_map)[0][outside][:, None] + np.arange(dx_map.pixel)
    dx.items[:, corner] = 0
    spec = MaxUnpool(x_map, y_map, dx_map, *stride)
    call(max_unpool, spec, count=n, dy=maps(y_map, dy), winners=winners, dx=dx)
    expected = reference.max_pool2d_backward(dy, winner, (n, c, h, w))
    np.testing.assert_array_equal(read(dx_map, dx), expected)
