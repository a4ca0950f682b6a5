"""`Data` and `Dataset`: what tells data apart, and where they came from."""

import hashlib

import numpy as np
import pytest

from neocog.data import Data, Dataset, load_data
from neocog.data.images import mixed
from neocog.data.shapes import shapes
from neocog.data.sources import cifar10 as cifar
from neocog.errors import NeocogError


def dataset(first=0, count=3, images=None) -> Dataset:
    if images is None:
        images = np.arange(first, first + count * 12, dtype=np.uint8).reshape(count, 2, 2, 3)
    return Dataset(images, np.arange(count, dtype=np.int64))


def data(train: Dataset, test: Dataset, **changes) -> Data:
    return Data(
        **{"name": "mine", "train": train, "test": test, "classes": tuple("abc"), **changes}
    )


def test_a_fingerprint_is_the_hash_of_sizes_pixels_and_labels():
    labels = b"".join(k.to_bytes(8, "little") for k in range(3))
    plain = b""
    for name, pixels in (("train", range(36)), ("validation", ()), ("test", range(100, 136))):
        count = len(pixels) // 12
        digest = hashlib.sha256(bytes(pixels)).hexdigest()
        plain += f"{name} [{count}, 2, 2, 3] {digest}\n".encode() + labels[: 8 * count]
    found = data(dataset(), dataset(100)).fingerprint
    assert found == hashlib.sha256(plain).hexdigest()


def test_a_fingerprint_depends_on_content_alone():
    train, test = dataset(), dataset(100)
    usual = data(train, test).fingerprint
    again = dataset(images=train.images.copy()), dataset(100)
    assert data(*again, name="other", source="/some/where").fingerprint == usual
    spread = np.zeros((6, 2, 2, 3), np.uint8)
    spread[::2] = train.images
    assert data(dataset(images=spread[::2]), test).fingerprint == usual  # however they lie


@pytest.mark.parametrize("change", ["pixel", "label", "swapped", "shape"])
def test_other_content_has_another_fingerprint(change):
    train, test = dataset(), dataset(100)
    usual = data(train, test).fingerprint
    if change == "pixel":
        test = dataset(100)
        test.images[2, 1, 1, 2] += 1
    elif change == "label":
        train.labels[1] = 2
    elif change == "swapped":
        train, test = test, train
    else:
        train = dataset(images=train.images.reshape(3, 1, 4, 3))
    assert data(train, test).fingerprint != usual


def test_more_images_than_are_hashed_at_a_time(monkeypatch):
    usual = data(dataset(count=7), dataset(100)).fingerprint
    monkeypatch.setattr("neocog.data.images._CHUNK", 2)
    assert data(dataset(count=7), dataset(100)).fingerprint == usual


def test_the_source_is_what_load_data_takes(tmp_path, monkeypatch):
    for name in ("RECORDS", "FILE_BYTES"):
        monkeypatch.setattr(cifar, name, {"RECORDS": 125, "FILE_BYTES": 125 * 3073}[name])
    for name in cifar.FILES:
        (tmp_path / name).write_bytes(bytes(125 * 3073))
    monkeypatch.chdir(tmp_path.parent)
    here = load_data(tmp_path.name)
    assert here.source == str(tmp_path)
    monkeypatch.chdir("/")
    assert load_data(here.source).fingerprint == here.fingerprint
    assert load_data("cifar10", data_dir=tmp_path).source == str(tmp_path)
    monkeypatch.setenv("NEOCOG_DATA", str(tmp_path))
    assert load_data("cifar10").source == "cifar10"


def test_only_the_usual_shapes_are_known_by_their_name():
    drawn = shapes(0, 30, 20)
    assert drawn.source == ""
    assert shapes(3, 30, 20).fingerprint != drawn.fingerprint
    assert shapes(0, 30, 20).fingerprint == drawn.fingerprint


@pytest.mark.parametrize("classes", [["a", "b", "c"], np.array(["a", "b", "c"])])
def test_classes_are_names_as_a_network_has_them(classes):
    assert data(dataset(), dataset(), classes=classes).classes == ("a", "b", "c")
    with pytest.raises(NeocogError, match="classes"):
        data(dataset(), dataset(), classes=3)


def test_a_fair_sample_of_images_in_the_order_of_their_classes():
    images = np.arange(60, dtype=np.uint8).reshape(60, 1, 1, 1)
    by_class = Dataset(images, np.repeat([0, 1, 2], 20), [f"{n}.png" for n in range(60)])
    found = mixed(by_class, 30)
    assert len(found) == 30
    assert len(set(found.images.ravel().tolist())) == 30
    # Also the first few alone have all classes.
    assert set(found.labels[:10].tolist()) == {0, 1, 2}
    for image, label, name in zip(found.images.ravel(), found.labels, found.names, strict=True):
        assert (label, name) == (image // 20, f"{image}.png")
    np.testing.assert_array_equal(mixed(by_class, 30).images, found.images)
    # Images that somebody has mixed are not copied.
    shuffled = Dataset(images, np.arange(60) % 3)
    assert np.shares_memory(mixed(shuffled, 30).images, images)
    np.testing.assert_array_equal(mixed(shuffled, 30).images, images[:30])
    assert len(mixed(by_class[:0], 5)) == 0
