"""Archives as sources that are damaged, or made to do harm: nothing outside is read or written."""

import os
import struct
import sys
import tarfile
import zipfile
import zlib
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_places import found, load_apart, picture, put, refused, samples, tar, zipped
from test_hostile_archives import header
from test_hostile_pictures import MOST_BYTES, zeros

import neocog
from neocog.errors import DataError

PHOTOS = {f"{name}/{n}.png": picture(n + ord(name[0])) for name in ("cat", "dog") for n in range(3)}
END = bytes(1024)


def member(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, **more) -> bytes:
    return header(name, len(content), kind, **more) + content + bytes(-len(content) % 512)


PAIR = b"".join(member(name, content) for name, content in samples(0, "ab"))
NAMES = ["000000.png", "000001.png"]


def made(path: Path, *parts: bytes) -> Path:
    path.write_bytes(b"".join(parts))
    return path


# Tar


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../up.png", "lead out of the archive: ../up.png"),
        ("a/../../up.png", "lead out of the archive"),
        ("/etc/abs.png", "lead out of the archive: /etc/abs.png"),
        ("C:/abs.png", "lead out of the archive"),
        (".hidden/1.png", "hidden or of the system: 1"),
        ("a/" * 41 + "1.png", "too many folders deep: 1"),
    ],
)
def test_names_that_no_picture_in_a_tar_file_has(tmp_path, name, said):
    path = made(tmp_path / "a.tar", member(name, picture(9)), PAIR, END)
    parts, notes, _classes = found(path)
    assert list(parts["all"]) == NAMES
    assert said in notes


def test_links_and_devices_in_a_tar_file(tmp_path):
    kinds = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)
    odd = [
        member(f"{n}.png", kind=kind, linkname="/etc/passwd")
        for n, kind in enumerate((*kinds, tarfile.DIRTYPE, b"V"))
    ]
    parts, notes, _classes = found(made(tmp_path / "a.tar", *odd, PAIR, END))
    assert list(parts["all"]) == NAMES
    assert "links to folders or to what lies outside: 2" in notes
    assert "pipes, devices or sockets: 4" in notes


def test_a_link_that_claims_a_size_hides_nothing(tmp_path):
    link = header("l.png", 10**6, tarfile.SYMTYPE)
    assert list(found(made(tmp_path / "a.tar", link, PAIR, END))[0]["all"]) == NAMES


def test_a_tar_file_without_its_end(tmp_path):
    assert list(found(made(tmp_path / "a.tar", PAIR))[0]["all"]) == NAMES


def test_what_comes_after_the_end_is_not_read(tmp_path):
    path = made(tmp_path / "a.tar", PAIR, END, member("2.png", picture(2)))
    assert list(found(path)[0]["all"]) == NAMES


def pax(text: bytes) -> bytes:
    return member("x", text, tarfile.XHDTYPE)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ((PAIR[:550],), "it ends too soon"),
        ((PAIR, b"x" * 512), "the header at byte .* is damaged"),
        ((PAIR, b"x" * 100), "it ends too soon"),
        ((PAIR, header("1.png", 10**9)), "it ends too soon"),
        ((header("1.png").replace(b"0" * 11, b"9" * 11, 1),), "damaged"),
        ((member("x", b"y" * 70_000, tarfile.GNUTYPE_LONGNAME), PAIR), "a name in it has 70,000"),
        ((member("x", b"y" * 70_000, tarfile.XHDTYPE), PAIR), "a name in it has 70,000"),
        ((header("x", 10**9, tarfile.XHDTYPE),), "it ends too soon"),
        ((pax(b"99 path=a\n"), PAIR), "a header in it is damaged"),
        ((pax(b"0 =\n"), PAIR), "a header in it is damaged"),
        ((pax(b"x path=a\n"), PAIR), "a header in it is damaged"),
        ((pax(b"9" * 5000), PAIR), "a header in it is damaged"),
        ((pax(b"11 path=ab"), PAIR), "a header in it is damaged"),
        ((pax(b"14 size=99999\n"), PAIR), "it ends too soon"),
        ((pax(b"12 size=-12\n"), PAIR), "a header in it is damaged"),
        ((pax(b"22 GNU.sparse.major=1\n"), PAIR), "it has a sparse file"),
        ((member("s.png", b"", b"S"), PAIR), "it has a sparse file"),
    ],
)
def test_damaged_tar_files(tmp_path, parts, message):
    with pytest.raises(DataError, match=f"is no sound tar file: .*{message}"):
        neocog.load_data(made(tmp_path / "a.tar", *parts))


