"""What data say and show of themselves."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from neocog import Data, Dataset
from neocog.errors import DataError


def plain(level: int, count: int, shape=(8, 6, 3)) -> np.ndarray:
    return np.full((count, *shape), level, np.uint8)


def made(shape=(8, 6, 3), classes=("cat", "dog"), **more) -> Data:
    """Three cats of level 200 and five dogs of level 40; a dog to test with."""
    images = np.concatenate([plain(200, 3, shape), plain(40, 5, shape)])
    test = Dataset(plain(40, 1, shape), np.array([1]))
    return Data("pets", Dataset(images, np.array([0] * 3 + [1] * 5)), test, classes, **more)


def test_a_summary():
    data = made(source="/some/where", notes=("One was passed over.",))
    assert data.summary().splitlines() == [
        "pets: 9 images of 2 classes, 8 × 6 pixels, in colors",
        "from /some/where",
        "class       train        test",
        "cat             3           0",
        "dog             5           1",
        "all             8           1",
        "One was passed over.",
    ]
    assert "8 × 6 pixels, gray" in made((8, 6, 1)).summary()
    assert "8 × 6 pixels, of 5 channels" in made((8, 6, 5)).summary()


def test_a_summary_of_many_classes_and_long_names():
    images = Dataset(plain(0, 100), np.arange(100))
    data = Data("many", images, images[:0], ["n" * 900, *map(str, range(99))])
    lines = data.summary().splitlines()
    assert "… and 60 more classes" in lines
    assert len(lines) == 1 + 1 + 40 + 1 + 1
    assert max(map(len, lines)) < 80


def test_a_sheet_has_a_row_of_pictures_for_each_class(tmp_path):
    sheet = made().show(per_class=4, path=tmp_path / "sheet.png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "sheet.png")), np.asarray(sheet))
    pixels = np.asarray(sheet.convert("L"))
    # Pictures of 8 × 6 pixels, repeated 8 times, in cells that are 64 wide at least.
    for row, level, count in ((8, 200, 3), (8 + 64 + 22, 40, 4)):
        for column in range(4):
            seen = pixels[row : row + 64, 8 + 72 * column :][:, :48]
            assert (seen == (level if column < count else 255)).all()
            below = pixels[row + 64 : row + 64 + 14, 8 + 72 * column :][:, :64]
            assert (below.min() < 50) == (column < count)  # the name, in black


@pytest.mark.parametrize("shape", [(1, 1, 1), (300, 200, 3), (5, 4, 2), (3, 500, 4)])
def test_images_of_every_shape_have_a_sheet(shape):
    sheet = made(shape).show("test")
    assert max(sheet.size) < 200


def test_many_classes_and_names_that_have_no_room():
    labels = np.arange(100)
    images = Dataset(plain(0, 100), labels)
    names = ["ein sehr langer Name " * 9, "日本語", "tab\there", *map(str, range(97))]
    whole = Data("many", images, images[:0], names).show()
    assert whole.height < 31 * (64 + 24)
    # Where only later classes have images, these are shown.
    some = images[40:50]
    assert Data("many", some, images[:0], names).show().height < 11 * (64 + 24)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"part": "tests"}, r"part \(='tests'\) must be 'train', 'validation' or 'test'"),
        (
            {"part": "validation"},
            "pets has no images in the part validation. There are: train, test",
        ),
        ({"per_class": 0}, r"per_class \(=0\) must be a whole number from 1 to 50"),
        ({"path": 3}, r"path \(=3\) must be the path of a file"),
    ],
)
def test_sheets_that_cannot_be(arguments, message):
    with pytest.raises(DataError, match=message):
        made().show(**arguments)


def test_a_notebook_shows_both():
    data = made(classes=("<b>", "dog"))
    text = data._repr_html_()
    assert "<pre>pets: 9 images" in text
    assert "&lt;b&gt;" in text
    assert "<b>" not in text
    image = base64.b64decode(re.search(r'base64,([^"]+)"', text)[1])
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(image))), np.asarray(data.show()))
    empty = data.train[:0]
    assert "<img" not in Data("none", empty, empty, ("a",))._repr_html_()
