"""Which pictures of a folder have which label, and which have none."""

import zipfile

import numpy as np
import pytest
from picture_folders import write_pictures

import neocog
from neocog.curation.pictures import pictures_of
from neocog.data.images import Dataset
from neocog.errors import DataError


def labels_of(source):
    """The label of each picture by its name; None where there is none."""
    found = pictures_of(source)
    return {
        found.picture_name(n): None if label < 0 else found.classes[label]
        for n, label in enumerate(found.labels.tolist())
    }


def test_pictures_beside_the_classes_have_no_label(tmp_path):
    for folder in ("cat", "dog/old", "."):
        write_pictures(tmp_path / folder, 1)
    assert labels_of(tmp_path) == {"000.png": None, "cat/000.png": "cat", "dog/old/000.png": "dog"}


@pytest.mark.parametrize("name", ["unlabeled", "Unlabeled", "unlabell" + "ed"])
def test_a_folder_called_unlabeled(tmp_path, name):
    for folder in ("cat", f"{name}/monday", "unlabeled dogs"):
        write_pictures(tmp_path / folder, 1)
    assert labels_of(tmp_path) == {
        "cat/000.png": "cat",
        f"{name}/monday/000.png": None,
        "unlabeled dogs/000.png": "unlabeled dogs",
    }


def test_parts_are_taken_together(tmp_path):
    for folder in ("train/cat", "val/dog", "test/cat", "test/unlabeled", "unlabeled"):
        write_pictures(tmp_path / folder, 1)
    assert labels_of(tmp_path) == {
        "test/cat/000.png": "cat",
        "test/unlabeled/000.png": None,
        "train/cat/000.png": "cat",
        "unlabeled/000.png": None,
        "val/dog/000.png": "dog",
    }


def test_a_folder_without_classes(tmp_path):
    write_pictures(tmp_path, 2)
    assert labels_of(str(tmp_path)) == {"000.png": None, "001.png": None}


def test_training_takes_them_for_no_class_either(tmp_path):
    for folder in ("cat", "dog", "unlabeled", "."):
        write_pictures(tmp_path / folder, 2)
    data = neocog.load_data(tmp_path)
    assert data.classes == ("cat", "dog")
    assert any("passed over: 4." in note for note in data.notes)


def test_other_sources(tmp_path):
    write_pictures(tmp_path / "photos" / "cat", 1)
    write_pictures(tmp_path / "photos" / "dog", 1)
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as file:
        for name in ("cat/000.png", "dog/000.png"):
            file.write(tmp_path / "photos" / name, name)
    assert labels_of(tmp_path / "photos.zip") == {"cat/000.png": "cat", "dog/000.png": "dog"}


def test_images_in_memory():
    images = np.zeros((3, 4, 4, 3), np.uint8)
    data = Dataset(images, np.array([1, 0, 1]))
    assert labels_of(data) == {"0": "1", "1": "0", "2": "1"}
    huge = Dataset(images, np.array([2**40, -3, 7]))
    assert labels_of(huge) == {"0": str(2**40), "1": None, "2": "7"}
    with pytest.raises(DataError, match="mine has the label 1, and the names of 1 classes"):
        pictures_of(neocog.Data("mine", data, data[:0], ("a",)))
    targets = Dataset(images, np.zeros((3, 2), np.float32))
    assert labels_of(targets) == {"0": None, "1": None, "2": None}
    both = neocog.Data("mine", data, data[:2], ("a", "b"))
    assert labels_of(both) == {
        "train:0": "b",
        "train:1": "a",
        "train:2": "b",
        "test:0": "b",
        "test:1": "a",
    }


def test_no_pictures(tmp_path):
    (tmp_path / "notes.txt").write_text("none")
    with pytest.raises(DataError, match=r"has no pictures\..*\.txt \(1\)"):
        pictures_of(tmp_path)
    with pytest.raises(DataError, match="There is no file or folder"):
        pictures_of(tmp_path / "nowhere")
    with pytest.raises(DataError, match="has no pictures"):
        pictures_of(Dataset(np.zeros((0, 4, 4, 3), np.uint8), np.zeros(0, np.int64)))
    with pytest.raises(DataError, match="must be the path of a folder"):
        pictures_of(3)
