"""`neocog.similar`: cosines of features, the picture itself left out."""

import math
import shutil

import numpy as np
import pytest
from folders import pictures, write_folder
from photographs import network

import neocog
from neocog.curation.similarity import cosines
from neocog.errors import DataError, NeocogError

NET = network()


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "photos", 15, 3)


def test_cosines_by_hand():
    rows = [[3, 4], [0, 0], [-6, -8], [4, -3], [1, 0]]
    found = cosines(np.array(rows, np.float32), np.array([3, 4], np.float32))
    assert found == pytest.approx([1, 0, -1, 0, 0.6], abs=1e-12)
    assert cosines(np.ones((2, 3), np.float32), np.zeros(3, np.float32)).tolist() == [0, 0]


def test_cosines_of_many():
    rng = np.random.default_rng(0)
    rows, one = rng.normal(size=(3000, 20)).astype(np.float32), rng.normal(size=20)
    one = one.astype(np.float32)
    by_hand = [
        sum(float(a) * float(b) for a, b in zip(row, one, strict=True))
        / (math.hypot(*map(float, row)) * math.hypot(*map(float, one)))
        for row in rows
    ]
    assert cosines(rows, one) == pytest.approx(by_hand, abs=1e-12)


def test_cosines_as_scikit_learn_has_them():
    pairwise = pytest.importorskip("sklearn.metrics.pairwise")
    rows = np.random.default_rng(1).normal(size=(50, 30)).astype(np.float32)
    expected = pairwise.cosine_similarity(rows.astype(np.float64), rows[:1].astype(np.float64))
    np.testing.assert_allclose(cosines(rows, rows[0]), expected[:, 0], atol=1e-12)


def test_the_most_similar_come_first(folder):
    found = neocog.similar(NET, folder / "red" / "000.png", folder, count=30)
    features = dict(zip(found.embedding.names, found.embedding.features, strict=True))
    asked = features["red/000.png"].astype(np.float64)
    values = {
        name: float(row @ asked / np.linalg.norm(row) / np.linalg.norm(asked))
        for name, row in features.items()
    }
    del values["red/000.png"]
    assert [one.name for one in found.matches] == sorted(values, key=lambda name: -values[name])
    for one in found.matches:
        assert one.similarity == pytest.approx(values[one.name], abs=1e-6)
        assert found.embedding.names[one.index] == one.name
        assert one.label == (None if "unlabeled" in one.name else one.name.split("/")[0])


def test_a_copy_is_found_and_the_picture_itself_is_not(folder, tmp_path):
    shutil.copy(folder / "red" / "003.png", folder / "blue" / "copy.png")
    for path in (folder / "red" / "003.png", folder / "blue" / ".." / "red" / "003.png"):
        (one,) = neocog.similar(NET, path, folder, count=1).matches
        assert one.name == "blue/copy.png"
        assert one.similarity == pytest.approx(1, abs=1e-12)
    shutil.copy(folder / "red" / "003.png", tmp_path / "elsewhere.png")
    found = neocog.similar(NET, tmp_path / "elsewhere.png", folder, count=2).matches
    assert {one.name for one in found} == {"blue/copy.png", "red/003.png"}


def test_pixels_and_data_in_memory(folder):
    data = pictures(18)
    found = neocog.similar(NET, data.images[3], data, count=1)
    assert [one.name for one in found.matches] == ["3"]
    assert neocog.similar(NET, str(folder / "red" / "003.png"), data, count=1).matches == (
        found.matches
    )


def test_refusals(folder, tmp_path):
    alone = write_folder(tmp_path / "alone", 1)
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="alone has no other pictures to compare with"):
        neocog.similar(NET, alone / "red" / "000.png", alone)
    with pytest.raises(DataError, match=r"bad\.png is not an image"):
        neocog.similar(NET, tmp_path / "bad.png", folder)
    with pytest.raises(DataError, match=r"nowhere\.png"):
        neocog.similar(NET, tmp_path / "nowhere.png", folder)
    with pytest.raises(DataError, match=r"picture must be a path, or uint8"):
        neocog.similar(NET, np.zeros((4, 4)), folder)
    with pytest.raises(DataError, match="picture has 2 channels"):
        neocog.similar(NET, np.zeros((4, 4, 2), np.uint8), folder)
    with pytest.raises(NeocogError, match=r"count \(=0\) must be"):
        neocog.similar(NET, alone / "red" / "000.png", folder, count=0)
