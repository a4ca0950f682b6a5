"""PNGs that are decoded sooner are what Pillow makes of them: the same pixels or refusals."""

import struct

import numpy as np
import pytest
from picture_files import chunk, encoded, textured
from PIL import Image
from PIL.PngImagePlugin import PngImageFile, PngInfo

from neocog.data import picture
from neocog.data.picture import read_picture
from neocog.errors import DataError

MODES = ("L", "LA", "RGB", "RGBA")


def outcome(content, shape):
    try:
        return read_picture(content, shape).tolist()
    except DataError as error:
        return str(error)


def the_same(content, shape):
    """Pixels, or the text of an error; the same as without the short way."""
    found = outcome(content, shape)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(picture, "decode_plain_png", lambda _: None)
        assert found == outcome(content, shape)
    return found


def chunks(content):
    """Names and data of a file's chunks."""
    at, found = 8, []
    while at < len(content):
        (length,) = struct.unpack_from(">I", content, at)
        found.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def joined(parts):
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


@pytest.fixture
def opened(monkeypatch):
    """How often Pillow has read a header."""
    seen = []
    open_ = PngImageFile._open
    monkeypatch.setattr(PngImageFile, "_open", lambda self: seen.append(1) or open_(self))
    return seen


@pytest.mark.parametrize("mode", ["1", "P", "I;16", *MODES])
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (32, 32), (45, 31)])
def test_every_kind(opened, mode, size):
    image = textured(*size)
    image = Image.new(mode, size, 7) if mode == "I;16" else image.convert(mode)
    if mode in ("LA", "RGBA"):
        image.putalpha(textured(*size).convert("L"))
    for level in (0, 1, 9):
        content = encoded(image, "PNG", compress_level=level)
        for channels in (1, 3):
            opened.clear()
            outcome(content, (channels, *size[::-1]))
            assert opened == ([] if mode in MODES else [1])
            assert not isinstance(the_same(content, (channels, *size[::-1])), str)
            assert not isinstance(the_same(content, (channels, 9, 8)), str)


def test_pixels_in_many_chunks(opened):
    head, *rest = chunks(encoded(textured(40, 30), "PNG"))
    data = b"".join(part for name, part in rest if name == b"IDAT")
    for size in (1000, 100):
        parts = [(b"IDAT", data[at : at + size]) for at in range(0, len(data), size)]
        content = joined([head, *parts, (b"IEND", b"")])
        opened.clear()
        pixels = outcome(content, (3, 30, 40))
        assert pixels == np.asarray(textured(40, 30)).tolist()
        assert opened == ([] if len(parts) < 60 else [1])
        the_same(content, (3, 30, 40))


def test_other_chunks_are_pillows(opened):
    image = textured(20, 20)
    note, exif = PngInfo(), Image.Exif()
    note.add_text("words", "of someone")
    exif[0x0112] = 6
    for options, is_plain in (
        ({"dpi": (72, 72)}, True),
        ({"pnginfo": note}, False),
        ({"exif": exif}, False),
        ({"icc_profile": b"profile"}, False),
        ({"transparency": tuple(np.asarray(image)[0, 0].tolist())}, False),
        ({"save_all": True, "append_images": [textured(20, 20).rotate(90)]}, False),
    ):
        content = encoded(image, "PNG", **options)
        opened.clear()
        assert not isinstance(outcome(content, (3, 20, 20)), str)
        assert bool(opened) != is_plain, options
        the_same(content, (3, 20, 20))


def test_what_lies_between_and_behind():
    head, *rest = chunks(encoded(textured(20, 20).convert("RGB"), "PNG"))
    key = (b"tRNS", struct.pack(">HHH", *np.asarray(textured(20, 20))[0, 0]))
    orders = (
        [head, key, *rest],
        [head, *rest[:-1], key, rest[-1]],
        [head, (b"gAMA", b"\0\0\xb1\x8f"), *rest],
        [head, (b"gAMA", b"\0\0\xb1"), *rest],
        [head, (b"pHYs", b""), *rest],
        [head, head, *rest],
        [head, *rest, *rest],
        [*rest, head],
        [head, rest[-1]],
        [head, *rest[:-1]],
        [head, *rest[:-1], (b"\0\1\2\3", b""), rest[-1]],
        [(b"IHDR", b""), *rest],
        [(b"IHDR", head[1] + b"more"), *rest],
    )
    for order in orders:
        the_same(joined(order), (3, 20, 20))
        the_same(joined(order) + b"behind", (3, 20, 20))


@pytest.mark.parametrize("at", range(13))
def test_every_byte_of_the_header(at):
    (name, head), *rest = chunks(encoded(textured(20, 20), "PNG"))
    for value in range(17):
        changed = bytearray(head)
        changed[at] = value
        the_same(joined([(name, bytes(changed)), *rest]), (3, 20, 20))


def test_every_length_of_a_file_that_was_cut_off():
    content = encoded(textured(20, 13), "PNG")
    for length in range(len(content)):
        the_same(content[:length], (3, 13, 20))
        # The end is where it should be, but something is missing in the middle.
        the_same(content[:length] + content[-12:], (3, 13, 20))


@pytest.mark.parametrize("mode", MODES)
def test_damage_changes_both_alike(mode):
    content = encoded(textured(40, 30).convert(mode), "PNG")
    rng = np.random.default_rng(len(mode))
    kinds = set()
    for number in range(300):
        damaged = bytearray(content)
        # Mostly in the pixels, whose checksum nobody reads.
        begin = 41 if number % 3 else 8
        for at in rng.integers(begin, len(damaged) - 16, rng.integers(1, 4)):
            damaged[at] = rng.integers(0, 256)
        kinds.add(type(the_same(bytes(damaged), (3, 30, 40))))
    assert kinds == {str, list}
