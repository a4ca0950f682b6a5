"""Folders in which nobody but this user can put files, or exchange them.

What is run, as machine code is, must not come from where others can write: a folder in /tmp whose
name can be guessed, or one that a whole group shares. The rule is ssh's for its keys.
"""

import contextlib
import errno
import os
import stat
from pathlib import Path

__all__ = ["private_folder", "require_private"]


def private_folder(path: str | os.PathLike[str]) -> Path:
    """Make a folder, its parents too, for this user alone; gives its path without links.

    What is there already must belong to this user or to root, and be closed for others' writing,
    up to the root of the file system. Folders where everyone may write, but only owners remove, as
    /tmp, are allowed above the last.

    Raises:
        OSError: others could write there, or it cannot be made.
    """
    real = Path(os.path.realpath(path))
    for level in (*reversed(real.parents), real):
        try:
            status = level.lstat()
        except FileNotFoundError:
            # Where another process has just made it, it is looked at like any other.
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
    """Raise `PermissionError` if others may write to what has this status.

    Windows says nothing of it there; the folder that it has for a user's cache is the user's alone.
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
    """Whether a group is this user's own: of the same name, and with nobody else in its list.

    Many systems give each user such a group, and let it write to all that the user makes (a umask
    of 002).
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
