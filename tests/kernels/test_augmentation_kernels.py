"""Images varied as they are loaded, against a slow version that draws with the same functions."""

import numba
import numpy as np
import pytest
from augmented_images import load
from cases import BORDERS, generator, in_parts, once, sizes, unwritten
from hypothesis import example, given
from hypothesis import strategies as st
from kernel_caller import UNIT, assert_within, call, flat, read, rounding, step

from neocog.kernels.compiler.numba_passes import KernelCompiler
from neocog.kernels.compiler.spec import kind_of
from neocog.kernels.input import (
    color_jitter,
    crop,
    cutout,
    draws,
    mixed_images,
    placement,
    trivial_augment,
    warp,
)
from neocog.kernels.input.augmentation import augmentation_plan
from neocog.kernels.input.augmented import Augment, Augmented
from neocog.kernels.input.image import Images, load_images
from neocog.kernels.input.mixup import draw_mixing
from neocog.kernels.layout import FeatureMap
from neocog.kernels.random import random_bits, uniform

SEED = 2**62 + 12345
# The bounds of what is random are those that are passed twice in 10⁹ times.
SIGMAS = 6


@numba.njit(pipeline_class=KernelCompiler)
def bits_of(seed, epoch, index):
    return random_bits(seed, epoch, index)


def key_of(seed, epoch, index):
    """As the type that it has in kernels, which Numba's results do not keep."""
    return np.uint64(bits_of(seed, epoch, index))


@numba.njit(pipeline_class=KernelCompiler)
def uniform_of(key, purpose):
    return uniform(key, purpose, 0)


@numba.njit(pipeline_class=KernelCompiler)
def coin_of(key):
    return (random_bits(key, 0, 0) & np.uint64(1)) == np.uint64(1)


@numba.njit(pipeline_class=KernelCompiler)
def mixing_of(alpha, settings, step_):
    return draw_mixing(alpha, settings, step_)


# The slow version


def arranged(bytes_, how, settings, key, index):
    """Shift and flip of one image [H, W, C]."""
    h, w, _ = bytes_.shape
    _, epoch, flip, down, right = settings
    t = how.translate
    if how.fixed:
        t = max(abs(down), abs(right))
    else:
        down = int(uniform_of(key, 1) * (2 * t + 1)) - t
        right = int(uniform_of(key, 2) * (2 * t + 1)) - t
        flip = {
            None: False,
            "random": coin_of(key),
            "alternating": coin_of(key_of(settings[0], 0, index)) ^ (epoch % 2 == 1),
        }[how.flip]
    mode = {"reflect": {"mode": "reflect"}, "zero": {}}[how.border]
    wide = np.pad(bytes_, ((t, t), (t, t), (0, 0)), **mode)
    shifted = wide[t + down : t + down + h, t + right : t + right + w]
    return shifted[:, ::-1] if flip else shifted


def gray(v):
    parts = [0.2989, 0.587, 0.114] if v.shape[2] == 3 else np.full(v.shape[2], 1 / v.shape[2])
    return (v * parts).sum(axis=2, keepdims=True)


def blended(v, error, factor, other, other_error):
    """factor · v + (1 − factor) · other, and its rounding: of both factors, products and sum."""
    rest = abs(1 - factor)
    error = factor * error + rest * other_error
    error = error + 4 * UNIT * (factor * v + (rest + factor) * other)
    return np.clip(factor * v + (1 - factor) * other, 0, 1), error


def colored(bytes_, how, key):
    """Values 0 … 1, and how far float32 may be from them to first order."""
    _, w, c = bytes_.shape

    def factor(strength, purpose):
        low = max(0, 1 - strength)
        return low + (1 + strength - low) * uniform_of(key, purpose)

    def gray_and_error(v, error):
        return gray(v), gray(error) + (c + 4) * UNIT * gray(v)

    brightness, contrast, saturation = (
        factor(strength, 16 + n) for n, strength in enumerate(how.jitter)
    )
    v = bytes_ / 255
    v, error = np.clip(brightness * v, 0, 1), 4 * UNIT * brightness * v
    if how.jitter[1]:
        one, one_error = gray_and_error(v, error)
        # A row is summed in float32, at worst one pixel after another.
        mean_error = one_error.mean() + (w + 8) * UNIT * one.mean()
        v, error = blended(v, error, contrast, one.mean(), mean_error)
    if how.jitter[2]:
        v, error = blended(v, error, saturation, *gray_and_error(v, error))
    return v, error


