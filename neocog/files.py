"""Reads files without blocking or surprises, and writes them completely or not at all.

Every file that a user names is opened here. Named pipes, on which reading would block, devices and
sockets are refused, and nothing is read beyond the size that the caller allows.
"""

import contextlib
import errno
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from platformdirs import user_cache_path

__all__ = [
    "cache_folder",
    "cache_root",
    "exists",
    "finish_writing",
    "flush_folder",
    "leftovers",
    "open_regular",
    "read_bytes",
    "read_exactly",
    "user_path",
    "write_bytes",
    "writing",
    "writing_together",
]


# Paths


def user_path(path: str | os.PathLike[str]) -> Path:
    """The path with a leading ``~`` expanded, if there is such a home folder."""
    try:
        return Path(path).expanduser()
    except RuntimeError:  # unknown user, or no home folder
        return Path(path)


def exists(path: str | os.PathLike[str]) -> bool:
    """Whether there is such a file or folder; False for impossible paths, such as too long ones."""
    try:
        return Path(path).exists()
    except (OSError, ValueError):
        return False


def cache_folder() -> Path | None:
    """The user's cache folder for neocog; None if the system knows no home folder."""
    try:
        return user_cache_path("neocog")
    except RuntimeError:
        return None


def cache_root() -> Path | None:
    """The folder for cached data: `NEOCOG_CACHE_DIR` if it is set, otherwise `cache_folder`."""
    named = os.environ.get("NEOCOG_CACHE_DIR")
    found = user_path(named) if named else cache_folder()
    return found and found.absolute()


# Reading


_FLAGS = os.O_RDONLY
# Without O_NONBLOCK, opening a pipe that was put in place after `stat` would block.
for _flag in ("O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):  # not all exist on every system
    _FLAGS |= getattr(os, _flag, 0)
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0)


