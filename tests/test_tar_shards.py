"""Pictures in tar files, as WebDataset has them: found by headers, read by any thread."""

import json
import os
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from picture_places import found, picture, refused, samples, tar

import neocog
from neocog.data.loading import list_pictures
from neocog.data.sources import Request
from neocog.data.sources.archives.name_table import NameTable
from neocog.data.sources.archives.open_files import OpenFiles
from neocog.data.sources.archives.shard_index import ShardIndex
from neocog.data.sources.archives.shard_paths import part_of_shard, shards_of_pattern
from neocog.errors import DataError

# One tar file


@pytest.mark.parametrize(
    ("ending", "texts"),
    [
        ("cls", ["3", "12\n", "3"]),
        ("txt", ["3", " 12 ", "3\r\n"]),
        ("json", ['{"label": 3}', '{"label": "12", "class": 4}', '{"label": 3, "x": [1]}']),
        ("json", ['{"category": 3}', '{"category": 12}', '{"category": 3}']),
        ("json", ["3", "12", '"3"']),
    ],
)
def test_a_label_beside_each_picture(tmp_path, ending, texts):
    path = tar(tmp_path / "a.tar", *samples(0, texts, ending))
    parts, notes, classes = found(path)
    assert parts == {"all": {"000000.png": "3", "000001.png": "12", "000002.png": "3"}}
    assert (notes, classes) == ("", ("3", "12"))


def test_the_pixels_are_those_of_the_picture(tmp_path):
    path = tar(tmp_path / "a.tar", *samples(0, "01" * 10))
    data = neocog.load_data(path, validation=0)
    numbers = [int(name[:6]) for name in data.train.names]
    assert data.train.images[:, 3, 3, 0].tolist() == numbers
    assert data.train.labels.tolist() == [number % 2 for number in numbers]


def test_a_field_of_json_that_is_asked_for(tmp_path):
    texts = [json.dumps({"label": "x", "made": {"by": 1}, "kind": kind}) for kind in ("b", "a")]
    path = tar(tmp_path / "a.tar", *samples(0, texts, "json"))
    assert found(path, label_column="kind")[0]["all"] == {"000000.png": "b", "000001.png": "a"}
    assert "lie in no folders" in refused(path, label_column="made")


def test_of_several_labels_the_class_number_counts(tmp_path):
    members = [("1.txt", b"a cat"), ("1.json", b'{"label": 2}'), ("1.png", picture(1))]
    path = tar(tmp_path / "a.tar", *members, ("1.cls", b"7"), *samples(2, "8"))
    assert found(path)[0]["all"] == {"1.png": "7", "000002.png": "8"}


def test_what_is_no_label_is_none(tmp_path):
    odd = ["[" * 60_000, '{"label": 1' + "0" * 5000 + "}", '{"label": [1]}', '{"label": true}', ""]
    path = tar(
        tmp_path / "a.tar",
        *samples(0, odd, "json"),
        *samples(10, ["two\nlines", "\0" * 70_000, "x" * 101], "txt"),
        ("20.png", picture(20)),
        ("20.cls", b"\xff"),
        *samples(30, "ab"),
    )
    parts, notes, _classes = found(path)
    assert parts["all"] == {"000030.png": "a", "000031.png": "b"}
    assert "Pictures without a label are passed over: 9." in notes


def test_labels_that_do_not_stand_beside_their_pictures(tmp_path):
    """As in what tar makes of a folder, whose files come in any order."""
    members = sorted(samples(0, "xyx"), key=lambda member: member[0][::-1])
    path = tar(tmp_path / "a.tar", *members)
    assert found(path)[0]["all"] == {"000000.png": "x", "000001.png": "y", "000002.png": "x"}


