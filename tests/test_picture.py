"""Picture files of every kind and size."""

import io
import struct

import numpy as np
import pytest
from picture_files import (
    SHAPE,
    as_png,
    assert_halves,
    encoded,
    saved,
    textured,
    two_halves,
)
from PIL import Image, ImageOps

from neocog.data.picture import read_picture
from neocog.errors import DataError


@pytest.mark.parametrize("size", [(64, 48), (32, 32), (8, 8), (1000, 20), (33, 257)])
@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "webp", "ppm"])
def test_any_size_is_scaled_whole(tmp_path, size, suffix):
    options = {"lossless": True} if suffix == "webp" else {}
    path = saved(tmp_path, two_halves(size=size), f"a.{suffix}", **options)
    pixels = read_picture(path, SHAPE)
    assert_halves(pixels, (200, 40, 60), (10, 90, 250), tolerance=30 if size == (8, 8) else 1)


def ppm_of(magic: str, most: int, values) -> bytes:
    """A PPM or PGM whose values end at `most`."""
    height, width = values.shape[:2]
    return f"{magic} {width} {height} {most}\n".encode() + values.tobytes()


def packed_bmp_of(values) -> bytes:
    """A BMP of 256 grays whose rows are packed by runs, each of one pixel."""
    height, width = values.shape
    rows = b"".join(
        np.stack([np.ones_like(row), row], axis=1).tobytes() + b"\0\0" for row in values[::-1]
    )
    grays = b"".join(bytes((n, n, n, 0)) for n in range(256))
    sizes = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(rows), 0, 0, 256, 0)
    return b"BM" + struct.pack("<III", 1078 + len(rows), 0, 1078) + sizes + grays + rows


@pytest.mark.parametrize("kind", ["PPM of 16 bits", "PGM of 7 bits", "packed BMP"])
def test_pictures_that_pillow_reads_pixel_by_pixel(kind):
    gray = np.random.default_rng(5).integers(0, 128, (160, 170), np.uint8)
    if kind == "PPM of 16 bits":
        wide = np.stack([gray] * 3, axis=-1).astype(">u2")
        content, expected = ppm_of("P6", 65_535, 257 * wide), gray
    elif kind == "PGM of 7 bits":
        content, expected = ppm_of("P5", 127, gray), np.round(gray / 127 * 255)
    else:
        content, expected = packed_bmp_of(gray), gray
    np.testing.assert_array_equal(read_picture(content, (1, 160, 170))[..., 0], expected)


