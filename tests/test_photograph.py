"""A photograph for maps to be drawn over it: the network's input lies where it was taken from."""

import numpy as np
import pytest
from PIL import Image

from neocog.data.picture import read_picture
from neocog.errors import DataError
from neocog.explanation.photograph import read_photograph
from neocog.preprocessing import Resize

SHAPE = (3, 64, 64)


@pytest.fixture
def wide(tmp_path):
    """A gray photograph with a white square of 40 pixels around row 100, column 150."""
    pixels = np.full((200, 320, 3), 90, np.uint8)
    pixels[80:120, 130:170] = 255
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    return tmp_path / "wide.png"


@pytest.mark.parametrize(
    "resize", [Resize("stretch"), Resize("crop"), Resize("crop", keep=0.875), Resize("letterbox")]
)
def test_what_is_in_the_input_is_there_in_the_photograph(wide, resize):
    """The center of the white square, found in the input and put back through the box."""
    image = read_picture(wide, SHAPE, resize)
    found = read_photograph(wide, SHAPE, resize, 160)
    assert found.pixels.shape == (100, 160, 3)
    left, top, width, height = found.box
    rows, columns = np.nonzero(image[..., 0] > 172)
    row = (top + height * (rows.mean() + 0.5) / 64) * 200
    column = (left + width * (columns.mean() + 0.5) / 64) * 320
    assert abs(row - 100) < 2.5  # of 3 or 5 pixels that one of the input's covers
    assert abs(column - 150) < 2.5


def test_boxes_by_hand(wide):
    assert read_photograph(wide, SHAPE, Resize("stretch"), 640).box == (0, 0, 1, 1)
    crop = read_photograph(wide, SHAPE, Resize("crop"), 640)
    assert crop.box == pytest.approx((60 / 320, 0, 200 / 320, 1))
    assert crop.pixels.shape == (200, 320, 3)  # it is never enlarged
    inner = read_photograph(wide, SHAPE, Resize("crop", keep=0.5), 640).box
    assert inner == pytest.approx((110 / 320, 0.25, 100 / 320, 0.5))
    # 64 × 40 pixels are the photograph, and 12 rows above and below it are filled.
    box = read_photograph(wide, SHAPE, Resize("letterbox"), 640).box
    assert box == pytest.approx((0, -12 / 40, 1, 64 / 40))


def test_it_is_turned_as_it_was_taken(tmp_path):
    picture = Image.fromarray(np.zeros((60, 100, 3), np.uint8))
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / "a.jpg", exif=exif)
    found = read_photograph((tmp_path / "a.jpg").read_bytes(), SHAPE, Resize("crop"), 640)
    assert found.pixels.shape == (100, 60, 3)
    assert found.box == pytest.approx((0, 0.2, 1, 0.6))


def test_a_gray_network_has_a_photograph_in_color(wide):
    assert read_photograph(wide, (1, 64, 64), Resize(), 640).pixels.shape == (200, 320, 3)


def test_what_is_no_picture_is_refused():
    with pytest.raises(DataError):
        read_photograph(b"no picture", SHAPE, Resize(), 640)
