"""Pictures made to fit, against the formula in `neocog.reference` and places found by hand."""

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from picture_files import encoded, is_clear
from PIL import Image

from neocog import reference
from neocog.data.picture import fit_picture, read_picture
from neocog.data.resizing import placed
from neocog.preprocessing import INTERPOLATIONS, RESIZE_MODES, Resize

SMOOTH = [name for name in INTERPOLATIONS if name != "nearest"]
SIDES = st.integers(1, 90)


def noise(height, width, channels=3):
    rng = np.random.default_rng(height * 1000 + width)
    return rng.integers(0, 256, (height, width, channels), np.uint8)


def by_formula(picture, size, resize, region=None):
    if resize.interpolation == "box":
        left, top, right, bottom = region or (0, 0, picture.shape[1], picture.shape[0])
        assume(is_clear(picture.shape[1], size[1], left, right))
        assume(is_clear(picture.shape[0], size[0], top, bottom))
    return reference.resize_image(picture, size, resize.interpolation, region)


def expected(picture, size, resize):
    """What a picture becomes, by the formula; size is (height, width)."""
    (down, across), (height, width) = picture.shape[:2], size
    if resize.mode == "stretch":
        return by_formula(picture, size, resize)
    if resize.mode == "crop":
        # As large a part as has the wanted aspect, and of that what is kept, in the middle.
        if across * height > down * width:  # wider than wanted
            seen_down, seen_across = down, down * width / height
        else:
            seen_down, seen_across = across * height / width, across
        seen_down, seen_across = resize.keep * seen_down, resize.keep * seen_across
        left, top = (across - seen_across) / 2, (down - seen_down) / 2
        region = (left, top, left + seen_across, top + seen_down)
        return by_formula(picture, size, resize, region)
    scale = min(height / down, width / across)
    inner = max(1, round(scale * down)), max(1, round(scale * across))
    whole = np.full((height, width, picture.shape[2]), resize.fill, np.uint8)
    top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
    whole[top : top + inner[0], left : left + inner[1]] = by_formula(picture, inner, resize)
    return whole


@settings(max_examples=120, deadline=None)
@given(
    seen=st.tuples(SIDES, SIDES),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    mode=st.sampled_from(RESIZE_MODES),
    interpolation=st.sampled_from(SMOOTH),
    keep=st.sampled_from([1.0, 0.875, 0.3]),
    channels=st.sampled_from([1, 3]),
)
@example((1, 1000), (7, 9), "crop", "lanczos", 1.0, 3)
@example((1000, 1), (9, 7), "stretch", "bicubic", 1.0, 3)
@example((1, 1), (5, 5), "letterbox", "bilinear", 1.0, 1)
@example((3, 400), (32, 32), "letterbox", "box", 1.0, 3)
@example((66, 4), (47, 27), "stretch", "lanczos", 1.0, 3)  # columns would be less work first
def test_every_way_of_resizing(seen, size, mode, interpolation, keep, channels):
    resize = Resize(mode, interpolation, keep if mode == "crop" else 1.0, 77)
    picture = noise(*seen, channels)
    content = encoded(Image.fromarray(picture[..., 0] if channels == 1 else picture), "PNG")
    found = read_picture(content, (channels, *size), resize)
    wanted = expected(picture, size, resize)
    assert found.shape == wanted.shape
    # Pillow keeps the edges of a part as float32: a level between rows and columns may be the next
    # one, and then the result too.
    most = 2 if mode == "crop" else 1
    assert np.abs(found.astype(int) - wanted).max() <= most
    np.testing.assert_array_equal(fit_picture(picture, (channels, *size), resize), found)


@settings(max_examples=60, deadline=None)
@given(
    seen=st.tuples(SIDES, SIDES), size=st.tuples(SIDES, SIDES), mode=st.sampled_from(RESIZE_MODES)
)
def test_nearest_takes_the_pixel_that_lies_under_a_center(seen, size, mode):
    """A picture whose levels are its columns and rows; a center between two pixels is of either."""
    (down, across), (height, width) = seen, size
    picture = np.zeros((down, across, 3), np.uint8)
    picture[..., 0], picture[..., 1] = np.arange(across), np.arange(down)[:, None]
    picture[..., 2] = 255
    found = fit_picture(picture, (3, height, width), Resize(mode, "nearest", fill=0))
    if mode == "letterbox":
        rows, columns = found[..., 2].any(axis=1), found[..., 2].any(axis=0)
        found = found[rows][:, columns]
        height, width = found.shape[:2]
    sides = (across, down)
    if mode == "crop":
        scale = min(across / width, down / height)
        sides = (scale * width, scale * height)
    centers = [
        (whole - side) / 2 + (np.arange(n) + 0.5) * side / n
        for whole, side, n in zip((across, down), sides, (width, height), strict=True)
    ]
    assert (found[..., 2] == 255).all()
    assert np.abs(found[..., 0] + 0.5 - centers[0]).max() <= 0.5 + 1e-4
    assert np.abs(found[..., 1] + 0.5 - centers[1][:, None]).max() <= 0.5 + 1e-4
    # Rows and columns are taken as wholes.
    assert (found[..., 0] == found[:1, :, 0]).all()
    assert (found[..., 1] == found[:, :1, 1]).all()


