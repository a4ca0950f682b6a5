"""The kernel that scales many pictures gives Pillow's bits, or leaves it to Pillow."""

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from picture_files import encoded, is_clear
from PIL import Image

from neocog import reference
from neocog.data import resampling
from neocog.data.filters import FILTERS, weights
from neocog.data.picture import read_picture
from neocog.preprocessing import Resize

SIDES = st.integers(1, 80)


@pytest.fixture(scope="module", autouse=True)
def prepared():
    resampling.prepare()
    yield
    resampling._kernel = None


def by_pillow(image, size, region, how):
    """Rows, then columns."""
    (width, height), (left, top, right, bottom) = size, region
    narrow = image.resize((width, image.height), how, (left, 0, right, image.height))
    return np.asarray(narrow.resize((width, height), how, (0, top, width, bottom)))


@settings(max_examples=100, deadline=None)
@given(
    seen=st.tuples(SIDES, SIDES),
    size=st.tuples(SIDES, SIDES),
    edges=st.tuples(*[st.floats(0, 1)] * 4),
    interpolation=st.sampled_from(list(FILTERS)),
    seed=st.integers(0, 9),
)
@example((1000, 3), (2, 8), (0, 0, 0, 0), "lanczos", 0)
@example((3, 1000), (8, 2), (0, 0, 0, 0), "lanczos", 1)
@example((2, 2), (119, 120), (0, 0, 0, 0), "bilinear", 0)
def test_the_same_bits_as_pillow(seen, size, edges, interpolation, seed):
    height, width = seen
    # Sharp edges too, where filters run over.
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (height, width, 3), np.uint8)
    pixels[rng.random((height, width)) < 0.5] = 255
    image = Image.fromarray(pixels)
    left, top = 0.4 * edges[0] * width, 0.4 * edges[1] * height
    region = (left, top, width - 0.4 * edges[2] * width, height - 0.4 * edges[3] * height)
    found = resampling.resampled(image, size, region, interpolation)
    if found is None:
        reach = FILTERS[interpolation][0] * max((region[2] - region[0]) / size[0], 1)
        assert width < 2 * reach + 3  # all columns at once, or nearly
        return
    how = Image.Resampling[interpolation.upper()]
    np.testing.assert_array_equal(found, by_pillow(image, size, region, how))
    if interpolation == "box":
        assume(is_clear(width, size[0], region[0], region[2]))
        assume(is_clear(height, size[1], region[1], region[3]))
    by_formula = reference.resize_image(pixels, size[::-1], interpolation, region)
    # Two where a part's edges, which are float32 here, move a level between rows and columns too.
    assert np.abs(found.astype(int) - by_formula).max() <= (2 if any(edges) else 1)


def test_weights_by_hand():
    """Four pixels to two: each is made of the three that a triangle of four pixels covers."""
    found = weights(4, 2, 0.0, 4.0, "bilinear")
    assert found.first.tolist() == [0, 1]
    assert found.counts.tolist() == [3, 3]
    # Distances ½, ½, 3⁄2 of the centers from 1, over 2: 1 − ¼, 1 − ¼, 1 − ¾; their sum is 7⁄4.
    one = [round(part / 7 * 2**22) for part in (3, 3, 1)]
    assert found.values.tolist() == [one, one[::-1]]


def test_nearest_and_pictures_in_pieces_are_left_to_pillow():
    image = Image.new("RGB", (64, 64))
    assert resampling.resampled(image, (8, 8), (0, 0, 64, 64), "nearest") is None
    large = Image.new("RGB", (5000, 4000))
    assert resampling.resampled(large, (8, 8), (0, 0, 5000, 4000), "box") is None


@pytest.mark.parametrize("mode", ["stretch", "crop", "letterbox"])
@pytest.mark.parametrize("orientation", [1, 2, 6, 7])
@pytest.mark.parametrize("kind", ["RGB", "RGBA", "L", "P", "JPEG"])
def test_with_and_without_it_a_picture_is_the_same(monkeypatch, mode, orientation, kind):
    exif = Image.Exif()
    exif[0x0112] = orientation
    noise = np.random.default_rng(3).integers(0, 256, (57, 86, 4), np.uint8)
    image = Image.fromarray(noise).convert("RGB" if kind == "JPEG" else kind)
    content = encoded(image, "JPEG" if kind == "JPEG" else "PNG", exif=exif)
    resize = Resize(mode, "bilinear")
    for shape in ((3, 24, 24), (3, 90, 31), (1, 24, 24)):
        found = read_picture(content, shape, resize)
        with monkeypatch.context() as patch:
            patch.setattr(resampling, "_kernel", None)
            np.testing.assert_array_equal(read_picture(content, shape, resize), found)


def test_the_picture_stays_as_it_is_and_is_let_go():
    """Its memory is read in place."""
    image = Image.fromarray(np.arange(30 * 40 * 3, dtype=np.uint8).reshape(30, 40, 3))
    before = image.tobytes()
    for _ in range(50):
        resampling.resampled(image, (9, 7), (0, 0, 40, 30), "bilinear")
    assert image.tobytes() == before
