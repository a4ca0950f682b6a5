"""What is kept of pictures: nothing torn or foreign is used, and all has its share of the disk."""

import errno
import os
import shutil

import numpy as np
import pytest
from faults import Faulty
from keeping import Store, expected, make_folder, pictures_of, png, ways

from neocog import files, load_data
from neocog.data import decoding
from neocog.data.cache import cache_room
from neocog.data.cache.cache_room import list_kept
from neocog.errors import NeocogError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache of our own."""
    monkeypatch.setenv("NEOCOG_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("NEOCOG_CACHE_SHARE", "0.5")
    return tmp_path / "cache" / "pictures"


@pytest.fixture
def decoded(monkeypatch):
    """The names of the pictures that are decoded."""
    names = []
    real = decoding.fit_picture

    def fit(content, shape, resize):
        names.append(len(content))
        return real(content, shape, resize)

    monkeypatch.setattr(decoding, "fit_picture", fit)
    return names


# Torn and foreign entries


def entry(cache):
    (path,) = cache.glob("*/entry")
    return path


def test_no_torn_entry_is_used(cache, decoded):
    pictures = pictures_of(Store([png(1), png(2)]))
    ways().decoded(pictures)
    whole = entry(cache).read_bytes()
    assert whole.startswith(expected([1, 2]).tobytes())
    torn = [whole[:-1], whole[1:], b"", whole[: len(whole) // 2], whole + b"\0", b"\0" + whole]
    torn += [whole.replace(b'"shape": [2, 4, 5, 3]', shape) for shape in FOREIGN_SHAPES]
    torn += [
        whole.replace(b'"key": "', b'"key": "0'),
        whole[:-16] + b"\xff" * 8 + whole[-8:],
        whole[:-16] + bytes(8) + whole[-8:],
        whole[:120] + b"[" * 50_000 + (50_000).to_bytes(8, "big") + whole[-8:],
        whole.replace(b'"bad": []', b'"bad": [0, 0]'),
    ]
    for n, content in enumerate(torn):
        assert content != whole, n
        entry(cache).write_bytes(content)
        found = ways().decoded(pictures)
        np.testing.assert_array_equal(found.images, expected([1, 2]))
        assert len(decoded) >= 2 * (n + 2), n
        assert entry(cache).read_bytes() == whole


# Each as long as what it replaces or not: the lengths at the end are then wrong as well.
FOREIGN_SHAPES = (
    b'"shape": [2, 4, 5, 4]',
    b'"shape": [4, 2, 5, 3]',
    b'"shape": [2, 4, 15,1]',
    b'"shape": [-2,4,-5,3]',
    b'"shape": [2, 4, 5.0]',
    b'"shape": "24 53" ,"a"',
)


def test_what_lies_in_the_place_of_an_entry(cache, tmp_path):
    pictures = pictures_of(Store([png(1)]))
    ways().decoded(pictures)
    path = entry(cache)
    victim = tmp_path / "victim"
    path.rename(victim)
    kept = victim.read_bytes()
    path.symlink_to(victim)  # whole, but not to be followed
    np.testing.assert_array_equal(ways().decoded(pictures).images, expected([1]))
    assert not path.is_symlink()
    assert victim.read_bytes() == kept
    path.unlink()
    path.mkdir()
    found = ways().decoded(pictures)
    np.testing.assert_array_equal(found.images, expected([1]))
    assert "directory" in found.why_not_kept.lower()


@pytest.mark.skipif(os.name != "posix", reason="no such rights")
def test_the_folder_is_the_users_alone(cache):
    ways().decoded(pictures_of(Store([png(1)])))
    assert {path.stat().st_mode & 0o777 for path in (cache, *cache.iterdir())} == {0o700}
    assert entry(cache).stat().st_mode & 0o777 == 0o600
    entry(cache).parent.chmod(0o777)
    found = ways().decoded(pictures_of(Store([png(1)])))
    assert "other users can write" in found.why_not_kept
    np.testing.assert_array_equal(found.images, expected([1]))


# Disks that fail


def test_a_disk_that_fails_at_any_call_leaves_nothing_behind(cache, monkeypatch):
    pictures = pictures_of(Store([png(1), b"bad", png(3)]))
    with monkeypatch.context() as patch:
        counting = Faulty(patch)
        ways().decoded(pictures)
        calls = len(counting.calls)
    assert {"write", "fsync", "replace"} <= set(counting.calls)
    for at in range(1, calls + 1):
        shutil.rmtree(cache)
        with monkeypatch.context() as patch:
            Faulty(patch, at, OSError(errno.ENOSPC, "No space left on device"))
            found = ways().decoded(pictures)
        np.testing.assert_array_equal(found.images, expected([1, 3]))
        assert [one.place for one in found.bad] == [1]
        assert not list(cache.glob("*/.neocog*"))
        np.testing.assert_array_equal(ways().decoded(pictures).images, expected([1, 3]))


def test_where_nothing_can_be_kept_it_is_said_once(tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("a file")
    root = make_folder(tmp_path / "photos")
    (note,) = load_data(root).notes
    assert note.startswith("Decoded pictures are not cached on disk")
    assert "Not a directory" in note
    assert "NEOCOG_CACHE_DIR" in note
    monkeypatch.delenv("NEOCOG_CACHE_DIR")
    monkeypatch.setattr(files, "cache_folder", lambda: None)
    assert "no home folder" in load_data(root).notes[0]


def test_neither_disk_nor_memory(monkeypatch):
    monkeypatch.setenv("NEOCOG_CACHE_SHARE", "1e-15")
    monkeypatch.setattr("neocog.limits.available_memory", lambda: 30)
    with pytest.raises(NeocogError, match="cannot be kept on the disk") as error:
        ways().decoded(pictures_of(Store([png(1)])))
    for remedy in ("smaller size", "NEOCOG_CACHE_DIR", "NEOCOG_CACHE_SHARE"):
        assert remedy in str(error.value)


# The share of the disk


@pytest.fixture
def disk(monkeypatch):
    """A disk of 10,000 bytes, of which we may take a tenth, with 600 that are free."""

    class Disk:
        total, free = 10_000, 10_000

    monkeypatch.delenv("NEOCOG_CACHE_SHARE")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Disk)
    return Disk


def keep(name, used=None, count=3):
    """An entry of count times 60 bytes and some 250 more, last used then."""
    found = ways(place=name, name=name).decoded(pictures_of(Store([png(n) for n in range(count)])))
    for one in list_kept():
        if used is not None and one.about.name == name:
            os.utime(one.folder / "entry", (used, used))
    return found


def names_of():
    return [one.about.name for one in list_kept()]


def test_the_last_used_stay(disk):
    keep("a", 100)
    assert names_of() == ["a"]
    size = list_kept()[0].size
    assert 180 < size < 500
    disk.total = 10 * (2 * size + 100)  # the pixels of a third are 180 bytes
    keep("b", 50)
    keep("c", 200)
    assert names_of() == ["c", "a"]
    keep("a")  # is used again, now
    keep("d")
    assert names_of() == ["d", "a"]


def test_none_is_removed_in_vain(disk):
    keep("a", 100)
    found = keep("b", 200, count=20)  # 1,200 bytes
    assert "10 % of the disk" in found.why_not_kept
    np.testing.assert_array_equal(found.images, expected(range(20)))
    assert names_of() == ["a"]


def test_a_twentieth_of_the_disk_stays_free(disk):
    keep("a", 100)
    disk.free = 500 + 179  # 500 stay, and b has 180
    keep("b", 200)
    assert names_of() == ["b"]
    disk.free = 500 - list_kept()[0].size  # not even if b goes
    assert "are free" in keep("c", 300).why_not_kept
    assert names_of() == ["b"]


def test_what_this_process_uses_stays(disk):
    held = keep("a", 100)
    disk.total = 10 * (list_kept()[0].size + 100)
    assert "in use" in keep("b", 200).why_not_kept
    del held
    assert keep("b", 200).why_not_kept == ""
    assert names_of() == ["b"]


def test_a_mapping_outlives_its_entry(cache):
    found = keep("a")
    assert all(cache_room.remove_kept(one) for one in list_kept())
    assert list(cache.iterdir()) == []
    np.testing.assert_array_equal(found.images, expected(range(3)))


@pytest.mark.parametrize("value", ["much", "-1", "1.1", "nan"])
def test_a_share_that_cannot_be(monkeypatch, value):
    monkeypatch.setenv("NEOCOG_CACHE_SHARE", value)
    with pytest.raises(NeocogError, match="must be a number from 0 to 1"):
        ways().decoded(pictures_of(Store([png(1)])))


def test_without_a_share_nothing_is_kept_or_said(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("NEOCOG_CACHE_SHARE", "0")
    assert load_data(make_folder(tmp_path / "photos")).notes == ()
    assert not cache.exists()
