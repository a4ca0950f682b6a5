"""`ImageClassifier`: the images and labels that it takes."""

import numpy as np
import pytest

from neocog import DataError

pytest.importorskip("sklearn")

from classifiers import digits, small


def test_flat_images_and_images_with_axes_are_the_same():
    images, labels = digits()
    expected = small().fit(images, labels).predict_proba(images)
    shapes = {
        (8, 8, 1): images.reshape(-1, 64),
        (-1, 8, 1): images[..., 0],
        (8, -1, 1): images.reshape(-1, 64).tolist(),  # int64, which have to be said to be pixels
        (8, 8, -1): images,
    }
    for shape, given in shapes.items():
        how = {"image_shape": shape, "pixel_range": (0, 255)}
        classifier = small(**how).fit(given, labels)
        np.testing.assert_array_equal(classifier.predict_proba(given), expected)
    # Those that are trained on do not decide how others come.
    np.testing.assert_array_equal(classifier.predict_proba(images), expected)
    np.testing.assert_array_equal(classifier.predict_proba(images.reshape(-1, 64)), expected)
    np.testing.assert_array_equal(classifier.predict_proba(list(images)), expected)


@pytest.mark.parametrize(
    ("settings", "shape", "message"),
    [
        ({}, (4, 64), r"not rows of 64 numbers: for flat images give image_shape="),
        ({}, (4, 8, 8), r"not \[n, 8, 8\]: write X\[..., None\] .* image_shape=\(8, 8, 1\)"),
        ({}, (4, 2, 8, 8, 1), r"not images of \[2, 8, 8, 1\]"),
        ({"image_shape": (8, 8, 3)}, (4, 64), r"rows of 64 numbers, which image_shape=\(8, 8, 3\)"),
        ({"image_shape": (-1, 9, 1)}, (4, 64), r"which image_shape=\(-1, 9, 1\) does not fit"),
        ({"image_shape": (8, 8, 1)}, (4, 4, 16, 1), r"X has images of \[4, 16, 1\]"),
        ({"image_shape": (8, 8, 3)}, (4, 3, 8, 8), r"X has images of \[3, 8, 8\]"),
        ({"image_shape": (8, 8)}, (4, 64), r"image_shape \(=\(8, 8\)\) must be \(height, width"),
        ({"image_shape": (-1, -1, 1)}, (4, 64), r"image_shape \(=\(-1, -1, 1\)\) must be"),
        ({"image_shape": (0, 8, 1)}, (4, 64), r"image_shape \(=\(0, 8, 1\)\) must be"),
        ({"image_shape": "8x8"}, (4, 64), r"image_shape \(='8x8'\) must be"),
    ],
)
def test_images_of_a_shape_that_is_not_clear(settings, shape, message):
    images = np.zeros(shape, np.uint8)
    with pytest.raises(DataError, match=message) as caught:
        small(**settings).fit(images, np.arange(len(images)) % 2)
    assert isinstance(caught.value, ValueError)


def test_lists_of_images():
    image = pytest.importorskip("PIL.Image")
    images, labels = digits(20)
    expected = small().fit(images, labels).predict(images)
    pictures = [image.fromarray(one[..., 0]) for one in images]
    classifier = small(image_shape=(8, 8, 1)).fit(pictures, labels)
    np.testing.assert_array_equal(classifier.predict(pictures), expected)
    with pytest.raises(DataError, match=r"images of one shape, not \[\(6, 8, 1\), \(8, 8, 1\)\]"):
        classifier.fit([images[0], images[1][:6]], [0, 1])
    with pytest.raises(DataError, match=r"X has images of \[4, 16, 1\], which image_shape=\(8, 8"):
        classifier.predict(images.reshape(-1, 4, 16, 1))
    with pytest.raises(ValueError, match="X has 63 features, but ImageClassifier is expecting 64"):
        classifier.predict(np.zeros((2, 63), np.uint8))


