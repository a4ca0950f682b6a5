"""Entries of the kernel cache and its folder, without any compiling."""

import errno
import hashlib
import json
import os
import shutil
import time

import pytest
from kernel_caches import ENTRY, forget, stat_mode

from neocog import files
from neocog.kernels.compiler import kernel_cache
from neocog.kernels.compiler.kernel_cache import cache_folder, claim, read, write


def test_an_entry_comes_back(empty):
    assert read("one") is None
    write("one", ENTRY)
    assert read("one") == ENTRY
    path = cache_folder() / "one"
    assert list(cache_folder().iterdir()) == [path]
    levels = [empty.parent, empty, empty / "kernels", cache_folder()]
    assert [stat_mode(level) for level in levels] == [0o700] * 4
    assert stat_mode(path) == 0o600


def test_no_damaged_entry_is_used(empty, log):
    write("one", ENTRY)
    path = cache_folder() / "one"
    whole = path.read_bytes()
    damaged = [b"", whole[:31], whole[:100], whole[:-1], whole + b"\0", b"\x80\x05x" * 100]
    damaged += [whole[:n] + bytes([whole[n] ^ 1]) + whole[n + 1 :] for n in range(0, 500, 7)]
    for content in damaged:
        path.write_bytes(content)
        assert read("one") is None
    assert len(log.records) == len(damaged)
    assert {r.levelname for r in log.records} == {"DEBUG"}
    assert all(str(path) in r.message for r in log.records)
    path.write_bytes(whole)
    assert read("one") == ENTRY


def sealed(header, code=ENTRY.code):
    rest = len(header).to_bytes(4, "big") + header + code
    return hashlib.sha256(rest).digest() + rest


def test_an_entry_is_what_its_header_says(empty):
    write("one", ENTRY)
    path = cache_folder() / "one"
    whole = path.read_bytes()
    size = int.from_bytes(whole[32:36], "big")
    header = whole[36 : 36 + size]
    path.write_bytes(sealed(header))
    assert read("one") == ENTRY
    for wrong in (
        header.replace(b'"one"', b'"two"'),
        header.replace(b'"format": 4', b'"format": 3'),
        header.replace(b"5120", b"5119"),
        header.replace(b"5120", b'5120, "more": 1'),
        header.replace(b'"_ZN6kernel$1.2"', b"null"),
        b"[" * 10_000,
        b"7",
        b"not JSON",
        b"\xff",
        b"",
        header + b" " * 40_000,
    ):
        assert wrong != header
        path.write_bytes(sealed(wrong))
        assert read("one") is None, wrong
    path.rename(path.with_name("two"))
    path.with_name("two").write_bytes(whole)
    assert read("two") is None, "another kernel's entry"


@pytest.mark.parametrize(
    ("member", "wrong"),
    [
        *(
            ("sizes", [[path, "i"]])
            for path in (
                "__class__",
                "x.__init__.__globals__",
                "_hidden",
                "x._hidden",
                "x.",
                ".x",
                "x..row",
                "x row",
                "x.row\n",
                "x[0]",
                "x()",
                "größe",
                "9",
                "",
                7,
                None,
                ["x"],
            )
        ),
        *(("sizes", [["x", code]]) for code in ("", "ib", "I", "x", 1, None, ["i"])),
        *(("sizes", wrong) for wrong in ([["x"]], [["x", "i", "i"]], ["xi"], [7], 7, None, "xi")),
        ("sizes", {"ab": "i"}),
        *(("seconds", wrong) for wrong in (-0.5, float("nan"), float("inf"), 1, True, "1", None)),
    ],
)
def test_what_an_entry_reads_is_a_table_of_public_attributes(empty, member, wrong):
    """Attributes of specs are looked up by these names."""
    write("one", ENTRY)
    path = cache_folder() / "one"
    whole = path.read_bytes()
    header = json.loads(whole[36 : 36 + int.from_bytes(whole[32:36], "big")])
    assert header[member] != wrong
    path.write_bytes(sealed(json.dumps({**header, member: wrong}).encode()))
    assert read("one") is None
    path.write_bytes(sealed(json.dumps(header).encode()))
    assert read("one") == ENTRY


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such files and rights")
def test_only_regular_files_of_this_users_are_entries(empty, tmp_path):
    write("one", ENTRY)
    folder = cache_folder()
    (folder / "one").rename(tmp_path / "elsewhere")
    (folder / "one").symlink_to(tmp_path / "elsewhere")
    assert read("one") is None
    (folder / "one").unlink()
    os.mkfifo(folder / "one")
    assert read("one") is None
    (folder / "one").unlink()
    shutil.copy(tmp_path / "elsewhere", folder / "one")
    (folder / "one").chmod(0o622)
    assert read("one") is None
    (folder / "one").chmod(0o644)
    assert read("one") == ENTRY


