"""Features are computed once for each picture, and nothing wrong is ever taken from the cache."""

import numpy as np
import pytest
from photographs import network, pictures

from neocog import Preprocessing
from neocog.data.cache.cache_room import list_kept
from neocog.transfer.feature_cache import FeatureCache, picture_keys
from neocog.transfer.features import Features
from neocog.transfer.views import seen


@pytest.fixture(autouse=True)
def cache(own_cache):
    """The folder of entries, in an empty cache of our own."""
    return own_cache / "pictures"


IMAGES = pictures(30).images


def computed(images=IMAGES, net=None, place=None, view="whole"):
    """How many pictures' features had to be computed, which are right in any case."""
    net = network() if net is None else net
    features = Features(net, place, 1)
    asked = FeatureCache(features)
    found = asked.of(images, view)
    assert asked.why_not_kept == ""
    assert found.tobytes() == features.of(seen(images, view)).tobytes()
    return asked.computed


@pytest.mark.parametrize("place", [None, "block1"])
def test_they_are_computed_once(place):
    assert computed(place=place) == 30
    assert computed(place=place) == 0
    assert computed(IMAGES[::-1][:7], place=place) == 0


def test_a_picture_more_costs_its_own_features_only():
    computed(IMAGES[:25])
    assert computed(IMAGES) == 5
    assert computed(IMAGES[:25]) == 0


def test_equal_pictures_have_the_same_features():
    twice = np.concatenate([IMAGES, IMAGES[:3]])
    assert computed(twice) == 33  # within one call none is looked for among the others
    assert computed(twice) == 0
    assert sum(one.about.shape[0] for one in list_kept()) == 30


def test_anything_else_misses():
    assert computed() == 30
    changed = IMAGES.copy()
    changed[4, 0, 0, 0] ^= 1
    assert computed(changed) == 1
    assert computed(view="mirror") == 30
    assert computed(place="block1") == 30
    assert computed(net=network(seed=1)) == 30
    other = network()
    other.preprocessing = Preprocessing((0.5, 0.5, 0.4), (0.5, 0.5, 0.5))
    assert computed(net=other) == 30
    assert computed() == 0


def test_the_key_is_of_the_shape_too():
    one = np.arange(48, dtype=np.uint8)
    shapes = [(1, 4, 4, 3), (1, 2, 8, 3), (1, 4, 12, 1)]
    assert len({picture_keys(one.reshape(shape))[0] for shape in shapes}) == 3


def entries(cache):
    return sorted(cache.glob("*/entry"))


def test_damaged_rows_are_computed_again(cache):
    computed()
    flipped = 0
    for path in entries(cache):
        data = bytearray(path.read_bytes())
        data[100] ^= 1  # a number of the first row
        path.write_bytes(data)
        flipped += 1
    assert computed() == flipped
    assert computed() == 0


def test_torn_and_foreign_entries_are_computed_again(cache):
    computed()
    first, second, third, *_others = entries(cache)
    rows = {path: (path.stat().st_size - 200) // (32 + 160) for path in (first, second, third)}
    first.write_bytes(first.read_bytes()[:-1])
    second.write_bytes(b"")
    third.write_bytes(first.read_bytes() + b"\0")
    lost = computed()
    assert lost >= 3
    assert sum(rows.values()) - 3 <= lost <= sum(rows.values()) + 3
    assert computed() == 0


def test_rows_of_other_weights_under_the_right_name(cache):
    """The checksum is of the picture and the numbers, so that they cannot change places."""
    computed()
    path = max(entries(cache), key=lambda one: one.stat().st_size)
    data = bytearray(path.read_bytes())
    row = 32 + 40 * 4
    data[:16], data[row : row + 16] = data[row : row + 16], data[:16]
    path.write_bytes(data)
    assert computed() == 2


def test_where_others_can_write_nothing_is_used(cache):
    computed()
    for path in entries(cache):
        path.chmod(0o666)
    assert computed() == 30


def test_rows_of_other_pictures_stay_up_to_a_bound(monkeypatch):
    row = 32 + 40 * 4
    monkeypatch.setattr("neocog.transfer.feature_cache._SPARE", 2 * row)
    monkeypatch.setattr("neocog.transfer.feature_cache._BANKS", 1)
    computed(IMAGES[:10])
    computed(IMAGES[10:11])
    (one,) = list_kept()
    assert one.about.shape[0] == 3
    computed(IMAGES[11:30])
    (one,) = list_kept()
    assert one.about.shape[0] == 19 + 3


def test_the_cache_turned_off(monkeypatch, cache):
    monkeypatch.setenv("NEOCOG_CACHE_SHARE", "0")
    assert computed() == 30
    assert computed() == 30
    assert not cache.exists()


def test_no_disk_for_it(monkeypatch, cache, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("NEOCOG_CACHE_DIR", str(tmp_path / "file"))
    asked = FeatureCache(Features(network(), None, 1))
    found = asked.of(IMAGES)
    assert found.tobytes() == Features(network()).of(IMAGES).tobytes()
    assert asked.computed == 30
    assert "file" in asked.why_not_kept


def test_nothing_is_kept_unless_wanted(cache):
    asked = FeatureCache(Features(network(), None, 1), keeps=False)
    assert asked.of(IMAGES).shape == (30, 40)
    assert not cache.exists()


def test_pictures_held_out_take_nobody_elses_place(monkeypatch):
    monkeypatch.setattr("neocog.transfer.feature_cache._BANKS", 1)
    assert computed() == 30
    computed(pictures(36).images[30:])
    assert computed() == 0


def progress_of(images, view="whole", keeps=True):
    """What is told: how many are done, and how many were computed once more."""
    told = []
    asked = FeatureCache(Features(network(), None, 1), keeps)
    asked.on_progress = lambda: told.append((asked.done, asked.again))
    for _time in range(2):
        asked.of(images, view)
    return told


def test_progress_counts_those_that_are_there(monkeypatch):
    monkeypatch.setattr("neocog.transfer.feature_cache._BANKS", 2)
    assert computed(IMAGES[:20]) == 20
    told = progress_of(IMAGES)
    assert told == sorted(set(told))
    assert told[0][0] > 5  # the first bank's that are there, with those that are not
    assert told[-1] == (30, 0)
    assert progress_of(IMAGES)[-1] == (30, 0)  # where all are there


def test_progress_says_what_is_computed_again_as_nothing_is_kept():
    told = progress_of(IMAGES, keeps=False)
    assert told == sorted(set(told))
    assert (30, 0) in told
    assert told[-1] == (30, 30)
