"""CIFAR-10: found on this machine or downloaded; its binary files, or the Python ones.

Each of the six binary files holds 10,000 records of one label byte and 3,072 pixel bytes
(https://www.cs.toronto.edu/~kriz/cifar.html).
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from neocog.data.sources.archives import cached_archive
from neocog.data.sources.archives.cached_archive import Form, holds, is_archive, is_file
from neocog.data.sources.arrays import of_datasets
from neocog.data.sources.base import Listing, Request, Source
from neocog.data.sources.pixel_files.cifar_python import read_batch
from neocog.data.sources.pixel_files.cifar_records import (
    PIXELS,
    Records,
    check_size,
    empty,
    read_records,
)
from neocog.errors import DataError
from neocog.files import exists, user_path

__all__ = ["CLASSES", "NAME", "SOURCE", "is_here", "read_named"]

NAME = "cifar10"
KIND = "CIFAR-10"
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
PYTHON_FILES = tuple(name.removesuffix(".bin") for name in FILES)
PYTHON_FOLDER = "cifar-10-batches-py"

RECORDS = 10_000
RECORD_BYTES = 1 + 3 * PIXELS
FILE_BYTES = RECORDS * RECORD_BYTES

ARCHIVE = "cifar-10-binary.tar.gz"
PYTHON_ARCHIVE = "cifar-10-python.tar.gz"
# Beginnings of the names of CIFAR-100's archives and folders.
_OTHER = "cifar-100-"
ARCHIVE_URL = f"https://www.cs.toronto.edu/~kriz/{ARCHIVE}"
ARCHIVE_BYTES = 170_052_171
ARCHIVE_SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"


def read_named(data_dir: str | os.PathLike[str] | None, request: Request) -> Listing:
    """CIFAR-10: 50,000 images to train on and 10,000 to test, uint8 [n, 32, 32, 3].

    It is searched in `data_dir` if given, else in `$NEOCOG_DATA` if set, else in the user's cache,
    into which it is downloaded if it is not there. Each place may be the folder of the files, its
    parent, a folder that has an official archive, or that archive. It is an error if a place that
    was named has no CIFAR-10; no other is then searched.

    Args:
        data_dir: where CIFAR-10 is.
        request: the classes that are wanted, and the progress function.

    Raises:
        DataError: nothing is there, a file is missing, damaged or of the wrong size, or the
            download failed.
    """
    try:
        folder = find(data_dir, request.progress)
        return _read(folder, request)
    except OSError as error:
        raise DataError(f"CIFAR-10 could not be read: {error}.") from error


def is_here() -> bool:
    """Whether `read_named` finds it without downloading."""
    variable = os.environ.get("NEOCOG_DATA")
    if variable:
        return _place_in(user_path(variable)) is not None
    try:
        cache = _cache()
    except DataError:
        return False
    return _form().is_complete(_unpacked_folder()) or _place_in(cache) is not None


def find(
    data_dir: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """The folder of the six files, after unpacking or downloading if needed."""
    variable = os.environ.get("NEOCOG_DATA")
    if data_dir is not None:
        return _named_place(user_path(data_dir), "The data folder")
    if variable:
        return _named_place(user_path(variable), "The variable NEOCOG_DATA names")
    if _form().is_complete(_unpacked_folder()):
        return _unpacked_folder()
    cached = _folder_in(_cache())
    return cached if cached is not None else _download(progress)


def _form() -> Form:
    return Form(KIND, FOLDER, FILES, FILE_BYTES, ARCHIVE)


def _forms() -> tuple[Form, Form]:
    return _form(), Form(KIND, PYTHON_FOLDER, PYTHON_FILES, None, PYTHON_ARCHIVE)


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
    """The folder of the six files, or the archive, that `root` is or contains; else None."""
    for form in _forms():
        if (folder := form.place_in(root)) is not None:
            return folder
    archives = (root, *(root / form.archive for form in _forms()))
    return next((archive for archive in archives if is_file(archive)), None)


def _folder_in(root: Path) -> Path | None:
    """The folder of the six files, unpacked if necessary; None if `root` does not have them."""
    place = _place_in(root)
    if place is None or not is_file(place):
        return place
    return cached_archive.unpacked(place, _forms(), _cache())[0]


def _cache() -> Path:
    return cached_archive.cache(KIND, f"Give the path of {FOLDER} (as DATA or with --data-dir)")


def _unpacked_folder() -> Path:
    return cached_archive.unpacked_folder(_cache(), ARCHIVE_SHA256)


def _download(progress: Callable[[int, int], None] | None) -> Path:
    # Imported here, as it takes longer to import than all the rest and is needed once per machine.
    from neocog.data.download import download

    folder, archive = _unpacked_folder(), _cache() / ARCHIVE
    with cached_archive.lock(_cache()):
        if _form().is_complete(folder):  # another process was faster
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
        cached_archive.unpack(archive, (_form(),), folder)
        archive.unlink()
    return folder


def _read(folder: Path, request: Request) -> Listing:
    """The six files as a listing."""
    binary = any(exists(folder / name) for name in FILES)
    files = [folder / name for name in (FILES if binary else PYTHON_FILES)]
    for file in files:
        check_size(file, FILE_BYTES if binary else None, KIND, tuple(one.name for one in files))
    train, test = empty(RECORDS * len(TRAIN_FILES)), empty(RECORDS)
    parts = [train[i * RECORDS : (i + 1) * RECORDS] for i in range(len(TRAIN_FILES))] + [test]
    records = Records(RECORDS, 1, 0, len(CLASSES))
    read = (
        partial(read_records, records=records)
        if binary
        else partial(read_batch, label_key="labels", classes=len(CLASSES))
    )
    # Both reading and NumPy's copying release the GIL; with two threads memory is the bottleneck.
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(read, files, parts))
    return of_datasets(KIND, NAME, {"train": train, "test": test}, CLASSES, request)


def _recognizes(path: Path) -> bool:
    if path.is_dir():
        held = (path, *(path / form.folder for form in _forms()))
        return any(
            os.path.lexists(folder / name)
            for folder in held
            for form in _forms()
            for name in (*form.files, form.archive)
        )
    # Whatever else is packed so is asked for the names of CIFAR-10's files.
    named = path.name in (ARCHIVE, PYTHON_ARCHIVE)
    other = path.name.startswith(_OTHER)
    return named or (not other and is_archive(path) and not holds(path, _OTHER))


def _read_path(path: Path, request: Request) -> Listing:
    return read_named(path, request)


SOURCE = Source(KIND, _recognizes, _read_path)
