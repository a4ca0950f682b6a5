"""Large files that threads read parts of: a few are open at a time, and they must not change."""

import os
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

from neocog.errors import DataError, printable
from neocog.files import open_regular

__all__ = ["OpenFiles"]

# Files open at a time; an eighth of the smallest usual limit of a process (256, of macOS).
_MOST_OPEN = 32


class _Opened:
    """An open file, closed when the last thread that reads from it has finished."""

    def __init__(self, path: Path) -> None:
        self._file = open_regular(path)
        status = os.fstat(self._file.fileno())
        self.size, self.time = status.st_size, status.st_mtime_ns
        self._lock = Lock()

    def read(self, at: int, size: int) -> bytes:
        if not hasattr(os, "pread"):  # Windows
            with self._lock:
                self._file.seek(at)
                return self._file.read(size)
        content = os.pread(self._file.fileno(), size, at)
        while len(content) < size:
            more = os.pread(self._file.fileno(), size - len(content), at + len(content))
            if not more:
                break
            content += more
        return content

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()


class OpenFiles:
    """Files by index.

    Args:
        paths: their paths.

    Raises:
        OSError: one cannot be read.

    Attributes:
        sizes: bytes of each.
        times: time of each one's last change, in nanoseconds.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._lock = Lock()
        self._open: OrderedDict[int, _Opened] = OrderedDict()
        self.sizes: list[int] = []
        self.times: list[int] = []
        for path in paths:
            status = path.stat()
            self.sizes.append(status.st_size)
            self.times.append(status.st_mtime_ns)

    def read(self, number: int, at: int, size: int) -> bytes:
        """Bytes of a file from an offset on; fewer at its end. Thread-safe.

        Raises:
            OSError: it cannot be read.
            DataError: the file has changed.
        """
        return self._opened(number).read(at, min(size, max(0, self.sizes[number] - at)))

    def _opened(self, number: int) -> _Opened:
        with self._lock:
            if (file := self._open.get(number)) is not None:
                self._open.move_to_end(number)
                return file
            file = _Opened(self._paths[number])
            if (file.size, file.time) != (self.sizes[number], self.times[number]):
                name = printable(self._paths[number].name, 100)
                raise DataError(f"cannot be read: {name} was changed while it was in use.")
            self._open[number] = file
            if len(self._open) > _MOST_OPEN:
                self._open.popitem(last=False)
            return file
