"""Winograd's matrices, from their theory, and convolutions to test.

The bound is that of sums whose every number was rounded so many times on its way, of absolute
values: |y − ŷ| ≤ γₙ · |A|ᵀ (Σ_c |G| |w| |G|ᵀ ⊙ |B|ᵀ |x| |B|) |A|, and the like for gradients.
"""

from math import sqrt

import numpy as np
from cases import (
    BORDERS,
    CHANNELS,
    IMAGES,
    generator,
)
from hypothesis import strategies as st

from neocog.kernels.layout import FeatureMap

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


def tiles_of(values, tile, side, rows, columns):
    """[N, C, H, W] cut into tiles [N, C, rows, columns, side, side], zero beyond its edges."""
    n, c, h, w = values.shape
    wide = np.zeros((n, c, rows * tile + side, columns * tile + side))
    wide[:, :, :h, :w] = values
    windows = np.lib.stride_tricks.sliding_window_view(wide, (side, side), axis=(2, 3))
    return windows[:, :, : rows * tile : tile, : columns * tile : tile]


def tile_counts(shape, tile):
    return tuple(-(-size // tile) for size in shape)


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


def with_padding(values, padding):
    return np.pad(values, ((0, 0), (0, 0), *padding))


def data(kind, case):
    n, c, h, w, k = case[:5]
    rng = generator(kind.__name__, case)
    return kind(rng, n, c, h, w), kind(rng, k, c, 3, 3), kind(rng, k)
