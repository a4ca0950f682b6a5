"""The bytes of an ONNX file, of which only those are read that somebody looks at.

Nearly all of a file are numbers of tensors. They stay on the disk until a layer has them, so what
it costs to refuse a file does not depend on how large it is.
"""

from dataclasses import dataclass
from typing import BinaryIO

from neocog.errors import FormatError

__all__ = ["LONGEST_READ", "Allowance", "Content", "Span"]

#: Bytes that are read at once; a field that has no more of them is not read a second time.
LONGEST_READ = 2**16


class Allowance:
    """How much there may be of something in a whole file.

    Args:
        most: the number.
        what: it is, in the plural.
    """

    def __init__(self, most: int, what: str) -> None:
        self._most = self._left = most
        self._what = what

    def take(self, count: int = 1) -> None:
        """Count some more; raises `FormatError` if they are too many."""
        self._left -= count
        if self._left < 0:
            raise FormatError(f"it has more than {self._most:,} {self._what}.")


class Content:
    """The bytes of an open file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.length = file.seek(0, 2)

    def whole(self) -> "Span":
        """All of it."""
        return Span(self, 0, self.length)

    def read(self, start: int, size: int) -> bytes:
        """Some of its bytes; raises `FormatError` if there are fewer, as another program cut it."""
        self._file.seek(start)
        found = self._file.read(size)
        if len(found) != size:
            raise FormatError("it became shorter while it was read.")
        return found


@dataclass(frozen=True)
class Span:
    """A part of a file."""

    content: Content
    start: int
    size: int

    def __len__(self) -> int:
        return self.size

    def read(self, start: int = 0, most: int | None = None) -> memoryview:
        """Its bytes from `start` on, all of them or at most so many."""
        size = self.size - start if most is None else min(most, self.size - start)
        return memoryview(self.content.read(self.start + start, size))

    def part(self, start: int, size: int) -> "Span":
        """A part of it."""
        return Span(self.content, self.start + start, size)
