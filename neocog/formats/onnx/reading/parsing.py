"""What all messages of an ONNX file are read by: fields, texts and integers, within its limits."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.errors import FormatError
from neocog.formats.onnx.reading.content import Allowance, Span
from neocog.formats.onnx.reading.safety import (
    MOST_DESCRIPTION_BYTES,
    MOST_ENTRIES,
    MOST_LINKS,
    MOST_PACKED_BYTES,
    MOST_TEXT_BYTES,
    text,
)
from neocog.formats.onnx.reading.wire import BYTES, Fields, integers, signed

__all__ = ["DAMAGED", "Parsing", "check_count"]

DAMAGED = "it is no ONNX file, or it is damaged."


class Parsing:
    """The reading of one file, with what is left of each limit that holds for all of it.

    Attributes:
        described: bytes of all that is read but large tensors of the graph.
        entries: numbers and texts of attributes.
        links: inputs and outputs of nodes.
    """

    def __init__(self) -> None:
        self._fields = Fields()
        self.described = Allowance(MOST_DESCRIPTION_BYTES, "bytes beside its tensors")
        self.entries = Allowance(MOST_ENTRIES, "numbers in attributes")
        self.links = Allowance(MOST_LINKS, "inputs and outputs of nodes")
        self._texts = Allowance(MOST_TEXT_BYTES, "bytes of names")
        self._packed = Allowance(MOST_PACKED_BYTES, "bytes of integers")

    def of(
        self, message: memoryview | Span, kinds: Mapping[int, int], long: tuple[int, ...] = ()
    ) -> Iterator[tuple[int, Any]]:
        """The fields with these numbers, which must be of these kinds.

        Args:
            message: the message.
            kinds: the kinds by number.
            long: numbers of those whose values may stay in the file, as a `Span`.
        """
        for number, kind, value in self._fields.of(message):
            wanted = kinds.get(number)
            if wanted is None:
                continue
            # Numbers may also be packed.
            if kind != wanted and (kind != BYTES or wanted == BYTES):
                raise FormatError(DAMAGED)
            if isinstance(value, Span) and number not in long:
                self.described.take(len(value))
                value = value.read()
            yield number, value

    def text(self, raw: memoryview, what: str) -> str:
        """A name or another text."""
        self._texts.take(len(raw))
        return text(raw, what)

    def integer(self, value: int | memoryview) -> int:
        """An integer, which may be packed."""
        if isinstance(value, int):
            return signed(value)
        found = self.integers(value)
        if found.size != 1:
            raise FormatError(DAMAGED)
        return int(found[0])

    def integers(self, value: int | memoryview) -> NDArray[np.int64]:
        """Integers, packed or one alone."""
        if isinstance(value, int):
            return np.array([signed(value)], np.int64)
        self._packed.take(len(value))
        return integers(value)


def check_count(row: Any, most: int, what: str) -> None:
    """Raise `FormatError` if there are more than `most` of something."""
    if len(row) > most:
        raise FormatError(f"it has more than {most:,} {what}.")