def test_a_tar_file_of_nothing(tmp_path):
    assert "has no pictures." in refused(made(tmp_path / "a.tar"))
    assert "has no pictures." in refused(made(tmp_path / "b.tar", END))


def test_a_size_in_256s_is_read_and_bounded(tmp_path):
    """As GNU's tar writes those of 8 GiB and more."""
    large = tarfile.TarInfo("large.bin")
    large.size = 2**40
    path = made(tmp_path / "a.tar", PAIR, large.tobuf(tarfile.GNU_FORMAT))
    assert "it ends too soon" in refused(path)
    with path.open("r+b") as file:
        file.truncate(2**40 + len(PAIR) + 512)  # which takes no room on the disk
    assert list(found(path)[0]["all"]) == NAMES


@pytest.mark.skipif(os.name != "posix", reason="links are made another way")
def test_shards_that_are_links_out_of_their_folder(tmp_path):
    tar(tmp_path / "outside.tar", *samples(0, "ab"))
    tar(tmp_path / "set" / "0.tar", *samples(2, "ab"))
    (tmp_path / "set" / "1.tar").symlink_to(tmp_path / "outside.tar")
    os.mkfifo(tmp_path / "set" / "2.tar")
    parts, notes, _classes = found(tmp_path / "set")
    assert list(parts["all"]) == ["000002.png", "000003.png"]
    assert "links to folders or to what lies outside: 1" in notes
    assert "pipes, devices or sockets: 1" in notes


# Zip


def entry(name: bytes, content: bytes, **fields) -> tuple[bytes, bytes]:
    """A member of a zip and its entry in the list, with some fields as they are given."""
    packer = zlib.compressobj(9, wbits=-15)
    packed = fields.pop("packed", packer.compress(content) + packer.flush())
    usual = {"system": 3, "flags": 0, "method": 8, "crc": zlib.crc32(content), "mode": 0o100644}
    usual |= {"size": len(content), "packed_size": len(packed), "at": None, "extra": b""}
    f = usual | fields
    sizes = (f["crc"], f["packed_size"], f["size"], len(name))
    local = struct.pack(
        "<4sHHHLLLLHH", b"PK\3\4", 20, f["flags"], f["method"], 0, *sizes, len(f["extra"])
    )
    listed = struct.pack(
        "<4sBBHHHLLLLHHH", b"PK\1\2", 20, f["system"], 20, f["flags"], f["method"], 0, *sizes, 0, 0
    )
    listed += struct.pack("<HHL", 0, 0, f["mode"] << 16)
    return local + name + f["extra"] + packed, listed + b"%b" + name, f["at"]


def zip_of(path: Path, *entries, behind: bytes = b"", before: bytes = b"", **end) -> Path:
    body, listed = before, b""
    for local, in_list, at in entries:
        place = len(body) if at is None else at
        head, name = in_list.split(b"%b", 1)
        listed += head + struct.pack("<L", place) + name
        body += local
    count, size = end.get("count", len(entries)), end.get("size", len(listed))
    at = end.get("at", len(body) - len(before) if end.get("lies") else len(body))
    last = struct.pack("<4sHHHHLLH", b"PK\5\6", 0, 0, count, count, size, at, 0)
    path.write_bytes(body + listed + last + behind)
    return path


def photos(*more) -> list:
    return [entry(name.encode(), content) for name, content in PHOTOS.items()] + list(more)