def image(bytes_, how, settings, index, scale, shift):
    """One image [H, W, C] as the network gets it, and its bound."""
    h, w, _ = bytes_.shape
    key = key_of(settings[0], settings[1], index)
    bytes_ = arranged(bytes_, how, settings, key, index)
    if any(how.jitter):
        v, error = colored(bytes_, how, key)
        parts = 255 * v * scale + np.abs(shift)
        bound = 1.001 * 255 * scale * error + rounding(3, parts)
    else:
        v = bytes_ / 255
        bound = rounding(2, bytes_ * scale + np.abs(shift))
    x = 255 * v * scale + shift
    if how.cutout:
        top = int(uniform_of(key, 3) * h) - how.cutout // 2
        left = int(uniform_of(key, 4) * w) - how.cutout // 2
        square = (
            slice(max(0, top), top + how.cutout),
            slice(max(0, left), left + how.cutout),
        )
        x[square], bound[square] = 0, 0
    return x, bound


def batch(bytes_, indices, how, settings, scale, shift, begin):
    """A batch [N, C, H, W] of the images at `indices`, and its bound."""
    both = [image(bytes_[i], how, settings, i, scale, shift) for i in indices]
    x, bound = (np.array(part).transpose(0, 3, 1, 2) for part in zip(*both, strict=True))
    if how.mixup:
        n = len(x)
        share, rotation = mixing_of(how.mixup, settings, np.array([begin, n]))
        other = (np.arange(n) + rotation) % n
        mixture = share * x + (1 - share) * x[other]
        size = share * np.abs(x) + (1 - share) * np.abs(x[other])
        bound = 1.001 * (share * bound + (1 - share) * bound[other]) + rounding(4, size)
        x = mixture
    return x, bound


# The kernel


def preprocessing(rng, x_map):
    """Scale and shift of one pixel, in float32, and both as rows."""
    c = x_map.channels
    one = np.float32([rng.uniform(0.005, 0.02, c), rng.uniform(-2, 2, c)])
    pixel = np.zeros((2, x_map.width, x_map.pixel), np.float32)
    pixel[:, :, :c] = one[:, None]
    return one.astype(np.float64), pixel


STRENGTHS = st.sampled_from([0.0, 0.5, 2.0])
AUGMENTS = st.builds(
    Augment,
    flip=st.sampled_from([None, "random", "alternating"]),
    translate=st.integers(0, 4),
    border=st.sampled_from(["reflect", "zero"]),
    cutout=st.integers(0, 5),
    jitter=st.tuples(STRENGTHS, STRENGTHS, STRENGTHS),
    mixup=st.sampled_from([0.0, 0.5]),
    fixed=st.booleans(),
)
SIDES = st.integers(1, 20)
#: Images, channels, height, width, border.
CASES = st.tuples(st.integers(1, 5), st.integers(1, 6), SIDES, SIDES, BORDERS)
RGB = (3, 3, 9, 13, (1, 2))
GRAY = (5, 1, 6, 18, (0, 0))
EVERYTHING = Augment("alternating", 3, "zero", 4, (0.3, 0.5, 2.0), 0.4)


