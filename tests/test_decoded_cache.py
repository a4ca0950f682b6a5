"""Pictures decoded once: an entry is found again, or made anew where anything has changed."""

import errno
import hashlib
import mmap
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from keeping import SIZE, Store, expected, make_folder, pictures_of, png, ways

import neocog
from neocog import load_data
from neocog.data import decoding
from neocog.data.cache import decoded_cache
from neocog.data.cache.cache_room import list_kept
from neocog.data.cache.decoders import decoders
from neocog.data.decoding import decode
from neocog.data.images import Dataset
from neocog.data.sources.arrays import ArrayStore
from neocog.data.sources.base import Pictures
from neocog.errors import DataError
from neocog.preprocessing import Resize


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


# What comes back


def test_the_second_time_nothing_is_decoded(tmp_path, decoded):
    make_folder(tmp_path / "photos")
    first = load_data(tmp_path / "photos", size=(4, 5))
    assert len(decoded) == 10
    second = load_data(tmp_path / "photos", size=(4, 5))
    assert len(decoded) == 10
    for part in ("train", "validation"):
        a, b = getattr(first, part), getattr(second, part)
        assert isinstance(a.images.base, mmap.mmap)
        assert isinstance(b.images.base, mmap.mmap)
        assert not b.images.flags.writeable
        np.testing.assert_array_equal(a.images, b.images)
        levels = [20 * int(name[5]) + int(name[7]) for name in b.names]
        np.testing.assert_array_equal(b.images, expected(levels))
    assert second.notes == ()


def test_the_digest_is_known_and_right(tmp_path):
    make_folder(tmp_path / "photos")
    for _ in range(2):
        data = load_data(tmp_path / "photos")
        for part in (data.train, data.validation):
            assert part.digest == hashlib.sha256(part.images.tobytes()).hexdigest()
            assert part.pixels_digest == part.digest
            assert part[1:].pixels_digest == hashlib.sha256(part.images[1:]).hexdigest()
    in_memory = Dataset(np.array(data.train.images), data.train.labels)
    assert in_memory.digest is None
    assert in_memory.pixels_digest == data.train.digest


def test_no_contents_are_read_again_for_the_split(tmp_path, monkeypatch):
    make_folder(tmp_path / "photos")
    first = load_data(tmp_path / "photos")
    reads = []
    monkeypatch.setattr(
        "neocog.data.cache.content_digests._digest", lambda pictures, n: reads.append(n) or 1
    )
    assert load_data(tmp_path / "photos").validation.names == first.validation.names
    assert reads == []


def test_what_is_in_memory_already_is_not_kept(cache):
    pixels = np.arange(3 * 6 * 6 * 3, dtype=np.uint8).reshape(3, 6, 6, 3)
    store = ArrayStore(pixels)
    found = ways().decoded(Pictures(store, np.arange(3), np.arange(3)))
    assert found.images.shape == (3, 4, 5, 3)
    assert found.why_not_kept == ""
    assert not cache.exists()


def test_what_nothing_tells_of_is_not_kept(cache):
    store = Store([png(1)])
    store.stamp = lambda row: ""
    assert ways().decoded(pictures_of(store)).why_not_kept == ""
    assert not cache.exists()


# What makes another entry


@pytest.mark.parametrize(
    "change",
    [
        {"shape": (3, 5, 4)},
        {"shape": (1, 4, 5)},
        {"resize": Resize("crop")},
        {"resize": Resize("stretch", "nearest")},
        {"place": "there"},
    ],
)
def test_another_way_is_another_entry(change, decoded):
    pictures = pictures_of(Store([png(1), png(2)]))
    ways().decoded(pictures)
    ways(**change).decoded(pictures)
    assert len(decoded) == 4
    assert len(list_kept()) == 2
    ways(**change).decoded(pictures)
    ways(threads=1, kind="of another kind", name="and name").decoded(pictures)
    assert len(decoded) == 4


