"""CIFAR-10 in its official layout, made up here; the real one where NEOCOG_DATA has it."""

import hashlib
import io
import os
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest

from neocog.data import download as download_module
from neocog.data import is_here, load_data
from neocog.data.sources import cifar10 as cifar
from neocog.data.sources.archives import cached_archive
from neocog.errors import DataError

REAL = os.environ.get("NEOCOG_DATA")
RECORDS = 250  # in each made-up file: a second's work instead of ten, over several blocks


@pytest.fixture(scope="module")
def records() -> np.ndarray:
    """Six files, uint8 [6, RECORDS, 3073], labels 0 to 9 in turn."""
    content = np.random.default_rng(0).integers(0, 256, (6, RECORDS, 3_073), np.uint8)
    content[:, :, 0] = np.arange(RECORDS) % 10
    return content


@pytest.fixture(scope="module")
def good(records, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("good") / cifar.FOLDER
    folder.mkdir()
    for name, content in zip(cifar.FILES, records, strict=True):
        content.tofile(folder / name)
    return folder


@pytest.fixture(scope="module")
def archive(good, tmp_path_factory) -> Path:
    return pack(tmp_path_factory.mktemp("archive") / cifar.ARCHIVE, good)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """An empty user cache, no NEOCOG_DATA, no network, and small files."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(cifar, "RECORDS", RECORDS)
    monkeypatch.setattr(cifar, "FILE_BYTES", RECORDS * 3_073)
    monkeypatch.setattr(cached_archive, "cache_folder", lambda: folder / "neocog")
    monkeypatch.delenv("NEOCOG_DATA", raising=False)

    def refuse(url, destination, **_):
        raise DataError(f"Tried {url}: no connection.")

    monkeypatch.setattr(download_module, "download", refuse)
    return folder / "neocog" / "data"


@pytest.fixture
def copy(good, tmp_path) -> Path:
    """A folder of links to the good files, to damage one of them."""
    folder = tmp_path / "copy"
    folder.mkdir()
    for name in cifar.FILES:
        (folder / name).symlink_to(good / name)
    return folder


def damage(folder: Path, name: str, content: bytes) -> None:
    (folder / name).unlink()
    (folder / name).write_bytes(content)


def pack(archive: Path, folder: Path, names: tuple[str, ...] = cifar.FILES) -> Path:
    with tarfile.open(archive, "w:gz", compresslevel=0) as out:
        for name in names:
            out.add(folder / name, f"{cifar.FOLDER}/{name}")
    return archive


def test_records_become_images_and_labels(good, records):
    data = load_data("cifar10", data_dir=good)
    assert (data.name, data.classes[3], len(data.classes)) == ("cifar10", "cat", 10)
    for part, wanted in ((data.train, records[:5].reshape(-1, 3073)), (data.test, records[5])):
        planes = wanted[:, 1:].reshape(-1, 3, 32, 32)
        assert part.images.flags.c_contiguous
        assert np.array_equal(part.images, planes.transpose(0, 2, 3, 1))
        assert np.array_equal(part.labels, wanted[:, 0])


def test_every_kind_of_place_is_understood(good, archive, monkeypatch):
    assert cifar.find(good) == good
    assert cifar.find(good.parent) == good
    unpacked = cifar.find(archive)
    assert cifar.find(archive.parent) == unpacked
    for name in cifar.FILES:
        assert (unpacked / name).read_bytes() == (good / name).read_bytes()
    monkeypatch.setenv("NEOCOG_DATA", str(good))
    assert cifar.find() == good
    assert cifar.find(archive) == unpacked  # what is named goes first


def test_a_path_is_a_name_for_data(good, archive):
    wanted = load_data("cifar10", data_dir=good).fingerprint
    for place in (good.parent, str(good), archive, archive.parent):
        assert load_data(place).fingerprint == wanted


def test_the_cache_is_used_when_nothing_is_named(good, cache):
    cache.mkdir(parents=True)
    (cache / cifar.FOLDER).symlink_to(good)
    assert cifar.find() == cache / cifar.FOLDER


def test_an_archive_is_unpacked_once_and_again_when_the_copy_is_torn(archive, cache):
    folder = cifar.find(archive)
    first = (folder / cifar.FILES[0]).stat().st_ino
    assert cifar.find(archive) == folder
    assert (folder / cifar.FILES[0]).stat().st_ino == first
    damage(folder, cifar.FILES[0], b"torn")
    cifar.find(archive)
    assert (folder / cifar.FILES[0]).stat().st_size == cifar.FILE_BYTES
    assert sorted(p.name for p in cache.iterdir()) == sorted([folder.name, "cifar-10.lock"])


def test_a_download_is_unpacked_and_not_repeated(archive, cache, monkeypatch):
    asked = []

    def fetch(url, destination, *, size, sha256, progress):
        asked.append((url, size, sha256, progress))
        destination.write_bytes(archive.read_bytes())

    monkeypatch.setattr(download_module, "download", fetch)
    folder = cifar.find(progress=print)
    assert cifar.find() == folder
    assert asked == [(cifar.ARCHIVE_URL, 170_052_171, cifar.ARCHIVE_SHA256, print)]
    assert not (cache / cifar.ARCHIVE).exists()


def test_without_network_it_says_what_was_tried_and_three_ways_on(cache):
    with pytest.raises(DataError) as caught:
        load_data("cifar10")
    for part in (str(cache), cifar.ARCHIVE_URL, "--data-dir", "NEOCOG_DATA", "shapes"):
        assert part in str(caught.value)


def test_a_named_place_without_cifar_is_an_error_though_another_has_it(good, tmp_path, monkeypatch):
    monkeypatch.setenv("NEOCOG_DATA", str(good))
    with pytest.raises(DataError, match=r"has no CIFAR-10: neither data_batch_1.bin"):
        load_data("cifar10", data_dir=tmp_path)
    with pytest.raises(DataError, match="nowhere, which does not exist"):
        load_data("cifar10", data_dir=tmp_path / "nowhere")
    monkeypatch.setenv("NEOCOG_DATA", str(tmp_path))
    with pytest.raises(DataError, match=f"NEOCOG_DATA names {tmp_path}, which has no"):
        load_data("cifar10")


def test_a_missing_file_is_named(copy):
    (copy / "data_batch_4.bin").unlink()
    with pytest.raises(DataError, match=r"data_batch_4.bin is missing"):
        load_data(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [(-1, "truncated: 768,249 bytes"), (1, "too long: 768,251 bytes")],
)
def test_a_file_of_another_size_is_refused(copy, change, message):
    damage(copy, "test_batch.bin", b"")
    os.truncate(copy / "test_batch.bin", 768_250 + change)
    with pytest.raises(DataError, match=f"test_batch.bin is {message}, not 768,250"):
        load_data(copy)


@pytest.mark.parametrize("record", [0, 124, 125, 249])
def test_a_label_that_no_class_has_is_located(copy, records, record):
    content = records[1].copy()
    content[record, 0] = 10
    damage(copy, "data_batch_2.bin", content.tobytes())
    with pytest.raises(DataError, match=rf"data_batch_2.bin: record {record} .* label 10"):
        load_data(copy)


def test_an_archive_that_is_none_is_refused(archive, tmp_path, cache):
    fake = tmp_path / "fake.tar.gz"
    for content in (b"", b"not gzip", archive.read_bytes()[:1_000_000]):
        fake.write_bytes(content)
        with pytest.raises(DataError, match=r"fake.tar.gz (could not be unpacked|lacks)"):
            load_data(fake)
    assert [path.name for path in cache.iterdir()] == ["cifar-10.lock"]


def test_an_archive_that_lacks_a_file_is_refused(good, tmp_path):
    archive = pack(tmp_path / "few.tar.gz", good, cifar.FILES[:2])
    with pytest.raises(DataError, match=r"lacks cifar-10-batches-bin/data_batch_3.bin"):
        load_data(archive)


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE])
def test_only_a_regular_member_of_the_exact_size_is_read(tmp_path, cache, kind):
    member = tarfile.TarInfo(f"{cifar.FOLDER}/data_batch_1.bin")
    member.type, member.linkname = kind, "/etc/passwd"
    with tarfile.open(tmp_path / "odd.tar.gz", "w:gz") as out:
        member.size = 4 if kind == tarfile.REGTYPE else 0
        out.addfile(member, io.BytesIO(b"four"))
    with pytest.raises(DataError, match=r"data_batch_1.bin that is not a file of 768,250"):
        load_data(tmp_path / "odd.tar.gz")
    assert [path.name for path in cache.iterdir()] == ["cifar-10.lock"]


def test_other_members_are_never_written(good, tmp_path, cache):
    archive = tmp_path / "more.tar.gz"
    with tarfile.open(archive, "w:gz", compresslevel=0) as out:
        for name in ("../outside", "/tmp/outside", f"{cifar.FOLDER}/extra"):
            member = tarfile.TarInfo(name)
            member.size = 4
            out.addfile(member, io.BytesIO(b"four"))
        for name in cifar.FILES:
            out.add(good / name, f"{cifar.FOLDER}/{name}")
    folder = cifar.find(archive)
    assert sorted(path.name for path in folder.iterdir()) == sorted(cifar.FILES)
    assert sorted(path.name for path in cache.iterdir()) == sorted([folder.name, "cifar-10.lock"])


def test_an_archive_that_unpacks_without_end_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(cached_archive, "UNPACKED_LIMIT", 3_000_000)
    for sizes in ([10_000_000], [1_000_000] * 4):
        with tarfile.open(tmp_path / "bomb.tar.gz", "w:gz") as out:
            for size in sizes:
                member = tarfile.TarInfo("zeros")
                member.size = size
                out.addfile(member, io.BytesIO(bytes(size)))
        with pytest.raises(DataError, match="it unpacks to more than 3,000,000 bytes"):
            load_data(tmp_path / "bomb.tar.gz")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cifar", r"'cifar'.* Did you mean 'cifar10'\?"),
        ("Shape", r"Did you mean 'shapes'\?"),
        ("mnist", r"no data named 'mnist'.* There are: cifar10, shapes"),
        ("", "no data named ''"),
        ("some/where", "no file or folder some/where"),
    ],
)
def test_an_unknown_name_is_answered_with_the_near_ones(name, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=message):
        load_data(name)


@pytest.mark.parametrize("name", ["~nobody-here/cifar", "x" * 5_000, "a\0b"])
def test_a_path_that_cannot_be_is_told_as_one(name, monkeypatch):
    for ask in (
        lambda: load_data(name),
        lambda: load_data("cifar10", data_dir=name),
        lambda: load_data(f"{name}/in/it"),
    ):
        with pytest.raises(
            DataError, match=r"must be the path of a file|no file or|does not exist"
        ):
            ask()
    if "\0" not in name:  # which no variable can hold
        monkeypatch.setenv("NEOCOG_DATA", name)
        with pytest.raises(DataError, match=r"NEOCOG_DATA names .* does not exist"):
            load_data("cifar10")
        assert not is_here("cifar10")


def test_without_a_home_folder(good, archive, monkeypatch):
    monkeypatch.setattr(cached_archive, "cache_folder", lambda: None)
    assert not is_here("cifar10")
    for ask in (lambda: load_data("cifar10"), lambda: load_data(archive)):
        with pytest.raises(DataError, match=r"knows no home folder.* NEOCOG_DATA, XDG_CACHE_HOME"):
            ask()
    assert len(load_data(good).test) == RECORDS
    monkeypatch.setenv("NEOCOG_DATA", str(good))
    assert is_here("cifar10")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
@pytest.mark.timeout(20)
def test_a_pipe_is_not_waited_for(copy, tmp_path):
    (copy / cifar.FILES[2]).unlink()
    os.mkfifo(copy / cifar.FILES[2])
    with pytest.raises(DataError, match=rf"{cifar.FILES[2]} is no regular file"):
        load_data(copy)
    os.mkfifo(tmp_path / cifar.ARCHIVE)
    for place in (tmp_path, tmp_path / cifar.ARCHIVE):
        with pytest.raises(DataError, match="has no CIFAR-10"):
            load_data(place)


def test_a_link_in_the_cache_is_replaced_and_not_followed(archive, tmp_path):
    sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    folder = cached_archive.unpacked_folder(cifar._cache(), sha256)
    folder.parent.mkdir(parents=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_bytes(b"mine")
    folder.symlink_to(tmp_path / "mine")
    assert len(load_data(archive).test) == RECORDS
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["file"]
    assert not folder.is_symlink()


def test_shapes_take_no_data_dir(tmp_path):
    with pytest.raises(DataError, match="data_dir"):
        load_data("shapes", data_dir=tmp_path)


@pytest.mark.skipif(not REAL, reason="NEOCOG_DATA does not name a CIFAR-10")
def test_the_real_data_load_within_a_second(monkeypatch):
    monkeypatch.undo()
    load_data(REAL)  # unpacks an archive, fills the file cache
    times = []
    for _ in range(3):
        start = time.perf_counter()
        data = load_data(REAL)
        times.append(time.perf_counter() - start)
    assert min(times) < 1.0
    assert np.bincount(data.train.labels).tolist() == [5_000] * 10
    assert np.bincount(data.test.labels).tolist() == [1_000] * 10
