"""Which process this is, in words that another one understands, and whether that one is there.

Numbers of processes are used again, and mean something else on another machine or in another
container. So a process is also described by its machine, and by when it began.
"""

import os
import platform
import sys
from pathlib import Path
from typing import Any

__all__ = ["is_alive", "this_process"]


def this_process() -> dict[str, Any]:
    """This process, for ``run.json``."""
    return {"pid": os.getpid(), **_place(), "started": _started(os.getpid())}


def is_alive(process: object) -> bool | None:
    """Whether a process is there, as `this_process` described it; None where nobody knows."""
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
