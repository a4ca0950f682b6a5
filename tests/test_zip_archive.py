"""Pictures in a zip of a folder, which is never unpacked."""

import os
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest
from picture_places import found, picture, refused, zipped

import neocog
from neocog.data.loading import list_pictures
from neocog.data.sources import Request

PHOTOS = {name: picture(n) for n, name in enumerate(["cat/1.png", "cat/2.png", "dog/1.png"])}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_class_folders_in_a_zip(tmp_path, method):
    path = zipped(tmp_path / "photos.zip", PHOTOS, method)
    parts, notes, classes = found(path)
    assert parts == {"all": {"cat/1.png": "cat", "cat/2.png": "cat", "dog/1.png": "dog"}}
    assert (notes, classes) == ("", ("cat", "dog"))
    data = neocog.load_data(path, validation=0)
    assert data.train.images[:, 0, 0, 0].tolist() == [0, 1, 2]
    assert data.name == "photos.zip"


def test_the_same_classes_and_split_as_of_the_folder(tmp_path):
    photos = {
        f"{name}/{n}.png": picture(n + at) for at, name in ((0, "a"), (50, "b")) for n in range(20)
    }
    path = zipped(tmp_path / "photos.zip", photos)
    with zipfile.ZipFile(path) as file:
        file.extractall(tmp_path / "photos")
    one, other = neocog.load_data(path), neocog.load_data(tmp_path / "photos")
    assert one.fingerprint == other.fingerprint
    assert one.validation.names == other.validation.names


def test_parts_in_a_zip_of_a_folder(tmp_path):
    photos = {
        f"set/{part}/{name}": photo for part in ("train", "test") for name, photo in PHOTOS.items()
    }
    photos |= {"__MACOSX/set/._1.png": b"", "set/.DS_Store": b"", "set/notes.txt": b"", "set/": b""}
    parts, notes, _classes = found(zipped(tmp_path / "a.zip", photos))
    assert [len(parts[part]) for part in ("train", "test")] == [3, 3]
    assert "hidden or of the system: 2" in notes
    assert ".txt (1)" in notes


def test_a_long_zip(tmp_path, monkeypatch):
    monkeypatch.setattr("zipfile.ZIP_FILECOUNT_LIMIT", 2)  # 65,535, for this is quicker
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as file:
        for name, content in PHOTOS.items():
            with file.open(name, "w", force_zip64=True) as member:
                member.write(content)
    assert b"PK\x06\x06" in path.read_bytes()
    assert len(found(path)[0]["all"]) == 3
    assert len(neocog.load_data(path, validation=0).train) == 3


@pytest.mark.parametrize(
    ("raw", "flag", "name"),
    [
        (b"c\xc3\xa4t/1.png", True, "cät/1.png"),
        (b"c\xc3\xa4t/1.png", False, "cät/1.png"),  # of macOS
        (b"c\x84t/1.png", False, "cät/1.png"),  # of DOS
        (b"cat\\day\\1.png", False, "cat/day/1.png"),  # of Windows
        (b"./cat//9.png", False, "cat/9.png"),
    ],
)
def test_names_of_other_systems(tmp_path, raw, flag, name):
    content = zipped(tmp_path / "a.zip", PHOTOS | {"x" * len(raw): picture(7)}).read_bytes()
    content = content.replace(b"x" * len(raw), raw)
    if flag:
        at = content.index(b"PK\x01\x02", content.index(b"PK\x01\x02") + 1)
        entry = content.rindex(b"PK\x01\x02")
        assert at < entry
        content = content[: entry + 8] + b"\0\x08" + content[entry + 10 :]
    (tmp_path / "a.zip").write_bytes(content)
    assert name in found(tmp_path / "a.zip")[0]["all"]


def test_any_thread_reads_from_a_zip(tmp_path):
    photos = {f"{name}/{n}.png": picture(n) for name in "ab" for n in range(100)}
    pictures = list_pictures(zipped(tmp_path / "a.zip", photos), Request()).parts["all"]
    together = threading.Barrier(4, timeout=60)

    def all_of_them(_):
        together.wait()
        return [pictures.read(n) for n in range(200)]

    with ThreadPoolExecutor(4) as pool:
        for contents in pool.map(all_of_them, range(4)):
            assert contents == list(photos.values())


