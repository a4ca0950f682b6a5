"""CIFAR-10: found on this machine or downloaded, and read from its official binary files.

Each of the six files holds 10,000 records of one label byte and 3,072 pixel bytes: the red, the
green and the blue plane of a 32×32 image, row by row
(https://www.cs.toronto.edu/~kriz/cifar.html).
"""

import hashlib
import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from gzip import GzipFile
from io import FileIO
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from platformdirs import user_cache_path

from neocog.data.dataset import Data, Dataset
from neocog.errors import DataError
from neocog.files import user_path

__all__ = ["CLASSES", "is_here", "load_cifar10"]

CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
TRAIN_FILES = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
FILES = (*TRAIN_FILES, "test_batch.bin")
FOLDER = "cifar-10-batches-bin"

RECORDS = 10_000
PIXELS = 32 * 32
RECORD_BYTES = 1 + 3 * PIXELS
FILE_BYTES = RECORDS * RECORD_BYTES

ARCHIVE = "cifar-10-binary.tar.gz"
ARCHIVE_URL = f"https://www.cs.toronto.edu/~kriz/{ARCHIVE}"
ARCHIVE_BYTES = 170_052_171
ARCHIVE_SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"

# The six files and their headers need 184.4 MB; whatever unpacks to more is not CIFAR-10.
UNPACKED_LIMIT = 200_000_000
# 125 records are 384 kB: read and spread into channels while still in the core's cache.
CHUNK = 125