def test_of_several_pictures_in_a_sample_the_first_counts(tmp_path):
    members = [("a/1.left.png", picture(1)), ("a/1.right.png", picture(2)), ("a/1.cls", b"5")]
    path = tar(tmp_path / "a.tar", *members, ("b/1.PNG", picture(3)), ("b/1.CLS", b"6"))
    parts, notes, _classes = found(path)
    assert parts["all"] == {"a/1.left.png": "5", "b/1.PNG": "6"}
    assert "Further pictures of one sample are passed over: 1." in notes


def test_folders_in_a_tar_file_are_classes(tmp_path):
    members = [
        (f"./photos/{name}.png", picture(n)) for n, name in enumerate(["cat/1.a", "cat/1.b"])
    ]
    path = tar(tmp_path / "a.tar", *members, ("./photos/dog/1.png", picture(9)))
    parts, _notes, classes = found(path)
    assert parts["all"] == {
        "photos/cat/1.a.png": "cat",
        "photos/cat/1.b.png": "cat",
        "photos/dog/1.png": "dog",
    }
    assert classes == ("cat", "dog")


def test_parts_in_one_tar_file(tmp_path):
    names = [f"{part}/{name}/1.png" for part in ("train", "val") for name in ("cat", "dog")]
    path = tar(tmp_path / "a.tar", *((name, picture(n)) for n, name in enumerate(names)))
    assert found(path)[0] == {
        "train": {"train/cat/1.png": "cat", "train/dog/1.png": "dog"},
        "validation": {"val/cat/1.png": "cat", "val/dog/1.png": "dog"},
    }


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_long_names(tmp_path, form):
    names = [f"{'x' * 60}/{'y' * 90}/{n}{'é' * 20}.png" for n in "12"]
    members = [(name, picture(n)) for n, name in enumerate(names)]
    labels = [(name[:-3] + "cls", b"%d" % n) for n, name in enumerate(names)]
    path = tar(tmp_path / "a.tar", *members, *labels, form=form)
    assert found(path)[0]["all"] == {names[0]: "0", names[1]: "1"}
    assert (neocog.load_data(path, validation=0).train.images[:, 0, 0, 0] == [0, 1]).all()


# Several


def shards(folder: Path, *names: str) -> Path:
    for shard, name in enumerate(names):
        tar(folder / name, *samples(2 * shard, "ab"))
    return folder


def test_a_folder_of_shards(tmp_path):
    parts, _notes, classes = found(shards(tmp_path, "x-1.tar", "x-0.tar"))
    assert classes == ("a", "b")
    assert parts["all"] == {
        "x-0.tar/000002.png": "a",
        "x-0.tar/000003.png": "b",
        "x-1.tar/000000.png": "a",
        "x-1.tar/000001.png": "b",
    }


@pytest.mark.parametrize(
    "names",
    [
        ("train-000000.tar", "train-000001.tar", "val-000000.tar", "test-000000.tar"),
        ("set_train_0.tar", "set_train_1.tar", "set_validation.tar", "set_test.tar"),
        ("train/0.tar", "train/1.tar", "valid/0.tar", "test/0.tar"),
    ],
)
def test_shards_of_parts(tmp_path, names):
    shards(tmp_path, *names)
    (tmp_path / "README.md").touch()
    parts, notes, _classes = found(tmp_path)
    assert {part: len(names) for part, names in parts.items()} == {
        "train": 4,
        "validation": 2,
        "test": 2,
    }
    assert f"{names[2]}/000004.png" in parts["validation"]
    assert ".md (1)" in notes


def test_shards_of_parts_with_folders_for_classes(tmp_path):
    for part in ("train", "test"):
        members = [(f"{name}/{part}.png", picture(n)) for n, name in enumerate(["cat", "dog"])]
        tar(tmp_path / f"{part}.tar", *members)
    assert found(tmp_path)[0]["test"] == {
        "test.tar/cat/test.png": "cat",
        "test.tar/dog/test.png": "dog",
    }


def test_a_shard_that_says_no_part_beside_others_that_do(tmp_path):
    shards(tmp_path, "train-0.tar", "more-0.tar")
    assert "has tar files for parts, and more-0.tar, whose name says no part" in refused(tmp_path)


