"""Perceptual hashes against their formula, and pairs of near ones against all pairs."""

import io
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from neocog.data.check import perceptual_hash
from neocog.data.check.features import BLOCKS, features, gray_levels
from neocog.data.check.perceptual_hash import bits_that_differ, near_pairs, perceptual_hashes


def scene(seed):
    """A picture with soft shapes, as photographs have."""
    pixels = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), np.uint8)
    return Image.fromarray(pixels).resize((90, 70), Image.Resampling.BICUBIC)


def hash_of(picture):
    small = picture.convert("L").resize((32, 32), Image.Resampling.BILINEAR)
    hashes, says = perceptual_hashes(np.asarray(small)[None])
    return int(hashes[0]), bool(says[0])


def by_formula(x):
    """The hash of one picture, coefficient by coefficient."""
    found = []
    for i in range(1, 9):
        for j in range(1, 9):
            down = [math.cos(math.pi * (2 * n + 1) * i / 64) for n in range(32)]
            across = [math.cos(math.pi * (2 * n + 1) * j / 64) for n in range(32)]
            found.append(sum(x[m, n] * down[m] * across[n] for m in range(32) for n in range(32)))
    middle = sorted(found)
    median = (middle[31] + middle[32]) / 2
    return sum(1 << k for k, value in enumerate(found) if value > median)


def test_the_hash_is_the_formulas():
    pictures = np.random.default_rng(5).integers(0, 256, (4, 32, 32), np.uint8)
    hashes, says = perceptual_hashes(pictures)
    assert hashes.dtype == np.uint64
    assert hashes.tolist() == [by_formula(one.astype(float)) for one in pictures]
    assert says.all()


def test_half_of_the_bits_are_set():
    assert all(hash_of(scene(seed))[0].bit_count() == 32 for seed in range(20))


def packed(picture, quality):
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=quality)
    return Image.open(data)


@pytest.mark.parametrize("seed", range(8))
def test_copies_have_nearly_the_same_hash_and_others_have_not(seed):
    picture = scene(seed)
    mine, _says = hash_of(picture)
    for copy in (
        packed(picture, 40),
        picture.resize((45, 35)),
        picture.resize((200, 170)),
        picture.point(lambda level: level * 9 // 10 + 12),
    ):
        assert (mine ^ hash_of(copy)[0]).bit_count() <= 6
    for other in (scene(seed + 100), picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)):
        assert (mine ^ hash_of(other)[0]).bit_count() > 12


@pytest.mark.parametrize("level", [0, 77, 255])
def test_pictures_of_one_color_have_no_hash(level):
    assert not hash_of(Image.new("L", (32, 32), level))[1]


def test_noise_of_a_camera_is_no_hash():
    noise = np.random.default_rng(0).normal(128, 1, (32, 32)).round().astype(np.uint8)
    assert not perceptual_hashes(noise[None])[1][0]


def test_no_pictures():
    hashes, says = perceptual_hashes(np.empty((0, 32, 32), np.uint8))
    assert hashes.shape == says.shape == (0,)


def test_bits_that_differ():
    numbers = [0, 1, 2**64 - 1, 2**63, 0x5555555555555555, 0x0F0F0F0F0F0F0F0F]
    numbers += np.random.default_rng(0).integers(0, 2**64, 200, np.uint64).tolist()
    pairs = [(x, y) for x in numbers[:20] for y in numbers]
    a, b = (np.array(column, np.uint64) for column in zip(*pairs, strict=True))
    assert bits_that_differ(a, b).tolist() == [(x ^ y).bit_count() for x, y in pairs]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 10), st.integers(0, 2**32), st.integers(0, 60))
def test_near_pairs_are_those_of_all_pairs(most, seed, count):
    """Hashes around a few, with bits turned over at random, so that many pairs are at the bound."""
    rng = np.random.default_rng(seed)
    middles = rng.integers(0, 2**64, 3, np.uint64)
    hashes = middles[rng.integers(0, 3, count)]
    for n in range(count):
        for bit in rng.choice(64, rng.integers(0, 8), replace=False):
            hashes[n] ^= np.uint64(1 << int(bit))
    one, other, complete = near_pairs(hashes, most)
    values = [int(h) for h in hashes]
    expected = [
        (a, b)
        for a in range(count)
        for b in range(a + 1, count)
        if (values[a] ^ values[b]).bit_count() <= most
    ]
    assert list(zip(one.tolist(), other.tolist(), strict=True)) == expected
    assert complete


def test_so_many_with_the_same_hash_that_not_all_are_compared(monkeypatch):
    monkeypatch.setattr(perceptual_hash, "_WINDOW", 3)
    one, other, complete = near_pairs(np.full(50, 12345, np.uint64), 4)
    assert not complete
    # Each is still connected with the next.
    assert {(n, n + 1) for n in range(49)} <= set(zip(one.tolist(), other.tolist(), strict=True))
    assert len(one) == 49 + 48 + 47


def test_a_hundred_thousand_hashes_are_not_compared_with_each_other(monkeypatch):
    hashes = np.random.default_rng(1).integers(0, 2**64, 100_000, np.uint64)
    hashes[99_999] = hashes[5] ^ np.uint64(0b111 << 30)
    compared = 0
    honest = perceptual_hash.bits_that_differ

    def counting(a, b):
        nonlocal compared
        compared += len(a)
        return honest(a, b)

    monkeypatch.setattr(perceptual_hash, "bits_that_differ", counting)
    one, other, complete = near_pairs(hashes, 4)
    assert (one.tolist(), other.tolist(), complete) == ([5], [99_999], True)
    assert compared < 100_000**2 / 2 / 1000


def test_gray_is_pillows():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3), np.uint8)
    expected = [np.asarray(Image.fromarray(one).convert("L")) for one in pixels]
    assert np.array_equal(gray_levels(pixels), expected)


def test_features_of_two_halves():
    """Red above blue: half of the colors each, and all gradients lie across the middle."""
    picture = np.zeros((1, 32, 32, 3), np.uint8)
    picture[0, :16, :, 0] = 255
    picture[0, 16:, :, 2] = 255
    thumbnail, colors, gradients = (features(picture)[0, block] for block in BLOCKS)
    assert np.array_equal(thumbnail[:96], np.tile([100, 0, 0], 32))
    assert np.array_equal(thumbnail[96:], np.tile([0, 0, 100], 32))
    red, blue = 3 * 16, 3
    half = round(100 * math.sqrt(1 / 2))
    assert {k: int(v) for k, v in enumerate(colors) if v} == {red: half, blue: half}
    # The gradient points down: the fifth of eight directions from 0 to π. Rows 15 and 16 have it,
    # which are in the second and the third of four rows of cells.
    places = {(row * 4 + column) * 8 + 4 for row in (1, 2) for column in range(4)}
    share = round(100 * math.sqrt(1 / 8))
    assert {k: int(v) for k, v in enumerate(gradients) if v} == dict.fromkeys(places, share)


def test_features_of_one_color_have_no_gradients():
    found = features(np.full((1, 32, 32, 3), 255, np.uint8))[0]
    assert not found[BLOCKS[2]].any()
    assert found[BLOCKS[1]].max() == found[BLOCKS[0]].min() == 100