def load_cifar10(
    data_dir: str | os.PathLike[str] | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Data:
    """CIFAR-10: 50,000 images to train on and 10,000 to test, uint8 [n, 32, 32, 3].

    It is looked for in `data_dir`, else in `$NEOCOG_DATA`, else in the user's cache, and is else
    downloaded into that cache. Each place may be the folder of the `.bin` files, the folder above
    it, a folder that holds `cifar-10-binary.tar.gz`, or that archive. A place that is named but
    holds no CIFAR-10 is an error; no other is then tried.

    Args:
        data_dir: where CIFAR-10 lies.
        progress: called with the bytes done and the bytes in all while downloading.

    Raises:
        DataError: nothing there, a file missing, damaged or of the wrong size, or no download.
    """
    try:
        source = "cifar10" if data_dir is None else str(user_path(data_dir).absolute())
        return _read(_find(data_dir, progress), source)
    except OSError as error:
        raise DataError(f"CIFAR-10 could not be read: {error}.") from error


def is_here() -> bool:
    """Whether `load_cifar10` finds it without downloading."""
    variable = os.environ.get("NEOCOG_DATA")
    root = Path(variable).expanduser() if variable else _cache()
    downloaded = not variable and _is_complete(_unpacked_folder(ARCHIVE_SHA256))
    return downloaded or _place_in(root) is not None


def _find(
    data_dir: str | os.PathLike[str] | None, progress: Callable[[int, int], None] | None
) -> Path:
    """The folder of the six files, after unpacking or downloading where that is needed."""
    variable = os.environ.get("NEOCOG_DATA")
    if data_dir is not None:
        return _named_place(Path(data_dir).expanduser(), "The data folder")
    if variable:
        return _named_place(Path(variable).expanduser(), "The variable NEOCOG_DATA names")
    official = _unpacked_folder(ARCHIVE_SHA256)
    if _is_complete(official):
        return official
    cached = _folder_in(_cache())
    return cached if cached is not None else _download(official, progress)


def _named_place(root: Path, whose: str) -> Path:
    found = _folder_in(root)
    if found is not None:
        return found
    state = "has no CIFAR-10" if root.exists() else "does not exist"
    raise DataError(
        f"{whose} {root}, which {state}: neither {FILES[0]} … {FILES[-1]}, nor a folder {FOLDER} "
        f"with them, nor {ARCHIVE}. Name the folder or the archive that has them."
    )


def _place_in(root: Path) -> Path | None:
    """The folder of the six files, or the archive, that `root` is or holds; None without any."""
    for folder in (root, root / FOLDER):
        if any((folder / name).exists() for name in FILES):
            return folder
    return next((archive for archive in (root, root / ARCHIVE) if archive.is_file()), None)


def _folder_in(root: Path) -> Path | None:
    """The folder of the six files that `root` is, holds or holds packed; None without any."""
    place = _place_in(root)
    return _unpacked(place) if place is not None and place.is_file() else place


def _cache() -> Path:
    return user_cache_path("neocog") / "data"


def _unpacked_folder(sha256: str) -> Path:
    # Keyed by content, so that one archive never answers for another.
    return _cache() / f"cifar-10-{sha256[:16]}"


def _is_complete(folder: Path) -> bool:
    files = [folder / name for name in FILES]
    return all(file.is_file() and file.stat().st_size == FILE_BYTES for file in files)


def _lock() -> FileLock:
    _cache().mkdir(parents=True, exist_ok=True)
    return FileLock(_cache() / "cifar-10.lock")


def _download(folder: Path, progress: Callable[[int, int], None] | None) -> Path:
    # Here, as it takes longer to import than all the rest and is needed once a machine.
    from neocog.data.download import download

    archive = _cache() / ARCHIVE
    with _lock():
        if _is_complete(folder):  # another process was faster
            return folder
        try:
            download(
                ARCHIVE_URL, archive, size=ARCHIVE_BYTES, sha256=ARCHIVE_SHA256, progress=progress
            )
        except DataError as error:
            raise DataError(
                f"CIFAR-10 is neither in $NEOCOG_DATA (not set) nor in {_cache()}, and could not "
                f"be downloaded. {error}\nThree ways on: give the path of a copy (as DATA or "
                "with --data-dir), set the variable NEOCOG_DATA to that path, or use the "
                "built-in data, shapes."
            ) from error
        _unpack(archive, folder)
        archive.unlink()
    return folder


def _unpacked(archive: Path) -> Path:
    """The folder in the user's cache that holds what is in `archive`."""
    with archive.open("rb") as file:
        folder = _unpacked_folder(hashlib.file_digest(file, "sha256").hexdigest())
    if not _is_complete(folder):
        with _lock():
            if not _is_complete(folder):
                _unpack(archive, folder)
    return folder


def _unpack(archive: Path, folder: Path) -> None:
    """Write the six files of `archive` into `folder`, which appears whole or not at all."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="unpacking-") as scratch:
        whole = Path(scratch) / folder.name
        whole.mkdir()
        try:
            missing = _unpack_members(archive, whole)
        except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
            raise DataError(
                f"{archive} could not be unpacked ({error}). It must be a copy of {ARCHIVE}; "
                "fetch it again."
            ) from error
        if missing:
            raise DataError(f"{archive} lacks {', '.join(sorted(missing))}. Fetch it again.")
        shutil.rmtree(folder, ignore_errors=True)  # what an incomplete copy left
        whole.replace(folder)


def _unpack_members(archive: Path, folder: Path) -> set[str]:
    """Copy the members with the exact names and sizes; the names that are not there."""
    missing = {f"{FOLDER}/{name}" for name in FILES}
    with (
        _LimitedGzip(archive) as packed,
        tarfile.open(fileobj=packed, mode="r|", bufsize=1 << 20) as members,
    ):
        for member in members:
            if member.name not in missing:
                continue
            content = members.extractfile(member) if member.isreg() else None
            if content is None or member.size != FILE_BYTES:
                raise DataError(
                    f"{archive} has a {member.name} that is not a file of {FILE_BYTES:,} bytes "
                    f"(it says {member.size:,}). Fetch the archive again."
                )
            with (folder / Path(member.name).name).open("xb") as out:
                shutil.copyfileobj(content, out, 1 << 20)
            missing.remove(member.name)
            if not missing:
                break
    return missing


class _LimitedGzip(GzipFile):
    """Refuses to yield more than CIFAR-10 needs, however far the file would unpack."""

    left = UNPACKED_LIMIT

    def read(self, size: int | None = -1) -> bytes:
        if self.left <= 0:
            raise tarfile.ReadError(f"it unpacks to more than {UNPACKED_LIMIT:,} bytes")
        wanted = self.left if size is None or size < 0 else min(size, self.left)
        data = super().read(wanted)
        self.left -= len(data)
        return data


def _read(folder: Path, source: str) -> Data:
    """The six files as a `Data`."""
    files = [folder / name for name in FILES]
    for file in files:
        _check_size(file)
    train, test = _empty(RECORDS * len(TRAIN_FILES)), _empty(RECORDS)
    parts = [train[i * RECORDS : (i + 1) * RECORDS] for i in range(len(TRAIN_FILES))] + [test]
    # Both the reading and NumPy's copying release the GIL; memory is the limit from two on.
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(_read_file, files, parts))
    return Data("cifar10", train, test, CLASSES, source)


def _empty(count: int) -> Dataset:
    return Dataset(np.empty((count, 32, 32, 3), np.uint8), np.empty(count, np.int64))


def _check_size(file: Path) -> None:
    if not file.is_file():
        raise DataError(f"{file} is missing. CIFAR-10 is {', '.join(FILES)}: unpack it again.")
    size = file.stat().st_size
    if size != FILE_BYTES:
        state = "truncated" if size < FILE_BYTES else "too long"
        raise DataError(
            f"{file} is {state}: {size:,} bytes, not {FILE_BYTES:,}. Replace it with a good copy."
        )


def _read_file(file: Path, into: Dataset) -> None:
    """Fill `into`, 10,000 images and labels, from one file."""
    buffer = bytearray(CHUNK * RECORD_BYTES)
    records: NDArray[np.uint8] = np.frombuffer(buffer, np.uint8).reshape(CHUNK, RECORD_BYTES)
    pixels = into.images.reshape(RECORDS, PIXELS, 3)
    with file.open("rb", buffering=0) as stream:
        for start in range(0, RECORDS, CHUNK):
            _read_fully(stream, memoryview(buffer), file)
            labels = records[:, 0]
            if labels.max() >= len(CLASSES):
                wrong = int(np.argmax(labels >= len(CLASSES)))
                raise DataError(
                    f"{file}: record {start + wrong} (of {RECORDS:,}, counted from 0) has label "
                    f"{labels[wrong]}, but the labels are 0 to {len(CLASSES) - 1}. "
                    "Replace it with a good copy."
                )
            into.labels[start : start + CHUNK] = labels
            # One plane at a time: 6 times faster than one transposed copy.
            for channel in range(3):
                plane = records[:, 1 + channel * PIXELS : 1 + (channel + 1) * PIXELS]
                pixels[start : start + CHUNK, :, channel] = plane


def _read_fully(stream: FileIO, into: memoryview, file: Path) -> None:
    while into:
        count = stream.readinto(into)
        if not count:
            raise DataError(f"{file} became shorter while it was read. Replace it.")
        into = into[count:]
