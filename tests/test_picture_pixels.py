"""Pixels counted by hand, for every mode, orientation and first frame: nothing is scaled here."""

import io
import struct
import zlib

import numpy as np
import pytest
from picture_files import chunk, encoded
from PIL import Image, features

from neocog.data.picture import read_picture

GRAY = [[0, 60, 255], [1, 128, 200]]
COLORS = [[(250, 0, 0), (0, 128, 0), (0, 0, 64)], [(1, 2, 3), (255, 255, 255), (90, 80, 70)]]


def as_gray(red, green, blue):
    """ITU-R 601's luma, to the nearest level."""
    return round(0.299 * red + 0.587 * green + 0.114 * blue)


def read(content: bytes, channels: int):
    pixels = read_picture(content, (channels, 2, 3))
    return (
        pixels[..., 0].tolist()
        if channels == 1
        else [[tuple(p) for p in r] for r in pixels.tolist()]
    )


def picture(mode: str, pixels) -> Image.Image:
    image = Image.new(mode, (3, 2))
    image.putdata([pixel for row in pixels for pixel in row])
    return image


def grays_of(values):
    return [[(v, v, v) for v in row] for row in values]


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "PPM", "GIF"])
def test_gray(kind):
    content = encoded(picture("L", GRAY), kind)
    assert read(content, 1) == GRAY
    assert read(content, 3) == grays_of(GRAY)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "PPM", "WEBP"])
def test_colors(kind):
    content = encoded(
        picture("RGB", COLORS), kind, **({"lossless": True} if kind == "WEBP" else {})
    )
    assert read(content, 3) == COLORS
    assert read(content, 1) == [[as_gray(*color) for color in row] for row in COLORS]


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "PPM"])
def test_one_bit(kind):
    bits = [[0, 255, 0], [255, 255, 0]]
    content = encoded(picture("1", bits), kind)
    assert read(content, 1) == bits
    assert read(content, 3) == grays_of(bits)


def on_white(level, alpha):
    return round((level * alpha + 255 * (255 - alpha)) / 255)


def test_gray_and_alpha():
    alphas = [[255, 0, 128], [51, 255, 10]]
    both = [list(zip(*pair, strict=True)) for pair in zip(GRAY, alphas, strict=True)]
    content = encoded(picture("LA", both), "PNG")
    assert read(content, 1) == [[on_white(*pixel) for pixel in row] for row in both]
    assert read(content, 3) == grays_of([[on_white(*pixel) for pixel in row] for row in both])


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_colors_and_alpha(kind):
    alphas = [[255, 0, 128], [51, 255, 10]]
    both = [
        [(*color, alpha) for color, alpha in zip(*pair, strict=True)]
        for pair in zip(COLORS, alphas, strict=True)
    ]
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    found = read(encoded(picture("RGBA", both), kind, **options), 3)
    assert found == [[tuple(on_white(c, a) for c in rgb) for *rgb, a in row] for row in both]


PALETTE = [250, 0, 0, 0, 128, 0, 0, 0, 64, 9, 8, 7]
PLACES = [[0, 1, 2], [2, 3, 0]]


@pytest.mark.parametrize("kind", ["PNG", "GIF", "TIFF", "BMP"])
def test_palette(kind):
    image = picture("P", PLACES)
    image.putpalette(PALETTE)
    colors = [tuple(PALETTE[3 * n : 3 * n + 3]) for n in range(4)]
    content = encoded(image, kind)
    assert read(content, 3) == [[colors[n] for n in row] for row in PLACES]
    assert read(content, 1) == [[as_gray(*colors[n]) for n in row] for row in PLACES]


def test_palette_with_alpha():
    image = picture("P", PLACES)
    image.putpalette(PALETTE)
    content = encoded(image, "PNG", transparency=bytes([255, 128, 0]))  # the fourth has none: 255
    alphas = [255, 128, 0, 255]
    colors = [tuple(on_white(c, alphas[n]) for c in PALETTE[3 * n : 3 * n + 3]) for n in range(4)]
    assert read(content, 3) == [[colors[n] for n in row] for row in PLACES]


# CMYK: what a color of ink leaves of white light.


def printed(cyan, magenta, yellow, black):
    return tuple((255 - ink) * (255 - black) / 255 for ink in (cyan, magenta, yellow))


INKS = [
    [(0, 255, 255, 0), (100, 0, 50, 0), (0, 0, 0, 255)],
    [(9, 8, 7, 6), (0,) * 4, (40, 90, 0, 128)],
]


def test_inks():
    found = read_picture(encoded(picture("CMYK", INKS), "TIFF"), (3, 2, 3))
    wanted = [[printed(*inks) for inks in row] for row in INKS]
    assert np.abs(found - np.array(wanted)).max() <= 1


def jpeg_of_inks(cyan, magenta, yellow, black, as_ycck: bool) -> bytes:
    """As Photoshop writes it: 255 less the ink; where it says so, the first three as YCbCr."""
    first = (cyan, magenta, yellow)
    if as_ycck:
        luma = 0.299 * cyan + 0.587 * magenta + 0.114 * yellow
        blue, red = 128 + (yellow - luma) / 1.772, 128 + (cyan - luma) / 1.402
        # Pillow stores 255 less what it is given.
        first = tuple(255 - round(v) for v in (luma, blue, red))
    content = encoded(
        Image.new("CMYK", (16, 16), (*first, black)), "JPEG", quality=100, subsampling=0
    )
    at = content.index(b"Adobe\0")
    transform = at + 11
    assert content[transform] == 0
    return content[:transform] + bytes([2 if as_ycck else 0]) + content[transform + 1 :]


