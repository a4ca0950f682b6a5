"""Files are read without waiting, and written whole or not at all."""

import os
import socket
import stat
import sys
from pathlib import Path

import pytest
from faults import Faulty, Killed

from neocog.files import (
    cache_folder,
    exists,
    finish_writing,
    leftovers,
    read_bytes,
    user_path,
    write_bytes,
    writing,
    writing_together,
)


def names(folder):
    return [path.name for path in folder.iterdir()]


def test_a_new_file_is_written(tmp_path):
    write_bytes(tmp_path / "new", b"content")
    assert (tmp_path / "new").read_bytes() == b"content"
    assert names(tmp_path) == ["new"]


def test_an_old_file_is_replaced(tmp_path):
    (tmp_path / "old").write_bytes(b"a much longer content")
    write_bytes(str(tmp_path / "old"), b"short")
    assert (tmp_path / "old").read_bytes() == b"short"
    assert names(tmp_path) == ["old"]


def test_nothing_is_seen_before_the_end(tmp_path):
    (tmp_path / "old").write_bytes(b"before")
    with writing(tmp_path / "old") as file:
        file.write(b"after")
        file.flush()
        assert (tmp_path / "old").read_bytes() == b"before"
    assert (tmp_path / "old").read_bytes() == b"after"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, error):
    (tmp_path / "old").write_bytes(b"before")
    with pytest.raises(error), writing(tmp_path / "old") as file:
        file.write(b"half")
        raise error
    assert (tmp_path / "old").read_bytes() == b"before"
    assert names(tmp_path) == ["old"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failing_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, step):
    def fail(*_args):
        raise OSError(28, "No space left on device")

    (tmp_path / "old").write_bytes(b"before")
    monkeypatch.setattr(*(("os.fsync",) if step == "fsync" else ("pathlib.Path.replace",)), fail)
    with pytest.raises(OSError, match="No space left"):
        write_bytes(tmp_path / "old", b"after")
    monkeypatch.undo()
    assert (tmp_path / "old").read_bytes() == b"before"
    assert names(tmp_path) == ["old"]


def test_the_bytes_reach_the_disk_before_the_name(tmp_path, monkeypatch):
    steps = []
    fsync, replace = os.fsync, type(tmp_path).replace
    monkeypatch.setattr("os.fsync", lambda fd: (steps.append("fsync"), fsync(fd))[1])
    monkeypatch.setattr(
        "pathlib.Path.replace", lambda *paths: (steps.append("replace"), replace(*paths))[1]
    )
    write_bytes(tmp_path / "file", b"content")
    assert steps[:2] == ["fsync", "replace"]


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_bytes(tmp_path / "missing" / "file", b"content")
    assert names(tmp_path) == []


def test_very_long_names_fit(tmp_path):
    write_bytes(tmp_path / ("ñ" * 120), b"content")
    assert names(tmp_path) == ["ñ" * 120]


posix = pytest.mark.skipif(sys.platform == "win32", reason="modes, links and pipes as on POSIX")


@posix
def test_modes_follow_the_umask(tmp_path):
    umask = os.umask(0o027)
    try:
        write_bytes(tmp_path / "file", b"content")
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


@posix
def test_a_link_is_replaced_and_what_it_points_to_stays(tmp_path):
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / "link").symlink_to("precious")
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("link", "dangling"):
        write_bytes(tmp_path / name, b"content")
        assert not (tmp_path / name).is_symlink()
        assert (tmp_path / name).read_bytes() == b"content"
    assert (tmp_path / "precious").read_bytes() == b"precious"
    assert sorted(names(tmp_path)) == ["dangling", "link", "precious"]


