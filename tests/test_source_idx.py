"""IDX files, written here by the format's description."""

import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neocog import NeocogError
from neocog.data import load_data
from neocog.errors import DataError

FASHION = Path("/usr/share/datasets/fashion-mnist")
RNG = np.random.default_rng(0)
# Of a machine that has other things to do, and of a folder that each example empties.
LOOSE = (HealthCheck.too_slow, HealthCheck.function_scoped_fixture)


def idx(array: np.ndarray) -> bytes:
    head = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(np.uint8).tobytes()


def write(folder: Path, names: str, images, labels, packed=False) -> None:
    """Names have `#` where there is "images-idx3" or "labels-idx1"."""
    folder.mkdir(parents=True, exist_ok=True)
    for what, content in (("images-idx3", idx(images)), ("labels-idx1", idx(labels))):
        (folder / names.replace("#", what)).write_bytes(
            gzip.compress(content) if packed else content
        )


def pictures(count: int, height=5, width=4) -> np.ndarray:
    return RNG.integers(0, 256, (count, height, width), np.uint8)


def test_both_pairs_are_train_and_test(tmp_path):
    train, test = pictures(30), pictures(20)
    write(tmp_path / "mnist", "train-#-ubyte", train, np.arange(30) % 10)
    write(tmp_path / "mnist", "t10k-#-ubyte.gz", test, np.arange(20) % 10, packed=True)
    data = load_data(tmp_path / "mnist")
    assert (data.name, data.classes) == ("mnist", tuple("0123456789"))
    assert np.array_equal(data.train.images, train[..., None])
    assert np.array_equal(data.test.images, test[..., None])
    assert data.test.labels.tolist() == list(range(10)) * 2
    assert len(data.validation) == 0


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
        ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
        ("train-images.idx3-ubyte", "train-labels.idx1-ubyte.gz"),
        ("train_images_idx3_ubyte", "train_labels_idx1_ubyte"),
        ("Train-Images-IDX3-Ubyte", "train-labels-idx1-ubyte"),
        ("images-idx3-ubyte", "labels-idx1-ubyte"),
    ],
)
def test_names_as_copies_have_them(tmp_path, images, labels):
    pixels = pictures(10)
    for name, content in ((images, idx(pixels)), (labels, idx(np.arange(10) % 2))):
        packed = name.endswith(".gz")
        (tmp_path / name).write_bytes(gzip.compress(content) if packed else content)
    data = load_data(tmp_path)
    assert (len(data.train), len(data.validation)) == (8, 2)  # split, as there is no test
    found = {one.tobytes() for one in (*data.train.images, *data.validation.images)}
    assert found == {one.tobytes() for one in pixels}


def test_a_folder_as_torchvision_makes_it(tmp_path):
    write(tmp_path / "MNIST" / "raw", "train-#-ubyte", pictures(6), np.arange(6) % 2)
    for place in (tmp_path, tmp_path / "MNIST", tmp_path / "MNIST" / "raw"):
        assert load_data(place).name == "MNIST"


def test_of_several_sets_one_is_named(tmp_path):
    letters = pictures(8, 4, 4)
    write(tmp_path, "emnist-letters-train-#-ubyte", letters, np.arange(8) % 2 + 1)
    write(tmp_path, "emnist-digits-train-#-ubyte", pictures(8), np.arange(8) % 2)
    with pytest.raises(DataError, match="several sets of images: emnist-digits, emnist-letters"):
        load_data(tmp_path)
    for what in ("images-idx3", "labels-idx1"):
        data = load_data(tmp_path / f"emnist-letters-train-{what}-ubyte", validation=0)
        assert (data.name, data.classes) == ("emnist-letters", ("1", "2"))
    # Its columns are rows, says EMNIST's page.
    order = np.argsort([str(n) for n in range(8)], kind="stable")
    assert np.array_equal(data.train.images[..., 0], letters.transpose(0, 2, 1)[order])
    assert "EMNIST" in data.notes[0]


