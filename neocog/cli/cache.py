"""``neocog cache``."""

import json
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

from neocog.caches import CacheContent, cache_content, clear_cache, is_old
from neocog.cli.terminal import counted
from neocog.data.cache_room import Kept, cache_share
from neocog.errors import NeocogError
from neocog.files import cache_root
from neocog.limits import readable

__all__ = ["cache"]

_WIDE = 26


def cache(action: str | None, what: str | None, old: bool, json_: bool) -> int:
    """List what is in the cache, or remove it."""
    if action == "clear":
        return _clear(what or "all", old, json_)
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
    else:
        _print(found, root, most)
    return 0


def _most(root: Path) -> int:
    """Bytes that decoded pictures may take."""
    there = next(path for path in (root, *root.parents) if path.exists())
    return int(cache_share() * shutil.disk_usage(there).total)


def _print(found: CacheContent, root: Path, most: int) -> None:
    print(f"Cache: {root}\n")
    if found.pictures:
        print(
            f"{'decoded pictures':<{_WIDE}}  {'shape':>13}  {'images':>10}  {'size':>9}  last used"
        )
    for one in found.pictures:
        name, shape, images = _described(one)
        print(
            f"{_cut(name):<{_WIDE}}  {shape:>13}  {images:>10}  {readable(one.size):>9}  "
            f"{_day(one.used)}"
        )
    size = sum(one.size for one in found.pictures)
    print(
        f"Decoded pictures take {readable(size)} of the {readable(most)} that they may, "
        f"{100 * cache_share():g} % of the disk.\n"
    )
    if found.kernels:
        print(f"{'compiled kernels':<{_WIDE}}  {'':>13}  {'kernels':>10}  {'size':>9}  last used")
    for folder in found.kernels:
        state = "this version" if folder.current else "old"
        print(
            f"{folder.folder.name:<{_WIDE}}  {state:>13}  {folder.kernels:>10,}  "
            f"{readable(folder.size):>9}  {_day(folder.used)}"
        )
    print(f"Compiled kernels take {readable(sum(one.size for one in found.kernels))}.\n")
    print("Remove them: neocog cache clear [pictures|kernels|all] [--old]")


def _described(one: Kept) -> tuple[str, str, str]:
    if one.about is None:
        return "(torn or unfinished)", "", ""
    count, *item = one.about.shape
    name = one.about.name + (", old" if is_old(one) else "")
    if len(item) != 3:
        return name, one.about.kind, f"{count:,}"
    height, width, channels = item
    return name, f"{channels} × {height} × {width}", f"{count:,}"


def _cut(name: str) -> str:
    return name if len(name) <= _WIDE else f"{name[: _WIDE - 1]}…"


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
        removed.append(f"{freed.pictures:,} of decoded pictures")
    if what != "pictures":
        removed.append(counted(freed.kernels, "compiled kernel"))
    print(f"Removed {' and '.join(removed)}: {readable(freed.size)}.")
    if freed.busy:
        print(f"What is in use stays: {freed.busy:,}.")
    return 0
