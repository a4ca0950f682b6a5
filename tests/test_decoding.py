"""Many pictures decoded by threads."""

import threading
import warnings

import numpy as np
import pytest
from picture_files import encoded, textured
from PIL import Image

from neocog.data import resampling
from neocog.data.decoding import decode
from neocog.data.picture import read_picture
from neocog.data.quiet import quiet
from neocog.data.sources.base import Pictures
from neocog.preprocessing import Resize


class Contents:
    def __init__(self, contents):
        self.contents = contents

    def name(self, row):
        return f"{row}.png"

    def read(self, row):
        if self.contents[row] is None:
            raise PermissionError(13, "Permission denied")
        return self.contents[row]


def pictures_of(contents):
    return Pictures(Contents(contents), np.arange(len(contents)), np.zeros(len(contents), np.int64))


@pytest.fixture
def contents():
    kinds = ("JPEG", "PNG", "BMP", "WEBP", "TIFF")
    return [encoded(textured(20 + n, 70 - n), kinds[n % 5]) for n in range(45)]


@pytest.mark.parametrize("many", [1, 20_000, 10**9])
def test_any_number_of_threads_gives_the_same(contents, monkeypatch, many):
    """With the compiled kernel from the first, from some picture on, or not at all."""
    monkeypatch.setattr(resampling, "_MANY", many)
    monkeypatch.setattr("neocog.data.decoding._AT_A_TIME", 4)
    monkeypatch.setattr(resampling, "_kernel", None)
    monkeypatch.setattr(resampling, "_without", 0)
    resize, results = Resize("crop", "bilinear"), []
    for threads in (1, 2, 7):
        images = np.empty((45, 16, 16, 3), np.uint8)
        assert decode(pictures_of(contents), images, resize, threads=threads) == []
        results.append(images)
    assert (resampling._kernel is None) == (many == 10**9)
    monkeypatch.setattr(resampling, "_kernel", None)
    for n, content in enumerate(contents):
        one = read_picture(content, (3, 16, 16), resize)
        assert all((images[n] == one).all() for images in results)


def test_bad_ones_by_name_and_progress_to_the_end(contents):
    contents[7], contents[40] = b"no picture", None
    told = []
    bad = decode(
        pictures_of(contents),
        np.empty((45, 8, 8, 3), np.uint8),
        Resize(),
        threads=3,
        progress=lambda done, total: told.append((done, total)),
    )
    assert [(one.place, one.name) for one in bad] == [(7, "7.png"), (40, "40.png")]
    assert bad[0].reason == "is not an image that Pillow knows."
    assert bad[1].reason == "cannot be read: Permission denied."
    assert told[-1] == (45, 45)
    assert told == sorted(told)


def corrupt():
    """A picture whose metadata Pillow warns of."""
    image = Image.new("RGB", (8, 8))
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\xff\xff\0\0\0\1\0\0\0\0\0\0"
    return encoded(image, "JPEG", exif=exif)


def test_warnings_are_as_they_were_after_many_threads():
    """Each thread of its own would restore what another had set."""
    before = list(warnings.filters)
    content, inside = corrupt(), threading.Barrier(4)

    def read():
        inside.wait()
        for _ in range(20):
            read_picture(content, (3, 8, 8))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before
    with pytest.warns(UserWarning, match="heard"):
        warnings.warn("heard", UserWarning, stacklevel=1)


def test_nothing_warns_until_the_last_has_left():
    with quiet:
        with quiet:
            pass
        warnings.warn("not heard", UserWarning, stacklevel=1)
    with pytest.warns(UserWarning, match="heard"):
        warnings.warn("heard", UserWarning, stacklevel=1)
