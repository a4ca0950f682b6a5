"""JPEGs that are decoded sooner are what Pillow makes of them: the same pixels or refusals."""

import numpy as np
import pytest
from picture_files import encoded, textured
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from neocog.data import fast_jpeg
from neocog.data.picture import read_picture
from neocog.errors import DataError

with_simplejpeg = pytest.mark.skipif(not fast_jpeg.IS_HERE, reason="simplejpeg is not installed")


def all_ways(content: bytes, shape: tuple[int, int, int]) -> list:
    """What simplejpeg's way gives, what the short way by Pillow, and what the long one does."""
    found = []
    for is_here, is_short in ((fast_jpeg.IS_HERE, True), (False, True), (False, False)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fast_jpeg, "IS_HERE", is_here)
            if not is_short:
                patch.setattr(fast_jpeg, "_plain_size", lambda _: None)
            try:
                found.append(read_picture(content, shape).tolist())
            except DataError as error:
                found.append(str(error))
    return found


def the_same(content: bytes, shape: tuple[int, int, int]) -> list | str:
    """Pixels, or the text of an error; the same in all ways."""
    fast, short, usual = all_ways(content, shape)
    assert fast == usual
    assert short == usual
    return usual


OPTIONS = [
    {"subsampling": subsampling, "quality": quality, "progressive": progressive, **more}
    for subsampling in (0, 1, 2)
    for quality in (30, 97)
    for progressive in (False, True)
    for more in ({}, {"restart_marker_rows": 1})
]


@pytest.mark.parametrize("side", [1, 16, 45])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_every_kind_of_jpeg(side, mode):
    image = textured(side, side * 3 // 4 + 1).convert(mode)
    for options in OPTIONS:
        content = encoded(image, "JPEG", **options)
        for channels in (1, 3):
            found = the_same(content, (channels, *image.size[::-1]))
            assert not isinstance(found, str)


def test_colors_that_are_stored_as_such():
    """No YCbCr: what Adobe's marker says, and what the components are called."""
    for keep in (True, False):
        content = encoded(textured(40, 40), "JPEG", keep_rgb=keep, quality=95)
        the_same(content, (3, 40, 40))


@with_simplejpeg
def test_it_is_used(monkeypatch):
    content = encoded(textured(64, 48), "JPEG")
    monkeypatch.setattr("PIL.JpegImagePlugin.JpegImageFile.load", lambda _: pytest.fail("Pillow"))
    assert read_picture(content, (3, 24, 24)).shape == (24, 24, 3)


@pytest.mark.parametrize("progressive", [False, True])
def test_every_length_of_a_file_that_was_cut_off(progressive):
    content = encoded(textured(20, 13), "JPEG", progressive=progressive)
    refused = 0
    for length in range(len(content)):
        found = the_same(content[:length], (3, 13, 20))
        refused += isinstance(found, str)
    assert refused >= len(content) - 2
    for behind in (b"\0", b"anything", content):
        found = the_same(content + behind, (3, 13, 20))
        assert not isinstance(found, str)


@pytest.mark.parametrize("progressive", [False, True])
def test_damage_changes_both_alike(progressive):
    content = encoded(textured(40, 30), "JPEG", progressive=progressive)
    rng = np.random.default_rng(progressive)
    kinds = set()
    for _ in range(100):
        damaged = bytearray(content)
        for at in rng.integers(2, len(damaged), rng.integers(1, 4)):
            damaged[at] = rng.integers(0, 256)
        found = the_same(bytes(damaged), (3, 30, 40))
        kinds.add(type(found))
    assert kinds == {str, list}


def test_a_turned_photograph():
    exif = Image.Exif()
    exif[0x0112] = 6
    the_same(encoded(textured(60, 40), "JPEG", exif=exif), (3, 30, 20))


@with_simplejpeg
def test_headers_that_are_not_plain_are_pillows(monkeypatch):
    """Of a plain JPEG Pillow does not see the header; of every other it does."""
    seen = []
    opened = JpegImageFile._open
    monkeypatch.setattr(JpegImageFile, "_open", lambda self: seen.append(1) or opened(self))
    exif = Image.Exif()
    exif[0x0112] = 1
    image = textured(40, 30)
    for options, is_plain in (
        ({}, True),
        ({"progressive": True}, True),
        ({"comment": b"words"}, True),
        ({"exif": exif}, False),
        ({"xmp": b"<x/>"}, False),
        ({"icc_profile": b"profile"}, False),
    ):
        seen.clear()
        read_picture(encoded(image, "JPEG", **options), (3, 24, 24))
        assert seen == ([] if is_plain else [1])
    read_picture(encoded(image.convert("L"), "JPEG"), (3, 24, 24))
    assert seen
