"""Official archives (`.tar.gz`), unpacked once into the user's cache.

An archive is known by the names of the files in it. Only these are unpacked, and their folder
appears whole or not at all.
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

# The files of each form that is known need up to 187 MB; whatever unpacks to more is none of them.
UNPACKED_LIMIT = 200_000_000
# Such archives have up to nine members; programs may put headers of their own before each.
MEMBERS_LIMIT = 100
_GZIP = b"\x1f\x8b"
# What is looked at of an archive to recognize it.
_FIRST_BYTES, _FIRST_MEMBERS = 1 << 16, 8


@dataclass(frozen=True)
class Form:
    """Files that belong together.

    Attributes:
        name: of the data, for people.
        folder: in which an archive has them.
        files: their names.
        size: bytes of each; None where they may differ.
        archive: what the archive is called.
    """

    name: str
    folder: str
    files: tuple[str, ...]
    size: int | None
    archive: str

    def is_complete(self, folder: Path) -> bool:
        """Whether all of the files are in a folder, in their size."""
        paths = [folder / name for name in self.files]
        return all(is_file(path) and self.size in (None, path.stat().st_size) for path in paths)

    def place_in(self, root: Path) -> Path | None:
        """The folder with any of the files, which is `root` or lies in it; None without any."""
        for folder in (root, root / self.folder):
            if any(exists(folder / name) for name in self.files):
                return folder
        return None


def is_file(path: Path) -> bool:
    """Whether it is a regular file; a path that cannot be, as too long a one, is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_archive(path: Path) -> bool:
    """Whether a file is packed by gzip, or says so by its name."""
    if path.name.lower().endswith((".tar.gz", ".tgz")):
        return not path.is_dir()
    try:
        with open_regular(path) as file:
            return file.read(2) == _GZIP
    except OSError:
        return False


def holds(archive: Path, beginning: str) -> bool:
    """Whether a name with this beginning is among the first in an archive; raises nothing."""
    try:
        with open_regular(archive) as file:
            inside = members(file, most_bytes=_FIRST_BYTES, most_members=_FIRST_MEMBERS)
            return any(member.name.startswith(beginning) for member in inside)
    except (ArchiveError, OSError, zlib.error):
        return False


def cache(name: str, remedy: str) -> Path:
    """The user's folder for what is fetched or unpacked.

    Args:
        name: of the data.
        remedy: what to do where there is none, the beginning of a sentence.
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
    """What whoever writes into the cache holds."""
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / "cifar-10.lock")


def unpacked_folder(into: Path, sha256: str) -> Path:
    """Where in the cache an archive lies unpacked; by content, so that none answers for another."""
    return into / f"cifar-10-{sha256[:16]}"


def unpacked(archive: Path, forms: Iterable[Form], into: Path) -> tuple[Path, Form]:
    """The folder in the cache that holds what is in an archive, and its form.

    Args:
        archive: the file.
        forms: those that it may have.
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
    """Write an archive's files into `folder`, which appears whole or not at all.

    Raises:
        DataError: as `unpacked` does.
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
        shutil.rmtree(folder, ignore_errors=True)  # what an incomplete copy left
        whole.replace(folder)
    return form


def _form_in(folder: Path, forms: tuple[Form, ...]) -> Form | None:
    return next((form for form in forms if form.is_complete(folder)), None)


def _archives(forms: tuple[Form, ...]) -> str:
    return " or ".join(form.archive for form in forms)


def _unpack_members(archive: Path, forms: tuple[Form, ...], folder: Path) -> Form:
    """Copy the members with the names and sizes of the first form of which there is one."""
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
                os.fsync(out.fileno())  # as later only the size is looked at
            del missing[member.name]
    lacking = [name for name, of in missing.items() if of is (form or forms[0])]
    if lacking:
        other = "" if form else " Pictures that are packed otherwise are read from .zip and .tar."
        raise DataError(f"{archive} lacks {', '.join(sorted(lacking))}. Fetch it again.{other}")
    assert form is not None  # noqa: S101  # else all of a form's files were lacking
    return form
