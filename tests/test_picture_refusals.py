"""Files that are no pictures, or none that are read; always with DataError."""

import struct
import zlib

import numpy as np
import pytest
from picture_files import SHAPE, encoded, png, saved, two_halves
from PIL import Image, ImageFile

from neocog.data.picture import read_picture
from neocog.errors import DataError


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