def test_an_image_of_the_networks_size_is_taken_as_it_is(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    path = saved(tmp_path, Image.fromarray(image), "a.png")
    np.testing.assert_array_equal(read_picture(path, SHAPE), image)


def test_the_files_bytes_are_as_good_as_its_path(tmp_path):
    path = saved(tmp_path, two_halves(), "a.png")
    np.testing.assert_array_equal(read_picture(path.read_bytes(), SHAPE), read_picture(path, SHAPE))
    with pytest.raises(DataError, match=r"^The picture is not an image that Pillow knows\.$"):
        read_picture(b"a.png", SHAPE)
    with pytest.raises(DataError, match=r"^The picture cannot be decoded: "):
        read_picture(path.read_bytes()[:-30], SHAPE)


def test_a_single_pixel(tmp_path):
    path = saved(tmp_path, Image.new("RGB", (1, 1), (1, 2, 3)), "a.png")
    assert (read_picture(path, SHAPE) == (1, 2, 3)).all()


def test_height_comes_before_width(tmp_path):
    path = saved(tmp_path, two_halves(), "a.png")
    pixels = read_picture(path, (3, 20, 40))
    assert pixels.shape == (20, 40, 3)
    assert (pixels[:, :17] == (200, 40, 60)).all()
    assert (pixels[:, 23:] == (10, 90, 250)).all()
    assert read_picture(path, (1, 20, 40)).shape == (20, 40, 1)


def test_jpeg(tmp_path):
    path = saved(tmp_path, two_halves(size=(640, 480)), "a.jpg", quality=95)
    assert_halves(read_picture(path, SHAPE), (200, 40, 60), (10, 90, 250), tolerance=5)


@pytest.mark.parametrize("side", [31, 61, 66, 127, 130, 258, 261, 519, 1021])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 2, "quality": 60}])
def test_a_jpeg_gives_the_pixels_that_are_in_it(side, options):
    options = {"quality": 97, "subsampling": 0, **options}
    jpeg = encoded(textured(side, side * 3 // 4 + 1), "JPEG", **options)
    found, wanted = read_picture(jpeg, SHAPE), read_picture(as_png(jpeg), SHAPE)
    assert np.abs(found.astype(int) - wanted).max() <= 2


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_jpeg_of_grays_and_for_grays(mode, channels):
    jpeg = encoded(textured(187, 203).convert(mode), "JPEG", quality=95)
    found = read_picture(jpeg, (channels, 28, 28))
    assert np.abs(found.astype(int) - read_picture(as_png(jpeg), (channels, 28, 28))).max() <= 2


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP", "PPM", "GIF"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_the_kind_of_file_changes_nothing(kind, mode):
    image = textured(155, 93).convert(mode)
    if kind == "GIF":
        image = image.convert("L")
    options = {"lossless": True} if kind == "WEBP" else {}
    wanted = image.convert("RGB").resize((32, 32), Image.Resampling.LANCZOS)
    found = read_picture(encoded(image, kind, **options), SHAPE)
    np.testing.assert_array_equal(found, np.asarray(wanted))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_way_of_turning_a_photograph(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = textured(210, 155)
    jpeg = encoded(image, "JPEG", exif=exif, quality=95)
    for content in (jpeg, encoded(image, "PNG", exif=exif), encoded(image, "TIFF", exif=exif)):
        turned = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
        wanted = turned.resize((40, 30), Image.Resampling.LANCZOS)
        np.testing.assert_array_equal(read_picture(content, (3, 30, 40)), np.asarray(wanted))


@pytest.mark.parametrize("orientation", [1, 6, 8])
def test_a_jpeg_that_is_decoded_at_a_fraction_of_its_size(monkeypatch, orientation):
    """Whose last column and row are mixed with what is behind them: the box ends within them."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    jpeg = encoded(textured(803, 603), "JPEG", exif=exif, quality=97, subsampling=0)
    whole, large = (read_picture(jpeg, (3, n, n)).astype(int) for n in (7, 32))
    monkeypatch.setattr("neocog.data.picture_kinds._WHOLE_JPEG", 200_000)
    assert 0 < np.abs(read_picture(jpeg, (3, 7, 7)) - whole).max() <= 2
    # Not where half of it is not many times as large as what it is scaled to.
    np.testing.assert_array_equal(read_picture(jpeg, (3, 32, 32)), large)


def test_a_photograph_of_a_phone_of_108_megapixels():
    jpeg = encoded(two_halves(size=(12_000, 9_000)), "JPEG", quality=80)
    assert_halves(read_picture(jpeg, SHAPE), (200, 40, 60), (10, 90, 250), tolerance=5)


def test_bands_change_nothing(monkeypatch):
    image = textured(120, 250)
    image.putalpha(textured(120, 250).convert("L"))
    png_ = encoded(image, "PNG")
    whole = read_picture(png_, SHAPE)
    monkeypatch.setattr("neocog.data.pixels._PIXELS", 1)
    np.testing.assert_array_equal(read_picture(png_, SHAPE), whole)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_a_turned_photograph_is_turned_back(tmp_path, suffix):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: turn clockwise by a quarter to view
    upright = two_halves(size=(480, 640))
    options = {"quality": 95} if suffix == "jpg" else {}
    path = saved(tmp_path, upright.rotate(90, expand=True), f"a.{suffix}", exif=exif, **options)
    assert_halves(read_picture(path, SHAPE), (200, 40, 60), (10, 90, 250), tolerance=5)


def test_the_name_does_not_matter(tmp_path):
    path = saved(tmp_path, two_halves(), "a.png").rename(tmp_path / "picture.txt")
    assert_halves(read_picture(str(path), SHAPE), (200, 40, 60), (10, 90, 250), tolerance=1)