def test_another_version_of_what_decodes_is_another_entry(monkeypatch, decoded):
    pictures = pictures_of(Store([png(1)]))
    ways().decoded(pictures)
    monkeypatch.setattr(decoded_cache, "decoders", lambda: "another")
    ways().decoded(pictures)
    assert len(decoded) == 2


def test_what_decodes_is_told_apart(monkeypatch):
    read = []
    real = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path.name) or real(path))
    known = decoders.__wrapped__()
    assert {"picture.py", "pixels.py", "resizing.py", "fast_jpeg.py"} <= set(read)
    monkeypatch.setattr("neocog.data.cache.decoders.version", lambda name: f"another {name}")
    assert decoders.__wrapped__() != known


@pytest.mark.parametrize("what", ["content", "time", "name", "order"])
def test_changed_files_are_another_entry(tmp_path, what, decoded):
    root = make_folder(tmp_path / "photos", classes=1, each=2)
    (tmp_path / "photos" / "class1").mkdir()
    (tmp_path / "photos" / "class1" / "0.png").write_bytes(png(50))
    load_data(root, validation=0)
    before = len(decoded)
    load_data(root, validation=0)
    assert len(decoded) == before
    path = root / "class0" / "0.png"
    if what == "content":
        path.write_bytes(png(99, (7, 7)))
    elif what == "time":
        os.utime(path, ns=(1, path.stat().st_mtime_ns + 1))
    elif what == "name":
        path.rename(path.with_name("7.png"))
    else:
        path.rename(root / "class1" / "9.png")
    data = load_data(root, validation=0, size=(4, 5))
    assert len(decoded) == before + 3
    if what == "content":
        assert data.train.images[0, 0, 0, 0] == 99


# Pictures that cannot be read


def test_skipped_pictures_leave_no_gaps(monkeypatch, decoded):
    monkeypatch.setattr(decoded_cache, "_CHUNK", 3 * SIZE)  # entries of several chunks
    contents = [png(n) for n in range(11)]
    for n in (0, 4, 5, 10):
        contents[n] = b"no picture at all"
    pictures = pictures_of(Store(contents))
    good = [1, 2, 3, 6, 7, 8, 9]
    messages = []
    for _ in range(2):
        found = ways().decoded(pictures)
        np.testing.assert_array_equal(found.images, expected(good))
        assert found.digest == hashlib.sha256(expected(good)).hexdigest()
        assert [one.place for one in found.bad] == [0, 4, 5, 10]
        assert found.bad[1].name == "picture 4"
        messages.append(found.bad)
    assert messages[0] == messages[1]
    # The good ones once; the bad ones again, in case they have been mended by a change of rights.
    assert len([n for n in decoded if n != 17]) == len(good)
    store = pictures.store
    monkeypatch.setenv("NEOCOG_CACHE_SHARE", "0")
    np.testing.assert_array_equal(ways().decoded(pictures).images, expected(good))
    assert store.reads.count(1) == 2


def test_nothing_but_bad_pictures():
    pictures = pictures_of(Store([b"no", b"neither"]))
    for _ in range(2):
        found = ways().decoded(pictures)
        assert found.images.shape == (0, 4, 5, 3)
        assert len(found.bad) == 2


def test_what_can_be_read_again_is_decoded():
    store = Store([png(1), PermissionError(errno.EACCES, "Permission denied"), png(3)])
    store.size = lambda row: 100
    assert [one.place for one in ways().decoded(pictures_of(store)).bad] == [1]
    store.contents[1] = png(2)
    for _ in range(2):
        found = ways().decoded(pictures_of(store))
        assert found.bad == []
        np.testing.assert_array_equal(found.images, expected([1, 2, 3]))