def test_writing_does_not_follow_a_link(empty, tmp_path):
    write("one", ENTRY)
    (tmp_path / "victim").write_bytes(b"precious")
    for name in ("two", "two.lock"):
        (cache_folder() / name).symlink_to(tmp_path / "victim")
    with claim("two"):
        write("two", ENTRY)
    assert (tmp_path / "victim").read_bytes() == b"precious"
    assert read("two") == ENTRY


def test_a_cache_that_was_cleared_is_filled_again(empty):
    write("one", ENTRY)
    shutil.rmtree(empty)
    assert read("one") is None
    with claim("one") as mine:
        assert mine
        write("one", ENTRY)
    assert read("one") == ENTRY


def test_a_full_disk_is_said_once(empty, monkeypatch, log):
    def no_space(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), f"{path}.{time.monotonic()}")

    write("one", ENTRY)
    monkeypatch.setattr(files, "writing", no_space)
    write("two", ENTRY)
    write("three", ENTRY)
    assert (read("one"), read("two")) == (ENTRY, None)
    (record,) = log.records
    assert record.levelname == "WARNING"
    assert os.strerror(errno.ENOSPC) in record.message and str(empty) in record.message


def test_without_a_home_nothing_is_kept(empty, monkeypatch, log):
    monkeypatch.delenv("NEOCOG_CACHE_DIR")
    monkeypatch.setattr(files, "cache_folder", lambda: None)
    write("one", ENTRY)
    assert read("one") is None
    with claim("one") as mine:
        assert mine
    assert not kernel_cache.is_open()
    (record,) = log.records
    assert "no home folder" in record.message and "NEOCOG_CACHE_DIR" in record.message


@pytest.mark.parametrize("named", ["{}/file", "{}/file/below", "{}/" + "x" * 300])
def test_folders_that_cannot_be(empty, monkeypatch, tmp_path, log, named):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("NEOCOG_CACHE_DIR", named.format(tmp_path))
    write("one", ENTRY)
    assert read("one") is None
    assert len(log.records) == 1


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such rights")
def test_a_folder_that_others_can_write_to_is_neither_read_nor_written(empty, log):
    write("one", ENTRY)
    empty.chmod(0o707)
    forget()
    assert read("one") is None
    write("two", ENTRY)
    with claim("one") as mine:
        assert mine
    (record,) = log.records
    assert f"other users can write to {empty} (`chmod go-w {empty}`" in record.message
    assert [path.name for path in (empty / "kernels").glob("*/*")] == ["one"]


def test_a_relative_folder_and_one_below_home(empty, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEOCOG_CACHE_DIR", "here")
    assert kernel_cache.root() == tmp_path / "here"
    monkeypatch.chdir("/")
    assert cache_folder().parent.parent == tmp_path / "here"
    forget()
    monkeypatch.setenv("HOME" if os.name == "posix" else "USERPROFILE", str(tmp_path))
    monkeypatch.setenv("NEOCOG_CACHE_DIR", "~/there")
    assert kernel_cache.root() == tmp_path / "there"
