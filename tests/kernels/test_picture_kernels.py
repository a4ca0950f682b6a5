"""Images that are cropped, rotated and changed as bytes, against the formulas with the same draws.

With a scale of 1 and a shift of 0 the map holds the bytes themselves, which must be equal.
"""

import numba
import numpy as np
import pytest
from augmented_images import load
from cases import generator, in_parts, once, sizes
from hypothesis import example, given
from hypothesis import strategies as st
from test_augmentation_kernels import (
    MANY,
    SEED,
    SIGMAS,
    arranged,
    key_of,
    spread_evenly,
    uniform_of,
)

from neocog import reference
from neocog.kernels.compiler.numba_passes import KernelCompiler
from neocog.kernels.input.augmented import Augment, Augmented
from neocog.kernels.input.crop import draw_crop
from neocog.kernels.input.image import Images
from neocog.kernels.input.trivial_augment import CHANGES, draw_change
from neocog.kernels.layout import FeatureMap
from neocog.kernels.random import uniform


@numba.njit(pipeline_class=KernelCompiler)
def crop_of(height, width, least, most, key):
    return draw_crop(height, width, least, most, key)


@numba.njit(pipeline_class=KernelCompiler)
def change_of(key):
    return draw_change(key)


@numba.njit(pipeline_class=KernelCompiler)
def uniform_of_try(key, purpose, attempt):
    return uniform(key, purpose, attempt)


def draws_of(key):
    purposes = {"area": 32, "aspect": 33, "top": 34, "left": 35}
    return lambda name, attempt: uniform_of_try(key, purposes[name], attempt)


def made(stored, how, settings, index, height, width):
    """The bytes of one image [h, w, c] as the network gets them."""
    key = key_of(settings[0], settings[1], index)
    picture = stored
    if how.crop:
        box = reference.random_crop_box(*stored.shape[:2], how.crop, draws_of(key))
        picture = reference.resized_crop(picture, box, height, width)
    if how.rotate:
        degrees = (2 * uniform_of(key, 40) - 1) * how.rotate
        matrix = reference.rotation_matrix(degrees, height, width)
        picture = reference.affine(picture, matrix, how.border)
    if how.trivial_augment:
        picture = reference.trivial_augment(picture, *change_of(key), how.border)
    return arranged(picture, how, settings, key, index)


def bytes_of(spec, bytes_, order, settings, parts):
    """The bytes that the map gets [n, h, w, c]."""
    c, w = spec.x.channels, spec.x.width
    pixels = np.zeros((2, w, spec.x.pixel), np.float32)
    pixels[0, :, :c] = 1
    found = load(spec, bytes_, order, settings, pixels, parts).transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(found, np.floor(found))
    return found


def pictures_of(rng, n, h, w, c):
    """Noise on flat parts, so that histograms have gaps and means are not all the same."""
    flat_parts = rng.integers(0, 256, (n, 1, 1, c)) // rng.integers(1, 4, (n, h, w, 1))
    noise = rng.integers(-9, 10, (n, h, w, c))
    return np.clip(flat_parts + noise, 0, 255).astype(np.uint8)


SIDES = st.sampled_from([1, 2, 3, 5, 8, 13])
HOWS = st.builds(
    Augment,
    flip=st.sampled_from([None, "random"]),
    translate=st.integers(0, 2),
    border=st.sampled_from(["reflect", "zero"]),
    crop=st.sampled_from([None, (0.1, 0.5), (0.35, 1.0)]),
    rotate=st.sampled_from([0.0, 15.0, 180.0]),
    trivial_augment=st.booleans(),
)
ALL = {"crop": (0.2, 1.0), "rotate": 30.0, "trivial_augment": True}


@sizes(20)
@example(c=3, size=(9, 13), stored=(21, 17), how=Augment("random", 2, **ALL), gathered=True)
@example(1, (7, 6), (5, 16), Augment(border="zero", crop=(0.3, 0.3), rotate=60.0), True)
@example(3, (5, 8), (5, 8), Augment(crop=(1.0, 1.0)), False)
@example(3, (1, 1), (3, 2), Augment(border="zero", **ALL), True)
@example(3, (4, 1), (4, 1), Augment(rotate=90.0, trivial_augment=True), False)
@given(
    c=st.integers(1, 5),
    size=st.tuples(SIDES, SIDES),
    stored=st.tuples(SIDES, SIDES),
    how=HOWS,
    gathered=st.booleans(),
)
def test_pictures_are_those_of_the_formulas(c, size, stored, how, gathered):
    (h, w), n = size, 6
    stored = stored if how.crop else size
    spec = Augmented(Images(FeatureMap(h, w, c, 1, 1, True), gathered), how, stored)
    rng = generator(c, size, stored, how)
    bytes_ = pictures_of(rng, n, *stored, c)
    order = rng.permutation(n) if gathered else np.arange(n)
    settings = np.array([SEED, 5, 0, 0, 0])
    found = bytes_of(spec, bytes_, order, settings, in_parts(n))
    for place, index in enumerate(order):
        expected = made(bytes_[index], how, settings, index, h, w)
        np.testing.assert_array_equal(found[place], expected, f"image {index}")
    alone = bytes_of(spec, bytes_, order, settings, [(i, 1) for i in range(n)])
    np.testing.assert_array_equal(found, alone)