def test_shards_of_one_part_are_split(tmp_path):
    shards(tmp_path, "train-0.tar", "train-1.tar")
    assert set(found(tmp_path)[0]) == {"all"}
    shards(tmp_path / "others", "test-0.tar", "test-1.tar")
    assert set(found(tmp_path / "others")[0]) == {"all"}


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("train-000000.tar", "train"),
        ("data/imagenet_val.0001.TAR", "validation"),
        ("training/0.tar", "train"),
        ("trainer-0.tar", None),
        ("test-of-train-0.tar", None),
        ("0.tar", None),
    ],
)
def test_the_part_that_a_name_says(name, part):
    assert part_of_shard(name) == part


def test_class_folders_with_a_tar_file_beside_them_stay_class_folders(tmp_path):
    for number, name in enumerate(("cat", "dog")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(picture(number))
    shards(tmp_path, "download.tar")
    assert found(tmp_path)[0]["all"] == {"cat/1.png": "cat", "dog/1.png": "dog"}


# Patterns


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("s-{000..002}.tar", ["s-000.tar", "s-001.tar", "s-002.tar"]),
        ("s-{2..0}.tar", ["s-2.tar", "s-1.tar", "s-0.tar"]),
        ("s-{8..10}.tar", ["s-8.tar", "s-9.tar", "s-10.tar"]),
        ("{a,b}-{0..1}.tar", ["a-0.tar", "a-1.tar", "b-0.tar", "b-1.tar"]),
        ("{a,}-0.tar", ["a-0.tar", "-0.tar"]),
    ],
)
def test_braces_are_what_a_shell_makes_of_them(tmp_path, pattern, names):
    for name in names:
        (tmp_path / name).touch()
    assert [path.name for path in shards_of_pattern(str(tmp_path / pattern))] == names


def test_wildcards(tmp_path):
    shards(tmp_path, "train-0.tar", "train-1.tar", "test-0.tar")
    parts = found(tmp_path / "t*-?.tar")[0]
    assert [len(parts[part]) for part in ("train", "test")] == [4, 2]
    data = neocog.load_data(str(tmp_path / "train-{0..1}.tar"))
    assert len(data.train) + len(data.validation) == 4
    assert data.source == str(tmp_path / "train-{0..1}.tar")


def test_a_file_of_that_very_name_is_meant_itself(tmp_path):
    shards(tmp_path, "s-{0..1}.tar", "s-[01].tar")
    assert len(found(tmp_path / "s-{0..1}.tar")[0]["all"]) == 2
    assert len(found(tmp_path / "s-[01].tar")[0]["all"]) == 2


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("s-{0..3}.tar", "s-2.tar, which is not there"),
        ("x-*.tar", "There is no file that .*x-\\*.tar fits"),
        ("s-{0..99999999999}.tar", "names more than 100,000 files"),
        ("{0..999}{0..999}.tar", "names more than 100,000 files"),
        ("{0..9}" * 30 + ".tar", "names more than 100,000 files"),
        ("{0,0}.tar", "named twice"),
    ],
)
def test_patterns_that_cannot_be(tmp_path, pattern, message):
    shards(tmp_path, "s-0.tar", "s-1.tar", "0.tar")
    with pytest.raises(DataError, match=message):
        neocog.load_data(tmp_path / pattern)


# How shards are read


def test_pictures_are_not_read_to_be_found(tmp_path, monkeypatch):
    content = picture(1) + bytes(1_000_000)
    path = tar(tmp_path / "a.tar", *((f"{n}.png", content) for n in range(20)), ("0.cls", b"1"))
    read, real = [], OpenFiles.read
    monkeypatch.setattr(
        OpenFiles, "read", lambda self, n, at, size: read.append(size) or real(self, n, at, size)
    )
    found(path)
    assert sum(read) < 20_000


