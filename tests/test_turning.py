"""Which way up a picture is, without decoding it."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile

from neocog.data.check.looking import head
from neocog.data.picture import read_picture
from neocog.data.survey import look_at


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, *, late_exif=b"", level=100):
    """Gray, with EXIF data behind the pixels, as the format allows."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" + bytes([level]) * width) * height)
    exif = chunk(b"eXIf", late_exif) if late_exif else b""
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", rows) + exif + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def exif(orientation):
    found = Image.Exif()
    found[0x0112] = orientation
    return found.tobytes()[6:]


@pytest.fixture
def nothing_decodes(monkeypatch):
    def load(self):
        pytest.fail("it was decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_exif_behind_the_pixels(nothing_decodes, orientation):
    content = png(30, 20, late_exif=exif(orientation))
    size = (20, 30) if orientation > 4 else (30, 20)
    assert look_at(content) == (size, True)
    assert head(content).size == size
    assert head(content).turned == (orientation > 1)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", [None, 1, 3, 6])
def test_every_kind(request, kind, orientation):
    data = io.BytesIO()
    options = {} if orientation is None else {"exif": b"Exif\0\0" + exif(orientation)}
    Image.new("RGB", (30, 20)).save(data, kind, **options)
    request.getfixturevalue("nothing_decodes")
    size = (20, 30) if orientation == 6 else (30, 20)
    assert look_at(data.getvalue()) == (size, False)
    assert head(data.getvalue())[2:] == (size, orientation in (3, 6))


def test_it_is_what_reading_does():
    content = png(3, 2, late_exif=exif(6))
    assert read_picture(content, (1, 3, 2)).shape == (3, 2, 1)
    assert np.all(read_picture(content, (1, 3, 2)) == 100)


def test_a_large_picture_is_not_decoded(nothing_decodes):
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"x" * 100)
    assert look_at(content) == ((60_000, 60_000), False)


@pytest.mark.parametrize("end", [b"", b"\0\0", b"\xff\xff\xff\xffeXIf", b"\0\0\0\7eXIfxx"])
def test_chunks_that_are_damaged(nothing_decodes, end):
    content = png(30, 20).removesuffix(chunk(b"IEND", b"")) + end
    assert look_at(content) == ((30, 20), True)


def test_a_million_chunks(nothing_decodes):
    content = png(30, 20).removesuffix(chunk(b"IEND", b"")) + 1_000_000 * chunk(b"tEXt", b"")
    assert look_at(content) == ((30, 20), True)
