"""Crops, rotations and TrivialAugment's changes: the formulas against Pillow and PyTorch."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps

from neocog import reference

SIDES = st.integers(1, 40)
CHANNELS = st.sampled_from([1, 3])
some = settings(max_examples=60, deadline=None, derandomize=True)


def picture(*shape, seed=0):
    """Smooth parts, noise and flat parts, so that no channel is like another."""
    rng = np.random.default_rng([seed, *shape])
    h, w, c = shape
    y, x = np.ogrid[:h, :w]
    waves = [np.sin(rng.uniform(0.1, 1) * x + rng.uniform(0.1, 1) * y + k) for k in range(c)]
    smooth = 128 + 100 * np.stack(waves, -1)
    noisy = smooth + rng.normal(scale=20, size=shape) * (rng.random((h, w, 1)) < 0.3)
    return np.clip(noisy, 3, 240).astype(np.uint8)


def pillow(image):
    return Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)


def array(image):
    values = np.asarray(image)
    return values[..., None] if values.ndim == 2 else values


# Crops


@some
@example(shape=(7, 5, 3), box=(0, 0, 7, 5), size=(7, 5))
@example(shape=(40, 33, 3), box=(3, 2, 31, 29), size=(5, 7))
@example(shape=(40, 33, 1), box=(0, 0, 40, 33), size=(1, 1))
@example(shape=(1, 1, 3), box=(0, 0, 1, 1), size=(9, 4))
@given(
    shape=st.tuples(SIDES, SIDES, CHANNELS),
    box=st.tuples(*[st.integers(0, 39)] * 4),
    size=st.tuples(SIDES, SIDES),
)
def test_crops_are_pillows(shape, box, size):
    """Bit for bit, rows first; columns first, as newer versions of Pillow may, within a level."""
    h, w, _ = shape
    top, left = box[0] % h, box[1] % w
    height, width = 1 + (box[2] - 1) % (h - top), 1 + (box[3] - 1) % (w - left)
    image = picture(*shape)
    found = reference.resized_crop(image, (top, left, height, width), *size)
    part = pillow(image).crop((left, top, left + width, top + height))
    rows = part.resize((size[1], height), Image.Resampling.BILINEAR)
    expected = rows.resize(size[::-1], Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(found, array(expected))
    expected = array(part.resize(size[::-1], Image.Resampling.BILINEAR))
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_crops_that_shrink_are_those_of_pytorch_within_a_level():
    torch = pytest.importorskip("torch")
    image = picture(64, 48, 3)
    found = reference.resized_crop(image, (5, 4, 50, 40), 13, 17)
    part = torch.from_numpy(image[5:55, 4:44].astype(np.float64)).permute(2, 0, 1)[None]
    expected = torch.nn.functional.interpolate(
        part, (13, 17), mode="bilinear", antialias=True, align_corners=False
    )
    # Half a level for each of both roundings, the second of which spreads the first's.
    assert np.abs(found - expected[0].permute(1, 2, 0).numpy()).max() <= 1


def drawn(*tries):
    """Numbers for area, aspect, top and left of one try after another."""
    names = ("area", "aspect", "top", "left")
    return lambda name, attempt: tries[attempt][names.index(name)]


def test_crop_boxes_by_hand():
    # A quarter of 80 × 100 at the middle aspect, 1: √2000 = 44.7, so 45; 36 and 56 places.
    box = reference.random_crop_box(80, 100, (0.25, 1), drawn((0, 0.5, 0.5, 0.999)))
    assert box == (18, 55, 45, 45)
    # All of the area, as wide as can be: 89.4 · 1.155 = 103 columns do not fit. Then half: 73 × 55.
    box = reference.random_crop_box(80, 100, (0.5, 1), drawn((1, 1), (0, 1, 0, 0)))
    assert box == (0, 0, 55, 73)


@pytest.mark.parametrize(
    ("size", "box"),
    [
        ((100, 30), (30, 0, 40, 30)),
        ((30, 100), (0, 30, 30, 40)),
        ((9, 9), (0, 0, 9, 9)),
        ((1, 1), (0, 0, 1, 1)),
        ((2, 1), (0, 0, 1, 1)),
    ],
)
def test_where_no_rectangle_fits_it_is_the_middle(size, box):
    assert reference.random_crop_box(*size, (40, 40), lambda name, attempt: 1.0) == box


# Affine maps


@some
@example(size=(1, 1, 1), values=(0.7, -0.4, 0.3, 0.5, 1.0, -0.2))
@given(
    size=st.tuples(st.integers(2, 13), st.integers(2, 13), CHANNELS),
    values=st.tuples(*[st.floats(-1.5, 1.5)] * 6),
)
@pytest.mark.parametrize("border", ["zero", "reflect"])
def test_affine_maps_are_those_of_pytorch(border, size, values):
    torch = pytest.importorskip("torch")
    h, w, _ = size
    image = picture(*size)
    a, b, c, d, e, f = values
    matrix = (a, b, c * w, d, e, f * h)
    j, i = np.mgrid[:h, :w]
    x, y = a * i + b * j + c * w, d * i + e * j + f * h
    if min(h, w) < 2:  # PyTorch's places have no width then
        if border == "reflect":
            found = reference.affine(image, matrix, border)
            np.testing.assert_array_equal(found, image)
        return
    grid = np.stack([2 * x / (w - 1) - 1, 2 * y / (h - 1) - 1], -1)[None]
    expected = torch.nn.functional.grid_sample(
        torch.from_numpy(image.astype(np.float64)).permute(2, 0, 1)[None],
        torch.from_numpy(grid),
        mode="bilinear",
        padding_mode={"zero": "zeros", "reflect": "reflection"}[border],
        align_corners=True,
    )
    found = reference.affine(image, matrix, border)
    # Half a level of rounding, and places up to 1 / 4096 away in both directions.
    error = np.abs(found - expected[0].permute(1, 2, 0).numpy())
    assert error.max() <= 0.5 + 2 * 255 / 4096 + 1e-6


def test_a_rotation_is_that_of_affine_grid():
    torch = pytest.importorskip("torch")
    image = picture(12, 12, 3)
    angle = np.deg2rad(30)
    theta = [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0]]
    grid = torch.nn.functional.affine_grid(
        torch.tensor([theta], dtype=torch.float64), [1, 3, 12, 12], align_corners=False
    )
    expected = torch.nn.functional.grid_sample(
        torch.from_numpy(image.astype(np.float64)).permute(2, 0, 1)[None],
        grid,
        align_corners=False,
    )
    found = reference.affine(image, reference.rotation_matrix(30, 12, 12))
    error = np.abs(found - expected[0].permute(1, 2, 0).numpy())
    assert error.max() <= 0.5 + 2 * 255 / 4096 + 1e-6


@pytest.mark.parametrize("border", ["zero", "reflect"])
def test_right_angles_are_exact_and_counterclockwise(border):
    image = picture(9, 9, 3)
    for turns, degrees in enumerate((0, 90, 180, 270)):
        found = reference.affine(image, reference.rotation_matrix(degrees, 9, 9), border)
        np.testing.assert_array_equal(found, np.rot90(image, turns))


# TrivialAugment

SHAPES = [(24, 17, 3), (24, 17, 1), (3, 5, 3), (2, 9, 3), (1, 1, 1), (70, 61, 3)]
shapes = pytest.mark.parametrize("shape", SHAPES, ids=str)
STRENGTHS = (0, 1, 7, 15, 23, 30)


@shapes
@pytest.mark.parametrize(
    ("change", "enhance"),
    [
        (6, ImageEnhance.Brightness),
        (7, ImageEnhance.Color),
        (8, ImageEnhance.Contrast),
        (9, ImageEnhance.Sharpness),
    ],
)
def test_enhancements_are_pillows(shape, change, enhance):
    image = picture(*shape)
    for strength in STRENGTHS:
        for sign in (-1, 1):
            expected = enhance(pillow(image)).enhance(1 + sign * 0.99 * strength / 30)
            found = reference.trivial_augment(image, change, strength, sign)
            np.testing.assert_array_equal(found, array(expected), f"{strength} {sign}")


@shapes
def test_operations_are_pillows(shape):
    for seed in range(3):
        image = picture(*shape, seed=seed)
        image[seed:, :, 0] = image[0, 0, 0]
        one = pillow(image)
        for m in STRENGTHS:
            bits = {0: 8, 1: 8, 7: 7, 15: 5, 23: 3, 30: 2}[m]
            pairs = [
                (10, ImageOps.posterize(one, bits)),
                (11, ImageOps.solarize(one, 255 - 8.5 * m)),
                (12, ImageOps.autocontrast(one)),
                (13, ImageOps.equalize(one)),
            ]
            for change, expected in pairs:
                found = reference.trivial_augment(image, change, m, 1)
                np.testing.assert_array_equal(found, array(expected), f"{change} {m}")


@shapes
def test_flat_pictures_stay(shape):
    for value in (0, 77, 255):
        image = np.full(shape, value, np.uint8)
        for change in (7, 8, 9, 12, 13):
            for sign in (-1, 1):
                found = reference.trivial_augment(image, change, 30, sign)
                np.testing.assert_array_equal(found, image)


@shapes
@pytest.mark.parametrize("sign", [-1, 1])
def test_translations_move_by_whole_pixels(shape, sign):
    h, w, c = shape
    image = picture(*shape)
    for strength in STRENGTHS:
        by = {0: 0, 1: 1, 7: 7, 15: 16, 23: 24, 30: 32}[strength]
        wide = np.zeros((h + 64, w + 64, c), np.uint8)
        wide[32 : 32 + h, 32 : 32 + w] = image
        expected = wide[32 : 32 + h, 32 - sign * by : 32 - sign * by + w]
        found = reference.trivial_augment(image, 3, strength, sign)
        np.testing.assert_array_equal(found, expected)
        expected = wide[32 - sign * by : 32 - sign * by + h, 32 : 32 + w]
        found = reference.trivial_augment(image, 4, strength, sign)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("change", [1, 2, 5])
def test_shears_and_rotations_are_pillows_within_a_level(change, sign):
    """But at the image's outline, where Pillow asks for a whole pixel."""
    image = picture(31, 45, 3)
    for strength in STRENGTHS:
        level = sign * 0.99 * strength / 30
        if change == 5:
            expected = pillow(image).rotate(
                sign * 135 * strength / 30, Image.Resampling.BILINEAR, fillcolor=(0, 0, 0)
            )
        else:
            matrix = (1, level, 0, 0, 1, 0) if change == 1 else (1, 0, 0, level, 1, 0)
            expected = pillow(image).transform(
                (45, 31), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
            )
        found = reference.trivial_augment(image, change, strength, sign)
        whole = reference.affine(
            np.full_like(image, 255), reference_matrix(image, change, sign, strength)
        )
        inside = whole == 255
        assert inside.mean() > 0.3
        error = np.abs(found.astype(int) - np.asarray(expected))[inside]
        assert error.max() <= 1


def reference_matrix(image, change, sign, strength):
    if change == 5:
        return reference.rotation_matrix(sign * 135 * strength / 30, *image.shape[:2])
    level = sign * 0.99 * strength / 30
    first, second = (1, level, level / 2), (level, 1, level / 2)
    return (*first, 0, 1, 0) if change == 1 else (1, 0, 0, *second)


def test_the_identity_is_a_copy():
    image = picture(4, 5, 3)
    found = reference.trivial_augment(image, 0, 30, 1)
    np.testing.assert_array_equal(found, image)
    assert found is not image
