"""The folder of decoded pictures: its entries, and the space that they may take.

An entry is a folder ``pictures/KEY`` in the cache (`neocog.files.cache_root`) with a file
``entry``, described in `cache_entry`, and a lock. Whoever writes an entry holds its lock. Reading
needs none: a file appears whole or not at all, and a removed file stays for processes that have
mapped it.

All entries together take at most a tenth of the disk (`NEOCOG_CACHE_SHARE` sets another fraction; 0
turns the cache off) and leave a twentieth of it free. The least recently used are removed first.
"""

import contextlib
import logging
import mmap
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from neocog import files
from neocog.data.cache.cache_entry import About, EntryWriter, mapping_of, open_entry, read_about
from neocog.errors import NeocogError
from neocog.limits import readable
from neocog.private_folder import private_folder
from neocog.validation import shown

__all__ = [
    "Kept",
    "NotKeptError",
    "cache_share",
    "kept",
    "let_go",
    "list_kept",
    "opened",
    "remove_kept",
]

#: Fraction of the disk that all entries together may take, and fraction that they leave free.
SHARE, FREE = 0.1, 0.05

_PICTURES, _ENTRY, _LOCK = "pictures", "entry", "lock"
_KEY = re.compile("[0-9a-f]{32}")
# Seconds between two progress reports while another process is being waited for.
_PAUSE = 0.2

_log = logging.getLogger("neocog")

# Maps of this process by folder; these entries are not removed to make room.
_in_use: WeakValueDictionary[str, mmap.mmap] = WeakValueDictionary()


class NotKeptError(Exception):
    """Why nothing is cached, in words; empty if the user has turned the cache off."""


@dataclass(frozen=True)
class Kept:
    """An entry, which may be incomplete.

    Attributes:
        folder: its folder.
        size: bytes.
        used: time of the last use, in seconds since 1970.
        about: its description; None if it is torn.
    """

    folder: Path
    size: int
    used: float
    about: About | None


def cache_share() -> float:
    """Fraction of the disk that all entries may take, 0 to 1.

    Raises:
        NeocogError: `NEOCOG_CACHE_SHARE` is no such number.
    """
    text = os.environ.get("NEOCOG_CACHE_SHARE")
    if not text:
        return SHARE
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise NeocogError(f"NEOCOG_CACHE_SHARE (={shown(text)}) must be a number from 0 to 1.")
    return share


# One entry


def opened(
    key: str, fits: Callable[[About, NDArray[np.uint8]], bool]
) -> tuple[About, NDArray[np.uint8]] | None:
    """Open the entry of a key if there is one; its array is mapped.

    Args:
        key: as in `kept`.
        fits: as in `kept`.

    Raises:
        NotKeptError: the cache is turned off, or cannot have a folder.
    """
    if cache_share() == 0:
        raise NotKeptError
    folder = _private(_root()) / key
    return _opened(_private(folder), key, fits) if folder.exists() else None


def kept(
    key: str,
    size: int,
    make: Callable[[EntryWriter], None],
    fits: Callable[[About, NDArray[np.uint8]], bool],
    waiting: Callable[[int], None] | None = None,
) -> tuple[About, NDArray[np.uint8]]:
    """Open the entry of a key, after making it if there is none; its array is mapped.

    Args:
        key: 32 hex digits.
        size: bytes of its array.
        make: writes the entry.
        fits: whether an existing entry can be used, by its description and its array.
        waiting: called with the bytes written so far while another process makes the entry.

    Raises:
        NotKeptError: there is no folder or no space for it.
    """
    if (found := opened(key, fits)) is not None:
        return found
    share, root = cache_share(), _root()
    folder = root / key
    try:
        _make_room(folder, size, share)
    except OSError as error:
        raise NotKeptError(_reason(error, root)) from error
    with _locked(_private(folder), waiting):
        found = _opened(folder, key, fits)
        if found is None:
            try:
                for path in files.leftovers(folder):  # of processes that were killed
                    path.unlink()
                with files.writing(folder / _ENTRY) as file:
                    if hasattr(os, "fchmod"):
                        os.fchmod(file.fileno(), 0o600)  # regardless of the user's umask
                    make(EntryWriter(file))
            except OSError as error:
                raise NotKeptError(_reason(error, folder)) from error
            found = _opened(folder, key, fits)
    if found is None:
        raise NotKeptError(f"what was written to {folder} cannot be read")
    return found


def let_go(array: NDArray[np.uint8]) -> None:
    """Let the pages of an entry's array leave the memory of this process, after they were read.

    They are there again when they are read again, mostly from the system's own memory. Nothing is
    done with other arrays.
    """
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    # Of other mappings pages may have been changed, which would be lost.
    if any(base is mapping for mapping in _in_use.values()) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)


def _root() -> Path:
    """The folder of all entries, with a link in its place resolved."""
    root = files.cache_root()
    if root is None:
        raise NotKeptError("the system knows no home folder")
    return Path(os.path.realpath(root / _PICTURES))


def _private(folder: Path) -> Path:
    """Make the folder if needed; other users cannot write into it."""
    try:
        return private_folder(folder)
    except OSError as error:
        raise NotKeptError(_reason(error, folder)) from error


