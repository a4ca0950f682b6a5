"""What is chosen for pictures that people have, and what is seen of them before."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from picture_files import encoded
from PIL import Image

from neocog.data.choices import choose_resize, choose_shape
from neocog.data.sources.base import Pictures
from neocog.data.survey import Survey, look_at, survey
from neocog.errors import DataError


def of(*sizes, gray=False):
    return Survey(len(sizes), sizes, len(sizes) if gray else 0)


PHONE = [(4032, 3024)] * 6 + [(3024, 4032)] * 4 + [(1920, 1080)] * 2
PANORAMAS = [(8000, 1500), (9200, 1400), (7000, 1600), (4000, 3000)]


@pytest.mark.parametrize(
    ("found", "shape", "mode"),
    [
        (of(*[(28, 28)] * 9, gray=True), (1, 28, 28), "stretch"),
        (of(*[(32, 32)] * 9), (3, 32, 32), "stretch"),
        (of(*[(16, 16)] * 9), (3, 16, 16), "stretch"),
        (of(*[(96, 64)] * 9), (3, 64, 96), "stretch"),
        (of(*[(300, 300)] * 9, gray=True), (1, 64, 64), "stretch"),
        (of(*[(640, 480)] * 9), (3, 64, 64), "stretch"),
        (of(*PHONE), (3, 64, 64), "crop"),
        (of(*PANORAMAS), (3, 64, 64), "letterbox"),
        (of(*[(32, 32)] * 99, (6000, 4000)), (3, 32, 32), "crop"),
        (of((1, 1)), (3, 1, 1), "stretch"),
        (of(*[(5, 6)] * 9), (3, 6, 5), "stretch"),
        (of((1, 1), (2, 1)), (3, 8, 8), "crop"),
        (of((40, 50), (50, 40), (45, 45)), (3, 32, 32), "crop"),
    ],
)
def test_what_a_person_would_choose(found, shape, mode):
    assert choose_shape(found) == shape
    assert choose_resize(found, shape).mode == mode


def test_what_is_said_is_kept():
    found = of(*PHONE)
    assert choose_shape(found, (224, 160)) == (3, 224, 160)
    assert choose_shape(found, channels=1) == (1, 64, 64)
    # A tall frame for photographs most of which are wide: a third would be left of them.
    assert choose_resize(of(*[(400, 300)] * 9, (300, 400)), (3, 200, 100)).mode == "letterbox"


SIZES = st.lists(st.tuples(st.integers(1, 20_000), st.integers(1, 20_000)), min_size=1)


@given(sizes=SIZES, gray=st.booleans())
def test_any_sizes_give_a_shape_that_a_network_takes(sizes, gray):
    found = of(*sizes, gray=gray)
    channels, height, width = choose_shape(found)
    assert channels == (1 if gray else 3)
    if len(set(sizes)) == 1 and max(sizes[0]) <= 96:
        assert (width, height) == sizes[0]
    else:
        assert height == width and 8 <= height <= 64
    # Enlarged is only what is smaller than anything a network could look at.
    shorter = sorted(min(size) for size in sizes)[len(sizes) // 2]
    assert min(height, width) <= max(8, shorter)
    mode = choose_resize(found, (channels, height, width)).mode
    assert mode in ("stretch", "crop", "letterbox")
    if len(set(sizes)) == 1:
        assert mode == "stretch"
    # The order of pictures says nothing.
    again = of(*sorted(sizes), gray=gray)
    assert choose_shape(again) == (channels, height, width)
    assert choose_resize(again, (channels, height, width)).mode == mode


@pytest.mark.parametrize(
    ("mode", "gray"),
    [("1", True), ("L", True), ("LA", True), ("I;16", True), ("P", False), ("RGB", False)],
)
def test_whether_a_picture_is_gray(mode, gray):
    if mode == "I;16":
        image = Image.fromarray(np.zeros((5, 7), np.uint16))
    else:
        image = Image.new(mode, (7, 5))
    assert look_at(encoded(image, "PNG")) == ((7, 5), gray)
    assert look_at(np.zeros((5, 7, 1 if gray else 3), np.uint8)) == ((7, 5), gray)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_picture_has_the_size_that_is_seen(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    size, _gray = look_at(encoded(Image.new("RGB", (7, 5)), "JPEG", exif=exif))
    assert size == ((5, 7) if orientation >= 5 else (7, 5))


class Contents:
    """A store of files' contents."""

    def __init__(self, *contents):
        self.contents = contents
        self.asked = []

    def name(self, row):
        return f"{row}.png"

    def stamp(self, row):
        return self.name(row)

    def size(self, row):
        return len(self.contents[row % len(self.contents)])

    def read(self, row):
        self.asked.append(row)
        return self.contents[row % len(self.contents)]


def pictures_of(store, count):
    return Pictures(store, np.arange(count), np.zeros(count, np.int64))


def test_some_of_many_are_looked_at_evenly():
    store = Contents(encoded(Image.new("RGB", (7, 5)), "PNG"))
    found = survey(pictures_of(store, 100_000))
    assert found.count == 100_000
    assert found.one_size == (7, 5)
    assert len(found.sizes) == len(store.asked) <= 300
    assert store.asked[0] == 0
    assert store.asked[-1] == 99_999
    assert np.diff(store.asked).max() <= 2 * 100_000 / len(store.asked)


def test_bad_ones_are_left_out_and_only_bad_ones_are_refused():
    sound = encoded(Image.new("L", (9, 9)), "PNG")
    found = survey(pictures_of(Contents(sound, b"no picture"), 4))
    assert (found.sizes, found.all_gray) == (((9, 9), (9, 9)), True)
    with pytest.raises(DataError, match=r"None of the pictures .* 0\.png is not an image"):
        survey(pictures_of(Contents(b"no picture"), 4))
