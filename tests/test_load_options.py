"""Options of loading: what each may be, and which are kept to find the same images again."""

import inspect

import numpy as np
import pytest

from neocog import Data, NeocogError, Resize, load_data
from neocog.data.options import LoadOptions
from neocog.errors import DataError

IMAGES = np.random.default_rng(0).integers(0, 256, (8, 12, 10, 3), np.uint8)
LABELS = [0, 1] * 4


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("size", 0, r"size \(=0\) must be a side from 1 to 8192, or a pair of them"),
        ("size", (1, 2, 3), r"size \(=\(1, 2, 3\)\) must be a side"),
        ("size", "32", r"size \(='32'\) must be a side"),
        ("size", (32, 9000), "size .* must be a side"),
        ("channels", 2, r"channels \(=2\) must be 1 \(gray\) or 3 \(colors\)"),
        ("resize", "crop", r"resize \(='crop'\) must be a neocog.Resize"),
        ("classes", "cat", r"classes \(='cat'\) must be a list of names"),
        ("classes", [], r"classes \(=\[\]\) must be a list of names; leave it out for all"),
        ("classes", ["a", "b", "a"], "classes .* must be names that differ"),
        ("classes", ["a\n"], "The name of class 0, .* has a line break"),
        ("validation", 1, r"validation \(=1\) must be a number from 0 to below 1"),
        ("validation", float("nan"), "validation"),
        ("split_seed", -1, r"split_seed \(=-1\) must be a whole number from 0 to 2\*\*64 - 1"),
        ("on_bad", "ignore", r"on_bad \(='ignore'\) must be 'error' or 'skip'"),
        ("file_column", 3, r"file_column \(=3\) must be the name of a column"),
        ("label_column", b"x", r"label_column \(=b'x'\) must be the name of a column"),
        ("threads", 0, r"threads \(=0\) must be a whole number from 1 to 256"),
        ("progress", 3, r"progress \(=3\) must be a function of what, done and total"),
    ],
)
def test_values_that_cannot_be(tmp_path, name, value, message):
    for load in (load_data, Data.from_folder, lambda *_, **more: LoadOptions.of(**more)):
        with pytest.raises(DataError, match=message):
            load(tmp_path, **{name: value})


def test_values_of_numpys_are_pythons():
    found = LoadOptions.of(size=np.array([3, 4]), validation=np.float32(0.1), classes=[1, 2])
    assert found == LoadOptions(size=(3, 4), validation=0.1, classes=("1", "2"))
    assert LoadOptions.of(size=np.int64(5)).size == (5, 5)


def test_only_what_chooses_pictures_is_kept():
    assert (
        LoadOptions.of(size=3, channels=1, resize=Resize(), on_bad="skip", threads=2).chosen == {}
    )
    found = LoadOptions.of(classes=["a"], validation=0.1, split_seed=3, label_column="y")
    wanted = {"classes": ["a"], "validation": 0.1, "split_seed": 3, "label_column": "y"}
    assert found.chosen == wanted
    assert LoadOptions.of(validation=0.2, split_seed=0).chosen == {}


def test_load_data_takes_every_option():
    taken = inspect.signature(load_data).parameters
    for name, one in inspect.signature(LoadOptions).parameters.items():
        assert taken[name].default == one.default, name


def test_options_of_drawn_shapes():
    data = load_data("shapes", size=16, channels=1, classes=["star", "ring"])
    assert data.classes == ("star", "ring")
    assert data.train.images.shape[1:] == (16, 16, 1)
    usual = load_data("shapes")
    for label, name in enumerate(data.classes):
        number = usual.classes.index(name)
        assert (data.test.labels == label).sum() == (usual.test.labels == number).sum()
    assert (data.source, data.options) == ("shapes", {"classes": ["star", "ring"]})
    with pytest.raises(DataError, match="shapes has no class 'stars'"):
        load_data("shapes", classes=["stars"])


def test_split_and_threads_change_what_they_say():
    usual = load_data((IMAGES, LABELS), validation=0.25)
    assert len(usual.validation) == 2
    assert load_data((IMAGES, LABELS), validation=0.25, threads=1).fingerprint == usual.fingerprint
    assert len(load_data((IMAGES, LABELS), validation=0).validation) == 0


def test_progress_is_told():
    told = []
    load_data((IMAGES, LABELS), size=4, progress=lambda *what: told.append(what))
    assert {what for what, _done, _total in told} == {"decoding"}
    assert told[-1] == ("decoding", 8, 8)


def test_what_goes_with_cifar10_alone(tmp_path):
    for other in ("shapes", tmp_path):
        with pytest.raises(NeocogError, match="data_dir says where cifar10 lies"):
            load_data(other, data_dir=tmp_path)
    with pytest.raises(NeocogError, match="data_dir says where cifar10 lies"):
        load_data((IMAGES, LABELS), data_dir=tmp_path)
    with pytest.raises(NeocogError, match="label_column is for tables"):
        load_data((IMAGES, LABELS), label_column="y")
