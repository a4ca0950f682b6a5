"""A compact list of very many names: their bytes, concatenated, and where each ends."""

import os
from array import array
from collections.abc import Iterator, Sequence
from typing import overload

__all__ = ["NameTable"]


class NameTable(Sequence[str]):
    """A sequence of names, to which names can be appended.

    A Python string takes some 60 bytes besides its letters; here a name takes 8.
    """

    def __init__(self) -> None:
        self._letters = bytearray()
        self._ends = array("q", (0,))

    def append(self, name: str) -> None:
        """One more."""
        self._letters += os.fsencode(name)
        self._ends.append(len(self._letters))

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, number: int) -> str: ...
    @overload
    def __getitem__(self, number: slice) -> list[str]: ...
    def __getitem__(self, number: int | slice) -> str | list[str]:
        if isinstance(number, slice):
            return [self[n] for n in range(*number.indices(len(self)))]
        if not 0 <= number < len(self):
            raise IndexError(number)
        return os.fsdecode(bytes(self._letters[self._ends[number] : self._ends[number + 1]]))

    def __iter__(self) -> Iterator[str]:
        return (self[number] for number in range(len(self)))