@pytest.mark.parametrize("mode", RESIZE_MODES)
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_a_picture_that_fits_stays_as_it_is(mode, interpolation):
    picture = noise(20, 30)
    content = encoded(Image.fromarray(picture), "PNG")
    found = read_picture(content, (3, 20, 30), Resize(mode, interpolation))
    np.testing.assert_array_equal(found, picture)


@pytest.mark.parametrize("mode", RESIZE_MODES)
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_a_turned_picture_is_resized_as_it_is_looked_at(mode, interpolation):
    """As the same picture that was turned before it was saved."""
    picture = noise(31, 74)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    content = encoded(Image.fromarray(picture), "PNG", exif=exif)
    upright = np.rot90(picture, -1)
    resize = Resize(mode, interpolation, 0.9 if mode == "crop" else 1.0)
    for size in ((20, 20), (50, 13), (200, 90)):
        np.testing.assert_array_equal(
            read_picture(content, (3, *size), resize), fit_picture(upright, (3, *size), resize)
        )


@settings(max_examples=40, deadline=None)
@given(
    seen=st.tuples(SIDES, SIDES),
    size=st.tuples(SIDES, SIDES),
    mode=st.sampled_from(RESIZE_MODES),
    interpolation=st.sampled_from(INTERPOLATIONS),
    alpha=st.booleans(),
    orientation=st.integers(1, 8),
)
def test_bands_are_the_whole_bit_for_bit(seen, size, mode, interpolation, alpha, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(Image.fromarray(noise(*seen, 4 if alpha else 3)), "PNG", exif=exif)
    resize = Resize(mode, interpolation, 0.5 if mode == "crop" else 1.0)
    whole = read_picture(content, (3, *size), resize)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("neocog.data.pixels._PIXELS", 1)
        patch.setattr("neocog.data.pixels._ROWS", 3)
        np.testing.assert_array_equal(read_picture(content, (3, *size), resize), whole)


def test_rows_that_are_not_wanted_are_not_converted(monkeypatch):
    """A tall picture of which the middle is kept: a tenth of its rows, and a few around them."""
    from neocog.data import pixels

    converted = []
    flat = pixels._flat

    def counted(band, hidden):
        converted.append(band.height)
        return flat(band, hidden)

    monkeypatch.setattr(pixels, "_flat", counted)
    content = encoded(Image.fromarray(noise(1000, 100, 4)), "PNG")
    read_picture(content, (3, 50, 50), Resize("crop", "lanczos"))
    assert 100 <= sum(converted) <= 120


@settings(max_examples=200)
@given(
    across=st.integers(1, 30_000),
    down=st.integers(1, 30_000),
    width=st.integers(1, 500),
    height=st.integers(1, 500),
    mode=st.sampled_from(RESIZE_MODES),
    keep=st.floats(0.01, 1.0),
)
def test_places_lie_within_the_picture_and_the_result(across, down, width, height, mode, keep):
    place = placed(Resize(mode, keep=keep), (across, down), (width, height))
    left, top, right, bottom = place.region
    slack = 1e-6 * max(across, down)
    assert -slack <= left < right <= across + slack
    assert -slack <= top < bottom <= down + slack
    inner_width, inner_height = place.size
    assert 0 <= place.left <= width - inner_width
    assert 0 <= place.top <= height - inner_height
    # In the middle, to half a pixel.
    assert abs(left + right - across) <= 2 * slack
    assert abs(width - inner_width - 2 * place.left) <= 1
    if mode == "crop":
        assert (right - left) * height == pytest.approx((bottom - top) * width)
    if mode == "letterbox":
        assert inner_width == width or inner_height == height


@pytest.mark.parametrize("orientation", [1, 3, 6])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("mode", RESIZE_MODES)
def test_gray_in_color_is_as_if_its_file_had_three_channels(mode, interpolation, orientation):
    gray = noise(61, 47, 1)[:, :, 0]
    exif, how = Image.Exif(), Resize(mode, interpolation)
    exif[0x0112] = orientation
    one, three = (
        read_picture(encoded(Image.fromarray(pixels), "PNG", exif=exif), (3, 20, 31), how)
        for pixels in (gray, np.stack([gray] * 3, axis=2))
    )
    np.testing.assert_array_equal(one, three)
    assert one.std() > 10
