"""Reads the lines of a text file from anyone, one at a time, in any common encoding."""

import codecs
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from neocog.errors import DataError, printable
from neocog.files import open_regular

__all__ = ["LONGEST_LINE", "TextMember", "text_lines"]

#: Longest line, and longest record with line breaks in quotes, in characters.
LONGEST_LINE = 2**20
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True)
class TextMember:
    """A text file in an archive, used in place of a path.

    Attributes:
        name: name of the file, without its folder.
        content: bytes of the file.
    """

    name: str
    content: bytes

    @property
    def suffix(self) -> str:
        """The ending of its name, with the dot."""
        return PurePosixPath(self.name).suffix


def _opened(path: Path | TextMember) -> io.BufferedReader:
    if isinstance(path, TextMember):
        return io.BufferedReader(io.BytesIO(path.content))
    return open_regular(path)


def text_lines(path: Path | TextMember) -> Iterator[str]:
    """The lines, each with its line break: LF, CR LF or CR.

    The encoding is UTF-8, with or without a byte-order mark, or UTF-16. Bytes that are not UTF-8
    become lone surrogates, as in Python's file names.

    Raises:
        DataError: it cannot be read, or a line is not text or too long; with the line's number.
    """
    name = printable(path.name)
    number = 0
    try:
        with _opened(path) as file:
            encoding = _encoding(file.peek(4096)[:4096])
            errors = "surrogateescape" if encoding.startswith("utf-8") else "strict"
            with io.TextIOWrapper(file, encoding, errors, newline="") as text:
                while line := text.readline(LONGEST_LINE + 1):
                    number += 1
                    if len(line) > LONGEST_LINE:
                        raise DataError(
                            f"{name}, line {number:,}: it is longer than the {LONGEST_LINE:,} "
                            "characters that are read. Is this a table?"
                        )
                    if "\0" in line:
                        raise DataError(
                            f"{name}, line {number:,}: it has a null character, which no text has. "
                            "Save the table as UTF-8."
                        )
                    yield line
    except UnicodeError as error:
        raise DataError(
            f"{name}, line {number + 1:,}: it is not {encoding.upper()}, as the file's beginning "
            "says. Save the table as UTF-8."
        ) from error
    except OSError as error:
        raise DataError(
            f"{printable(str(path), 300)} cannot be read: {error.strerror or error}."
        ) from error


def _encoding(head: bytes) -> str:
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if head.startswith(_UTF16):
        return "utf-16"
    # Without a mark: in UTF-16, every other byte of Latin letters is 0.
    first, second = head[::2].count(0), head[1::2].count(0)
    if second > len(head) // 4 and not first:
        return "utf-16-le"
    if first > len(head) // 4 and not second:
        return "utf-16-be"
    return "utf-8"
