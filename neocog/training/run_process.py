"""Which process a run folder belongs to, and whether it is still there.

A run that was killed, or whose machine went down, says "running" in its ``run.json`` for ever. So
it also says which process that is: its number, its machine, and when it began, as numbers are used
again.
"""

import json
import os
import platform
import shutil
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from neocog.errors import NeocogError, printable
from neocog.files import finish_writing, leftovers, read_bytes
from neocog.limits import require_memory

__all__ = ["MODEL", "how_it_stands", "read_info", "settle", "this_process"]

#: The file of a run that counts: the weights, with all that is needed to use them.
MODEL = "model.safetensors"

# The counts of a thousand classes that were taken for each other are 7 MB, a thousand epochs 72 kB.
_MOST_BYTES = 8 * 2**20
# Bytes for each byte of JSON at worst, which is a list of empty objects: 24, and the text itself.
_MOST_MEMORY = 26
# Seconds after which no process is still writing to a temporary file.
_LONG_AGO = 3600.0


def this_process() -> dict[str, Any]:
    """This process, for ``run.json``."""
    return {"pid": os.getpid(), **_place(), "started": _started(os.getpid())}


def read_info(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """What the ``run.json`` of a folder holds; empty where there is none, or no such thing."""
    with suppress(OSError, ValueError, RecursionError, MemoryError, NeocogError):
        content = read_bytes(Path(folder) / "run.json", _MOST_BYTES)
        require_memory(_MOST_MEMORY * len(content), "This run.json", "")
        found = json.loads(content)
        if isinstance(found, dict):
            return found
    return {}


def how_it_stands(folder: str | os.PathLike[str]) -> str | None:
    """What there is to know of a run that does not say that it has ended, in a sentence.

    None for one that has, and for what is no run folder.
    """
    return _said(read_info(folder))


def settle(folder: str | os.PathLike[str]) -> str | None:
    """As `how_it_stands`, after tidying up behind a process that was killed while it saved.

    A folder of another user is left as it is.
    """
    folder = Path(folder)
    info = read_info(folder)
    cut_off = info.get("status") == "running" and _is_alive(info.get("process")) is False
    ended = cut_off or info.get("status") != "running"
    with suppress(OSError):  # where nothing can be written, as on a disk of another
        if info and ended and _is_mine(folder):
            finish_writing(folder, MODEL)
            for path in leftovers(folder):
                # Beside a run that has ended, another process may just be saving something.
                if cut_off or time.time() - path.lstat().st_mtime > _LONG_AGO:
                    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    return _said(info)


def _said(info: dict[str, Any]) -> str | None:
    if info.get("status") != "running":
        return None
    process = info.get("process")
    pid, host = (process.get(k) for k in ("pid", "host")) if isinstance(process, dict) else (0, 0)
    alive = _is_alive(process)
    if alive:
        return f"process {pid} is still training it."
    if alive is None:
        on = f", by process {printable(str(pid))} on {printable(str(host))}" if pid else ""
        return f"its run.json says that it is still being trained{on}."
    return (
        f"its training was cut off: process {pid} has ended without a word. What there is, is of "
        "the last epoch that was finished."
    )


def _is_mine(folder: Path) -> bool:
    """Whether a folder is this user's; true on Windows, which says it otherwise."""
    return not hasattr(os, "geteuid") or folder.stat().st_uid == os.geteuid()


def _is_alive(process: object) -> bool | None:
    """Whether the process of a ``run.json`` is there; None where that cannot be known."""
    if not isinstance(process, dict):
        return None
    if any(process.get(key) != value for key, value in _place().items()):
        return None
    pid = process.get("pid")
    if not isinstance(pid, int) or not 0 < pid < 2**31 or sys.platform == "win32":
        return None  # on Windows, to ask by os.kill is to kill
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is another user's
        pass
    began = process.get("started")
    return began is None or _started(pid) in (None, began)


def _place() -> dict[str, str | None]:
    """Where numbers of processes mean the same: a machine, and on Linux a container."""
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        namespace = None
    return {"host": platform.node(), "namespace": namespace}


def _started(pid: int) -> str | None:
    """When a process began, as Linux counts; None where that cannot be read."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        state, *rest = text.rpartition(")")[2].split()  # the name before may hold anything
        # A zombie has ended.
        return "ended" if state == "Z" else f"{rest[18]} ticks after boot {boot}"
    except (OSError, ValueError, IndexError):
        return None