@pytest.mark.parametrize(("border", "channels"), [("reflect", 3), ("zero", 1), ("zero", 4)])
@once
def test_every_change_in_every_strength(border, channels):
    """Often enough that each of 14 · 31 occurs; of the 18 · 15 pixels, one level a bin is full."""
    n, h, w = 2600, 18, 15
    how = Augment(border=border, trivial_augment=True)
    spec = Augmented(Images(FeatureMap(h, w, channels, 0, 0, True), False), how)
    bytes_ = pictures_of(generator(border), n, h, w, channels)
    # For equalize: some that are all of one level, and some that have the greatest one often.
    bytes_[::7] = bytes_[::7, :1, :1]
    bytes_[::5, 3:] = 255
    settings = np.array([SEED, 0, 0, 0, 0])
    found = bytes_of(spec, bytes_, np.arange(n), settings, [(0, n)])
    seen = set()
    for index in range(n):
        change = change_of(key_of(SEED, 0, index))
        seen.add(change[:2])
        expected = reference.trivial_augment(bytes_[index], *change, border)
        np.testing.assert_array_equal(found[index], expected, f"{CHANGES[change[0]]} {change}")
    # 6 a case are expected, so one is missing with a probability of e⁻⁶: one in all.
    assert len(seen) > 0.99 * 14 * 31


# What is drawn


@once
def test_all_changes_strengths_and_signs_occur_alike():
    drawn = np.array([change_of(key_of(SEED, 2, index)) for index in range(MANY)])
    assert spread_evenly(np.bincount(drawn[:, 0], minlength=14))
    assert spread_evenly(np.bincount(drawn[:, 1], minlength=31))
    assert spread_evenly(np.bincount((drawn[:, 2] + 1) // 2, minlength=2))
    both = np.bincount(drawn[:, 0] * 2 + (drawn[:, 2] + 1) // 2, minlength=28)
    assert spread_evenly(both)


def boxes(height, width, scale, *, seed=SEED, epoch=0, count=MANY):
    keys = [key_of(seed, epoch, index) for index in range(count)]
    return np.array([crop_of(height, width, *scale, key) for key in keys])


@once
@pytest.mark.parametrize("size", [(400, 400), (300, 400), (37, 23), (5, 5)])
def test_crops_lie_in_the_image_and_have_what_was_asked_for(size):
    height, width = size
    top, left, h, w = boxes(height, width, (0.35, 0.6)).T
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (h >= 1).all()
    assert (w >= 1).all()
    assert (top + h <= height).all()
    assert (left + w <= width).all()
    # Sides are whole: each is up to half a pixel from what was drawn.
    assert ((h + 0.5) * (w + 0.5) >= 0.35 * height * width).all()
    assert ((h - 0.5) * (w - 0.5) <= 0.6 * height * width).all()
    assert ((w + 0.5) / (h - 0.5) >= 3 / 4).all()
    assert ((w - 0.5) / (h + 0.5) <= 4 / 3).all()


def near_uniform(share):
    """Kolmogorov: √N D > 3.3 twice in 10⁹ times."""
    even = (np.arange(len(share)) + 0.5) / len(share)
    return np.abs(np.sort(share) - even).max() < 3.4 / np.sqrt(len(share))


@once
def test_areas_aspects_and_places_are_uniform_where_every_crop_fits():
    """Up to half the area at 4 to 3 is 0.82 of a side: none is drawn again."""
    side = 100_000
    top, left, h, w = boxes(side, side, (0.1, 0.5)).T
    assert near_uniform((h * w / side**2 - 0.1) / 0.4)
    log_aspect = np.log(w / h)
    assert near_uniform(log_aspect / np.log(4 / 3) / 2 + 0.5)
    assert near_uniform(top / (side - h))
    assert near_uniform(left / (side - w))
    shares = np.array([h * w / side**2, log_aspect, top / (side - h), left / (side - w)])
    assert np.abs(np.corrcoef(shares)[~np.eye(4, dtype=bool)]).max() < SIGMAS / np.sqrt(MANY)


@once
def test_every_place_of_a_small_crop_occurs_alike():
    found = boxes(5, 6, (1e-4, 1e-4), count=10)
    assert (found == [0, 0, 5, 6]).all(), "nothing so small can be drawn: all of it"
    found = boxes(6, 6, (1 / 36, 1 / 36))
    assert (found[:, 2:] == 1).all()
    assert spread_evenly(np.bincount(found[:, 0] * 6 + found[:, 1], minlength=36))


@once
def test_boxes_are_those_of_the_formula():
    """With crops that are often drawn again, and images in which none fits."""
    for height, width in ((30, 40), (11, 90), (200, 31), (2, 1), (1, 9)):
        for index in range(40):
            key = key_of(SEED, 1, index)
            found = crop_of(height, width, 0.6, 1.0, key)
            expected = reference.random_crop_box(height, width, (0.6, 1.0), draws_of(key))
            assert found == expected


@once
@pytest.mark.parametrize("change", [{"seed": SEED + 1}, {"epoch": 1}])
def test_seed_epoch_and_image_decide(change):
    first, other = boxes(224, 224, (0.3, 1)), boxes(224, 224, (0.3, 1), **change)
    np.testing.assert_array_equal(first, boxes(224, 224, (0.3, 1)))
    assert len(np.unique(first, axis=0)) > 0.99 * MANY
    assert (first == other).all(axis=1).mean() < 0.01
