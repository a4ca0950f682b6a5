"""What neocog keeps in the user's cache: pictures that are decoded, and kernels that are compiled.

All of it can be made again. Only what looks like it is listed or removed, and links are not
followed, so that a cache folder may hold other things.
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
from neocog.kernels import kernel_cache
from neocog.private_folder import private_folder

__all__ = ["CacheContent", "Freed", "KernelFolder", "cache_content", "clear_cache", "is_old"]

_VERSION = re.compile("[0-9a-f]{20}")
_KERNEL = re.compile(r"[\w.]+-[0-9a-f]{40}")
_LOCK = re.compile(r"([\w.]+-[0-9a-f]{40}|helpers)\.lock")


@dataclass(frozen=True)
class KernelFolder:
    """The kernels that one version of neocog has compiled.

    Attributes:
        folder: where they lie.
        kernels: how many.
        size: bytes.
        used: when one was last read or written, in seconds since 1970, to a day.
        current: whether they are this version's.
    """

    folder: Path
    kernels: int
    size: int
    used: float
    current: bool


@dataclass(frozen=True)
class CacheContent:
    """What is kept.

    Attributes:
        pictures: the last used first.
        kernels: the last used first.
    """

    pictures: tuple[Kept, ...]
    kernels: tuple[KernelFolder, ...]


@dataclass(frozen=True)
class Freed:
    """What was removed.

    Attributes:
        pictures: entries of decoded pictures.
        kernels: compiled kernels.
        size: bytes.
        busy: what is there still, as another process makes it or it cannot be removed.
    """

    pictures: int
    kernels: int
    size: int
    busy: int


def cache_content() -> CacheContent:
    """What is in the cache."""
    return CacheContent(tuple(list_kept()), tuple(_kernel_folders()))


def is_old(one: Kept) -> bool:
    """Whether an entry is torn, or of another version, which asks for it no more."""
    return one.about is None or one.about.maker != decoders()


def clear_cache(what: str = "all", *, old: bool = False) -> Freed:
    """Remove what is kept. Runs that use it go on.

    Args:
        what: "pictures", "kernels" or "all".
        old: only what is of other versions of neocog.
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
    """Remove the kernels of a folder, and then the folder if nothing else is in it."""
    try:
        for path in (*_regular(folder, _KERNEL, _LOCK), *files.leftovers(folder)):
            path.unlink(missing_ok=True)
    except OSError:
        return False
    with contextlib.suppress(OSError):
        folder.rmdir()
    return True
