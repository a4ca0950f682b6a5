"""Tables as text, with columns separated by commas, tabs, semicolons, bars or blanks.

The delimiter, and whether the first line has names of columns, are found from the first lines: the
first record must have a usual name of a column or the name of a picture file, and the other records
must have as many columns. (csv.Sniffer counts characters, and takes letters that are frequent in
file names for delimiters.)
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

from neocog.data.sources.tables.columns import is_usual, looks_like_file
from neocog.data.sources.tables.text_lines import LONGEST_LINE, TextMember, text_lines
from neocog.errors import DataError, printable

__all__ = ["DelimitedTable"]

#: Delimiters, the preferred one first.
_DELIMITERS = ("\t", ",", ";", "|", " ")
_SAMPLE_LINES = 100
_SAMPLE_CHARACTERS = 2**18


class DelimitedTable:
    """A text table, see `Table`; rows are numbered by lines.

    Args:
        path: of the file.
        asked: names of columns that are asked for, which help to recognize a header.

    Raises:
        DataError: it cannot be read, or has no columns.
    """

    unit = "line"

    def __init__(self, path: Path | TextMember, asked: Sequence[str] = ()) -> None:
        self.name = printable(path.name)
        self._path = path
        sample = _sample(path)
        self._delimiter, head = _parted(sample, asked)
        if not head:
            raise DataError(
                f"{self.name} is no table: columns must be parted by commas, tabs, semicolons, "
                "bars or blanks, and a file and its label stand in a line."
                if any(line.strip() for line in sample)
                else f"{self.name} is empty."
            )
        self.named = _is_header(head[0], asked)
        names = map(str, range(1, len(head[0]) + 1))
        self.columns = [cell.strip() for cell in (head[0] if self.named else names)]
        rows = head[1:] if self.named else head
        self.first = [cell.strip() for cell in rows[0]] if rows else []

    def rows(self, columns: Sequence[int]) -> Iterator[tuple[int, list[str]]]:
        """As `Table.rows`."""
        width = len(self.columns)
        header = self.named
        for line, cells in self._records():
            if header:
                header = False
                continue
            if len(cells) != width and (len(cells) < width or any(cells[width:])):
                raise DataError(
                    f"{self.name}, line {line:,}: its columns are {len(cells):,}, and those of the "
                    f"first line {width:,}. Mend it; what has {_said(self._delimiter)} in it "
                    "belongs in quotation marks."
                )
            yield line, [cells[place].strip() for place in columns]

    def classes(self, column: int) -> tuple[str, ...] | None:
        """None: texts are names of classes themselves."""
        return None

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        """The first line and the cells of each record; empty lines are skipped."""
        lines = _Lines(text_lines(self._path), self.name)
        try:
            for cells in _cut(lines, self._delimiter):
                began = lines.next_record()
                if cells and (len(cells) > 1 or cells[0].strip()):
                    yield began, cells
        except csv.Error as error:
            raise DataError(
                f"{self.name}, line {lines.began:,}: a field of more than "
                f"{csv.field_size_limit():,} characters ({error}). Is a quotation mark not closed?"
            ) from error


class _Lines:
    """Counts lines while they are read into records, which may have several."""

    def __init__(self, lines: Iterator[str], name: str) -> None:
        self._lines = lines
        self._name = name
        self._number = 0
        self._length = 0
        #: First line of the current record.
        self.began = 1

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self._number += 1
        self._length += len(line)
        if self._length > LONGEST_LINE:
            raise DataError(
                f"{self._name}, line {self.began:,}: the record that begins there is longer than "
                f"the {LONGEST_LINE:,} characters that are read. Is a quotation mark not closed?"
            )
        return line

    def next_record(self) -> int:
        """The first line of the record that was just read; starts the next record."""
        began, self.began, self._length = self.began, self._number + 1, 0
        return began


def _cut(lines: Iterable[str], delimiter: str) -> Iterator[list[str]]:
    if delimiter != " ":
        yield from csv.reader(lines, delimiter=delimiter)
        return
    for line in lines:
        if '"' in line:
            text = " ".join(line.split("\t")).strip()
            yield next(csv.reader([text], delimiter=" ", skipinitialspace=True), [])
        else:
            yield line.split()


def _sample(path: Path | TextMember) -> list[str]:
    sample, size = [], 0
    for line in islice(text_lines(path), _SAMPLE_LINES):
        sample.append(line)
        size += len(line)
        if size > _SAMPLE_CHARACTERS:
            break
    return sample


def _parted(sample: list[str], asked: Sequence[str]) -> tuple[str, list[list[str]]]:
    """The delimiter and the first records; empty if there is no delimiter."""
    best: tuple[tuple[bool, float, int], str, list[list[str]]] | None = None
    for rank, delimiter in enumerate(_DELIMITERS):
        records: list[list[str]] = []
        with suppress(csv.Error):  # for a very long record
            records.extend(cells for cells in _cut(sample, delimiter) if cells)
        if len(records) > 2:
            records.pop()  # the last record may be incomplete
        if not records or len(records[0]) < 2:
            continue
        same = sum(len(cells) == len(records[0]) for cells in records) / len(records)
        telling = any(
            is_usual(cell) or looks_like_file(cell) or cell.strip() in asked for cell in records[0]
        )
        score = (telling, same, -rank)
        if best is None or score > best[0]:
            best = (score, delimiter, records)
    return (",", []) if best is None else best[1:]


def _is_header(cells: list[str], asked: Sequence[str]) -> bool:
    """Whether the first record has names of columns."""
    texts = [cell.strip() for cell in cells]
    if any(one in texts for one in asked):
        return True
    if any(map(looks_like_file, texts)):
        return False
    return any(map(is_usual, texts)) or not any(one.isdecimal() for one in asked)


def _said(delimiter: str) -> str:
    names = {"\t": "a tab", ",": "a comma", ";": "a semicolon", "|": "a bar", " ": "a blank"}
    return names[delimiter]