def test_the_zips_made_here_are_sound(tmp_path):
    path = zip_of(tmp_path / "a.zip", *photos())
    assert zipfile.ZipFile(path).testzip() is None
    assert list(found(path)[0]["all"]) == list(PHOTOS)


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        (entry(b"../up.png", b"x"), "lead out of the archive: ../up.png"),
        (entry(b"..\\up.png", b"x", system=0), "lead out of the archive: ../up.png"),
        (entry(b"/abs.png", b"x"), "lead out of the archive: /abs.png"),
        (entry(b"C:\\abs.png", b"x", system=0), "lead out of the archive: C:/abs.png"),
        (entry(b"cat/a\0.png", b"x"), r"lead out of the archive: cat/a\x00.png"),
        (entry(b"cat/l.png", b"/etc/passwd", mode=0o120777), "lies outside: 1"),
        (entry(b"cat/d.png", b"", mode=0o020666), "pipes, devices or sockets: 1"),
        (entry(b"cat/.h.png", b"x"), "hidden or of the system: 1"),
        (entry(b"a/" * 41 + b"1.png", b"x"), "too many folders deep: 1"),
        (entry(b"inner.zip", b"PK"), ".zip (1)"),
        (entry(b"\x1b[2J/../1.png", b"x"), r"\x1b[2J"),
    ],
)
def test_members_of_a_zip_that_are_passed_over(tmp_path, monkeypatch, odd, said):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    path = zip_of(tmp_path / "a.zip", *photos(odd))
    parts, notes, _classes = found(path)
    assert list(parts["all"]) == list(PHOTOS)
    assert said in notes
    neocog.load_data(path)
    assert sorted(tmp_path.rglob("*")) == [path, tmp_path / "empty"]


@pytest.mark.parametrize(
    ("odd", "message"),
    [
        ({"flags": 1}, "cat/x.png in it is encrypted"),
        ({"flags": 64}, "cat/x.png in it is encrypted"),
        ({"at": 0}, "members in it lie over each other"),
        ({"at": 30}, "members in it lie over each other"),
        ({"at": 10**6}, "members in it lie over each other"),
        ({"packed_size": 10**6}, "members in it lie over each other"),
        ({"size": 2**31}, "it says that it unpacks to"),
    ],
)
def test_zips_that_are_refused_as_a_whole(tmp_path, odd, message):
    assert message in refused(
        zip_of(tmp_path / "a.zip", *photos(entry(b"cat/x.png", b"xyz", **odd)))
    )


@pytest.mark.parametrize(
    ("odd", "message"),
    [
        ({"method": 12}, "is packed by method 12, which is not read"),
        ({"method": 14}, "is packed by method 14, which is not read"),
        ({"crc": 1}, "is damaged in its zip: its length or CRC-32 is another"),
        ({"size": 2}, "is damaged in its zip: its length or CRC-32 is another"),
        ({"size": 10_000}, "is damaged in its zip: its length or CRC-32 is another"),
        ({"packed": b"\xff" * 9}, "is damaged in its zip."),
        ({"packed": b"\x4b"}, "is damaged in its zip: it is cut short"),
        ({"size": 200 * 2**20}, "unpacks to 209,715,200 bytes from 5, as no picture does"),
    ],
)
def test_pictures_in_a_zip_that_cannot_be_read(tmp_path, odd, message):
    path = zip_of(tmp_path / "a.zip", *photos(entry(b"cat/x.png", b"xyz", **odd)))
    assert f"cat/x.png {message}" in refused(path)


def test_a_local_header_that_leads_elsewhere(tmp_path):
    path = zip_of(tmp_path / "a.zip", *photos(entry(b"cat/x.png", b"xyz", extra=b"\0" * 4)))
    content = path.read_bytes()
    at = content.index(b"cat/x.png") - 30
    for place, value in ((at, b"PK\3\5"), (at + 28, b"\xff\xff")):
        path.write_bytes(content[:place] + value + content[place + len(value) :])
        assert "cat/x.png cannot be read: its zip is damaged" in refused(path)


