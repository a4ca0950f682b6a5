"""``neocog cache``."""

import json
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from neocog.caches import CacheContent, cache_content, clear_cache, is_old
from neocog.cli.terminal import counted
from neocog.data.cache.cache_entry import FEATURES
from neocog.data.cache.cache_room import Kept, cache_share
from neocog.errors import NeocogError, printable
from neocog.files import cache_root
from neocog.limits import readable

__all__ = ["cache"]

_WIDE = 26


def cache(action: str, what: str, old: bool, json_: bool) -> int:
    """List or clear the cache."""
    if action == "clear":
        return _clear(what, old, json_)
    if old:
        raise NeocogError("--old goes with clear: neocog cache clear --old.")
    root = cache_root()
    if root is None:
        raise NeocogError(
            "The system knows no home folder, so nothing is kept. NEOCOG_CACHE_DIR can name a "
            "folder for it."
        )
    found, most = cache_content(), _most(root)
    if json_:
        print(json.dumps(_plain(found, root, most)))
        return 0
    print(f"Cache: {root}")
    if what != "kernels":
        _print_pictures(found, most)
    if what != "pictures":
        _print_kernels(found)
    print("\nRemove them: neocog cache clear [pictures|kernels|all] [--old]")
    return 0


def _most(root: Path) -> int:
    """How many bytes decoded pictures may take."""
    there = next(path for path in (root, *root.parents) if path.exists())
    return int(cache_share() * shutil.disk_usage(there).total)


def _row(name: str, *columns: str) -> str:
    cut = name if len(name) <= _WIDE else f"{name[: _WIDE - 1]}…"
    widths = (13, 10, 9)
    right = [f"{text:>{width}}" for text, width in zip(columns, widths, strict=False)]
    return "  ".join([f"{cut:<{_WIDE}}", *right, *columns[len(widths) :]])


def _print_pictures(found: CacheContent, most: int) -> None:
    print()
    rows: dict[tuple[str, ...], _Sum] = {}
    for one in found.pictures:
        # Features of a place and a view lie in several entries, which are one thing to a user.
        about = one.about
        features = about is not None and about.kind == FEATURES
        of = (*_described(one), "" if features else str(one.folder))
        images = None if about is None else about.shape[0]
        rows.setdefault(of, _Sum()).add(images, one)
    if rows:
        print(_row("pictures and features", "shape", "images", "size", "last used"))
    for (name, shape, _folder), row in rows.items():
        count = "" if row.images is None else f"{row.images:,}"
        print(_row(name, shape, count, readable(row.size), _day(row.used)))
    size = sum(one.size for one in found.pictures)
    print(
        f"Pictures and features: {readable(size)} of {readable(most)} at most, "
        f"{100 * cache_share():g} % of the disk."
    )


def _print_kernels(found: CacheContent) -> None:
    print()
    if found.kernels:
        print(_row("compiled kernels", "", "kernels", "size", "last used"))
    for one in found.kernels:
        state = "this version" if one.current else "old"
        size = readable(one.size)
        print(_row(one.folder.name, state, f"{one.kernels:,}", size, _day(one.used)))
    print(f"Compiled kernels take {readable(sum(one.size for one in found.kernels))}.")


@dataclass
class _Sum:
    """What the entries of a row take together."""

    images: int | None = None
    size: int = 0
    used: float = 0.0

    def add(self, images: int | None, one: Kept) -> None:
        if images is not None:
            self.images = images + (self.images or 0)
        self.size += one.size
        self.used = max(self.used, one.used)


def _described(one: Kept) -> tuple[str, str]:
    """The name and the shape, or the kind, of what an entry holds."""
    if one.about is None:
        return "(torn or unfinished)", ""
    _count, *item = one.about.shape
    name = printable(one.about.name) + (", old" if is_old(one) else "")
    if len(item) != 3:
        return name, printable(one.about.kind, 12)
    height, width, channels = item
    return name, f"{channels} × {height} × {width}"


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d")


def _plain(found: CacheContent, root: Path, most: int) -> dict[str, Any]:
    return {
        "folder": str(root),
        "share": cache_share(),
        "most_bytes": most,
        "pictures": [
            {
                "folder": str(one.folder),
                "source": one.about and one.about.name,
                "kind": one.about and one.about.kind,
                "shape": one.about and list(one.about.shape),
                "skipped": one.about and len(one.about.bad),
                "bytes": one.size,
                "last_used": one.used,
                "old": is_old(one),
            }
            for one in found.pictures
        ],
        "kernels": [
            {
                "folder": str(one.folder),
                "kernels": one.kernels,
                "bytes": one.size,
                "last_used": one.used,
                "old": not one.current,
            }
            for one in found.kernels
        ],
    }


def _clear(what: str, old: bool, json_: bool) -> int:
    freed = clear_cache(what, old=old)
    if json_:
        plain = {"pictures": freed.pictures, "kernels": freed.kernels}
        print(json.dumps({**plain, "bytes": freed.size, "busy": freed.busy}))
        return 0
    removed = []
    if what != "kernels":
        removed.append(f"{counted(freed.pictures, 'set')} of pictures or features")
    if what != "pictures":
        removed.append(counted(freed.kernels, "compiled kernel"))
    print(f"Removed {' and '.join(removed)}: {readable(freed.size)}.")
    if freed.busy:
        print(f"What is in use stays: {freed.busy:,}.")
    return 0