def test_floats_from_0_to_1_are_the_bytes_that_they_were():
    images, labels = digits()
    classifier = small().fit(images, labels)
    expected = classifier.predict_proba(images)
    for dtype in (np.float32, np.float64):
        np.testing.assert_array_equal(
            classifier.predict_proba(images.astype(dtype) / 255), expected
        )
    other = small().fit(images / 255, labels)
    np.testing.assert_array_equal(other.predict_proba(images), expected)
    black_and_white = small().fit(images > 100, labels)
    assert black_and_white.score((images > 100) * 1.0, labels) == black_and_white.score(
        (images > 100) * np.uint8(255), labels
    )


@pytest.mark.parametrize(
    ("images", "what"),
    [
        (np.full((2, 4, 4, 1), 7.0), "float64 from 7 to 7"),
        (np.full((2, 4, 4, 1), -0.5), "float64 from -0.5 to -0.5"),
        (np.full((2, 4, 4, 1), 1), "int64 from 1 to 1"),
        (np.full((2, 4, 4, 1), 300, np.uint16), "uint16 from 300 to 300"),
    ],
)
def test_numbers_whose_range_is_not_clear(images, what):
    with pytest.raises(DataError, match=rf"not {what}: give pixel_range=\(0, 255\) if .*='data'"):
        small().fit(images, [0, 1])


def test_a_range_of_pixels():
    images, labels = digits()
    expected = small().fit(images, labels).predict_proba(images)
    # Bytes are levels of the range: −1 is 0, and 1 is 255.
    floats = images / 127.5 - 1
    classifier = small(pixel_range=(-1, 1)).fit(floats, labels)
    np.testing.assert_array_equal(classifier.predict_proba(floats), expected)
    floats[0, 0, 0, 0] = 1.5
    with pytest.raises(DataError, match=r"from -1 to 1\.5, outside of pixel_range=\(-1, 1\)"):
        classifier.predict(floats)


def test_the_range_of_the_images_that_are_trained_on():
    images, labels = digits()
    assert images.min() == 0
    assert images.max() == 240
    classifier = small(pixel_range="data").fit(images * 2.0 - 100, labels)
    assert classifier.pixel_range_ == (-100, 380)
    same = small(pixel_range=(0, 240)).fit(images, labels)
    expected = same.predict_proba(images)
    np.testing.assert_array_equal(classifier.predict_proba(images * 2.0 - 100), expected)
    # What is outside of it counts as its ends.
    wide = np.where(images == 240, 1000.0, np.where(images == 0, -1000.0, images * 2.0 - 100))
    np.testing.assert_array_equal(classifier.predict_proba(wide), expected)
    flat = small(pixel_range="data").fit(np.full((2, 4, 4, 1), 5.0), [0, 1])
    assert flat.pixel_range_ == (5, 6)


@pytest.mark.parametrize("given", [(1, 0), (0, 0), (0, float("inf")), "all", (0, 1, 2), 3])
def test_ranges_that_are_none(given):
    with pytest.raises(DataError, match=r"pixel_range \(=.*\) must be \(lowest, highest\)"):
        small(pixel_range=given).fit(*digits(20))


@pytest.mark.parametrize(
    "labels", [["cat", "dog", "owl"], [10, -3, 7], [True, False], np.array(["b", "a"], object)]
)
def test_labels_of_any_type(labels):
    images, numbers = digits()
    y = np.asarray(labels)[numbers % len(labels)]
    classifier = small().fit(images, y)
    np.testing.assert_array_equal(classifier.classes_, sorted(labels))
    assert classifier.classes_.dtype == y.dtype
    predicted = classifier.predict(images)
    assert predicted.dtype == y.dtype
    assert (predicted == y).mean() > 1.5 / len(labels)
    assert classifier.network_.classes == tuple(str(label) for label in sorted(labels))


def test_labels_that_can_be_no_names_of_classes():
    images, numbers = digits()
    classifier = small().fit(images, np.array(["a\nb", "c"])[numbers % 2])
    assert classifier.network_.classes is None
    assert set(classifier.predict(images)) == {"a\nb", "c"}
