"""Folders that are odd, or made to do harm: read as far as they can be, and said in words."""

import os
import sys
import tracemalloc
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from picture_places import load_apart, picture, put, refused
from test_hostile_pictures import MOST_BYTES, png

import neocog
from neocog.data.loading import list_pictures, prepare
from neocog.data.sources import Request
from neocog.data.sources.files import PassedOver, walk
from neocog.errors import DataError
from neocog.preprocessing import Resize

posix = pytest.mark.skipif(os.name != "posix", reason="links and pipes are made another way")
not_root = pytest.mark.skipif(
    hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may read everything"
)


def listed(root: Path):
    """The names in each part, the notes, and the classes."""
    found = list_pictures(root, Request())
    names = {
        part: [pictures.name(n) for n in range(len(pictures))]
        for part, pictures in found.parts.items()
    }
    return names, " ".join(found.notes), found.classes


# What is no picture


def test_all_that_cannot_be_decoded_is_named_at_once_with_the_reason(tmp_path):
    put(tmp_path, cat=3, dog=3)
    (tmp_path / "cat" / "cut.png").write_bytes(picture(99)[:45])
    (tmp_path / "cat" / "empty.jpg").write_bytes(b"")
    (tmp_path / "dog" / "text.gif").write_bytes(b"This is a text.")
    message = refused(tmp_path)
    assert "3 of 9 pictures cannot be read" in message
    assert "cat/cut.png" in message
    assert "cat/empty.jpg is not an image that Pillow knows: it is empty." in message
    assert "dog/text.gif is not an image" in message


def test_a_picture_whose_name_tells_another_kind_is_read_as_what_it_is(tmp_path):
    put(tmp_path, cat=2, dog=2)
    (tmp_path / "cat" / "really.jpg").write_bytes(picture(200))
    data = neocog.load_data(tmp_path, validation=0)
    where = data.train.names.index("cat/really.jpg")
    assert (data.train.images[where] == (200, 0, 0)).all()


def test_endings_in_capitals(tmp_path):
    put(tmp_path, cat=1, dog=1)
    (tmp_path / "cat" / "DSC1.JPG").write_bytes(picture(3, "JPEG"))
    (tmp_path / "cat" / "DSC2.Png").write_bytes(picture(4))
    names, _notes, _classes = listed(tmp_path)
    assert names["all"] == ["cat/0.png", "cat/DSC1.JPG", "cat/DSC2.Png", "dog/0.png"]


@pytest.mark.skipif(sys.platform != "linux", reason="counts memory as Linux does")
def test_pictures_of_huge_dimensions_are_refused_in_little_memory(tmp_path):
    sound = put(tmp_path / "sound", cat=2, dog=2)
    root = put(tmp_path / "hostile", cat=2, dog=2)
    huge = png(50_000, 50_000, 8, 2, (b"IDAT", bytes(900_000)))
    for number in range(8):  # as many at once as there may be threads
        (root / "cat" / f"huge{number}.png").write_bytes(huge)
    with (root / "dog" / "long.jpg").open("wb") as file:
        file.truncate(2**33)  # which takes no room on the disk
    said, grown = load_apart(root, sound)
    assert "9 of 13 pictures cannot be read" in said
    assert said.count("is 50000 × 50000 pixels") == 8
    assert "dog/long.jpg has 8,589,934,592 bytes" in said
    assert grown < MOST_BYTES / 2


# What is no file


@posix
def test_pipes_devices_and_links_are_passed_over(tmp_path):
    root = put(tmp_path / "root", cat=2, dog=2)
    os.mkfifo(root / "cat" / "pipe.png")
    (root / "cat" / "zero.png").symlink_to("/dev/zero")
    (root / "cat" / "secret.png").symlink_to(put(tmp_path, elsewhere=1) / "elsewhere" / "0.png")
    (root / "cat" / "round.png").symlink_to("round.png")
    (root / "cat" / "nothing.png").symlink_to("gone.png")
    (root / "dog" / "up").symlink_to("..")
    (root / "bird").symlink_to(tmp_path / "elsewhere")
    (root / "dog" / "again.png").symlink_to("../cat/0.png")
    names, notes, classes = listed(root)
    assert classes == ("cat", "dog")
    assert names["all"] == ["cat/0.png", "cat/1.png", "dog/0.png", "dog/1.png", "dog/again.png"]
    assert "pipes, devices or sockets: 1" in notes
    assert "links to folders or to what lies outside: 6" in notes