@sizes(20)
@example(case=RGB, how=Augment("random", 2), gathered=True)
@example(case=RGB, how=EVERYTHING, gathered=True)
@example(case=RGB, how=Augment(jitter=(0.0, 0.0, 0.7), cutout=3, fixed=True), gathered=False)
@example(case=GRAY, how=Augment("random", 4, "zero", jitter=(0.2, 0.9, 0.5)), gathered=True)
@example(case=GRAY, how=Augment("alternating", 2, mixup=0.3), gathered=False)
@example(case=(1, 3, 1, 1, (0, 0)), how=EVERYTHING, gathered=True)
@example(case=(2, 5, 3, 2, (1, 0)), how=EVERYTHING, gathered=True)
@given(case=CASES, how=AUGMENTS, gathered=st.booleans())
def test_augmented_images(case, how, gathered):
    n, c, h, w, border = case
    spec = Augmented(Images(FeatureMap(h, w, c, *border, True), gathered), how)
    rng = generator(case, how)
    bytes_ = rng.integers(0, 256, (3 * n, h, w, c), dtype=np.uint8)
    (scale, shift), rows = preprocessing(rng, spec.x)
    order = rng.integers(0, 3 * n, 3 * n)
    settings = np.array([SEED, 3, 1, rng.integers(-4, 5), rng.integers(-4, 5)])
    # The second batch of the epoch; its images 0 … n, and what comes after them is fetched.
    x = load(spec, bytes_, order, settings, rows, in_parts(n), begin=n, images=n)
    indices = order[n : 2 * n] if gathered else np.arange(n, 2 * n)
    expected, bound = batch(bytes_, indices, how, settings, scale, shift, n)
    assert_within(x, expected, bound)
    alone = [(i, 1) for i in range(n)]
    again = load(spec, bytes_, order, settings, rows, alone, begin=n, images=n)
    np.testing.assert_array_equal(x, again)


PARTS = (draws, crop, warp, trivial_augment, placement, color_jitter, cutout, mixed_images)


@given(
    case=CASES,
    stored=st.one_of(st.none(), st.tuples(SIDES, SIDES)),
    how=st.builds(
        Augment,
        flip=st.sampled_from([None, "random"]),
        translate=st.integers(0, 4),
        jitter=st.tuples(STRENGTHS, STRENGTHS, STRENGTHS),
        cutout=st.integers(0, 5),
        mixup=st.sampled_from([0, 0.5]),
        crop=st.sampled_from([None, (0.1, 0.5)]),
        rotate=st.sampled_from([0, 15.0]),
        trivial_augment=st.booleans(),
        fixed=st.booleans(),
    ),
    gathered=st.booleans(),
)
def test_no_augmentation_needs_another_kind(case, stored, how, gathered):
    _, c, h, w, border = case
    listed = {(kernel, kind_of(spec)) for part in PARTS for kernel, spec in part.kinds()}
    spec = Augmented(Images(FeatureMap(h, w, c, *border, True), gathered), how, stored)
    for one in augmentation_plan(spec):
        assert (one.kernel, kind_of(one.spec)) in listed


def test_nothing_asked_for_is_plain_loading():
    images = Images(FeatureMap(8, 8, 3, 1, 1, True), True)
    rng = generator()
    bytes_ = rng.integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    _, rows = preprocessing(rng, images.x)
    order = rng.permutation(4)
    x = load(Augmented(images, Augment()), bytes_, order, [1, 2, 0, 0, 0], rows, [(0, 4)])
    plain = unwritten(images.x, 4)
    of = {"data": flat(bytes_, np.uint8), "order": flat(order, np.int64), "x": plain}
    words, scale, shift = step(4, total=4), flat(rows[0]), flat(rows[1])
    call(load_images, images, count=4, step=words, scale=scale, shift=shift, **of)
    np.testing.assert_array_equal(x, read(images.x, plain))


# What is drawn

SIDE, MANY = 5, 3000


def seen(how, *, seed=SEED, epoch=0, order=None):
    """Many copies of one picture, in which no pixel is like another; [MANY, SIDE, SIDE]."""
    spec = Augmented(Images(FeatureMap(SIDE, SIDE, 1, dense=True), True), how)
    picture = np.arange(1, SIDE * SIDE + 1, dtype=np.uint8).reshape(1, SIDE, SIDE, 1)
    rows = np.ones((1, SIDE), np.float32), np.zeros((1, SIDE), np.float32)
    bytes_ = np.repeat(picture, MANY, axis=0)
    order = np.arange(MANY) if order is None else order
    return load(spec, bytes_, order, [seed, epoch, 0, 0, 0], rows, [(0, len(order))])[:, 0]


