"""Views are what their names say."""

import numpy as np
import pytest
from PIL import Image

from neocog.settings.recipe import VIEW_SETS
from neocog.transfer.views import seen

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 16, 24, 3), np.uint8)


def by_pillow(image, what):
    return np.asarray(Image.fromarray(image).transpose(what))


@pytest.mark.parametrize(
    ("view", "what"),
    [
        ("mirror", Image.Transpose.FLIP_LEFT_RIGHT),
        ("flip", Image.Transpose.FLIP_TOP_BOTTOM),
        ("turn", Image.Transpose.ROTATE_180),
    ],
)
def test_flips_as_pillow(view, what):
    expected = np.stack([by_pillow(image, what) for image in IMAGES])
    np.testing.assert_array_equal(seen(IMAGES, view), expected)


def test_the_whole_is_the_picture():
    np.testing.assert_array_equal(seen(IMAGES, "whole"), IMAGES)


@pytest.mark.parametrize(
    ("view", "box"),
    [
        ("crop1", (2, 1, 23, 15)),
        ("crop2", (0, 0, 21, 14)),
        ("crop3", (3, 0, 24, 14)),
        ("crop4", (0, 2, 21, 16)),
        ("crop5", (3, 2, 24, 16)),
    ],
)
def test_crops_as_pillow(view, box):
    found = seen(IMAGES, view)
    for one, image in zip(found, IMAGES, strict=True):
        part = Image.fromarray(image).crop(box)
        expected = np.asarray(part.resize((24, 16), Image.Resampling.BICUBIC))
        np.testing.assert_array_equal(one, expected)


def test_every_view_of_every_set_can_be_seen():
    for views in VIEW_SETS.values():
        assert views[0] == "whole"
        for view in views:
            found = seen(IMAGES, view)
            assert found.shape == IMAGES.shape
            assert found.flags.c_contiguous
