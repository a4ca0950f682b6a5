"""CIFAR-100, and the Python files of both CIFARs, made up here."""

import os
import pickle
import tarfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from python2_pickle import python2_pickle

from neocog import NeocogError
from neocog.data import load_data
from neocog.data.sources import cifar10, cifar100
from neocog.data.sources.archives import cached_archive
from neocog.data.sources.pixel_files.cifar_python import read_batch
from neocog.data.sources.pixel_files.cifar_records import empty
from neocog.errors import DataError

TRAIN, TEST = 300, 130  # in place of 50,000 and 10,000; over the blocks of 125, and not whole ones


@pytest.fixture(autouse=True)
def small(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar100, "TRAIN_RECORDS", TRAIN)
    monkeypatch.setattr(cifar100, "TEST_RECORDS", TEST)
    monkeypatch.setattr(cifar10, "RECORDS", TEST)
    monkeypatch.setattr(cifar10, "FILE_BYTES", TEST * 3073)
    monkeypatch.setattr(cached_archive, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.delenv("NEOCOG_DATA", raising=False)


def planes(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 3072), np.uint8)


def upright(pixels: np.ndarray) -> np.ndarray:
    """What CIFAR's page says: red, green and blue planes, row by row."""
    return pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)


PARTS = {"train": planes(TRAIN, 1), "test": planes(TEST, 2)}