def test_a_picture_that_is_twice_in_a_zip(tmp_path):
    twice = entry(b"./cat/0.png", b"x")
    assert "cat/0.png is in it twice" in refused(zip_of(tmp_path / "a.zip", *photos(twice)))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"behind": b"x"}, "something follows its end"),
        ({"before": b"#!/bin/sh\n", "lies": True}, "something may stand before the zip"),
        ({"count": 100}, "it is damaged or cut short"),
        ({"count": 5, "size": 10}, "its list is not where it should be"),
        ({"at": 0xFFFFFFF0}, "its list is not where it should be"),
    ],
)
def test_damaged_ends_of_zips(tmp_path, how, message):
    assert message in refused(zip_of(tmp_path / "a.zip", *photos(), **how))


def test_a_zip_cut_short(tmp_path):
    whole = zipped(tmp_path / "whole.zip", PHOTOS).read_bytes()
    for size in (0, 3, 21, len(whole) // 2, len(whole) - 1):
        message = refused(made(tmp_path / "a.zip", whole[:size]))
        assert "is no zip that is read: it is damaged or cut short" in message


def test_members_that_lie_over_each_other(tmp_path):
    """A kernel that all of them share, as in the bombs at bamsoftware.com/hacks/zipbomb."""
    kernel = entry(b"cat/kernel.png", bytes(2**20))
    entries = [(b"", kernel[1].replace(b"kernel", b"%06d" % n), 0) for n in range(1000)]
    path = zip_of(tmp_path / "a.zip", kernel, *entries)
    assert "members in it lie over each other" in refused(path)


def test_a_zip_in_itself_and_many_in_one(tmp_path):
    """Of the kinds of 42.zip and of quines: what is in a zip is never taken for an archive."""
    inner = zipped(tmp_path / "inner.zip", {f"{n}.zip": b"PK\3\4" for n in range(16)}).read_bytes()
    path = zipped(tmp_path / "42.zip", {f"lib {n}.zip": inner for n in range(16)})
    assert "has no pictures. Files of other kinds are passed over: .zip (16)." in refused(path)


@pytest.mark.skipif(sys.platform != "linux", reason="counts memory as Linux does")
def test_bombs_take_little_memory(tmp_path):
    sound = put(tmp_path / "sound", cat=2, dog=2)
    bomb = entry(b"cat/bomb.png", bytes(20 * 2**20))
    packed = zeros(400 * 2**20)[2:-4]  # without what zlib puts around it
    lies = entry(b"dog/lies.png", b"", packed=packed, size=1000)
    long = entry(b"dog/long.png", b"", packed=b"", size=65 * 2**20)
    said, grown = load_apart(zip_of(tmp_path / "a.zip", *photos(bomb, lies, long)), sound)
    assert "3 of 9 pictures cannot be read" in said
    assert "dog/lies.png is damaged in its zip" in said
    assert "dog/long.png unpacks to 68,157,440 bytes from 0" in said
    assert grown < MOST_BYTES


# Whatever is in them


TAR = BytesIO()
with tarfile.open(fileobj=TAR, mode="w") as _file:
    for _name, _content in samples(0, "ab"):
        _file.addfile(tarfile.TarInfo(f"{'x' * 120}/{_name}"), BytesIO())
SOUND = {
    "a.tar": PAIR + TAR.getvalue() + pax(b"14 path=longer\n") + PAIR,
    "a.zip": None,
}


@given(
    st.sampled_from(sorted(SOUND)),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=4),
    st.integers(0, 3000),
)
@settings(max_examples=100, deadline=None)
def test_any_damage_ends_in_a_message(tmp_path_factory, name, changes, cut):
    path = tmp_path_factory.getbasetemp() / name
    content = SOUND[name]
    if content is None:
        content = zip_of(path, *photos()).read_bytes()
    content = bytearray(content[: len(content) - cut] if cut < 100 else content)
    for at, value in changes:
        content[at % len(content)] = value
    path.write_bytes(content)
    try:
        neocog.load_data(path, size=8)
    except DataError as error:
        assert len(str(error)) < 5000
