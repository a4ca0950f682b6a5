"""Features of pictures that come some at a time: the same bits, through the same cache."""

import numpy as np
import pytest
from photographs import network, pictures

from neocog.data.cache.cache_room import list_kept
from neocog.errors import DataError
from neocog.transfer.feature_cache import FeatureCache
from neocog.transfer.features import Features

IMAGES = pictures(50).images


@pytest.fixture(autouse=True)
def cache(own_cache):
    return own_cache / "pictures"


def asked(keeps=True):
    return FeatureCache(Features(network(), None, 1), keeps)


def in_batches(images, size=7):
    return (images[first : first + size] for first in range(0, len(images), size))


def computed(images, keeps=True):
    """How many had to be computed, which are right in any case."""
    cache = asked(keeps)
    found = cache.of_batches(in_batches(images), len(images) + 3)
    assert found.tobytes() == Features(network(), None, 1).of(images).tobytes()
    return cache.computed


def test_they_are_computed_once():
    assert computed(IMAGES) == 50
    assert computed(IMAGES) == 0
    assert computed(IMAGES[::-1]) == 0


def test_both_ways_share_the_cache():
    asked().of(IMAGES[:20])
    assert computed(IMAGES) == 30
    again = asked()
    again.of(IMAGES)
    assert again.computed == 0


def test_a_lone_picture_has_the_bits_that_it_has_in_company():
    alone = asked(keeps=False).of_batches(in_batches(IMAGES, 1), 50)
    assert alone.tobytes() == Features(network(), None, 1).of(IMAGES).tobytes()


def test_many_pictures_stay_in_the_cache(monkeypatch):
    """A batch does not push out those before it, however small banks are."""
    monkeypatch.setattr("neocog.transfer.feature_cache._SPARE", 1)
    monkeypatch.setattr("neocog.transfer.feature_cache._BANKS", 1)
    assert computed(IMAGES) == 50
    (one,) = list_kept()
    assert one.about.shape[0] == 50
    assert computed(IMAGES) == 0


def test_what_was_computed_before_an_error_is_kept():
    def batches():
        yield IMAGES[:20]
        raise DataError("gone")

    with pytest.raises(DataError, match="gone"):
        asked().of_batches(batches(), 50)
    assert computed(IMAGES) == 30


def test_damaged_rows_are_computed_again(cache):
    computed(IMAGES)
    paths = sorted(cache.glob("*/entry"))
    for path in paths:
        data = bytearray(path.read_bytes())
        data[100] ^= 1  # a number of the first row
        path.write_bytes(data)
    assert computed(IMAGES) == len(paths)
    assert computed(IMAGES) == 0


def test_nothing_is_kept_unless_wanted(cache, monkeypatch):
    assert computed(IMAGES, keeps=False) == 50
    assert not cache.exists()
    monkeypatch.setenv("NEOCOG_CACHE_SHARE", "0")
    assert computed(IMAGES) == 50
    assert not cache.exists()


def test_no_disk_for_it(monkeypatch, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("NEOCOG_CACHE_DIR", str(tmp_path / "file"))
    cache = asked()
    assert len(cache.of_batches(in_batches(IMAGES), 50)) == 50
    assert "file" in cache.why_not_kept


def test_pictures_of_another_shape():
    with pytest.raises(DataError, match="takes images"):
        asked().of_batches([np.zeros((2, 5, 5, 3), np.uint8)], 2)


def test_no_pictures():
    assert asked().of_batches([], 5).shape == (0, 40)