def _reason(error: OSError, folder: Path) -> str:
    # The file name in the error is left out, as it may be a temporary one.
    text = error.strerror or str(error)
    return text if str(folder.anchor) in text else f"{folder}: {text}"


def _opened(
    folder: Path, key: str, fits: Callable[[About, NDArray[np.uint8]], bool]
) -> tuple[About, NDArray[np.uint8]] | None:
    path = folder / _ENTRY
    try:
        about, array = open_entry(path, key)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        _log.debug("The entry in %s is not used: %s", path, error)
        return None
    if not fits(about, array):
        return None
    with contextlib.suppress(OSError):  # the disk may be read-only
        os.utime(path)
    mapping = mapping_of(array)
    if mapping is not None:
        _in_use[str(folder)] = mapping
    return about, array


@contextmanager
def _locked(folder: Path, waiting: Callable[[int], None] | None) -> Iterator[None]:
    """Hold the lock of an entry while making it; the lock ends with the process."""
    lock = FileLock(folder / _LOCK, mode=0o600)
    while True:
        try:
            lock.acquire(timeout=_PAUSE)
            break
        except Timeout:
            if waiting is not None:
                waiting(_written(folder))
        except (OSError, NotImplementedError, RuntimeError) as error:
            raise NotKeptError(f"there can be no locks in {folder}: {error}") from error
    try:
        yield
    finally:
        lock.release()


def _written(folder: Path) -> int:
    """Bytes written so far by whoever makes the entry."""
    try:
        return max((path.lstat().st_size for path in files.leftovers(folder)), default=0)
    except OSError:  # it has just been finished
        return 0


# All entries


def list_kept() -> list[Kept]:
    """All entries, the most recently used first.

    Only folders that look like entries, and that other users cannot write to, are listed.
    """
    try:
        root = _root()
        found = [_kept(path) for path in (private_folder(root).iterdir() if root.exists() else ())]
    except (NotKeptError, OSError):
        return []
    return sorted(filter(None, found), key=lambda one: one.used, reverse=True)


def _kept(folder: Path) -> Kept | None:
    try:
        # A link to a folder is refused, as it may lead anywhere.
        if not _KEY.fullmatch(folder.name) or not stat.S_ISDIR(folder.lstat().st_mode):
            return None
        statuses = {path.name: path.lstat() for path in _files(folder)}
    except OSError:  # it has just been removed
        return None
    size = sum(status.st_size for status in statuses.values())
    used = max((status.st_mtime for status in statuses.values()), default=0.0)
    about = None
    with contextlib.suppress(OSError, ValueError):
        with files.open_regular(folder / _ENTRY, follow_links=False) as file:
            about = read_about(file)
        used = statuses[_ENTRY].st_mtime
    return Kept(folder, size, used, about)


def _files(folder: Path) -> list[Path]:
    """The files of an entry, including leftovers of writing it."""
    ours = [path for path in (folder / _ENTRY, folder / _LOCK) if _is_file(path)]
    return [*files.leftovers(folder), *ours]


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False


def remove_kept(one: Kept) -> bool:
    """Remove an entry, unless a process is writing it; returns whether it was removed.

    Files that do not belong to an entry stay, and so does their folder.
    """
    lock = FileLock(one.folder / _LOCK, mode=0o600)
    try:
        if not stat.S_ISDIR(one.folder.lstat().st_mode):
            return False
        lock.acquire(timeout=0)
    except (Timeout, OSError, NotImplementedError, RuntimeError):
        return False
    try:
        for path in _files(one.folder):
            path.unlink()
    except OSError as error:
        _log.debug("%s cannot be removed: %s", one.folder, error)
        return False
    finally:
        lock.release()
    with contextlib.suppress(OSError):  # the folder has other files
        one.folder.rmdir()
    return True


def _make_room(folder: Path, size: int, share: float) -> None:
    """Remove the least recently used entries until there is space for a new one in this folder.

    Raises:
        OSError: the free space of the disk is unknown.
        NotKeptError: removing all entries would not be enough, so none is removed.
    """
    others = [one for one in list_kept() if one.folder != folder]
    can_go = [one for one in others if str(one.folder) not in _in_use]
    disk = shutil.disk_usage(folder.parent)
    most, least = int(share * disk.total), int(FREE * disk.total)
    used, gone = sum(one.size for one in others), sum(one.size for one in can_go)
    if used - gone + size > most:
        rest = f", and {readable(used - gone)} are in use" if used > gone else ""
        raise NotKeptError(
            f"they need {readable(size)}, and the cache may take {readable(most)}, "
            f"{100 * share:g} % of the disk of {folder.parent}{rest}"
        )
    if disk.free + gone - size < least:
        raise NotKeptError(
            f"they need {readable(size)}, and of the disk of {folder.parent} {readable(disk.free)} "
            f"are free, {readable(least)} of which ({100 * FREE:g} %) are to stay so"
        )
    while can_go and (used + size > most or shutil.disk_usage(folder.parent).free - size < least):
        oldest = can_go.pop()
        if remove_kept(oldest):
            used -= oldest.size
