"""Folders in which only this user can create or replace files.

Code that is executed, such as machine code, must not come from a place where others can write: a
folder in /tmp with a predictable name, or one that a whole group shares. The
rule is that of ssh for keys.
"""

import contextlib
import errno
import os
import stat
from pathlib import Path

__all__ = ["private_folder", "require_private"]


def private_folder(path: str | os.PathLike[str]) -> Path:
    """Make a folder, with its parents, for this user alone; returns its path without links.

    Existing folders must belong to this user or to root and must not be writable by others, up to
    the root of the file system. Sticky folders such as /tmp, in which everyone may write but only
    owners remove files, are allowed above the last one.

    Raises:
        OSError: others could write there, or the folder cannot be made.
    """
    real = Path(os.path.realpath(path))
    for level in (*reversed(real.parents), real):
        try:
            status = level.lstat()
        except FileNotFoundError:
            # If another process has just made it, it is checked like any other.
            with contextlib.suppress(FileExistsError):
                level.mkdir(mode=0o700)
            status = level.lstat()
        if not stat.S_ISDIR(status.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(level))
        if level == real or not status.st_mode & stat.S_ISVTX:
            require_private(status, level)
        else:
            _require_owner(status, level)
    return real


def require_private(status: os.stat_result, path: Path) -> None:
    """Raise `PermissionError` if others may write to a file or folder with this status.

    Windows does not report this; its folder for a user's cache is private anyway.
    """
    _require_owner(status, path)
    if os.name != "posix":
        return
    writable = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if writable and not (writable == stat.S_IWGRP and _is_own_group(status.st_gid)):
        raise _refused(
            f"other users can write to {path} (`chmod go-w {path}` keeps them out)", path
        )


def _is_own_group(number: int) -> bool:
    """Whether a group belongs to this user alone: it has the same name and no other members.

    Many systems give each user such a group and let it write to the user's files (a umask of 002).
    """
    import grp  # not on Windows
    import pwd

    try:
        user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(number)
    except KeyError:
        return False
    alone = set(group.gr_mem) <= {user.pw_name}
    return user.pw_gid == number and group.gr_name == user.pw_name and alone


def _require_owner(status: os.stat_result, path: Path) -> None:
    if os.name == "posix" and status.st_uid not in (0, os.geteuid()):
        raise _refused(f"{path} belongs to another user", path)


def _refused(reason: str, path: Path) -> PermissionError:
    return PermissionError(errno.EACCES, reason, str(path))