@posix
def test_links_in_a_circle_of_folders(tmp_path):
    root = put(tmp_path, cat=1, dog=1)
    (root / "cat" / "a").symlink_to(root / "dog", target_is_directory=True)
    (root / "dog" / "b").symlink_to(root / "cat", target_is_directory=True)
    assert listed(root)[0]["all"] == ["cat/0.png", "dog/0.png"]


@posix
def test_a_file_that_becomes_a_pipe_is_not_waited_for(tmp_path):
    root = put(tmp_path, cat=3, dog=3)
    pictures = list_pictures(root, Request()).parts["all"]
    (root / "cat" / "0.png").unlink()
    os.mkfifo(root / "cat" / "0.png")
    with pytest.raises(OSError, match="not a regular file"):
        pictures.read(0)


def test_a_file_that_has_become_longer_is_not_taken_for_the_one_that_was_listed(tmp_path):
    root = put(tmp_path, cat=3, dog=3)
    pictures = list_pictures(root, Request()).parts["all"]
    with (root / "cat" / "0.png").open("ab") as file:
        file.write(b"more")
    with pytest.raises(OSError, match="has others now"):
        pictures.read(0)


def test_a_folder_that_vanishes_while_it_is_listed(tmp_path):
    root = put(tmp_path, a=1, b=1)
    passed_over, found = PassedOver(), []
    for file in walk(root, passed_over):
        found.append(file.name)
        for path in (root / "b" / "0.png", root / "b"):
            path.unlink() if path.is_file() else path.rmdir()
    assert found == ["a/0.png"]
    assert "Cannot be read: b (No such file or directory)." in passed_over.notes()


def test_a_folder_that_vanishes_before_it_is_read(tmp_path):
    root = put(tmp_path, a=2, b=2)
    found = list_pictures(root, Request())
    for path in (root / "b").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="2 of 4 pictures cannot be read") as caught:
        prepare(found, (3, 8, 8), Resize())
    assert "b/0.png cannot be read: No such file or directory" in str(caught.value)


@posix
@not_root
def test_what_may_not_be_read_is_named(tmp_path):  # pragma: no cover - not as root
    root = put(tmp_path, cat=2, dog=2, secret=2)
    (root / "secret").chmod(0)
    (root / "cat" / "0.png").chmod(0)
    try:
        assert "Cannot be read: secret (Permission denied)." in listed(root)[1]
        assert "cat/0.png cannot be read: Permission denied" in refused(root)
    finally:
        (root / "secret").chmod(0o700)


def test_a_folder_that_cannot_be_listed_is_named(tmp_path, monkeypatch):
    root, scandir = put(tmp_path, cat=2, dog=2, secret=2), os.scandir

    def closed(path):
        if Path(path).name == "secret":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr("os.scandir", closed)
    names, notes, _classes = listed(root)
    assert len(names["all"]) == 4
    assert "Cannot be read: secret (Permission denied)." in notes


# Names


@posix
def test_odd_names_of_files(tmp_path):
    root = put(tmp_path, cat=1, dog=1)
    odd = [
        b"two words.png",
        b"two\nlines.png",
        b"caf\xe9.png",
        b"\x1b[2J.png",
        b"x" * 251 + b".png",
    ]
    for number, name in enumerate(odd):
        (root / "cat" / os.fsdecode(name)).write_bytes(picture(100 + number))
    data = neocog.load_data(root, validation=0)
    by_name = dict(zip(data.train.names, data.train.images[:, 0, 0, 0], strict=True))
    assert {os.fsencode(name): int(red) for name, red in by_name.items() if red >= 100} == {
        b"cat/" + name: 100 + number for number, name in enumerate(odd)
    }
    (root / "cat" / "\x1b[2J.png").write_bytes(b"no picture")
    assert r"cat/\x1b[2J.png is not an image" in refused(root)


