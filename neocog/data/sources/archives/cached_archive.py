"""Official archives (`.tar.gz`), unpacked once into the user's cache.

An archive is recognized by the names of its files. Only these are unpacked, and their folder
appears complete or not at all.
"""

import hashlib
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from neocog.data.sources.archives.ustar import ArchiveError, members
from neocog.errors import DataError
from neocog.files import cache_folder, exists, open_regular

__all__ = [
    "Form",
    "cache",
    "holds",
    "is_archive",
    "is_file",
    "lock",
    "unpack",
    "unpacked",
    "unpacked_folder",
]

# The known forms have up to 187 MB; an archive that unpacks to more is none of them.
UNPACKED_LIMIT = 200_000_000
# Such archives have up to nine members; programs may add a header of their own before each.
MEMBERS_LIMIT = 100
_GZIP = b"\x1f\x8b"
# Bytes of an archive that are read to recognize it.
_FIRST_BYTES, _FIRST_MEMBERS = 1 << 16, 8


@dataclass(frozen=True)
class Form:
    """A set of files that belong together.

    Attributes:
        name: name of the data, for people.
        folder: folder of the files in an archive.
        files: names of the files.
        size: bytes of each file; None if they may differ.
        archive: name of the archive.
    """

    name: str
    folder: str
    files: tuple[str, ...]
    size: int | None
    archive: str

    def is_complete(self, folder: Path) -> bool:
        """Whether a folder has all of the files, with the right size."""
        paths = [folder / name for name in self.files]
        return all(is_file(path) and self.size in (None, path.stat().st_size) for path in paths)

    def place_in(self, root: Path) -> Path | None:
        """The folder with any of the files: `root` or a folder in it; None if there are none."""
        for folder in (root, root / self.folder):
            if any(exists(folder / name) for name in self.files):
                return folder
        return None


def is_file(path: Path) -> bool:
    """Whether it is a regular file; False for impossible paths, such as too long ones."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_archive(path: Path) -> bool:
    """Whether a file is compressed by gzip, or has the name of such a file."""
    if path.name.lower().endswith((".tar.gz", ".tgz")):
        return not path.is_dir()
    try:
        with open_regular(path) as file:
            return file.read(2) == _GZIP
    except OSError:
        return False


def holds(archive: Path, beginning: str) -> bool:
    """Whether one of the first names in an archive begins like this; raises nothing."""
    try:
        with open_regular(archive) as file:
            inside = members(file, most_bytes=_FIRST_BYTES, most_members=_FIRST_MEMBERS)
            return any(member.name.startswith(beginning) for member in inside)
    except (ArchiveError, OSError, zlib.error):
        return False


def cache(name: str, remedy: str) -> Path:
    """The user's folder for downloaded and unpacked data.

    Args:
        name: name of the data.
        remedy: what to do if there is no such folder, as the beginning of a sentence.
    """
    folder = cache_folder()
    if folder is None:
        raise DataError(
            f"There is no folder for {name} to be downloaded or unpacked into, as the system knows "
            f"no home folder. {remedy}, or set one of the variables NEOCOG_DATA, XDG_CACHE_HOME "
            "and HOME."
        )
    return folder / "data"


def lock(folder: Path) -> FileLock:
    """The lock for writing into the cache."""
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / "cifar-10.lock")


def unpacked_folder(into: Path, sha256: str) -> Path:
    """The folder in the cache for an unpacked archive, named by the archive's content."""
    return into / f"cifar-10-{sha256[:16]}"


def unpacked(archive: Path, forms: Iterable[Form], into: Path) -> tuple[Path, Form]:
    """Unpack an archive into the cache unless it is there; returns the folder and the form.

    Args:
        archive: the file.
        forms: the forms that it may have.
        into: the cache.

    Raises:
        DataError: it is damaged, too large, or has none of these forms.
    """
    forms = tuple(forms)
    with open_regular(archive) as file:
        if os.fstat(file.fileno()).st_size > UNPACKED_LIMIT:
            raise DataError(
                f"{archive} is larger than {UNPACKED_LIMIT:,} bytes, so it is not a copy of "
                f"{_archives(forms)}. Fetch it again."
            )
        folder = unpacked_folder(into, hashlib.file_digest(file, "sha256").hexdigest())
    if (form := _form_in(folder, forms)) is None:
        with lock(into):
            form = _form_in(folder, forms) or unpack(archive, forms, folder)
    return folder, form


def unpack(archive: Path, forms: Iterable[Form], folder: Path) -> Form:
    """Write an archive's files into `folder`, which appears complete or not at all.

    Raises:
        DataError: as in `unpacked`.
    """
    forms = tuple(forms)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="unpacking-") as scratch:
        whole = Path(scratch) / folder.name
        whole.mkdir()
        try:
            form = _unpack_members(archive, forms, whole)
        except (ArchiveError, OSError, zlib.error) as error:
            raise DataError(
                f"{archive} could not be unpacked ({error}). It must be a copy of "
                f"{_archives(forms)}; fetch it again."
            ) from error
        if folder.is_symlink():
            folder.unlink()
        shutil.rmtree(folder, ignore_errors=True)  # left by an interrupted copy
        whole.replace(folder)
    return form


def _form_in(folder: Path, forms: tuple[Form, ...]) -> Form | None:
    return next((form for form in forms if form.is_complete(folder)), None)


def _archives(forms: tuple[Form, ...]) -> str:
    return " or ".join(form.archive for form in forms)


def _unpack_members(archive: Path, forms: tuple[Form, ...], folder: Path) -> Form:
    """Copy the members whose names and sizes fit the first form that is found."""
    form, missing = None, {f"{form.folder}/{name}": form for form in forms for name in form.files}
    with open_regular(archive) as file:
        for member in members(file, most_bytes=UNPACKED_LIMIT, most_members=MEMBERS_LIMIT):
            found = missing.get(member.name)
            if found is None or (form is not None and found is not form):
                continue
            form = found
            if not member.is_file or member.size != (form.size or member.size):
                size = "" if form.size is None else f" of {form.size:,} bytes"
                raise DataError(
                    f"{archive} has a {member.name} that is not a file{size} "
                    f"(it says {member.size:,}). Fetch the archive again."
                )
            with (folder / Path(member.name).name).open("xb") as out:
                for piece in member.content():
                    out.write(piece)
                out.flush()
                os.fsync(out.fileno())  # since later only the size is checked
            del missing[member.name]
    lacking = [name for name, of in missing.items() if of is (form or forms[0])]
    if lacking:
        other = "" if form else " Pictures that are packed otherwise are read from .zip and .tar."
        raise DataError(f"{archive} lacks {', '.join(sorted(lacking))}. Fetch it again.{other}")
    assert form is not None  # noqa: S101  # else all of a form's files were lacking
    return form