def binary_100(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for part, pixels in PARTS.items():
        labels = np.arange(len(pixels))
        heads = np.stack([labels % 20, labels % 100], axis=1).astype(np.uint8)
        np.concatenate([heads, pixels], axis=1).tofile(folder / f"{part}.bin")
    return folder


def python_100(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for part, pixels in PARTS.items():
        labels = range(len(pixels))
        content = {
            b"filenames": [f"bos_taurus_s_{n}.png".encode() for n in labels],
            b"batch_label": b"training batch 1 of 1",
            b"fine_labels": [n % 100 for n in labels],
            b"coarse_labels": [n % 20 for n in labels],
            b"data": pixels,
        }
        (folder / part).write_bytes(python2_pickle(content))
    (folder / "meta").write_bytes(python2_pickle({b"fine_label_names": [b"apple"]}))
    return folder


def python_10(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for n, name in enumerate(cifar10.PYTHON_FILES):
        content = {
            b"batch_label": b"training batch",
            b"labels": [k % 10 for k in range(TEST)],
            b"data": planes(TEST, n),
            b"filenames": [b"x.png"] * TEST,
        }
        (folder / name).write_bytes(python2_pickle(content))
    return folder


def pack(archive: Path, folder: Path) -> Path:
    with tarfile.open(archive, "w:gz", compresslevel=0) as out:
        out.add(folder, folder.name)
    return archive


def test_what_is_written_here_is_what_python_reads(tmp_path):
    content = (python_100(tmp_path / "it") / "test").read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's, of its old name in the file
        found = pickle.loads(content, encoding="bytes")
    assert np.array_equal(found[b"data"], PARTS["test"])
    assert found[b"fine_labels"][-1] == (TEST - 1) % 100


@pytest.mark.parametrize("make", [binary_100, python_100])
def test_cifar_100_has_fine_and_coarse_labels(tmp_path, make):
    folder = make(tmp_path / make.__name__)
    data = load_data(folder)
    assert (data.name, len(data.classes)) == ("cifar100", 100)
    assert (data.classes[0], data.classes[99]) == ("apple", "worm")
    for part, pixels in PARTS.items():
        found = data.parts[part]
        assert np.array_equal(found.images, upright(pixels))
        assert np.array_equal(found.labels, np.arange(len(pixels)) % 100)
    coarse = load_data(folder, label_column="coarse")
    assert (len(coarse.classes), coarse.classes[0]) == (20, "aquatic_mammals")
    assert np.array_equal(coarse.test.labels, np.arange(TEST) % 20)
    assert coarse.options == {"label_column": "coarse"}
    with pytest.raises(DataError, match=r"label_column \(='finest'\) must be 'fine' or 'coarse'"):
        load_data(folder, label_column="finest")


def test_classes_of_cifar_100():
    assert (len(set(cifar100.FINE)), len(set(cifar100.COARSE))) == (100, 20)
    for names in (cifar100.FINE, cifar100.COARSE):
        assert list(names) == sorted(names)


@pytest.mark.parametrize("make", [binary_100, python_100])
def test_cifar_100_above_its_folder_and_packed(tmp_path, make):
    name = cifar100.BINARY.folder if make is binary_100 else cifar100.PYTHON.folder
    folder = make(tmp_path / "here" / name)
    wanted = load_data(folder).fingerprint
    assert load_data(folder.parent).fingerprint == wanted
    archive = pack(tmp_path / "any.tar.gz", folder)
    assert load_data(archive).fingerprint == wanted
    archive.rename(tmp_path / f"{name}.tar.gz")
    assert load_data(tmp_path / f"{name}.tar.gz").fingerprint == wanted


def test_the_python_files_of_cifar_10(tmp_path):
    folder = python_10(tmp_path / cifar10.PYTHON_FOLDER)
    data = load_data(folder)
    assert (data.name, data.classes[3]) == ("cifar10", "cat")
    pixels = np.concatenate([planes(TEST, n) for n in range(5)])
    assert np.array_equal(data.train.images, upright(pixels))
    assert np.array_equal(data.test.images, upright(planes(TEST, 5)))
    assert data.test.labels.tolist() == [k % 10 for k in range(TEST)]
    assert load_data("cifar10", data_dir=tmp_path).fingerprint == data.fingerprint
    archive = pack(tmp_path / "mine.tgz", folder)
    assert load_data(archive).fingerprint == data.fingerprint


def test_some_classes_of_a_cifar(tmp_path):
    data = load_data(python_10(tmp_path / "it"), classes=["dog", "cat"], size=16, channels=1)
    assert data.classes == ("dog", "cat")
    assert np.bincount(data.test.labels).tolist() == [TEST // 10, TEST // 10]
    assert data.test.images.shape == (26, 16, 16, 1)
    assert data.options == {"classes": ["dog", "cat"]}


def test_folders_of_pictures_called_train_and_test_are_none_of_cifar_100(tmp_path):
    for part in ("train", "test"):
        (tmp_path / part / "a").mkdir(parents=True)
    with pytest.raises(DataError, match="has no pictures"):
        load_data(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train.bin", b"\0" * 100, "train.bin is truncated: 100 bytes, not 922,200"),
        ("test.bin", None, "test.bin is missing. CIFAR-100 is train.bin, test.bin"),
        ("test.bin", b"\x14" * TEST * 3074, r"test.bin: record 0 .* label 20, .* 0 to 19"),
    ],
)
def test_damaged_files_of_cifar_100(tmp_path, name, content, message):
    folder = binary_100(tmp_path / "it")
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        load_data(folder, label_column="coarse")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
@pytest.mark.timeout(20)
def test_pipes_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / cifar100.BINARY.archive)
    for place in (tmp_path, tmp_path / cifar100.BINARY.archive):
        with pytest.raises(DataError, match="has no CIFAR-100"):
            load_data(place)


# The pickles


GOOD = {b"labels": [3, 4], b"data": planes(2, 0), b"filenames": [b"a", b"b"]}


def read(content: bytes, tmp_path: Path, count: int = 2):
    (tmp_path / "batch").write_bytes(content)
    into = empty(count)
    read_batch(tmp_path / "batch", into, "labels", 10)
    return into


def refused(content: bytes, tmp_path: Path) -> str:
    with pytest.raises(NeocogError) as caught:
        read(content, tmp_path)
    assert "\n" not in str(caught.value)
    assert "batch is not as CIFAR's Python files are" in str(caught.value)
    return str(caught.value)


@pytest.fixture
def quick(monkeypatch):
    """The system is not asked for its memory thousands of times."""
    monkeypatch.setattr("neocog.limits.available_memory", lambda: None)


@pytest.mark.usefixtures("quick")
def test_a_pickle_that_is_cut_anywhere_is_refused(tmp_path):
    content = python2_pickle(GOOD)
    assert read(content, tmp_path).labels.tolist() == [3, 4]
    pixels = content.index(GOOD[b"data"].tobytes())
    for end in (*range(pixels + 3), *range(pixels + 6140, len(content))):
        refused(content[:end], tmp_path)


@pytest.mark.usefixtures("quick")
def test_a_pickle_with_flipped_bits_is_refused_or_gives_images(tmp_path):
    content = bytearray(python2_pickle(GOOD))
    pixels = content.index(GOOD[b"data"].tobytes())
    changed = 0
    for at in (*range(pixels), *range(pixels + 6144, len(content))):
        for flip in (1, 0x20, 0x80):
            content[at] ^= flip
            try:
                labels = read(bytes(content), tmp_path).labels
                assert ((labels >= 0) & (labels < 10)).all()
            except DataError as error:
                assert "\n" not in str(error)
                changed += 1
            content[at] ^= flip
    assert changed > 300


class Harm:
    def __reduce__(self):
        return os.system, ("touch harm",)


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_runs_nothing(tmp_path, monkeypatch, protocol):
    monkeypatch.chdir(tmp_path)
    refused(pickle.dumps(Harm(), protocol=protocol), tmp_path)
    refused(pickle.dumps({b"labels": [3], b"data": Harm()}, protocol=protocol), tmp_path)
    assert not (tmp_path / "harm").exists()
    if protocol == 2:
        assert "names 'posix.system', which is not a part of CIFAR's files" in refused(
            pickle.dumps(Harm(), protocol=2).replace(b"nt\n", b"posix\n"), tmp_path
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({b"labels": [3]}, "no list of 2 numbers under 'labels'"),
        ({b"labels": b"34"}, "no list of 2 numbers under 'labels'"),
        ({b"labels": [3, 10]}, r"label 1 \(of 2, counted from 0\) is no number from 0 to 9"),
        ({b"labels": [3, b"x"]}, "label 1 "),
        ({b"data": [1, 2]}, "no array under 'data'"),
        ({b"data": planes(2, 0)[:, :3000]}, r"not uint8 \[n, 3072\]"),
        ({b"data": planes(3, 0), b"labels": [1, 2, 3]}, "has 3 images, not 2"),
    ],
)
def test_other_contents_are_refused(tmp_path, change, message):
    with pytest.raises(DataError, match=message):
        read(python2_pickle({**GOOD, **change}), tmp_path)


def test_an_array_must_have_the_bytes_that_its_sizes_say(tmp_path):
    content = python2_pickle(GOOD)
    many = content.replace(b"K\x02M\x00\x0c\x86", b"J\xff\xff\xff\x7fM\x00\x0c\x86")
    assert many != content
    assert "with all of its bytes" in refused(many, tmp_path)


def test_what_is_nested_without_end_is_refused(tmp_path, monkeypatch):
    deep = b"\x80\x02" + b")" + b"q\x01h\x01\x86" * 10_000 + b"."
    assert "it is no dict" in refused(deep, tmp_path)
    monkeypatch.setattr("neocog.data.sources.pixel_files.cifar_python._MOST_INSTRUCTIONS", 1_000)
    assert "more than 1,000 instructions" in refused(b"\x80\x02" + b"]" * 2_000 + b".", tmp_path)
    refused(b"\x80\x02}q\x01(h\x01h\x01u.", tmp_path)


def test_a_larger_file_than_any_of_cifar_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("neocog.data.sources.pixel_files.cifar_python._MOST_BYTES", 6_000)
    with pytest.raises(DataError, match=r"batch has 6,\d+ bytes; CIFAR's files have less"):
        read(python2_pickle(GOOD), tmp_path)


def test_a_larger_file_than_there_is_memory_for(tmp_path, monkeypatch):
    monkeypatch.setattr("neocog.limits.available_memory", lambda: 1_000)
    with pytest.raises(NeocogError, match=r"batch needs .* of memory"):
        read(python2_pickle(GOOD), tmp_path)
