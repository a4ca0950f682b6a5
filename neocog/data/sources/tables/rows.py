"""The interface of tables in all formats: named columns, and rows of texts."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from neocog.errors import DataError, printable
from neocog.limits import require_memory

__all__ = ["MOST_ROWS", "Table", "check_rows", "named_lines"]

#: Largest number of rows of a table, or of pictures in Parquet files.
MOST_ROWS = 2**24
# Number of rows after which memory is checked, and memory that as many rows may take.
_STEP = 2**16
_BYTES_PER_ROW = 2**10
# Names that a message lists.
_MOST_NAMED = 8


class Table(Protocol):
    """A table in any format.

    Attributes:
        name: name of its file, for messages.
        unit: what rows are numbered by: "line" or "row".
        columns: their names; their numbers, from 1, if the table has no names.
        named: whether the table has names of columns.
        first: the texts of the first row; empty if there is none.
    """

    name: str
    unit: str
    columns: list[str]
    named: bool
    first: list[str]

    def rows(self, columns: Sequence[int]) -> Iterator[tuple[int, list[str]]]:
        """The number of each row in its file, and its texts in some columns; "" for none.

        Raises:
            DataError: a row cannot be read; the message has its number and the reason.
        """

    def classes(self, column: int) -> tuple[str, ...] | None:
        """Class names of the numbers in a column, if the file has them."""


def check_rows(count: int, name: str) -> None:
    """Raise if a table has more rows than this process can hold; called for every row.

    Raises:
        DataError: there are more rows than are ever read.
        NeocogError: there is not enough memory.
    """
    if count % _STEP:
        return
    if count >= MOST_ROWS:
        raise DataError(f"{name} has more than the {MOST_ROWS:,} rows that are read.")
    require_memory(_STEP * _BYTES_PER_ROW, f"{name} with its many rows", "Take a smaller table.")


def named_lines(names: Sequence[str]) -> str:
    """Some of many names, each on a line of its own, for the end of a message."""
    shown = "".join(f"\n  {printable(one, 500)}" for one in names[:_MOST_NAMED])
    more = f"\n  and {len(names) - _MOST_NAMED:,} more" if len(names) > _MOST_NAMED else ""
    return shown + more
