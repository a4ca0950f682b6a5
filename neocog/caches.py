"""The user's cache: decoded pictures and compiled kernels.

All of it can be made again. Only files that look like cache entries are listed or removed, and
links are not followed, so a cache folder may hold other things.
"""

import contextlib
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from neocog import files
from neocog.data.cache.cache_room import Kept, list_kept, remove_kept
from neocog.data.cache.decoders import decoders
from neocog.kernels.compiler import kernel_cache
from neocog.private_folder import private_folder

__all__ = ["CacheContent", "Freed", "KernelFolder", "cache_content", "clear_cache", "is_old"]

_VERSION = re.compile("[0-9a-f]{20}")
_KERNEL = re.compile(r"[\w.]+-[0-9a-f]{40}")
_LOCK = re.compile(r"([\w.]+-[0-9a-f]{40}|helpers)\.lock")


@dataclass(frozen=True)
class KernelFolder:
    """The compiled kernels of one version of neocog.

    Attributes:
        folder: their folder.
        kernels: number of kernels.
        size: bytes.
        used: time of the last use of any kernel, in seconds since 1970, to a day.
        current: whether they belong to this version.
    """

    folder: Path
    kernels: int
    size: int
    used: float
    current: bool


@dataclass(frozen=True)
class CacheContent:
    """The contents of the cache.

    Attributes:
        pictures: entries of decoded pictures, the most recently used first.
        kernels: folders of kernels, the most recently used first.
    """

    pictures: tuple[Kept, ...]
    kernels: tuple[KernelFolder, ...]


@dataclass(frozen=True)
class Freed:
    """What was removed from the cache.

    Attributes:
        pictures: number of entries of decoded pictures.
        kernels: number of compiled kernels.
        size: bytes.
        busy: number of entries that remain because they are being written or cannot be removed.
    """

    pictures: int
    kernels: int
    size: int
    busy: int


def cache_content() -> CacheContent:
    """List the contents of the cache."""
    return CacheContent(tuple(list_kept()), tuple(_kernel_folders()))


def is_old(one: Kept) -> bool:
    """Whether an entry is torn, or of another version and therefore never used again."""
    return one.about is None or one.about.maker != decoders()


def clear_cache(what: str = "all", *, old: bool = False) -> Freed:
    """Clear the cache. Running processes that use it are not disturbed.

    Args:
        what: "pictures", "kernels" or "all".
        old: remove only what other versions of neocog have cached.
    """
    pictures = kernels = size = busy = 0
    found = cache_content()
    for one in found.pictures if what in ("pictures", "all") else ():
        if old and not is_old(one):
            continue
        if remove_kept(one):
            pictures, size = pictures + 1, size + one.size
        else:
            busy += 1
    for folder in found.kernels if what in ("kernels", "all") else ():
        if old and folder.current:
            continue
        if _remove(folder.folder):
            kernels, size = kernels + folder.kernels, size + folder.size
        else:
            busy += 1
    return Freed(pictures, kernels, size, busy)


def _kernel_folders() -> list[KernelFolder]:
    root, current = files.cache_root(), kernel_cache.cache_folder()
    if root is None or not files.exists(root / "kernels"):
        return []
    try:
        found = [
            _kernel_folder(path, current)
            for path in private_folder(root / "kernels").iterdir()
            if _VERSION.fullmatch(path.name) and stat.S_ISDIR(path.lstat().st_mode)
        ]
    except OSError:
        return []
    return sorted(found, key=lambda one: one.used, reverse=True)


def _kernel_folder(folder: Path, current: Path | None) -> KernelFolder:
    statuses = []
    for path in _regular(folder, _KERNEL):
        with contextlib.suppress(FileNotFoundError):
            statuses.append(path.lstat())
    return KernelFolder(
        folder,
        len(statuses),
        sum(status.st_size for status in statuses),
        max((max(s.st_atime, s.st_mtime) for s in statuses), default=folder.lstat().st_mtime),
        current is not None and folder.name == current.name,
    )


def _regular(folder: Path, *names: re.Pattern[str]) -> list[Path]:
    with os.scandir(folder) as entries:
        return [
            Path(entry.path)
            for entry in entries
            if any(name.fullmatch(entry.name) for name in names)
            and entry.is_file(follow_symlinks=False)
        ]


def _remove(folder: Path) -> bool:
    """Remove the kernels of a folder, and the folder if it is then empty."""
    try:
        for path in (*_regular(folder, _KERNEL, _LOCK), *files.leftovers(folder)):
            path.unlink(missing_ok=True)
    except OSError:
        return False
    with contextlib.suppress(OSError):
        folder.rmdir()
    return True
