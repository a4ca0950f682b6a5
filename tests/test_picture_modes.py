"""What becomes of colors: pictures of every mode, to gray and to RGB."""

import struct
import zlib

import numpy as np
import pytest
from picture_files import SHAPE, assert_halves, chunk, encoded, saved, two_halves
from PIL import Image, features

from neocog.data.picture import read_picture
from neocog.errors import DataError


def test_cmyk_jpeg(tmp_path):
    image = two_halves("CMYK", (0, 255, 255, 0), (0, 0, 0, 255))
    path = saved(tmp_path, image, "a.jpg", quality=95)
    assert_halves(read_picture(path, SHAPE), (255, 0, 0), (0, 0, 0), tolerance=8)


def test_gray_for_a_network_of_colors(tmp_path):
    path = saved(tmp_path, two_halves("L", 30, 220), "a.png")
    assert_halves(read_picture(path, SHAPE), (30, 30, 30), (220, 220, 220), tolerance=1)


def test_colors_for_a_network_of_grays(tmp_path):
    path = saved(tmp_path, two_halves(left=(255, 0, 0), right=(255, 255, 255)), "a.png")
    # ITU-R 601: 0.299 of red.
    assert_halves(read_picture(path, (1, 32, 32)), (76,), (255,), tolerance=1)


def test_black_and_white(tmp_path):
    path = saved(tmp_path, two_halves("1", 0, 1), "a.png")
    assert_halves(read_picture(path, SHAPE), (0, 0, 0), (255, 255, 255))


def test_palette(tmp_path):
    image = two_halves().quantize(4)
    assert image.mode == "P"
    path = saved(tmp_path, image, "a.png")
    assert_halves(read_picture(path, SHAPE), (200, 40, 60), (10, 90, 250), tolerance=2)


def test_transparent_parts_are_white(tmp_path):
    image = two_halves("RGBA", (200, 40, 60, 255), (10, 90, 250, 0))
    path = saved(tmp_path, image, "a.png")
    assert_halves(read_picture(path, SHAPE), (200, 40, 60), (255, 255, 255), tolerance=1)


def test_half_transparent_parts_are_mixed_with_white(tmp_path):
    path = saved(tmp_path, Image.new("LA", (9, 9), (55, 128)), "a.png")
    assert np.abs(read_picture(path, SHAPE).astype(int) - 155).max() <= 1


def test_a_transparent_color_of_a_palette_is_white(tmp_path):
    image = Image.new("P", (64, 48), 0)
    image.paste(1, (32, 0, 64, 48))
    image.putpalette([200, 40, 60, 10, 90, 250])
    path = saved(tmp_path, image, "a.png", transparency=1)
    assert_halves(read_picture(path, SHAPE), (200, 40, 60), (255, 255, 255), tolerance=1)


def colored(depth: int, color: tuple[int, ...], hidden: tuple[int, ...]) -> bytes:
    """A PNG of one color, and the color that is transparent in it."""
    bits = "".join(f"{part:0{depth}b}" for part in color) * 8
    rows = (b"\0" + int(bits, 2).to_bytes(len(bits) // 8, "big")) * 6
    header = struct.pack(">IIBBBBB", 8, 6, depth, 2 if len(color) == 3 else 0, 0, 0, 0)
    key = struct.pack(f">{len(hidden)}H", *hidden)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(*part)
        for part in (
            (b"IHDR", header),
            (b"tRNS", key),
            (b"IDAT", zlib.compress(rows)),
            (b"IEND", b""),
        )
    )


@pytest.mark.parametrize(
    ("depth", "color", "hidden", "wanted"),
    [
        (1, (0,), (0,), 255),
        (1, (0,), (1,), 0),
        (2, (2,), (2,), 255),
        (2, (1,), (85,), 255),  # only as many bits as the depth count: 85 is 1
        (2, (1,), (2,), 85),
        (4, (7,), (7,), 255),
        (4, (7,), (8,), 119),
        (8, (200,), (200,), 255),
        (8, (200,), (201,), 200),
        (16, (0x4321,), (0x4321,), 255),
        (16, (0x4321,), (0x4322,), 0x43),
        (16, (0x0043,), (0x4300,), 0),
        (8, (9, 8, 7), (9, 8, 7), 255),
        (16, (0x4321,) * 3, (0x4321,) * 3, 255),
        (16, (0x4321,) * 3, (0x4321, 0x4321, 0x4320), 0x43),
        (16, (0x4300,) * 3, (0x0043,) * 3, 0x43),
        (16, (0x2143,) * 3, (0x4321,) * 3, 0x21),
    ],
)
def test_the_transparent_color_of_a_png_in_its_own_depth(depth, color, hidden, wanted):
    found = read_picture(colored(depth, color, hidden), SHAPE)
    assert (found == wanted).all()


def test_only_the_transparent_pixels_become_white():
    wide = np.full((6, 8), 0x1234, ">u2")
    wide[:, 4:] = 0x1235
    rows = b"".join(b"\0" + row.tobytes() for row in wide)
    head, tail = colored(16, (0,), (0x1235,)).split(b"IDAT")[0][:-4], chunk(b"IEND", b"")
    found = read_picture(head + chunk(b"IDAT", zlib.compress(rows)) + tail, (1, 6, 8))[:, :, 0]
    assert (found[:, :4] == 0x12).all()
    assert (found[:, 4:] == 255).all()


@pytest.mark.parametrize("name", ["a.png", "a.tiff", "a.pgm"])
def test_sixteen_bits_a_pixel(tmp_path, name):
    wide = np.full((48, 64), 100 * 257, np.uint16)
    wide[:, 32:] = 220 * 257
    path = saved(tmp_path, Image.fromarray(wide), name)
    assert_halves(read_picture(path, SHAPE), (100,) * 3, (220,) * 3, tolerance=1)


def test_floating_point_pixels_are_refused(tmp_path):
    path = saved(tmp_path, Image.fromarray(np.zeros((8, 8), np.float32)), "a.tiff")
    with pytest.raises(DataError, match="floating-point pixels"):
        read_picture(path, SHAPE)


def test_the_first_of_the_pictures_that_a_phone_joins():
    """MPO: JPEGs one behind another, of one scene at two places or with its depth."""
    left, right = two_halves(), two_halves(left=(0, 0, 0))
    content = encoded(left, "MPO", save_all=True, append_images=[right], quality=95)
    assert_halves(read_picture(content, SHAPE), (200, 40, 60), (10, 90, 250), tolerance=5)


def test_the_first_frame_of_an_animation(tmp_path):
    frames = [Image.new("RGB", (40, 40), color) for color in ("red", "lime", "blue")]
    path = saved(tmp_path, frames[0], "a.gif", save_all=True, append_images=frames[1:])
    assert (read_picture(path, SHAPE) == (255, 0, 0)).all()


@pytest.mark.skipif(not features.check("avif"), reason="Pillow was built without AVIF")
def test_avif():
    content = encoded(two_halves(), "AVIF", quality=95)
    assert_halves(read_picture(content, SHAPE), (200, 40, 60), (10, 90, 250), tolerance=8)
