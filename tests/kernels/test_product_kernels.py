"""The kernels that multiply maps, and the channels of maps, against NumPy; see `cases`."""

import numpy as np
from cases import BORDERS, IMAGES, double, example, generator, in_parts, real, sizes, wild
from hypothesis import given
from hypothesis import strategies as st
from kernel_caller import assert_within, blank, call, maps, read, rounding

from neocog.kernels.compiler.spec import kind_of
from neocog.kernels.elementwise.product import (
    ChannelProduct,
    ElementwiseProduct,
    channel_products,
    kinds,
    multiply_maps,
    scale_channels,
)
from neocog.kernels.layout import FeatureMap

KINDS = {kind_of(spec) for _, spec in kinds()}


@st.composite
def triples(draw):
    """(N, C, H, W, three borders, which maps are dense)."""
    c = draw(st.integers(1, 70))
    dense = [c <= 4 and draw(st.booleans()) for _ in range(3)]
    borders = [draw(BORDERS) for _ in range(3)]
    return draw(IMAGES), c, draw(st.integers(1, 20)), draw(st.integers(1, 40)), borders, dense


SOME = [(1, 2), (0, 1), (1, 0)]
NO = [False] * 3


@sizes(30)
@example(case=(2, 17, 5, 7, SOME, NO))
@example(case=(3, 64, 6, 9, [(0, 0)] * 3, NO))
@example(case=(2, 3, 5, 7, SOME, [True, False, True]))
@given(case=triples())
def test_products_of_maps(case):
    n, c, h, w, borders, dense = case
    each = [FeatureMap(h, w, c, *border, d) for border, d in zip(borders, dense, strict=True)]
    spec = ElementwiseProduct(*each)
    assert kind_of(spec) in KINDS
    rng = generator(case)
    for kind in (real, wild):
        x, factor = kind(rng, n, c, h, w), kind(rng, n, c, h, w)
        y = blank(each[2], n)
        for first, count in in_parts(n):
            places = {"x": (maps(each[0], x), first), "factor": (maps(each[1], factor), first)}
            call(multiply_maps, spec, count=count, first=first, y=(y, first), **places)
        with np.errstate(invalid="ignore"):
            np.testing.assert_array_equal(read(each[2], y), x * factor)


@sizes(30)
@example(case=(2, 17, 5, 7, SOME, NO))
@example(case=(3, 64, 6, 9, [(0, 0)] * 3, NO))
@example(case=(2, 3, 5, 7, SOME, [True, False, True]))
@example(case=(2, 2, 5, 7, SOME, [False, True, True]))
@given(case=triples())
def test_products_of_channels(case):
    n, c, h, w, borders, dense = case
    x_map, y_map = (FeatureMap(h, w, c, *borders[at], dense[at]) for at in (0, 2))
    factor_map = FeatureMap(1, 1, c, *borders[1], dense[1])
    spec = ChannelProduct(x_map, factor_map, y_map)
    assert kind_of(spec) in KINDS
    rng = generator(case)
    x, dy, factor = real(rng, n, c, h, w), real(rng, n, c, h, w), real(rng, n, c, 1, 1)
    xs, dys, factors = maps(x_map, x), maps(y_map, dy), maps(factor_map, factor)
    y, sums = blank(y_map, n), blank(factor_map, n)
    for first, count in in_parts(n):
        places = {"x": (xs, first), "factor": (factors, first), "y": (y, first)}
        call(scale_channels, spec, count=count, first=first, **places)
        places = {"x": (xs, first), "y": (dys, first), "sums": (sums, first)}
        call(channel_products, spec, count=count, first=first, **places)
    np.testing.assert_array_equal(read(y_map, y), x * factor)
    products = double(x) * dy
    size = np.abs(products).sum((2, 3), keepdims=True)
    expected = products.sum((2, 3), keepdims=True)
    assert_within(read(factor_map, sums), expected, rounding(h * w + 1, size))
