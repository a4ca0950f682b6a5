"""Image files of every kind, and files that only look like them."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile, ImageOps, features

from neocog.data.picture import read_picture
from neocog.errors import DataError

SHAPE = (3, 32, 32)


def chunk(kind: bytes, data: bytes) -> bytes:
    """A part of a PNG."""
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def two_halves(mode="RGB", left=(200, 40, 60), right=(10, 90, 250), size=(64, 48)) -> Image.Image:
    image = Image.new(mode, size, left)
    image.paste(right, (size[0] // 2, 0, *size))
    return image


def saved(tmp_path, image, name, **options) -> Path:
    image.save(tmp_path / name, **options)
    return tmp_path / name


def encoded(image: Image.Image, format_: str, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, format_, **options)
    return out.getvalue()


def assert_halves(pixels, left, right, tolerance=0, side=32):
    """Both halves, but for the columns in the middle that scaling mixes."""
    assert pixels.dtype == np.uint8
    assert pixels.shape[:2] == (side, side)
    for part, colour in ((pixels[:, : side // 2 - 3], left), (pixels[:, side // 2 + 3 :], right)):
        difference = np.abs(part.astype(int) - np.array(colour))
        assert difference.max() <= tolerance


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


def textured(width, height) -> Image.Image:
    """Noise of some pixels' size beside sharp edges, the last one at the picture's right edge."""
    rng = np.random.default_rng(width)
    small = rng.integers(0, 256, (height // 5 + 1, width // 5 + 1, 3), np.uint8)
    image = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
    image.paste((250, 0, 0), (0, height // 3, width, height // 3 + max(1, height // 9)))
    image.paste((255, 255, 255), (width - 2, 0, width, height))
    return image


def as_png(jpeg: bytes) -> bytes:
    """What is in a JPEG, without loss."""
    return encoded(Image.open(io.BytesIO(jpeg)), "PNG")


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


def test_cmyk_jpeg(tmp_path):
    image = two_halves("CMYK", (0, 255, 255, 0), (0, 0, 0, 255))
    path = saved(tmp_path, image, "a.jpg", quality=95)
    assert_halves(read_picture(path, SHAPE), (255, 0, 0), (0, 0, 0), tolerance=8)


def test_grey_for_a_network_of_colours(tmp_path):
    path = saved(tmp_path, two_halves("L", 30, 220), "a.png")
    assert_halves(read_picture(path, SHAPE), (30, 30, 30), (220, 220, 220), tolerance=1)


def test_colours_for_a_network_of_greys(tmp_path):
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


def test_a_transparent_colour_of_a_palette_is_white(tmp_path):
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


@pytest.mark.skipif(not features.check("avif"), reason="Pillow was built without AVIF")
def test_avif():
    content = encoded(two_halves(), "AVIF", quality=95)
    assert_halves(read_picture(content, SHAPE), (200, 40, 60), (10, 90, 250), tolerance=8)


def test_the_first_frame_of_an_animation(tmp_path):
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "lime", "blue")]
    path = saved(tmp_path, frames[0], "a.gif", save_all=True, append_images=frames[1:])
    assert (read_picture(path, SHAPE) == (255, 0, 0)).all()


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


# What is refused, always with DataError


def refused(path, match: str, shape=SHAPE) -> None:
    with pytest.raises(DataError, match=match) as caught:
        read_picture(path, shape)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_such_file(tmp_path):
    refused(tmp_path / "none.png", "No such file")


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "~nobody-here/a.png"])
def test_names_that_cannot_be(name):
    with pytest.raises(DataError, match=r"(too long|cannot be the name|No such file)[^\n\0]*$"):
        read_picture(name, SHAPE)


def test_a_name_that_writes_to_a_terminal(tmp_path):
    (tmp_path / "a\x1b[2Jb\nc.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"a\\x1b\[2Jb\\nc.png is not an image"):
        read_picture(tmp_path / "a\x1b[2Jb\nc.png", SHAPE)


def test_a_folder(tmp_path):
    refused(tmp_path, "directory")


@pytest.mark.parametrize("content", [b"", b"\0", b"no image at all\n" * 100, b"\x89PNG\r\n\x1a\n"])
def test_no_image(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    refused(tmp_path / "a.png", "is not an image that Pillow knows")


NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
FORMATS = ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM"]


@pytest.mark.parametrize("format_", FORMATS)
def test_truncated(tmp_path, format_):
    content = encoded(NOISE, format_)
    (tmp_path / "a").write_bytes(content[: len(content) // 2])
    refused(tmp_path / "a", "cannot be decoded|is not an image")


@pytest.mark.parametrize("format_", FORMATS)
def test_any_damage_gives_pixels_or_a_data_error(tmp_path, format_):
    """Bytes changed and cut at random; nothing but DataError may come out."""
    content = encoded(NOISE.resize((24, 24)), format_)
    rng = np.random.default_rng(sum(format_.encode()))
    refusals = 0
    for _ in range(60):
        damaged = bytearray(content)
        # Mostly in the header, where the decoders' assumptions are.
        reach = len(damaged) if rng.random() < 0.3 else min(100, len(damaged))
        for at in rng.integers(0, reach, rng.integers(1, 6)):
            damaged[at] = rng.integers(0, 256)
        (tmp_path / "a").write_bytes(damaged[: rng.integers(len(damaged) // 4, len(damaged) + 1)])
        try:
            assert read_picture(tmp_path / "a", SHAPE).shape == (32, 32, 3)
        except DataError:
            refusals += 1
    assert refusals > 0


def png(width: int, height: int, rows: bytes) -> bytes:
    """A grayscale PNG that claims a size, whatever its data are."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    image = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + image