def test_stamps_change_with_the_zip_and_the_picture(tmp_path):
    path = zipped(tmp_path / "a.zip", PHOTOS)
    pictures = list_pictures(path, Request()).parts["all"]
    before = [pictures.stamp(n) for n in range(3)]
    assert len(set(before)) == 3
    os.utime(path, ns=(1, 1))
    pictures = list_pictures(path, Request()).parts["all"]
    assert not {pictures.stamp(n) for n in range(3)} & set(before)


# Tables in zips


TABLE = b"file_name,label\ncat/1.png,x\ncat/2.png,y\ndog/1.png,x\n"


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("metadata.csv", TABLE),
        ("photos/labels.tsv", TABLE.replace(b",", b"\t")),
        ("metadata.csv", TABLE.replace(b".png", b"")),
        ("metadata.csv", TABLE.decode().encode("utf-16")),
        (
            "metadata.jsonl",
            b'{"file_name": "cat/1.png", "label": "x"}\n{"file_name": "cat/2.png", "label": "y"}\n'
            b'{"file_name": "./dog/1.png", "label": "x"}\n',
        ),
    ],
)
def test_a_table_in_a_zip(tmp_path, name, table):
    folder = name.rpartition("/")[0]
    photos = {f"{folder}/{photo}".lstrip("/"): content for photo, content in PHOTOS.items()}
    path = zipped(tmp_path / "a.zip", photos | {name: table, "notes.md": b""})
    parts, notes, classes = found(path)
    assert list(parts["all"].values()) == ["x", "y", "x"]
    assert list(parts["all"]) == list(photos)
    assert classes == ("x", "y")
    assert ".md (1)" in notes
    assert neocog.load_data(path, validation=0).train.images[:, 0, 0, 0].tolist() == [0, 1, 2]


def test_the_same_as_the_table_in_a_folder(tmp_path):
    photos = {f"set/train/{n}.png": picture(n) for n in range(20)}
    photos |= {f"set/test/{n}.png": picture(n + 50) for n in range(5)}
    for part, count in (("train", 20), ("test", 5)):
        lines = [f"{n}.png,{'ab'[n % 2]}" for n in range(count)]
        photos[f"set/{part}/metadata.csv"] = "\n".join(["file_name,label", *lines]).encode()
    path = zipped(tmp_path / "a.zip", photos)
    with zipfile.ZipFile(path) as file:
        file.extractall(tmp_path)
    one, other = neocog.load_data(path), neocog.load_data(tmp_path / "set")
    assert one.fingerprint == other.fingerprint
    assert (len(one.train), len(one.test)) == (20, 5)


def test_names_of_files_alone_are_looked_for_below(tmp_path):
    table = b"file_name,label\n2.png,x\nb/1,y\n"
    photos = {"a/b/1.png": picture(1), "a/c/2.png": picture(2), "labels.csv": table}
    path = zipped(tmp_path / "a.zip", photos)
    assert found(path)[0]["all"] == {"a/c/2.png": "x", "a/b/1.png": "y"}
    table = b"file_name,label\n1.png,x\nc/1,y\n"
    photos = {"a/b/1.png": picture(1), "a/c/1.png": picture(2), "labels.csv": table}
    assert "may be a/b/1.png or a/c/1.png; write the path" in refused(
        zipped(tmp_path / "a.zip", photos)
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"cat/3.png,x", "cat/3.png is named in line 5 of metadata.csv, and is not there"),
        (b"../3.png,x", "../3.png (line 5 of metadata.csv) leads upwards by '..'"),
        (b"/3.png,x", "/3.png (line 5 of metadata.csv) is an absolute path"),
        (b"cat/4,x", "cat/4 (line 5 of metadata.csv) may be cat/4.gif or cat/4.jpg"),
    ],
)
def test_tables_in_zips_that_name_what_cannot_be(tmp_path, line, message):
    more = {"cat/4.gif": picture(4), "cat/4.jpg": picture(4)}
    path = zipped(tmp_path / "a.zip", PHOTOS | more | {"metadata.csv": TABLE + line})
    assert message in refused(path)


def test_a_damaged_table_in_a_zip(tmp_path):
    path = zipped(tmp_path / "a.zip", PHOTOS | {"metadata.csv": TABLE}, zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"cat/1.png,x", b"cat/1.png,y"))
    assert "a.zip: metadata.csv is damaged in its zip" in refused(path)
