"""What people have instead of arrays of bytes: taken where it is clear, else told what to write."""

import re

import numpy as np
import pytest
from PIL import Image

import neocog
from neocog import Flatten, Linear
from neocog.data import Data, Dataset
from neocog.errors import DataError
from neocog.explanation import explain

RNG = np.random.default_rng(3)
IMAGES = RNG.integers(0, 256, (5, 4, 6, 3), np.uint8)
LABELS = np.array([0, 1, 2, 1, 0])
DATA = Data("mine", Dataset(IMAGES, LABELS), Dataset(IMAGES, LABELS), tuple("abc"))


class Tensor:
    """Like PyTorch's: an array can be made of it, and nothing else is known of it."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return self._array


class OnAGpu:
    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu()")


@pytest.fixture(scope="module")
def network() -> neocog.Network:
    found = neocog.Network(input_shape=(3, 4, 6), flatten=Flatten(), fc=Linear(72, 3))
    found.initialize(0)
    return found


TAKEN = {
    "list": list(IMAGES),
    "tuple": tuple(IMAGES),
    "pillow": [Image.fromarray(image) for image in IMAGES],
    "tensor": Tensor(IMAGES),
    "tensors": [Tensor(image) for image in IMAGES],
    "dataset": DATA.test,
}


@pytest.mark.parametrize("kind", TAKEN)
def test_images_of_any_kind_are_predicted(network, kind):
    wanted = network.predict_proba(IMAGES)
    np.testing.assert_array_equal(network.predict_proba(TAKEN[kind]), wanted)
    np.testing.assert_array_equal(network.predict(TAKEN[kind]), wanted.argmax(axis=1))
    np.testing.assert_array_equal(neocog.predict_proba(network, TAKEN[kind]), wanted)
    flipped = neocog.predict_proba(network, IMAGES, tta="flip")
    np.testing.assert_array_equal(neocog.predict_proba(network, TAKEN[kind], tta="flip"), flipped)


@pytest.mark.parametrize("kind", [kind for kind in TAKEN if kind != "dataset"])
def test_a_dataset_is_made_of_them(kind):
    made = Dataset(TAKEN[kind], LABELS)
    np.testing.assert_array_equal(made.images, IMAGES)
    assert made.images.dtype == np.uint8


@pytest.mark.parametrize(
    "labels",
    [
        LABELS.tolist(),
        tuple(LABELS),
        list(LABELS),
        LABELS.astype(np.uint8),
        LABELS.astype(">i8"),
        LABELS.astype(np.uint64),
        Tensor(LABELS.astype(np.int32)),
    ],
)
def test_labels_of_any_kind_of_whole_numbers(labels):
    made = Dataset(IMAGES, labels)
    assert made.labels.dtype == np.dtype(np.int64)
    np.testing.assert_array_equal(made.labels, LABELS)


def test_arrays_of_the_right_kind_are_not_copied():
    made = Dataset(IMAGES, LABELS)
    assert made.images is IMAGES
    assert made.labels is LABELS
    assert len(Dataset(IMAGES[:0], [])) == 0


def test_a_tuple_is_a_dataset(network):
    found = neocog.evaluate(network, (list(IMAGES), LABELS.tolist()))
    assert found.confusion.tolist() == neocog.evaluate(network, DATA.test).confusion.tolist()


@pytest.mark.parametrize(
    ("images", "says"),
    [
        (IMAGES / 255, "not float64 [5, 4, 6, 3]: write (255 * images).round().astype(np.uint8)"),
        (IMAGES.astype(np.int64), "write images.astype(np.uint8), if they go from 0 to 255"),
        (IMAGES > 9, "must be uint8, pixels from 0 to 255, not bool"),
        (IMAGES[0], "not [4, 6, 3]: write image[None] for one image, images[..., None] for gray"),
        (IMAGES[0, 0], "not uint8 [6, 3]"),
        (Image.fromarray(IMAGES[0]), "write [image] for one"),
        ([Image.fromarray(IMAGES[0]).convert("P")], "mode 'P': write image.convert('RGB')"),
        ([IMAGES[0], IMAGES[0][:3]], "images[1] is [3, 6, 3], images[0] is [4, 6, 3]"),
        ([IMAGES[:2], IMAGES[2:4]], "not a batch [2, 4, 6, 3]: take one of it"),
        (IMAGES.tolist(), "must be an array"),
        ([], "the list is empty"),
        (DATA, "a Dataset, such as load_data(…).train, not Data"),
        ("a.png", "not str"),
        (None, "not NoneType"),
        (OnAGpu(), "Use Tensor.cpu()"),
        (IMAGES.transpose(0, 3, 1, 2), "Write images.transpose(0, 2, 3, 1)"),
    ],
)
def test_what_to_write_instead_of_other_images(network, images, says):
    for ask in (network.predict, lambda given: neocog.predict_proba(network, given, tta="flip")):
        with pytest.raises(DataError, match=re.escape(says)):
            ask(images)
    with pytest.raises(DataError, match=re.escape("uint8 [n, 4, 6, 3]")):
        network.predict(images)
    if "transpose" not in says:
        with pytest.raises(DataError, match=re.escape(says)):
            Dataset(images, LABELS)


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (LABELS / 1, "not float64 [5]: write np.array(labels, np.int64)"),
        (LABELS > 0, "not bool [5]"),
        (np.eye(3, dtype=int)[LABELS], "not [5, 3]: write labels.argmax(axis=1)"),
        (np.eye(3, dtype=int)[LABELS].tolist(), "or labels.astype(np.float32) for targets"),
        (LABELS[:, None], "not int64 [5, 1]: write np.array(labels, np.int64).reshape(-1)"),
        (list("abcab"), "must be int64 [n]"),
        ([0, 1, [2], 1, 0], "whole numbers, one for each image"),
        ([0, 1, 2, 1, 2**70], "must be int64 [n]"),
        (np.array([0, 1, 2, 1, 2**63], np.uint64), "not 9223372036854775808"),
        (LABELS[:4], "int64 [5], one for each image, not int64 [4]"),
        (3, "not int"),
        (None, "not NoneType"),
    ],
)
def test_what_to_write_instead_of_other_labels(labels, says):
    with pytest.raises(DataError, match=re.escape(says)):
        Dataset(IMAGES, labels)


@pytest.mark.parametrize("kind", [np.asarray, np.float16, np.ndarray.tolist])
def test_floats_in_columns_are_targets(kind):
    targets = np.float32(np.eye(5, 3)) / 2
    found = Dataset(IMAGES, kind(targets)).labels
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, targets)
    assert Dataset(IMAGES, targets).labels is targets


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (DATA, "mine has images to train on and to test with: write {}."),
        (IMAGES, "must be a Dataset, such as load_data(…).train, or a tuple (images, labels), not"),
        ([IMAGES, LABELS], "not list"),
        ((IMAGES, LABELS, LABELS), "not tuple"),
        (None, "not NoneType"),
        ("shapes", "not str"),
    ],
)
def test_what_to_write_instead_of_other_data(network, data, says):
    for ask, write in (
        (neocog.evaluate, "evaluate(network, data.test)"),
        (neocog.fit, "fit(network, data.train)"),
    ):
        with pytest.raises(DataError, match=re.escape(says.format(write))):
            ask(network, data)


@pytest.mark.parametrize("index", [0, -1, np.int64(2)])
def test_a_dataset_gives_no_single_images(index):
    with pytest.raises(
        DataError, match=re.escape(f"data.images[{index}] and data.labels[{index}]")
    ):
        DATA.test[index]


def test_with_pytorch(network):
    torch = pytest.importorskip("torch")
    images, labels = torch.tensor(IMAGES), torch.tensor(LABELS)
    wanted = network.predict_proba(IMAGES)
    np.testing.assert_array_equal(network.predict_proba(images), wanted)
    np.testing.assert_array_equal(network.predict_proba(list(images)), wanted)
    made = Dataset(images, labels.to(torch.int32))
    assert made.labels.tolist() == LABELS.tolist()
    assert Dataset(images, list(labels)).labels.tolist() == LABELS.tolist()
    with pytest.raises(DataError, match=r"not float32 .*\(255 \* images\)"):
        network.predict(images / 255)
    with pytest.raises(DataError, match="requires grad"):
        network.predict(torch.zeros(1, 4, 6, 3, requires_grad=True))


# What is given is not kept where it may change later


@pytest.fixture(scope="module")
def convolutional() -> neocog.Network:
    found = neocog.models.simple_cnn()
    found.initialize(0)
    return found


def test_an_explanation_keeps_its_image(convolutional):
    first, second = RNG.integers(0, 256, (2, 32, 32, 3), np.uint8)
    buffer = first.copy()
    wanted = explain(convolutional, first, 3).grad_cam().map
    found = explain(convolutional, buffer, 3)
    buffer[:] = second
    np.testing.assert_array_equal(found.image, first)
    np.testing.assert_array_equal(found.grad_cam().map, wanted)
    for given in (Image.fromarray(first), Tensor(first)):
        np.testing.assert_array_equal(explain(convolutional, given, 3).image, first)


def test_filters_keep_their_patches(convolutional):
    images = RNG.integers(0, 256, (4, 32, 32, 3), np.uint8)
    found = explain(convolutional, images[0], 3).filters(data=images, count=1)
    patches = [one.patch.copy() for (one,) in found.top_activations]
    images[:] = 0
    for (one,), patch in zip(found.top_activations, patches, strict=True):
        np.testing.assert_array_equal(one.patch, patch)


def test_a_page_of_other_data(convolutional):
    found = explain(convolutional, IMAGES[0, :1, :1].repeat(32, 0).repeat(32, 1), 3)
    with pytest.raises(DataError, match=re.escape("write to_html(data.test)")):
        found.to_html(DATA)
