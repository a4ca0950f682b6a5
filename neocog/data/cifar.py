"""CIFAR-10: found on this machine or downloaded, and read from its official binary files.

Each of the six files holds 10,000 records of one label byte and 3,072 pixel bytes: the red, the
green and the blue plane of a 32×32 image, row by row
(https://www.cs.toronto.edu/~kriz/cifar.html).
"""

import hashlib
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BufferedReader
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from neocog.data.dataset import Dataset
from neocog.data.parts import Data
from neocog.data.ustar import ArchiveError, members
from neocog.errors import DataError
from neocog.files import cache_folder, exists, open_regular, user_path

__all__ = ["CLASSES", "is_cifar10", "is_here", "load_cifar10"]

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
# The archive has seven members; programs may put headers of their own before each.
MEMBERS_LIMIT = 100
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
    if variable:
        return _place_in(user_path(variable)) is not None
    if cache_folder() is None:
        return False
    return _is_complete(_unpacked_folder(ARCHIVE_SHA256)) or _place_in(_cache()) is not None


def is_cifar10(path: str | os.PathLike[str]) -> bool:
    """Whether a file or folder is, or holds, CIFAR-10's binary files or its archive."""
    root = user_path(path)
    return _place_in(root) is not None and (root.is_dir() or root.name == ARCHIVE)


def _find(
    data_dir: str | os.PathLike[str] | None, progress: Callable[[int, int], None] | None
) -> Path:
    """The folder of the six files, after unpacking or downloading where that is needed."""
    variable = os.environ.get("NEOCOG_DATA")
    if data_dir is not None:
        return _named_place(user_path(data_dir), "The data folder")
    if variable:
        return _named_place(user_path(variable), "The variable NEOCOG_DATA names")
    official = _unpacked_folder(ARCHIVE_SHA256)
    if _is_complete(official):
        return official
    cached = _folder_in(_cache())
    return cached if cached is not None else _download(official, progress)


def _named_place(root: Path, whose: str) -> Path:
    found = _folder_in(root)
    if found is not None:
        return found
    state = "has no CIFAR-10" if exists(root) else "does not exist"
    raise DataError(
        f"{whose} {root}, which {state}: neither {FILES[0]} … {FILES[-1]}, nor a folder {FOLDER} "
        f"with them, nor {ARCHIVE}. Name the folder or the archive that has them."
    )


def _place_in(root: Path) -> Path | None:
    """The folder of the six files, or the archive, that `root` is or holds; None without any."""
    for folder in (root, root / FOLDER):
        if any(exists(folder / name) for name in FILES):
            return folder
    return next((archive for archive in (root, root / ARCHIVE) if _is_file(archive)), None)


def _is_file(path: Path) -> bool:
    """Whether it is a regular file; a path that cannot be, as too long a one, is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _folder_in(root: Path) -> Path | None:
    """The folder of the six files that `root` is, holds or holds packed; None without any."""
    place = _place_in(root)
    return _unpacked(place) if place is not None and _is_file(place) else place


def _cache() -> Path:
    folder = cache_folder()
    if folder is None:
        raise DataError(
            "There is no folder for CIFAR-10 to be downloaded or unpacked into, as the system "
            f"knows no home folder. Give the path of {FOLDER} (as DATA or with --data-dir), or set "
            "one of the variables NEOCOG_DATA, XDG_CACHE_HOME and HOME."
        )
    return folder / "data"


def _unpacked_folder(sha256: str) -> Path:
    # Keyed by content, so that one archive never answers for another.
    return _cache() / f"cifar-10-{sha256[:16]}"


def _is_complete(folder: Path) -> bool:
    files = [folder / name for name in FILES]
    return all(_is_file(file) and file.stat().st_size == FILE_BYTES for file in files)


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
    with open_regular(archive) as file:
        if os.fstat(file.fileno()).st_size > UNPACKED_LIMIT:
            raise DataError(
                f"{archive} is larger than {UNPACKED_LIMIT:,} bytes, so it is not a copy of "
                f"{ARCHIVE}. Fetch it again."
            )
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
        except (ArchiveError, OSError, zlib.error) as error:
            raise DataError(
                f"{archive} could not be unpacked ({error}). It must be a copy of {ARCHIVE}; "
                "fetch it again."
            ) from error
        if missing:
            raise DataError(f"{archive} lacks {', '.join(sorted(missing))}. Fetch it again.")
        if folder.is_symlink():
            folder.unlink()
        shutil.rmtree(folder, ignore_errors=True)  # what an incomplete copy left
        whole.replace(folder)


def _unpack_members(archive: Path, folder: Path) -> set[str]:
    """Copy the members with the exact names and sizes; the names that are not there."""
    missing = {f"{FOLDER}/{name}" for name in FILES}
    with open_regular(archive) as file:
        for member in members(file, most_bytes=UNPACKED_LIMIT, most_members=MEMBERS_LIMIT):
            if member.name not in missing:
                continue
            if not member.is_file or member.size != FILE_BYTES:
                raise DataError(
                    f"{archive} has a {member.name} that is not a file of {FILE_BYTES:,} bytes "
                    f"(it says {member.size:,}). Fetch the archive again."
                )
            with (folder / Path(member.name).name).open("xb") as out:
                for piece in member.content():
                    out.write(piece)
                out.flush()
                os.fsync(out.fileno())  # as later only the size is looked at
            missing.remove(member.name)
    return missing


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
    if not _is_file(file):
        state = "no regular file" if exists(file) else "missing"
        raise DataError(f"{file} is {state}. CIFAR-10 is {', '.join(FILES)}: unpack it again.")
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
    with open_regular(file) as stream:
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


def _read_fully(stream: BufferedReader, into: memoryview, file: Path) -> None:
    while into:
        count = stream.readinto(into)
        if not count:
            raise DataError(f"{file} became shorter while it was read. Replace it.")
        into = into[count:]