@posix
def test_a_path_of_more_letters_than_one_name_may_have(tmp_path):
    root = put(tmp_path, cat=1, dog=1)
    deep = root / "cat" / ("a" * 200) / ("ä" * 100)
    deep.mkdir(parents=True)
    (deep / "1.png").write_bytes(picture(9))
    assert f"cat/{'a' * 200}/{'ä' * 100}/1.png" in listed(root)[0]["all"]
    assert len(neocog.load_data(root, validation=0).train) == 3


@posix
@pytest.mark.parametrize("name", [b"caf\xe9", b"two\nlines", b"\x1b[2J"])
def test_a_class_of_a_name_that_no_class_can_have(tmp_path, name):
    put(tmp_path, dog=1)
    put(tmp_path, **{os.fsdecode(name): 1})
    message = refused(tmp_path)
    assert "The name of class" in message
    assert "\n" not in message


@posix
def test_hundreds_of_folders_in_each_other(tmp_path):
    put(tmp_path, cat=1, dog=1)
    here = os.open(tmp_path / "cat", os.O_RDONLY)
    try:
        for _ in range(300):
            os.mkdir("down", dir_fd=here)
            below = os.open("down", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
    finally:
        os.close(here)
    names, notes, _classes = listed(tmp_path)
    assert len(names["all"]) == 2
    assert "too many folders deep: 1" in notes


def test_hidden_files_and_those_of_systems_are_said(tmp_path):
    root = put(tmp_path, cat=1, dog=1, __MACOSX=2)
    (root / ".DS_Store").touch()
    (root / "cat" / "Thumbs.db").touch()
    (root / "cat" / "._0.png").write_bytes(picture())
    (root / "cat" / "notes.txt").touch()
    names, notes, _classes = listed(root)
    assert names["all"] == ["cat/0.png", "dog/0.png"]
    assert "hidden or of the system: 4" in notes
    assert "Files of other kinds are passed over: .txt (1)." in notes


# Classes


def test_empty_folders_are_said(tmp_path):
    root = put(tmp_path, cat=2, dog=2)
    for name in ("ant", "bee", "cow", "eel\x1b"):
        (root / name).mkdir()
    (root / "ant" / "list.txt").touch()
    _names, notes, classes = listed(root)
    assert classes == ("cat", "dog")
    assert "Folders without pictures: ant, bee, cow and 1 more." in notes


def test_one_class_is_said(tmp_path):
    _names, notes, classes = listed(put(tmp_path, cat=3))
    assert classes == ("cat",)
    assert "All pictures are of one class, 'cat'" in notes


def test_pictures_in_no_folders(tmp_path):
    put(tmp_path, cat=3)
    assert "3 pictures, but they lie in no folders" in refused(tmp_path / "cat")
    names, notes, _classes = listed(put(tmp_path, dog=1, **{"": 2}))
    assert len(names["all"]) == 4
    assert "Pictures beside the folders of classes are passed over: 2." in notes


def test_a_folder_without_pictures_says_what_it_has(tmp_path):
    (tmp_path / "a.txt").touch()
    assert "has no pictures. Files of other kinds are passed over: .txt (1)." in refused(tmp_path)


def test_pictures_of_folders_below_are_those_of_the_class(tmp_path):
    put(tmp_path / "cat", day=1, night=1)
    put(tmp_path / "dog" / "day", one=1)
    names, _notes, classes = listed(tmp_path)
    assert classes == ("cat", "dog")
    assert names["all"] == ["cat/day/0.png", "cat/night/0.png", "dog/day/one/0.png"]


def test_a_folder_that_alone_holds_all_is_seen_through(tmp_path):
    put(tmp_path / "photos" / "photos", cat=1, dog=1)
    assert listed(tmp_path)[2] == ("cat", "dog")
    put(tmp_path / "photos" / "photos" / "train", cow=1)
    assert listed(tmp_path)[2] == ("cat", "dog", "train")


def test_parts_below_a_folder_that_alone_holds_all(tmp_path):
    for part, name in (("train", "Training"), ("validation", "valid"), ("test", "TEST")):
        put(tmp_path / "photos" / name, cat=1, dog=1)
        names = listed(tmp_path)[0]
        assert names["all" if part == "train" else part] == [
            f"photos/{name}/cat/0.png",
            f"photos/{name}/dog/0.png",
        ]


def test_a_test_part_with_classes_that_nobody_is_trained_on(tmp_path):
    put(tmp_path / "train", cat=1, dog=1)
    put(tmp_path / "test", cat=1, fox=1)
    assert "the part test has pictures of classes that the part train has none of: fox" in refused(
        tmp_path
    )


def test_two_folders_for_one_part(tmp_path):
    for name in ("train", "val", "valid"):
        put(tmp_path / name, cat=1, dog=1)
    assert "two folders for one part: train, val, valid" in refused(tmp_path)


def test_numbers_are_in_the_order_of_their_values(tmp_path):
    assert listed(put(tmp_path, **{"10": 1, "9": 1, "1": 1, "01": 1}))[2] == ("01", "1", "9", "10")


def test_a_class_of_one_picture_is_trained_on(tmp_path):
    data = neocog.load_data(put(tmp_path, cat=10, dog=1))
    assert np.bincount(data.train.labels).tolist() == [8, 1]
    assert np.bincount(data.validation.labels, minlength=2).tolist() == [2, 0]


# Very many


def test_listing_looks_at_each_file_once(tmp_path, monkeypatch):
    """A hundred thousand files are listed at the price of as many looks, and no real paths."""
    put(tmp_path, cat=50, dog=50)
    calls = []
    real = os.path.realpath
    monkeypatch.setattr("os.path.realpath", lambda *a, **k: calls.append(a) or real(*a, **k))
    monkeypatch.setattr("pathlib.Path.stat", lambda *_a, **_k: pytest.fail("a look too many"))
    files = list(walk(tmp_path, PassedOver()))
    assert len(files) == 100
    assert len(calls) == 1


class Entry(NamedTuple):
    """What `os.scandir` gives, without a file."""

    name: str
    folder: bool
    status: os.stat_result

    def is_dir(self, follow_symlinks=True):
        return self.folder

    def is_symlink(self):
        return False

    def stat(self):
        return self.status


def made_up(monkeypatch, root: Path, count: int) -> None:
    """Let a folder seem to have two folders of so many pictures each."""
    put(root, cat=1, dog=1)
    status = (root / "cat" / "0.png").stat()

    def many(path):
        if Path(path) == root:
            return nullcontext([Entry(name, True, status) for name in ("dog", "cat")])
        return nullcontext(Entry(f"{n:05}.png", False, status) for n in reversed(range(count)))

    monkeypatch.setattr("os.scandir", many)


def test_a_hundred_thousand_files(tmp_path, monkeypatch):
    made_up(monkeypatch, tmp_path, 50_000)
    pictures = list_pictures(tmp_path, Request()).parts["all"]
    assert [pictures.name(n) for n in (0, 49_999, 50_000, 99_999)] == [
        *("cat/00000.png", "cat/49999.png", "dog/00000.png", "dog/49999.png"),
    ]
    assert np.bincount(pictures.labels).tolist() == [50_000, 50_000]


def test_a_file_that_is_listed_takes_little_memory(tmp_path, monkeypatch):
    made_up(monkeypatch, tmp_path, 2_000)
    tracemalloc.start()
    try:
        found = list_pictures(tmp_path, Request())
        kept, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(map(len, found.parts.values())) == 4_000
    assert kept < 4_000 * 300
    assert most < 4_000 * 600