def test_a_sound_png_made_here(tmp_path):
    """So that the next tests are refused for their size and for nothing else."""
    (tmp_path / "a.png").write_bytes(png(8, 2, b"\0\xff\0\xff"))
    assert (read_picture(tmp_path / "a.png", SHAPE) == 255).all()


@pytest.mark.parametrize(
    ("width", "height"),
    [(100_000, 100_000), (2**31 - 1, 2**31 - 1), (10_001, 10_000), (13_000, 13_000)],
)
def test_a_header_that_claims_an_absurd_size(tmp_path, width, height):
    (tmp_path / "a.png").write_bytes(png(width, height, b"\0"))
    refused(tmp_path / "a.png", "Scale it down first")


def test_a_decompression_bomb_is_not_decoded(tmp_path, monkeypatch):
    """Sound, 60 kB, and 150 million pixels."""
    width, height = 15_000, 10_000
    (tmp_path / "a.png").write_bytes(png(width, height, bytes((1 + width // 8) * height)))
    assert (tmp_path / "a.png").stat().st_size < 60_000
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda *_: pytest.fail("was decoded"))
    refused(tmp_path / "a.png", "15000 × 10000 pixels, more than the 100,000,000")


def test_a_large_picture_is_decoded_only_if_there_is_memory(monkeypatch):
    """64 MiB any picture may take; this one takes 68, and its file is as large as it looks."""
    content = b"P6 17500 1000 255\n" + bytes([7]) * (3 * 17_500_000)
    free = 70 << 20
    monkeypatch.setattr("neocog.data.picture_kinds.available_memory", lambda: free)
    assert (read_picture(content, SHAPE) == 7).all()
    free = 66 << 20
    with pytest.raises(DataError, match=r"17500 × 1000 pixels, .* more than 66, "):
        read_picture(content, SHAPE)


def test_a_bomb_in_a_png_s_text(tmp_path):
    """Compressed text of 40 MB beside a picture of one pixel."""
    body = b"zTXtComment\0\0" + zlib.compress(bytes(40_000_000), 9)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    small = png(1, 1, b"\0\0")
    (tmp_path / "a.png").write_bytes(small[:33] + chunk + small[33:])
    refused(tmp_path / "a.png", "cannot be decoded|is not an image")


def test_a_drawing_is_never_run(tmp_path, monkeypatch):
    """PostScript is a program; Pillow would give it to Ghostscript."""
    path = saved(tmp_path, two_halves(), "a.eps")
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *_, **__: pytest.fail("was run"))
    refused(path, "is a drawing")


def test_a_network_of_other_channels(tmp_path):
    path = saved(tmp_path, two_halves(), "a.png")
    with pytest.raises(DataError, match="takes 4 channels"):
        read_picture(path, (4, 32, 32))
