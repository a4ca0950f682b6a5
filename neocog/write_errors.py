"""Messages for files or folders that cannot be written."""

import contextlib
import errno
import os
import shutil
from pathlib import Path

from neocog.errors import FormatError, printable
from neocog.files import exists
from neocog.limits import readable

__all__ = ["check_replaceable", "why_not_written"]

_FULL = (errno.ENOSPC, errno.EDQUOT)
_REMEDIES = {
    errno.ENOSPC: "Free some space, or choose a folder on another disk.",
    errno.EDQUOT: "Free some space, or choose a folder on another disk.",
    errno.EROFS: "Choose a folder that can be written to.",
    errno.EACCES: "Choose a folder that you may write to.",
    errno.EPERM: "Choose a folder that you may write to.",
    errno.EIO: "The disk may be failing: choose a folder on another one.",
}


def check_replaceable(path: Path, overwrite: bool) -> None:
    """Check that a file may be written where one may be already.

    Raises:
        FormatError: there is one, and it is not to be overwritten.
    """
    if not overwrite and exists(path):
        raise FormatError(
            f"{printable(str(path), 300)} exists, and nothing is overwritten unless you ask for "
            "it: name another file, or say overwrite=True (--overwrite)."
        )


def why_not_written(
    path: str | os.PathLike[str], error: OSError, *, size: int | None = None
) -> str:
    """A message that says what cannot be written, why, and what to do.

    Args:
        path: the file or folder, as the user knows it.
        error: the error of writing it, whose own path may be that of a temporary file.
        size: number of bytes to be written, if known.
    """
    reason = error.strerror or str(error)
    remedy = _REMEDIES.get(error.errno or 0, "")
    if error.errno in _FULL:
        reason += _room(Path(path), size)
    elif (gone := _missing_folder(Path(path))) is not None:
        remedy = gone
    return f"{printable(str(path), 300)} cannot be written: {reason}. {remedy}".rstrip()


def _room(path: Path, size: int | None) -> str:
    """The free space at `path` and the space needed, in brackets."""
    needed = f", {readable(size)} needed" if size is not None else ""
    for folder in (path, *path.absolute().parents):
        with contextlib.suppress(OSError, ValueError):
            return f" ({readable(shutil.disk_usage(folder).free)} free{needed})"
    return ""


def _missing_folder(path: Path) -> str | None:
    """What is wrong with the parent folders; None if nothing is."""
    for folder in reversed(path.parents):
        shown = printable(str(folder), 300)
        if not exists(folder):
            return f"There is no folder {shown}."
        if not folder.is_dir():
            return f"{shown} is a file, not a folder."
    return None
