"""One process at a time in a run's folder.

The lock is the operating system's, so it ends with its process, however that ends; processes that
this one starts or forks do not keep it. Who holds it stands in the lock file. On a file system
without locks, as some on networks are, that file alone decides, by whether its process is there.
"""

import errno
import json
import os
import stat
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from filelock import FileLock, Timeout

from neocog.errors import FormatError, NeocogError, printable
from neocog.files import open_regular, write_bytes
from neocog.training.process_identity import is_alive, this_process
from neocog.write_errors import why_not_written

__all__ = ["LOCK", "RunLock"]

#: The name of the lock file in a run's folder.
LOCK = ".neocog-lock"

_MOST_BYTES = 4096
# What file systems say that have no locks.
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)


class RunLock:
    """Keeps a run's folder for this process, as a context manager or until `release`.

    Args:
        folder: of the run; it exists.

    Attributes:
        held: whether this object holds the lock.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = Path(folder)
        self._path = self._folder.absolute() / LOCK
        self._lock = FileLock(
            self._path, timeout=0, thread_local=False, fallback_to_soft=False, on_acquired=_sign
        )
        self.held = False

    def acquire(self) -> None:
        """Take the lock, or fail at once.

        Raises:
            NeocogError: another process has it, or another `RunLock` of this one.
            FormatError: the folder is not there, or cannot be written to.
        """
        try:
            if not stat.S_ISDIR(self._folder.stat().st_mode):  # which the library would make
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            self._lock.acquire()
        except Timeout:
            raise self._in_use(self._owner()) from None
        except NotImplementedError:
            self._claim()
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise FormatError(why_not_written(self._folder, error)) from error
            self._claim()
        self.held = True

    def release(self) -> None:
        """Let go of the lock and remove its file; nothing, where it is not held."""
        if not self.held:
            return
        self.held = False
        # While it is held, so that nobody else's is removed; Windows removes no open file.
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
        self._lock.release()
        if os.name == "nt":
            with suppress(OSError):
                self._path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def _claim(self) -> None:
        """Take the folder without a lock, if the process that the file names has ended."""
        owner = self._owner()
        alive = owner is not None and is_alive(owner)
        if alive:
            raise self._in_use(owner)
        if alive is None:
            raise NeocogError(
                f"{self._in_use(owner)} This file system has no locks, so that nothing tells "
                f"whether it has ended: if it has, remove {printable(str(self._path), 300)}."
            )
        try:
            write_bytes(self._path, _signature())
        except OSError as error:
            raise FormatError(why_not_written(self._folder, error)) from error

    def _owner(self) -> dict[str, Any] | None:
        """The process that the lock file names; None where it cannot be read."""
        with suppress(OSError, ValueError, RecursionError):
            with open_regular(self._path, follow_links=False) as file:
                file.seek(1)
                found = json.loads(file.read(_MOST_BYTES))
            if isinstance(found, dict):
                return found
        return None

    def _in_use(self, owner: object) -> NeocogError:
        who = "another process"
        if isinstance(owner, dict) and isinstance(owner.get("pid"), int):
            here = this_process()["host"]
            host = owner.get("host")
            who = f"process {owner['pid']}"
            if owner["pid"] == os.getpid() and host == here:
                who = "this process"
            elif host != here:
                who += f" on {printable(str(host))}"
        return NeocogError(
            f"{printable(str(self._folder), 300)} is in use: {who} is training in it. Wait until "
            "it has ended, or choose another folder."
        )


def _signature() -> bytes:
    # On Windows nobody else reads the first byte, which is the one that is locked.
    return b" " + json.dumps(this_process()).encode()


def _sign(descriptor: int) -> None:
    """Say in the lock file who has it; it is locked without, as where the disk is full."""
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, _signature())
