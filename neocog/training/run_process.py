"""Which process a run folder belongs to, and whether it is still there.

A run that was killed, or whose machine went down, says "running" in its ``run.json`` for ever. So
it also says which process that is; see `neocog.training.process_identity`.
"""

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from neocog.errors import NeocogError, printable
from neocog.files import exists, finish_writing, leftovers
from neocog.run_files import LAST
from neocog.run_info import read_info
from neocog.training.checkpoints import CHECKPOINTS
from neocog.training.process_identity import is_alive
from neocog.training.run_lock import LOCK, RunLock

__all__ = ["how_it_stands", "read_info", "settle", "tidy_up"]

# Seconds after which no process is still writing to a temporary file.
_LONG_AGO = 3600.0


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
    cut_off = info.get("status") == "running" and is_alive(info.get("process")) is False
    ended = cut_off or info.get("status") != "running"
    with suppress(OSError, NeocogError):  # where nothing can be written, as on a disk of another
        if info and ended and _is_mine(folder) and (exists(folder / LOCK) or _left(folder)):
            with RunLock(folder):
                tidy_up(folder, only_old=not cut_off)
    return _said(info)


def tidy_up(folder: Path, *, only_old: bool = False) -> None:
    """Finish or remove what a process that was killed was just writing; the lock must be held.

    Args:
        folder: of the run.
        only_old: whether what is new stays: beside a run that has ended, another process may just
            be saving something.
    """
    finish_writing(folder, LAST)
    for path in _left(folder):
        if not only_old or time.time() - path.lstat().st_mtime > _LONG_AGO:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _left(folder: Path) -> list[Path]:
    """What a writing that was killed has left in a run's folder, or in that of its checkpoints."""
    checkpoints = folder / CHECKPOINTS
    inner = leftovers(checkpoints) if checkpoints.is_dir() and not checkpoints.is_symlink() else []
    return [*leftovers(folder), *inner]


def _said(info: dict[str, Any]) -> str | None:
    if info.get("status") != "running":
        return None
    process = info.get("process")
    pid, host = (process.get(k) for k in ("pid", "host")) if isinstance(process, dict) else (0, 0)
    alive = is_alive(process)
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
