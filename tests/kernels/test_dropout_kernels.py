"""The dropout kernels against the mask's formula in whole numbers; see `cases`."""

import numpy as np
import pytest
from cases import (
    BORDERS,
    IMAGES,
    double,
    example,
    generator,
    once,
    real,
    sizes,
    wild,
)
from hypothesis import given
from hypothesis import strategies as st
from kernel_caller import UNIT, assert_within, blank, call, flat, maps, read, step
from test_random_kernels import expected_bits

from neocog.kernels.compiler.spec import kind_of
from neocog.kernels.elementwise.dropout import Dropout, dropout_backward, dropout_forward, kinds
from neocog.kernels.layout import FeatureMap

MAPS = [("x", "y", dropout_forward), ("dy", "dx", dropout_backward)]


def mixed(counter, key):
    low, high = np.uint32(key % 2**32), np.uint32(key >> 32)
    z = counter.astype(np.uint32) + low
    z = (z ^ z >> 16) * np.uint32(0x7FEB352D) + high
    z = (z ^ z >> 15) * np.uint32(0x846CA68B)
    return (z ^ z >> 16).view(np.int32)


def expected_mask(p, seed, layer, done, n, shape):
    """Which elements of the image [C, H, W] are kept."""
    c, h, w = np.ogrid[: shape[0], : shape[1], : shape[2]]
    number = (h * shape[2] + w) * shape[0] + c
    key = expected_bits(expected_bits(seed, layer, done), n, 0)
    return mixed(number, key).astype(np.int64) >= round(p * 2**32) - 2**31


def run_dropout(spec, values, seed, done, first=0, names=MAPS[0]):
    source, target, kernel = getattr(spec, names[0]), getattr(spec, names[1]), names[2]
    result = blank(target, len(values))
    told = step(len(values), taken=done)
    operands = {names[0]: maps(source, values), names[1]: result}
    operands |= {"seed": flat([seed], np.int64), "step": told}
    call(kernel, spec, count=len(values), first=first, **operands)
    return read(target, result)


@st.composite
def dropouts(draw):
    """(N, C, H, W, four borders, which maps are dense, p, layer)."""
    c = draw(st.integers(1, 70))
    dense = tuple(c <= 5 and draw(st.booleans()) for _ in range(4))
    borders = tuple(draw(BORDERS) for _ in range(4))
    p = draw(st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]))
    return (
        draw(IMAGES),
        c,
        draw(st.integers(1, 12)),
        draw(st.integers(1, 40)),
        borders,
        dense,
        p,
        draw(st.integers(0, 9)),
    )


SOME = ((1, 2), (0, 1), (0, 0), (2, 0))


@sizes(20)
@example(case=(2, 17, 5, 7, SOME, (False,) * 4, 0.3, 2), seed=5, done=7)
@example(case=(3, 3, 6, 5, SOME, (True, True, False, True), 0.5, 0), seed=-1, done=0)
@example(case=(1, 33, 1, 1, SOME, (False,) * 4, 1.0, 1), seed=2**62, done=2**40)
@example(case=(1, 8, 2, 3, SOME, (False,) * 4, 0.0, 1), seed=0, done=1)
@example(case=(1, 1, 2, 3, SOME, (True,) * 4, 1 - 2.0**-40, 1), seed=0, done=1)
@given(case=dropouts(), seed=st.integers(-(2**63), 2**63 - 1), done=st.integers(0, 2**40))
def test_dropout(case, seed, done):
    n, c, h, w, borders, dense, p, layer = case
    places = (FeatureMap(h, w, c, *b, d) for b, d in zip(borders, dense, strict=True))
    spec = Dropout(*places, p=p, layer=layer)
    assert kind_of(spec) in {kind_of(one) for _, one in kinds()}
    first = 3
    masks = [expected_mask(p, seed, layer, done, first + at, (c, h, w)) for at in range(n)]
    factors = np.array(masks) / (1 - p) if any(m.any() for m in masks) else np.zeros((n, c, h, w))
    for names in MAPS:
        for kind in (real, wild):
            x = kind(generator(case, kind.__name__), n, c, h, w)
            actual = run_dropout(spec, x, seed, done, first, names)
            with np.errstate(invalid="ignore"):
                expected = double(x) * factors
            # The factor is rounded, and so is the product.
            bound = 2.001 * UNIT * np.nan_to_num(np.abs(expected))
            assert_within(actual, expected, bound)
            # One image alone is what it is among others.
            alone = run_dropout(spec, x[-1:], seed, done, first + n - 1, names)
            np.testing.assert_array_equal(alone, actual[-1:])


@once
@pytest.mark.parametrize("p", [0.1, 0.5])
def test_masks_are_fair_and_independent(p):
    """Each within 6 σ: between images, steps, layers, seeds and neighboring elements."""
    m = FeatureMap(24, 24, 48)
    one = Dropout(m, m, m, m, p, 0)
    other = Dropout(m, m, m, m, p, 1)
    x = np.ones((2, 48, 24, 24), np.float32)
    base = run_dropout(one, x, 3, 0) > 0
    scale = x[0].size
    variance = p * (1 - p)
    for image in base:
        assert abs(image.mean() - (1 - p)) < 6 * np.sqrt(variance / scale)
    assert np.abs(base[0].mean((1, 2)) - (1 - p)).max() < 6 * np.sqrt(variance / 24**2)
    compared = [
        (base[0], base[1]),
        (base, run_dropout(one, x, 3, 1) > 0),
        (base, run_dropout(one, x, 4, 0) > 0),
        (base, run_dropout(other, x, 3, 0) > 0),
        (base[:, 1:], base[:, :-1]),
        (base[:, :, 1:], base[:, :, :-1]),
        (base[:, :, :, 1:], base[:, :, :, :-1]),
    ]
    for left, right in compared:
        product = (left - (1 - p)) * (right - (1 - p))
        assert abs(product.mean()) < 6 * variance / np.sqrt(product.size)
