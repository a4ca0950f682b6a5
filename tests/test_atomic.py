"""Files are written whole or not at all."""

import os
import stat
import sys

import pytest

from neocog.atomic import write_bytes, writing


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
    assert steps == ["fsync", "replace"]


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_bytes(tmp_path / "missing" / "file", b"content")
    assert names(tmp_path) == []


def test_very_long_names_fit(tmp_path):
    write_bytes(tmp_path / ("ñ" * 120), b"content")
    assert names(tmp_path) == ["ñ" * 120]


@pytest.mark.skipif(sys.platform == "win32", reason="modes and links as on POSIX")
def test_modes_follow_the_umask_and_links_are_kept(tmp_path):
    (tmp_path / "link").symlink_to("file")
    umask = os.umask(0o027)
    try:
        write_bytes(tmp_path / "link", b"content")
    finally:
        os.umask(umask)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"content"
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640
