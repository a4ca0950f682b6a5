"""What tables have in common, whatever file they are in: named columns, and rows of texts."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from neocog.errors import DataError, printable
from neocog.limits import require_memory

__all__ = ["MOST_ROWS", "Table", "check_rows", "named_lines"]

#: Rows of a table, or pictures of Parquet files, that are read.
MOST_ROWS = 2**24
# How often memory is looked at, and what so many rows may take.
_STEP = 2**16
_BYTES_PER_ROW = 2**10
# Names that a message lists.
_MOST_NAMED = 8


class Table(Protocol):
    """A table, as the kinds of files give it.

    Attributes:
        name: of its file, for messages.
        unit: what its rows are counted in: "line" or "row".
        columns: their names; their numbers, from 1, where the table does not name them.
        named: whether it does.
        first: the texts of the first row; none where there is no row.
    """

    name: str
    unit: str
    columns: list[str]
    named: bool
    first: list[str]

    def rows(self, columns: Sequence[int]) -> Iterator[tuple[int, list[str]]]:
        """The number of each row in its file, and its texts in some columns; "" for none.

        Raises:
            DataError: naming the row that cannot be read, and why.
        """

    def classes(self, column: int) -> tuple[str, ...] | None:
        """Names of classes that the numbers in a column stand for, where the file has them."""


def check_rows(count: int, name: str) -> None:
    """Called at every row of a table: raise where there are more than this process can hold.

    Raises:
        DataError: more rows than are read at all.
        NeocogError: too little memory.
    """
    if count % _STEP:
        return
    if count >= MOST_ROWS:
        raise DataError(f"{name} has more than the {MOST_ROWS:,} rows that are read.")
    require_memory(_STEP * _BYTES_PER_ROW, f"{name} with its many rows", "Take a smaller table.")


def named_lines(names: Sequence[str]) -> str:
    """Some of many, each on a line of its own, for the end of a message."""
    shown = "".join(f"\n  {printable(one, 500)}" for one in names[:_MOST_NAMED])
    more = f"\n  and {len(names) - _MOST_NAMED:,} more" if len(names) > _MOST_NAMED else ""
    return shown + more
