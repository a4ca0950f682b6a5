"""The folder of what was decoded: which entries there are, and the room that they may take.

An entry is a folder ``pictures/KEY`` in the cache (`neocog.files.cache_root`) with a file
``entry``, as `cache_entry` says, and a lock. Whoever makes one holds the lock; all else needs none,
as a file is there whole or not at all, and one that is removed stays for those who have it mapped.

All entries together take a tenth of the disk at most (`NEOCOG_CACHE_SHARE` can name another part; 0
keeps nothing), and leave a twentieth of it free. Those that were not used for longest go first.
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

__all__ = ["Kept", "NotKeptError", "cache_share", "kept", "list_kept", "remove_kept"]

#: The part of the disk that all entries together may take, and the part that they leave free.
SHARE, FREE = 0.1, 0.05

_PICTURES, _ENTRY, _LOCK = "pictures", "entry", "lock"
_KEY = re.compile("[0-9a-f]{32}")
# Seconds between two words to who waits for another process.
_PAUSE = 0.2

_log = logging.getLogger("neocog")

# What this process has mapped, by folder: it is not removed to make room for other things.
_in_use: WeakValueDictionary[str, mmap.mmap] = WeakValueDictionary()


class NotKeptError(Exception):
    """Why there is no entry, in words; none, where the user wants none."""


@dataclass(frozen=True)
class Kept:
    """An entry, or what is left of one.

    Attributes:
        folder: where it lies.
        size: bytes.
        used: when it was last opened, in seconds since 1970.
        about: what it says of itself; None for one that is torn.
    """

    folder: Path
    size: int
    used: float
    about: About | None


def cache_share() -> float:
    """The part of the disk that all entries may take, 0 to 1.

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


# An entry


def kept(
    key: str,
    size: int,
    make: Callable[[EntryWriter], None],
    fits: Callable[[About], bool],
    waiting: Callable[[int], None] | None = None,
) -> tuple[About, NDArray[np.uint8]]:
    """The entry of a key, made if it is not there; its array is mapped.

    Args:
        key: 32 hex digits.
        size: of its array, in bytes.
        make: writes it.
        fits: whether one that is there is what is wanted.
        waiting: told, while another process makes it, how many bytes that has written.

    Raises:
        NotKeptError: there is no place or no room for it.
    """
    share = cache_share()
    if share == 0:
        raise NotKeptError
    root = _private(_root())
    folder = root / key
    if folder.exists():
        found = _opened(_private(folder), key, fits)
        if found is not None:
            return found
    try:
        _make_room(folder, size, share)
    except OSError as error:
        raise NotKeptError(_reason(error, root)) from error
    with _locked(_private(folder), waiting):
        found = _opened(folder, key, fits)
        if found is None:
            try:
                for path in files.leftovers(folder):  # of who was killed
                    path.unlink()
                with files.writing(folder / _ENTRY) as file:
                    if hasattr(os, "fchmod"):
                        os.fchmod(file.fileno(), 0o600)  # whatever the user's umask allows others
                    make(EntryWriter(file))
            except OSError as error:
                raise NotKeptError(_reason(error, folder)) from error
            found = _opened(folder, key, fits)
    if found is None:
        raise NotKeptError(f"what was written to {folder} cannot be read")
    return found


def _root() -> Path:
    """The folder of all; where the user has put a link in its place, what that leads to."""
    root = files.cache_root()
    if root is None:
        raise NotKeptError("the system knows no home folder")
    return Path(os.path.realpath(root / _PICTURES))


def _private(folder: Path) -> Path:
    """The folder, made if it is not there; nobody else can put things into it."""
    try:
        return private_folder(folder)
    except OSError as error:
        raise NotKeptError(_reason(error, folder)) from error


def _reason(error: OSError, folder: Path) -> str:
    # Not the name in the error, which may be a temporary one.
    text = error.strerror or str(error)
    return text if str(folder.anchor) in text else f"{folder}: {text}"


def _opened(
    folder: Path, key: str, fits: Callable[[About], bool]
) -> tuple[About, NDArray[np.uint8]] | None:
    path = folder / _ENTRY
    try:
        about, array = open_entry(path, key)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        _log.debug("The entry in %s is not used: %s", path, error)
        return None
    if not fits(about):
        return None
    with contextlib.suppress(OSError):  # as on a disk that can only be read
        os.utime(path)
    mapping = mapping_of(array)
    if mapping is not None:
        _in_use[str(folder)] = mapping
    return about, array


@contextmanager
def _locked(folder: Path, waiting: Callable[[int], None] | None) -> Iterator[None]:
    """Be the only one who makes an entry; the lock ends with its process, however that ends."""
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
    """Bytes of what is being made."""
    try:
        return max((path.lstat().st_size for path in files.leftovers(folder)), default=0)
    except OSError:  # it is done by now
        return 0


# All of them


def list_kept() -> list[Kept]:
    """What is kept, the last used first.

    Only what looks like an entry is, and only where nobody else can put things.
    """
    try:
        root = _root()
        found = [_kept(path) for path in (private_folder(root).iterdir() if root.exists() else ())]
    except (NotKeptError, OSError):
        return []
    return sorted(filter(None, found), key=lambda one: one.used, reverse=True)


def _kept(folder: Path) -> Kept | None:
    try:
        # Not a link to a folder, which may lead anywhere.
        if not _KEY.fullmatch(folder.name) or not stat.S_ISDIR(folder.lstat().st_mode):
            return None
        statuses = {path.name: path.lstat() for path in _files(folder)}
    except OSError:  # it has just gone
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
    """The files of an entry, and what was left of making it."""
    ours = [path for path in (folder / _ENTRY, folder / _LOCK) if _is_file(path)]
    return [*files.leftovers(folder), *ours]


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False


def remove_kept(one: Kept) -> bool:
    """Remove an entry, unless somebody makes it just now; whether it is gone.

    What is not of an entry stays, and so does the folder then.
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
    with contextlib.suppress(OSError):  # there are other things in it
        one.folder.rmdir()
    return True


def _make_room(folder: Path, size: int, share: float) -> None:
    """Remove what was not used for longest until there is room for an entry in this folder.

    Raises:
        OSError: the disk does not say what is free.
        NotKeptError: there would not be enough if all of it went, so all of it stays.
    """
    others = [one for one in list_kept() if one.folder != folder]
    can_go = [one for one in others if str(one.folder) not in _in_use]
    disk = shutil.disk_usage(folder.parent)
    most, least = int(share * disk.total), int(FREE * disk.total)
    used, gone = sum(one.size for one in others), sum(one.size for one in can_go)
    if used - gone + size > most:
        rest = f", and {readable(used - gone)} are in use" if used > gone else ""
        raise NotKeptError(
            f"they need {readable(size)}, and all that is kept may take {readable(most)}, "
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
