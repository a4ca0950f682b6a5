"""Numbers of any range as bytes, and flat images with their shape."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from neocog.errors import DataError
from neocog.image_rows import as_bytes, as_rows, settle_image_shape

quick = settings(max_examples=40, deadline=None, derandomize=True)
SIZES = st.integers(1, 6)
BYTES = np.arange(256, dtype=np.uint8).reshape(4, 64)


@quick
@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.sampled_from([np.float32, np.float64]), SIZES)
def test_levels_of_a_range_are_the_bytes_that_they_were(low, width, dtype, times):
    pixel_range = float(dtype(low)), float(dtype(low + width))
    levels = np.linspace(*pixel_range, 256)
    # Where neighbors are further apart than the numbers' own steps.
    assume(np.spacing(dtype(np.abs(levels).max())) < (pixel_range[1] - pixel_range[0]) / 1024)
    rows = np.tile(levels.astype(dtype).reshape(4, 64), (times * 300, 1))
    found = as_bytes(rows, pixel_range, clip=True)
    np.testing.assert_array_equal(found, np.tile(BYTES, (times * 300, 1)))


def test_bytes_stay_where_they_are():
    assert as_bytes(BYTES, None, clip=False) is BYTES


def test_numbers_outside_are_the_ends_or_refused():
    rows = np.array([[-1.0, 0.0, 2.5, 5.0, 6.0]])
    np.testing.assert_array_equal(as_bytes(rows, (0, 5), clip=True), [[0, 0, 128, 255, 255]])
    with pytest.raises(DataError, match=r"from -1 to 6, outside of pixel_range=\(0, 5\)"):
        as_bytes(rows, (0, 5), clip=False)
    with pytest.raises(DataError, match="outside of"):
        as_bytes(rows[:, 1:], (0, 5), clip=False)


@quick
@given(SIZES, SIZES, SIZES, SIZES, st.integers(0, 3))
def test_rows_have_the_shape_that_images_have(count, height, width, channels, unknown):
    images = np.arange(count * height * width * channels).reshape(count, height, width, channels)
    rows, given_shape = as_rows(images)
    np.testing.assert_array_equal(rows, [image.ravel() for image in images])
    assert given_shape == (height, width, channels)
    shape = height, width, channels
    assert settle_image_shape(None, given_shape, rows.shape[1]) == shape
    # Flat ones, of whose shape one number or none is left out.
    asked = tuple(-1 if place == unknown else size for place, size in enumerate(shape))
    flat, no_shape = as_rows(rows)
    assert flat is rows
    assert settle_image_shape(asked, no_shape, rows.shape[1]) == shape
    with pytest.raises(DataError, match="does not fit"):
        settle_image_shape(shape, None, rows.shape[1] + 1)