PICTURE = np.arange(1, SIDE * SIDE + 1).reshape(SIDE, SIDE)


def are_flipped(x):
    plain = (x == PICTURE).all((1, 2))
    turned = (x == PICTURE[:, ::-1]).all((1, 2))
    assert (plain ^ turned).all()
    return turned


def spread_evenly(counts):
    """χ² of equally probable cases has as many degrees of freedom as there are, less one."""
    expected = counts.sum() / len(counts)
    chi, free = ((counts - expected) ** 2 / expected).sum(), len(counts) - 1
    return abs(chi - free) < SIGMAS * np.sqrt(2 * free)


@once
def test_random_flips_are_half_and_new_in_each_epoch():
    epochs = [are_flipped(seen(Augment("random"), epoch=e)) for e in range(2)]
    same = epochs[0] == epochs[1]
    for share in (*epochs, same):
        assert abs(share.mean() - 0.5) < SIGMAS * 0.5 / np.sqrt(MANY)


@once
def test_alternating_flips_alternate():
    epochs = [are_flipped(seen(Augment("alternating"), epoch=e)) for e in range(4)]
    assert abs(epochs[0].mean() - 0.5) < SIGMAS * 0.5 / np.sqrt(MANY)
    np.testing.assert_array_equal(epochs[0], ~epochs[1])
    np.testing.assert_array_equal(epochs[0], epochs[2])
    np.testing.assert_array_equal(epochs[1], epochs[3])
    other_seed = are_flipped(seen(Augment("alternating"), seed=SEED + 1))
    same = other_seed == epochs[0]
    assert abs(same.mean() - 0.5) < SIGMAS * 0.5 / np.sqrt(MANY)


@once
def test_all_shifts_occur_alike_with_and_without_flip():
    """Where the middle pixel went, and what its neighbor to the right is."""
    x = seen(Augment("random", 2, "zero"))
    middle = PICTURE[SIDE // 2, SIDE // 2]
    n, row, column = np.nonzero(x == middle)
    np.testing.assert_array_equal(n, np.arange(MANY))
    left = np.where(column > 0, x[n, row, column - 1], 0)
    right = np.where(column < SIDE - 1, x[n, row, np.minimum(column + 1, SIDE - 1)], 0)
    flipped = (left == middle + 1) | (right == middle - 1)
    assert spread_evenly(np.bincount((flipped * SIDE + row) * SIDE + column, minlength=50))


@once
def test_cutout_is_a_square_around_any_pixel():
    cut = seen(Augment(cutout=3)) == 0
    sizes = cut.sum((1, 2))
    np.testing.assert_array_equal(np.unique(sizes), [4, 6, 9])
    rows, columns = cut.any(2), cut.any(1)
    np.testing.assert_array_equal(cut, rows[:, :, None] & columns[:, None, :])
    # The centers, of which those at the edge have a square that is cut off there.
    center = [
        np.where(part[:, 0] & ~part[:, 2], 0, np.where(part[:, 0], 1, np.argmax(part, 1) + 1))
        for part in (rows, columns)
    ]
    assert spread_evenly(np.bincount(center[0] * SIDE + center[1], minlength=SIDE * SIDE))


@once
def test_draws_follow_the_image_not_its_place():
    how = Augment("random", 2, "reflect", 2)
    order = generator(1).permutation(MANY)
    shuffled = seen(how, order=order)
    np.testing.assert_array_equal(shuffled, seen(how)[order])


@once
@pytest.mark.parametrize("change", [{"seed": SEED + 1}, {"epoch": 1}])
def test_seed_and_epoch_decide(change):
    how = Augment("random", 2)
    x, other = seen(how), seen(how, **change)
    np.testing.assert_array_equal(x, seen(how))
    # One of 50 by chance; mirrored, pictures of different shifts always differ somewhere.
    assert (x == other).all((1, 2)).mean() < 0.02 + SIGMAS * np.sqrt(0.02 / MANY)