def test_classes_of_fashion_mnist_are_known(tmp_path):
    folder = tmp_path / "Fashion-MNIST" / "raw"
    write(folder, "train-#-ubyte", pictures(20), np.arange(20) % 10)
    assert load_data(folder).classes[:2] == ("T-shirt/top", "Trouser")
    assert load_data(folder, classes=["Bag", "Coat"]).classes == ("Bag", "Coat")


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_that_is_cut_anywhere_is_refused(tmp_path, packed):
    name = "train-#-ubyte.gz" if packed else "train-#-ubyte"
    write(tmp_path, name, pictures(3), np.arange(3), packed)
    file = tmp_path / name.replace("#", "images-idx3")
    content = file.read_bytes()
    for end in range(len(content)):
        file.write_bytes(content[:end])
        with pytest.raises(DataError, match=r"images-idx3-ubyte.* is damaged: "):
            load_data(tmp_path)
    file.write_bytes(content + b"more")
    with pytest.raises(DataError):
        load_data(tmp_path)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (b"\0\0\x0d\x03", "begins with 00000d03, and IDX files of bytes with 00000803"),
        (b"\0\0\x08\x01", "begins with 00000801"),
        (b"\0\0\x08\x03" + b"\xff" * 4 + b"\0\0\x20\0" * 2, r"header says 288,[\d,]+ bytes"),
        (b"\0\0\x08\x03\0\0\0\1\0\0\x20\1\0\0\0\1", "of 8193 × 1 pixels"),
        (b"\0\0\x08\x03\0\0\0\1\0\0\0\0\0\0\0\1", "of 0 × 1 pixels"),
        (b"\0\0\x08\x03\0\0\0\1\0\0\0\1\0\0\0\1", "header says 17 bytes|more in it"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_header_that_lies_is_refused(tmp_path, head, message, packed):
    name = "train-#-ubyte.gz" if packed else "train-#-ubyte"
    write(tmp_path, name, pictures(3), np.arange(3), packed)
    content = head + bytes(100)
    file = tmp_path / name.replace("#", "images-idx3")
    file.write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(DataError, match=message) as caught:
        load_data(tmp_path)
    assert "\n" not in str(caught.value)


def test_what_unpacks_to_more_than_it_says_is_not_unpacked(tmp_path, monkeypatch):
    write(tmp_path, "train-#-ubyte.gz", pictures(3), np.arange(3), packed=True)
    file = tmp_path / "train-images-idx3-ubyte.gz"
    file.write_bytes(gzip.compress(idx(pictures(3)) + bytes(10_000_000)))
    with pytest.raises(DataError, match="there is more in it than its header says"):
        load_data(tmp_path)
    file.write_bytes(gzip.compress(idx(np.zeros((1000, 100, 100)))))
    monkeypatch.setattr("neocog.limits.available_memory", lambda: 1_000_000)
    with pytest.raises(NeocogError, match=r"needs 9.5 MiB of memory"):
        load_data(tmp_path)


def test_what_does_not_belong_together_is_refused(tmp_path):
    write(tmp_path, "train-#-ubyte", pictures(3), np.arange(4))
    with pytest.raises(DataError, match=r"has 4 labels, and .*images-idx3-ubyte 3 images"):
        load_data(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="train-images-idx3-ubyte has no file of labels beside it"):
        load_data(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
@pytest.mark.timeout(20)
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "train-images-idx3-ubyte")
    os.mkfifo(tmp_path / "train-labels-idx1-ubyte")
    with pytest.raises(DataError, match="train-images-idx3-ubyte cannot be read: This is a pipe"):
        load_data(tmp_path)


@settings(max_examples=25, deadline=None, suppress_health_check=LOOSE)
@given(st.integers(1, 9), st.integers(1, 40), st.integers(1, 40), st.booleans())
def test_images_of_any_size(tmp_path, count, height, width, packed):
    images = pictures(count, height, width)
    for path in tmp_path.iterdir():
        path.unlink()
    name = "train-#-ubyte.gz" if packed else "train-#-ubyte"
    write(tmp_path, name, images, np.arange(count), packed)
    data = load_data(tmp_path, size=(height, width))
    assert len(data.validation) == 0  # classes of one picture
    found = data.train.images[np.argsort(data.train.labels), :, :, 0]
    assert np.array_equal(found, images)


@pytest.mark.skipif(not FASHION.is_dir(), reason="Debian's dataset-fashion-mnist is not installed")
def test_the_real_fashion_mnist():
    data = load_data(FASHION)
    assert data.train.images.shape == (60_000, 28, 28, 1)
    assert np.bincount(data.train.labels).tolist() == [6_000] * 10
    assert np.bincount(data.test.labels).tolist() == [1_000] * 10
    assert data.classes[9] == "Ankle boot"
