"""Tables in Parquet files."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from neocog.data.sources.tables.parquet import ParquetFile

__all__ = ["ParquetTable"]


class ParquetTable:
    """The texts and numbers of a Parquet file, as `Table` describes.

    Args:
        path: of the file.

    Raises:
        DataError: it cannot be read.
    """

    unit = "row"
    named = True

    def __init__(self, path: Path) -> None:
        #: Bytes of the whole file, other columns included.
        self.file = ParquetFile(path)
        self.name = self.file.name
        self.columns = self.file.columns
        texts = [place for place in range(len(self.columns)) if self.file.is_text(place)]
        self.first = [""] * len(self.columns)
        if texts and self.file.rows:
            for place, cells in zip(texts, next(self.file.texts(texts)), strict=True):
                self.first[place] = cells[0]

    def rows(self, columns: Sequence[int]) -> Iterator[tuple[int, list[str]]]:
        """As `Table.rows`."""
        row = 0
        for cells in self.file.texts(columns):
            for texts in zip(*cells, strict=True):
                row += 1
                yield row, list(texts)

    def classes(self, column: int) -> tuple[str, ...] | None:
        """As `Table.classes`."""
        return self.file.classes(column)