def open_regular(path: str | os.PathLike[str], *, follow_links: bool = True) -> BufferedReader:
    """Open a regular file for reading bytes.

    Args:
        path: of the file.
        follow_links: whether `path` may be a symbolic link to it.

    Raises:
        OSError: there is no such file, it cannot be read, or it is not a regular file.
    """
    descriptor = _open_descriptor(path, follow_links)
    try:
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _open_descriptor(path: str | os.PathLike[str], follow_links: bool) -> int:
    try:
        # Checked before it is opened, as merely opening some devices has an effect.
        _check_regular(os.stat(path, follow_symlinks=follow_links), path)  # noqa: PTH116 - fast
        descriptor = os.open(path, _FLAGS if follow_links else _FLAGS | _NO_LINKS)
    except ValueError:  # a null byte
        raise _no_name(path) from None
    try:
        _check_regular(os.fstat(descriptor), path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _no_name(path: str | os.PathLike[str]) -> OSError:
    return OSError(errno.EINVAL, "This cannot be the name of a file", os.fspath(path))


def _check_regular(status: os.stat_result, path: str | os.PathLike[str]) -> None:
    if stat.S_ISREG(status.st_mode):
        return
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    kind = "a symbolic link" if stat.S_ISLNK(status.st_mode) else "a pipe, a device or a socket"
    raise OSError(errno.EINVAL, f"This is {kind}, not a regular file", os.fspath(path))


def read_bytes(
    path: str | os.PathLike[str], most: int | None = None, *, follow_links: bool = True
) -> bytes:
    """The content of a regular file of at most `most` bytes; raises as `open_regular` does."""
    with open_regular(path, follow_links=follow_links) as file:
        size = os.fstat(file.fileno()).st_size
        if most is None:
            return file.read()
        content = file.read(most + 1) if size <= most else b""
        if len(content) > most or size > most:
            raise OSError(
                errno.EFBIG, f"It is larger than the {most:,} bytes that are read", os.fspath(path)
            )
        return content


def read_exactly(path: str | os.PathLike[str], size: int) -> bytes:
    """The content of a regular file whose size is known; fast, for reading very many files.

    Raises:
        OSError: as in `open_regular`, or the size has changed.
    """
    descriptor = _open_descriptor(path, True)
    try:
        # One more byte, to check that the file ends there.
        content = os.read(descriptor, size + 1)
        while len(content) <= size and (more := os.read(descriptor, size + 1 - len(content))):
            content += more
    finally:
        os.close(descriptor)
    if len(content) != size:
        raise OSError(errno.ESTALE, f"It had {size:,} bytes, and has others now", os.fspath(path))
    return content


# Writing


@contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open `path` for writing bytes; it changes only when the ``with`` block ends.

    The bytes are written to a temporary file in the same folder and flushed to disk. The file is
    then renamed to `path`, and the folder is flushed too. If anything fails, or is interrupted, the
    temporary file is removed and `path` is unchanged. If `path` is a symbolic link, the link is
    replaced and its target is unchanged; otherwise whoever can write to the folder could choose
    which file is overwritten. A folder, named pipe, device or socket, or a link to one such as
    ``/dev/stdout``, is refused.

    Raises:
        OSError: the folder is missing or cannot be written to, the disk is full, or `path` exists
            and is not a regular file. If the disk fails at the last moment, `path` may already be
            the new file, complete but perhaps not durable.
    """
    target = Path(path)
    _check_replaceable(target)
    # The tempfile module is not used: its files are private, whatever the user's umask.
    temporary = target.with_name(f".neocog-{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):  # the folder may be gone; the first error is reported
            temporary.unlink(missing_ok=True)
        raise
    flush_folder(target.parent)


def _check_replaceable(target: Path) -> None:
    try:
        status = target.stat()
    except ValueError:  # a null byte
        raise _no_name(target) from None
    except OSError:  # there is nothing, or a broken link
        return
    _check_regular(status, target)


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write `data` to `path`, completely or not at all; raises as `writing` does."""
    with writing(path) as file:
        file.write(data)


# Files that belong together

# The folder with a complete set of files that are about to be moved into its parent.
_NEXT = ".neocog-next"
_TEMPORARY = re.compile(r"\.neocog-[0-9a-f]{16}\.tmp")
# IO_REPARSE_TAG_MOUNT_POINT, which Python defines on Windows only.
_JUNCTION = 0xA0000003


@contextmanager
def writing_together(folder: str | os.PathLike[str], first: str) -> Iterator[Path]:
    """Write files that belong together; `folder` then has all of the new files or none.

    Yields an empty folder within `folder` to write them into. After the ``with`` block it is
    renamed to ``.neocog-next``: from then on the new set counts. Its files are moved up in an order
    that guarantees the following at every moment, even if the process is killed or the power fails:

    - No file in `folder` belongs to another set than `first`: the files of the old set are removed
      before `first` is replaced, and those of the new set come after it.
    - `first` exists, if it ever did.
    - Missing files are in ``.neocog-next``. `finish_writing` moves them up, and so does the next
      call.

    If anything fails in the ``with`` block, or is interrupted, the old files are unchanged.

    Args:
        folder: the folder of the files.
        first: name of the file that identifies the set; it must be among those written.

    Raises:
        OSError: the disk is full, the folder cannot be written to, and so on.
    """
    folder = Path(folder)
    finish_writing(folder, first)
    new = folder / f".neocog-{secrets.token_hex(8)}.tmp"
    try:
        new.mkdir()
        yield new
        flush_folder(new)
        new.rename(folder / _NEXT)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    with contextlib.suppress(OSError):  # the new set counts already, even if moving it fails
        flush_folder(folder)
    finish_writing(folder, first)


def finish_writing(folder: str | os.PathLike[str], first: str) -> None:
    """Complete a `writing_together` that was interrupted, if there is one.

    To be called only if nobody else writes there. Raises OSError if it fails.
    """
    folder = Path(folder)
    try:
        _move_up(folder, first)
    except OSError:
        _move_up(folder, first)  # a second attempt, as a virus scanner may have held a file


def _move_up(folder: Path, first: str) -> None:
    new = folder / _NEXT
    names = _names_of_set(new)
    if names is None:
        return
    if first in names:
        names.remove(first)
        # Journaling file systems keep this order, so nothing is flushed in between, which would
        # only widen the time in which a kill can interrupt.
        for name in names:
            (folder / name).unlink(missing_ok=True)
        (new / first).replace(folder / first)
    for name in names:
        (new / name).replace(folder / name)
    new.rmdir()
    flush_folder(folder)


def _names_of_set(new: Path) -> list[str] | None:
    """The files in a ``.neocog-next``; None unless it is a folder that has only files.

    A link in its place, or in it, was not made by this module: moving it would move files that are
    stored elsewhere.
    """
    if not _is_folder(new):
        return None
    paths = sorted(new.iterdir())
    if not all(stat.S_ISREG(path.lstat().st_mode) for path in paths):
        return None
    return [path.name for path in paths]


def _is_folder(path: Path) -> bool:
    """Whether it is a folder and not a link to one."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return False
    # A junction, another kind of link on Windows, claims to be a folder.
    return stat.S_ISDIR(status.st_mode) and getattr(status, "st_reparse_tag", 0) != _JUNCTION


def leftovers(folder: str | os.PathLike[str]) -> list[Path]:
    """The files and folders that interrupted writes have left in a folder."""
    return [path for path in Path(folder).iterdir() if _is_leftover(path)]


def _is_leftover(path: Path) -> bool:
    if path.name == _NEXT:
        return _names_of_set(path) is not None
    if not _TEMPORARY.fullmatch(path.name):
        return False
    return _is_folder(path) or (path.is_file() and not path.is_symlink())


# Errors of file systems that cannot flush folders.
_NO_FLUSHING = (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.ENOSYS)


def flush_folder(folder: str | os.PathLike[str]) -> None:
    """Flush the names in a folder to disk, if the system can do so.

    Raises:
        OSError: the disk has failed, so the names may not be on it.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows does not open folders, and a folder may be write-only
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FLUSHING:
            raise
    finally:
        os.close(descriptor)