def test_the_message_is_the_same_again(tmp_path):
    root = make_folder(tmp_path / "photos")
    (root / "class0" / "1.png").write_bytes(b"torn")
    told = []
    for _ in range(2):
        with pytest.raises(DataError) as error:
            load_data(root)
        told.append(str(error.value))
    assert told[0] == told[1]
    assert "class0/1.png" in told[0]


# Several processes

# Decodes pictures, and before the ninth waits for a file; says what it does.
PROGRAM = """
import sys, time
from pathlib import Path
from neocog import load_data
from neocog.data import decoding
from neocog.data.cache import decoded_cache
real, count, told = decoding.fit_picture, [], set()
def slow(*arguments):
    count.append(1)
    if len(count) == 9:
        print("decoding", flush=True)
        while not Path(sys.argv[2]).exists():
            time.sleep(0.01)
    return real(*arguments)
def progress(what, done, of):
    if what not in told and what != "decoding":
        print(what, done, of, flush=True)
    told.add(what)
decoding.fit_picture = slow
decoded_cache._CHUNK = 4 * 60
data = load_data(sys.argv[1], validation=0, size=(4, 5), threads=1, progress=progress)
print(len(count), data.fingerprint, data.notes)
"""


def start(root):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(root), str(root.with_name("go"))],
        env={**os.environ, "PYTHONPATH": str(Path(neocog.__file__).parent.parent)},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_two_at_once_decode_once(tmp_path):
    root = make_folder(tmp_path / "photos", classes=2, each=20)
    one = start(root)
    assert one.stdout.readline() == "decoding\n"
    other = start(root)
    what, done, of = other.stdout.readline().rsplit(" ", 2)
    assert (what, int(of)) == ("waiting for another run", 40)
    assert 0 <= int(done) < 9
    (tmp_path / "go").touch()
    said = [process.communicate(timeout=60)[0].split(" ", 1) for process in (one, other)]
    assert [count for count, _ in said] == ["40", "0"]
    assert said[0][1] == said[1][1]


@pytest.mark.skipif(os.name != "posix", reason="no SIGKILL")
def test_one_that_is_killed_leaves_nothing_that_is_used(tmp_path, cache, decoded):
    root = make_folder(tmp_path / "photos", classes=2, each=20)
    one = start(root)
    assert one.stdout.readline() == "decoding\n"
    one.send_signal(signal.SIGKILL)
    one.communicate()
    assert len(list(cache.glob("*/.neocog*"))) == 1
    data = load_data(root, validation=0, size=(4, 5))
    assert len(decoded) == 40
    assert not list(cache.glob("*/.neocog*"))
    levels = [20 * int(name[5]) + int(name[7:-4]) for name in data.train.names]
    np.testing.assert_array_equal(data.train.images, expected(levels))


def test_decoding_in_several_threads_is_the_same():
    pictures = pictures_of(Store([png(n) for n in range(100)]))
    into = np.empty((100, 4, 5, 3), np.uint8)
    assert decode(pictures, into, Resize(), threads=1) == []
    np.testing.assert_array_equal(ways(threads=4).decoded(pictures).images, into)


def test_ctrl_c_leaves_nothing_behind(cache, monkeypatch):
    monkeypatch.setattr(decoded_cache, "_CHUNK", 4 * SIZE)
    pictures = pictures_of(Store([png(n) for n in range(10)]))

    def progress(what, done, of):
        if done == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ways().decoded(pictures, progress, 0, 10)
    assert [path.name for path in cache.glob("*/*")] == ["lock"]
    np.testing.assert_array_equal(ways().decoded(pictures).images, expected(range(10)))


def test_progress_counts_all_parts(tmp_path):
    told = []
    make_folder(tmp_path / "photos")
    load_data(tmp_path / "photos", progress=lambda *how: told.append(how))
    assert {(what, of) for what, _done, of in told} == {("decoding", 10)}
    assert told[-1][1] == 10
    told.clear()
    load_data(tmp_path / "photos", progress=lambda *how: told.append(how))
    assert told == []