@posix
def test_a_folder_that_is_a_link_is_followed(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    write_bytes(tmp_path / "link" / "file", b"content")
    assert (tmp_path / "folder" / "file").read_bytes() == b"content"


@posix
def test_the_name_reaches_the_disk(tmp_path, monkeypatch):
    flushed = []
    fsync = os.fsync

    def watched(descriptor):
        flushed.append((stat.S_ISDIR(os.fstat(descriptor).st_mode), names(tmp_path)))
        fsync(descriptor)

    monkeypatch.setattr("os.fsync", watched)
    write_bytes(tmp_path / "file", b"content")
    assert [folder for folder, _there in flushed] == [False, True]
    assert flushed[1] == (True, ["file"])


@posix
def test_what_is_no_regular_file_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("pipe")
    (tmp_path / "output").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        before = {path: path.lstat().st_mode for path in tmp_path.iterdir()}
        for path in before:
            kind = "directory" if path.name == "folder" else "not a regular file"
            with pytest.raises(OSError, match=kind) as caught:
                write_bytes(path, b"content")
            assert caught.value.filename == str(path)
    assert {path: path.lstat().st_mode for path in tmp_path.iterdir()} == before


def test_a_name_that_cannot_be_is_an_error(tmp_path):
    for name in ("null\0byte", "long" * 2000):
        with pytest.raises(OSError, match="name"):
            write_bytes(tmp_path / name, b"content")
    assert names(tmp_path) == []


# Reading


def test_reading(tmp_path):
    (tmp_path / "file").write_bytes(b"12345")
    assert read_bytes(tmp_path / "file") == read_bytes(str(tmp_path / "file"), 5) == b"12345"
    with pytest.raises(OSError, match="larger than the 4 bytes"):
        read_bytes(tmp_path / "file", 4)
    with pytest.raises(FileNotFoundError):
        read_bytes(tmp_path / "none")
    with pytest.raises(IsADirectoryError):
        read_bytes(tmp_path)
    for name in ("null\0byte", "long" * 2000):
        with pytest.raises(OSError, match="name"):
            read_bytes(name)
        assert not exists(name)


@posix
def test_what_is_no_regular_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        for path in (tmp_path / "pipe", tmp_path / "socket", "/dev/zero"):
            with pytest.raises(OSError, match="not a regular file"):
                read_bytes(path)


@posix
def test_links_are_followed_only_where_allowed(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    assert read_bytes(tmp_path / "link") == b"content"
    with pytest.raises(OSError, match="symbolic link"):
        read_bytes(tmp_path / "link", follow_links=False)


@posix
def test_a_pipe_put_in_place_of_a_file_is_not_waited_for(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(b"content")
    before = (tmp_path / "file").stat()
    monkeypatch.setattr("os.stat", lambda _path, **_options: before)
    with pytest.raises(OSError, match="not a regular file"):
        read_bytes(tmp_path / "pipe")


# Paths


@posix
def test_a_home_that_nobody_has(monkeypatch):
    monkeypatch.setenv("HOME", "/somewhere")
    assert user_path("~/a") == Path("/somewhere/a")
    assert user_path("~neocog-nobody/a") == Path("~neocog-nobody/a")
    assert user_path("a") == Path("a")


def test_no_cache_folder_without_a_home(monkeypatch):
    def no_home(_name):
        raise RuntimeError("no home")

    monkeypatch.setattr("neocog.files.user_cache_path", no_home)
    assert cache_folder() is None


# Files that belong together


SET = ("first", "second", "third")


def write_set(folder, word):
    with writing_together(folder, "first") as new:
        for name in SET:
            write_bytes(new / name, f"{word} {name}".encode())


def words(folder):
    """By name, of which set each file is."""
    return {name: (folder / name).read_text().split()[0] for name in SET if exists(folder / name)}


def calls_of_a_set(tmp_path) -> int:
    with pytest.MonkeyPatch.context() as patch:
        (tmp_path / "counted").mkdir()
        faulty = Faulty(patch)
        write_set(tmp_path / "counted", "new")
    assert {"write", "fsync", "replace", "rename", "mkdir", "rmdir"} <= set(faulty.calls)
    return len(faulty.calls)


def every_fault(tmp_path, monkeypatch, make_error, before):
    """The folder after each call has failed in its turn, and the error that came of it."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)  # which takes its time
    for at in range(1, calls_of_a_set(tmp_path) + 8):
        folder = tmp_path / f"{make_error.__name__}{at}"
        folder.mkdir()
        if before:
            write_set(folder, "old")
        caught = None
        with pytest.MonkeyPatch.context() as patch:
            faulty = Faulty(patch, at, make_error(28, "No space left on device"))
            try:
                write_set(folder, "new")
            except (OSError, Killed) as error:
                caught = error
        yield folder, caught, faulty


@pytest.mark.parametrize("before", [True, False], ids=["over an old set", "the first set"])
def test_a_disk_that_fails_once_leaves_one_whole_set(tmp_path, monkeypatch, before):
    outcomes = set()
    for folder, caught, _faulty in every_fault(tmp_path, monkeypatch, OSError, before):
        expected = "old" if before else None
        found = words(folder)
        if caught is None:
            expected = "new"
            assert leftovers(folder) == []
        assert found == (dict.fromkeys(SET, expected) if expected else {}), folder
        outcomes.add(caught is None)
        # And it can be written to again.
        write_set(folder, "later")
        assert words(folder) == dict.fromkeys(SET, "later")
    assert outcomes == {True, False}


@pytest.mark.parametrize("before", [True, False], ids=["over an old set", "the first set"])
def test_a_process_that_is_killed_leaves_no_mixture(tmp_path, monkeypatch, before):
    seen = set()
    for folder, _caught, _faulty in every_fault(tmp_path, monkeypatch, Killed, before):
        found = words(folder)
        assert len(set(found.values())) <= 1, folder
        assert "first" in found or not before
        seen.add(tuple(sorted(found.items())))
        finish_writing(folder, "first")
        found = words(folder)
        assert sorted(found) in ([], sorted(SET))
        assert len(set(found.values())) <= 1
        assert found or not before
        for path in leftovers(folder):
            assert path.is_dir()
        write_set(folder, "later")
        assert words(folder) == dict.fromkeys(SET, "later")
    assert tuple(sorted(dict.fromkeys(SET, "new").items())) in seen
    assert len(seen) > 3  # also some in the middle of it


def test_an_interrupt_leaves_the_old_set(tmp_path):
    write_set(tmp_path, "old")
    with pytest.raises(KeyboardInterrupt), writing_together(tmp_path, "first") as new:
        write_bytes(new / "first", b"new")
        raise KeyboardInterrupt
    assert words(tmp_path) == dict.fromkeys(SET, "old")
    assert sorted(names(tmp_path)) == sorted(SET)


def test_nothing_is_left_to_finish(tmp_path):
    finish_writing(tmp_path, "first")
    finish_writing(tmp_path / "none", "first")
    assert names(tmp_path) == []


@posix
@pytest.mark.parametrize("odd", ["link to a folder", "file", "link within", "folder within"])
def test_only_what_a_writing_left_is_moved_up(tmp_path, odd):
    """Whoever made the folder chose what is in it; the files elsewhere are the user's."""
    folder, elsewhere = tmp_path / "run", tmp_path / "letters"
    for made in (folder, elsewhere):
        made.mkdir()
        (made / "first").write_text("mine")
    following = folder / ".neocog-next"
    if odd == "link to a folder":
        following.symlink_to("../letters")
    elif odd == "file":
        following.write_text("no folder")
    else:
        following.mkdir()
        (following / "second").write_text("theirs")
        if odd == "link within":
            (following / "first").symlink_to("../../letters/first")
        else:
            (following / "first").mkdir()
    before = sorted(tmp_path.rglob("*"))
    finish_writing(folder, "first")
    assert sorted(tmp_path.rglob("*")) == before
    assert leftovers(folder) == []
    with pytest.raises(OSError, match=r"neocog-next"), writing_together(folder, "first") as new:
        write_bytes(new / "first", b"new")
    assert (folder / "first").read_text() == (elsewhere / "first").read_text() == "mine"