def test_the_index_takes_a_few_bytes_a_picture(tmp_path):
    names = [f"{n:09}.png" for n in range(2000)]
    path = tar(tmp_path / "a.tar", *((name, b"") for name in names))
    store = ShardIndex([path], ["a.tar"], None).store
    assert [store.name(n) for n in (0, 1999)] == [names[0], names[1999]]
    parts = (*store.__dict__.values(), *store.names.__dict__.values())
    taken = sum(sys.getsizeof(part) for part in parts)
    # The letters of the name, four numbers, and what is kept free for more.
    assert taken < 2000 * 1.5 * (13 + 8 + 4 + 8 + 8)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(sys.platform != "linux", reason="counts descriptors as Linux does")
def test_threads_read_from_many_shards_by_few_descriptors(tmp_path):
    count = 60
    shards(tmp_path, *(f"{n:03}.tar" for n in range(count)))
    pictures = list_pictures(tmp_path, Request()).parts["all"]
    before = descriptors()
    order = np.random.default_rng(0).permutation(np.tile(np.arange(2 * count), 5)).tolist()
    with ThreadPoolExecutor(8) as pool:
        contents = list(pool.map(pictures.read, order))
    assert contents == [picture(n) for n in order]
    assert descriptors() - before <= 32
    del pictures, pool
    assert descriptors() <= before


def test_without_pread_threads_take_turns(tmp_path, monkeypatch):
    monkeypatch.delattr("os.pread", raising=False)  # as on Windows
    shards(tmp_path, "0.tar")
    pictures = list_pictures(tmp_path, Request()).parts["all"]
    with ThreadPoolExecutor(4) as pool:
        contents = list(pool.map(pictures.read, [0, 1] * 50))
    assert contents == [picture(0), picture(1)] * 50


def test_a_shard_that_was_changed_is_not_read_by_an_old_index(tmp_path):
    shards(tmp_path, *(f"{n:03}.tar" for n in range(40)))
    pictures = list_pictures(tmp_path, Request()).parts["all"]
    with (tmp_path / "000.tar").open("ab") as file:
        file.write(bytes(512))
    with pytest.raises(DataError, match=r"000\.tar was changed while it was in use"):
        pictures.read(0)
    assert pictures.read(10)


def test_stamps_change_with_the_shard(tmp_path):
    shards(tmp_path, "0.tar", "1.tar")

    def stamps():
        pictures = list_pictures(tmp_path, Request()).parts["all"]
        return [pictures.stamp(n) for n in range(4)]

    before = stamps()
    assert len(set(before)) == 4
    os.utime(tmp_path / "0.tar", ns=(1, 1))
    assert [one == two for one, two in zip(before, stamps(), strict=True)] == [False] * 2 + [
        True
    ] * 2


@pytest.mark.parametrize("ending", ["tar.xz", "txz", "tar.bz2", "tar.zst"])
def test_packed_tar_files_are_refused_with_what_to_do(tmp_path, ending):
    path = tmp_path / f"photos.{ending}"
    path.touch()
    assert "is packed as a whole" in refused(path)
    assert "Unpack it (tar -xf " in refused(path)


def test_pictures_packed_as_cifar_is(tmp_path):
    with tarfile.open(tmp_path / "photos.tar.gz", "w:gz") as file:
        file.addfile(tarfile.TarInfo("cat/1.png"))
    assert "Pictures that are packed otherwise are read from .zip and .tar." in refused(
        tmp_path / "photos.tar.gz"
    )


def test_a_tar_file_without_an_ending(tmp_path):
    path = tar(tmp_path / "photos", *samples(0, "ab"))
    assert len(found(path)[0]["all"]) == 2


def test_names_in_a_row():
    names = NameTable()
    for name in ("", "a", "é/ü", "caf\udce9", ""):
        names.append(name)
    assert list(names) == ["", "a", "é/ü", "caf\udce9", ""]
    assert names[1:4] == ["a", "é/ü", "caf\udce9"]
    for number in (5, -1):
        with pytest.raises(IndexError):
            names[number]