@pytest.mark.parametrize("as_ycck", [False, True])
@pytest.mark.parametrize(
    "inks", [(0, 255, 255, 0), (100, 0, 50, 20), (0, 0, 0, 255), (9, 80, 7, 6)]
)
def test_jpeg_of_inks(inks, as_ycck):
    found = read_picture(jpeg_of_inks(*inks, as_ycck), (3, 16, 16))
    assert np.abs(found - np.array(printed(*inks))).max() <= 3


# Sixteen bits: the upper eight are taken, whatever the order of the bytes.

WIDE = [[0x0000, 0x00FF, 0x0100], [0x8000, 0xFEFF, 0xFFFF]]
NARROW = [[0, 0, 1], [128, 254, 255]]


def tiff_of(order: str, samples, channels: int) -> bytes:
    """An unpacked TIFF of 16 bits a sample, of six pixels."""
    data = b"".join(struct.pack(order + "H", v) for v in samples)
    mark = b"II*\0" if order == "<" else b"MM\0*"
    entries = [
        (256, 3, 1, 3),
        (257, 3, 1, 2),
        (258, 3, channels, 16 if channels == 1 else 140),
        (259, 3, 1, 1),
        (262, 3, 1, 1 if channels == 1 else 2),
        (273, 4, 1, 150),
        (277, 3, 1, channels),
        (278, 3, 1, 2),
        (279, 4, 1, len(data)),
    ]
    directory = struct.pack(order + "H", len(entries))
    for tag, kind, count, value in entries:
        fits = kind == 3 and count == 1
        form = "HHIHxx" if fits else "HHII"
        directory += struct.pack(order + form, tag, kind, count, value)
    content = mark + struct.pack(order + "I", 8) + directory + bytes(4)
    bits = struct.pack(order + "3H", 16, 16, 16)
    return content.ljust(140, b"\0") + bits.ljust(10, b"\0") + data


@pytest.mark.parametrize("order", ["<", ">"])
def test_tiff_of_sixteen_bits(order):
    samples = [v for row in WIDE for v in row]
    assert read(tiff_of(order, samples, 1), 1) == NARROW
    colors = [part for v in samples for part in (v, 0xFFFF - v, 0x1234)]
    found = read(tiff_of(order, colors, 3), 3)
    assert found == [[(v >> 8, (0xFFFF - v) >> 8, 0x12) for v in row] for row in WIDE]


def png_of(color_type: int, rows) -> bytes:
    """A PNG of 16 bits a sample."""
    lines = b"".join(b"\0" + b"".join(struct.pack(">H", v) for v in row) for row in rows)
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", 3, 2, 16, color_type, 0, 0, 0)),
        (b"IDAT", zlib.compress(lines)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def test_png_of_sixteen_bits():
    assert read(png_of(0, WIDE), 1) == NARROW
    assert read(png_of(0, WIDE), 3) == grays_of(NARROW)
    rows = [[part for v in row for part in (v, 0xFFFF - v, 0x1234)] for row in WIDE]
    wanted = [[(v >> 8, (0xFFFF - v) >> 8, 0x12) for v in row] for row in WIDE]
    assert read(png_of(2, rows), 3) == wanted
    with_alpha = [[part for v in row for part in (v, v, v, 0xFFFF)] for row in WIDE]
    assert read(png_of(6, with_alpha), 3) == grays_of(NARROW)


# What EXIF data call 1 to 8 is how a picture of 1 2 3 over 4 5 6 is to be looked at.

TURNED = {
    1: [[1, 2, 3], [4, 5, 6]],
    2: [[3, 2, 1], [6, 5, 4]],
    3: [[6, 5, 4], [3, 2, 1]],
    4: [[4, 5, 6], [1, 2, 3]],
    5: [[1, 4], [2, 5], [3, 6]],
    6: [[4, 1], [5, 2], [6, 3]],
    7: [[6, 3], [5, 2], [4, 1]],
    8: [[3, 6], [2, 5], [1, 4]],
}


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG"])
@pytest.mark.parametrize("orientation", TURNED)
def test_orientations(orientation, kind):
    """Each number a square of 16 pixels, which a JPEG keeps nearly as it is."""
    numbers = np.kron(np.array(TURNED[1], np.uint8) * 40, np.ones((16, 16), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100}}.get(kind, {})
    image = Image.fromarray(np.stack([numbers] * 3, axis=-1))
    content = encoded(image, kind, exif=exif, **options)
    wanted = np.kron(np.array(TURNED[orientation]) * 40, np.ones((16, 16), int))
    for channels in (1, 3):
        found = read_picture(content, (channels, *wanted.shape))
        assert np.abs(found - wanted[..., None]).max() <= (1 if kind == "JPEG" else 0)


@pytest.mark.parametrize("orientation", [0, 9, 700])
def test_orientations_that_there_are_not(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert read(encoded(picture("L", GRAY), "PNG", exif=exif), 1) == GRAY


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame(kind):
    frames = [Image.new("RGB", (3, 2), color) for color in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    options = {"lossless": True} if kind == "WEBP" else {}
    content = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert Image.open(io.BytesIO(content)).n_frames == 3
    assert read(content, 3) == [[(255, 0, 0)] * 3] * 2


def test_a_profile_changes_no_pixel():
    """Colors are taken as they are stored; every viewer that knows no profiles shows them so."""
    content = encoded(picture("RGB", COLORS), "PNG", icc_profile=b"no profile that anyone knows")
    assert read(content, 3) == COLORS


@pytest.mark.skipif(not features.check("avif"), reason="Pillow was built without AVIF")
def test_avif_of_one_color():
    found = read_picture(
        encoded(Image.new("RGB", (8, 8), (10, 200, 60)), "AVIF", quality=100), (3, 8, 8)
    )
    assert np.abs(found - np.array((10, 200, 60))).max() <= 3
