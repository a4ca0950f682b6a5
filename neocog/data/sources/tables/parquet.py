"""Reads Parquet files with pyarrow, with limits on memory, as a file may come from anyone.

pyarrow is an extra: ``pip install 'neocog[parquet]'``.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from neocog.data.sources.tables.columns import usual_column
from neocog.data.sources.tables.rows import MOST_ROWS
from neocog.errors import DataError, NeocogError, printable
from neocog.files import open_regular

__all__ = ["PICTURE_COLUMNS", "ParquetFile", "has_pictures"]

#: Usual names of a column of pictures, the preferred one first.
PICTURE_COLUMNS = ("image", "img", "picture", "photo")

_MAGIC = b"PAR1"
# Limits of the metadata at a file's end, in bytes: of all, and of one string.
_LARGEST_FOOTER, _LONGEST_TEXT = 2**26, 2**24
_MOST_ITEMS = 2**20
_BUFFER = 2**20
# Largest number of rows that are read together; for pictures, limits of their bytes, by the mean
# and by the longest that there may be.
_ROWS = 2**14
_PIECE, _PIECE_AT_WORST = 2**24, 2**28
# Limits of a column chunk's uncompressed size: this many bytes, or this multiple of its file size.
_ALWAYS, _MOST_TIMES = 2**28, 100


def has_pictures(path: Path) -> bool:
    """Whether a Parquet file has pictures and not just their names; raises nothing.

    If that cannot be determined, as without pyarrow, the answer is yes.
    """
    try:
        file = ParquetFile(path)
        found = file.picture_column()
    except NeocogError:
        return True
    if found is None:
        return False
    # If there are names of files, a column of bytes with another name may be anything.
    named, _others = usual_column(file.columns, "file")
    return file.columns[found[0]] in PICTURE_COLUMNS or named is None


class ParquetFile:
    """A Parquet file: its metadata, and its content in pieces.

    The file is open only during reads. Methods are thread-safe.

    Args:
        path: of the file.

    Raises:
        DataError: it cannot be read, is damaged or exceeds a limit, or pyarrow is missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = printable(path.name)
        with self._errors(), open_regular(path) as file:
            status = os.fstat(file.fileno())
            #: Its size in bytes, and the time of its last change, in nanoseconds.
            self.size, self.time = status.st_size, status.st_mtime_ns
            self._check_end(file)
            found = self._opened(file)
            self._metadata = found.metadata
            self._schema = found.schema_arrow
            paths = [found.schema.column(n).path for n in range(len(found.schema))]
        # Of a struct column, only the bytes of a picture are read.
        self._leaves = {path: n for n, path in enumerate(paths)}
        #: Rows of each row group.
        self.groups = [
            int(self._metadata.row_group(n).num_rows) for n in range(self._metadata.num_row_groups)
        ]
        self.rows = sum(self.groups)
        if self.rows != self._metadata.num_rows or any(count < 0 for count in self.groups):
            raise DataError(f"{self.name} is damaged: its groups have not the rows that it says.")
        if self.rows > MOST_ROWS:
            raise DataError(f"{self.name} has more than the {MOST_ROWS:,} rows that are read.")

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self._schema.names)

    @property
    def types(self) -> list[str]:
        """The types of the columns, as pyarrow names them."""
        return [printable(str(self._schema.field(n).type), 60) for n in range(len(self.columns))]

    def picture_column(self, asked: int | None = None) -> tuple[int, str] | None:
        """The index of the column of pictures, and the path to its bytes; None if there is none.

        Args:
            asked: index of the column; None finds it by name and type.
        """
        import pyarrow.types as types

        found: dict[str, tuple[int, str]] = {}
        for place in range(len(self.columns)) if asked is None else [asked]:
            name, kind = self.columns[place], self._schema.field(place).type
            if types.is_dictionary(kind):
                kind = kind.value_type
            if types.is_binary(kind) or types.is_large_binary(kind):
                found[name] = place, name
            elif types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
                inner = kind.field("bytes").type
                if types.is_binary(inner) or types.is_large_binary(inner):
                    found[name] = place, f"{name}.bytes"
        usual = [found[name] for name in PICTURE_COLUMNS if name in found]
        if usual or len(found) != 1:
            return usual[0] if usual else None
        return next(iter(found.values()))

    def classes(self, column: int) -> tuple[str, ...] | None:
        """The class names of a column's numbers, as stored by Hugging Face's `datasets`.

        Raises:
            DataError: they are malformed.
        """
        text = (self._schema.metadata or {}).get(b"huggingface", b"")
        if not text:
            return None
        try:
            found: Any = json.loads(text)
            for key in ("info", "features", self.columns[column], "names"):
                found = found.get(key) if isinstance(found, dict) else None
        except (ValueError, RecursionError):
            return None
        if found is None:
            return None
        if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
            raise DataError(f"{self.name}: the names of its classes are not a list of texts.")
        return tuple(found)

    def texts(self, columns: Sequence[int]) -> Iterator[list[list[str]]]:
        """The cells of some columns as texts, "" for none, some thousand rows at a time.

        Raises:
            DataError: a column has another type, or is damaged.
        """
        names = [self.columns[place] for place in columns]
        for place in columns:
            if not self.is_text(place):
                raise DataError(
                    f"{self.name}: the column '{printable(self.columns[place])}' has the type "
                    f"{self.types[place]}, where texts or numbers are needed. Name another one."
                )
        for group in range(len(self.groups)):
            for name in names:
                self.check(group, name)
            for batch in self._batches(group, names, _ROWS, read_dictionary=names):
                yield [_texts(batch.column(name)) for name in names]

    def is_text(self, place: int) -> bool:
        """Whether a column has texts, numbers or booleans."""
        import pyarrow.types as types

        kind = self._schema.field(place).type
        if types.is_dictionary(kind):
            kind = kind.value_type
        tests = (types.is_string, types.is_large_string, types.is_integer, types.is_floating)
        return any(test(kind) for test in (*tests, types.is_boolean, types.is_null))

    def pictures(self, group: int, column: str) -> Iterator[list[bytes | None]]:
        """The pictures of a row group in order, `at_a_time` at a time.

        Args:
            group: index of the row group.
            column: path from `picture_column`.

        Raises:
            DataError: it is damaged.
        """
        import pyarrow.compute as compute

        for batch in self._batches(group, [column], self.at_a_time(group, column)):
            cells = batch.column(0)
            if cells.type.num_fields:  # a struct, of which only this field was read
                cells = compute.struct_field(cells, [0])
            yield cells.to_pylist()

    def at_a_time(self, group: int, column: str) -> int:
        """Number of rows whose pictures are decompressed together.

        It is low enough for all of them to be as long as the longest that the group can have, since
        one value of a dictionary may occur in any number of rows.
        """
        chunk = self._chunk(group, column)
        unpacked, packed = chunk.total_uncompressed_size, chunk.total_compressed_size
        most = min(_ROWS, _PIECE * self.groups[group] // max(unpacked, 1))
        if any("DICTIONARY" in encoding for encoding in chunk.encodings):
            others = 0
            if chunk.has_dictionary_page:
                first = chunk.data_page_offset - chunk.dictionary_page_offset
                others = max(0, packed - max(first, 0))
            most = min(most, _PIECE_AT_WORST // max(unpacked - others, 1))
        return int(max(most, 1))

    def check(self, group: int, column: str) -> None:
        """Raise `DataError` if the uncompressed size of a column chunk exceeds the limit."""
        chunk = self._chunk(group, column)
        unpacked, packed = chunk.total_uncompressed_size, chunk.total_compressed_size
        if min(unpacked, packed) < 0 or unpacked > max(_ALWAYS, _MOST_TIMES * packed):
            raise DataError(
                f"{self.name}: its group {group + 1:,} unpacks from {packed:,} bytes to "
                f"{unpacked:,}, which no pictures or texts do."
            )

    def _chunk(self, group: int, column: str) -> Any:
        found = self._metadata.row_group(group)
        if column not in self._leaves:
            raise DataError(f"{self.name} has no column '{printable(column)}' of one kind.")
        return found.column(self._leaves[column])

    def _batches(
        self, group: int, columns: list[str], rows: int, read_dictionary: Sequence[str] = ()
    ) -> Iterator[Any]:
        with self._errors(), open_regular(self.path) as file:
            found = self._opened(file, metadata=self._metadata, read_dictionary=read_dictionary)
            yield from found.iter_batches(rows, [group], columns, use_threads=False)

    def _check_end(self, file: BinaryIO) -> None:
        """Raise if the file's end is not that of a Parquet file, or its metadata are too long."""
        size = file.seek(0, 2)
        file.seek(max(0, size - 8))
        end = file.read(8)
        file.seek(0)
        if end[4:] == b"PARE":
            raise DataError(f"{self.name} is encrypted.")
        if size < 12 or end[4:] != _MAGIC:
            raise DataError(f"{self.name} is no Parquet file, or its end is missing.")
        footer = int.from_bytes(end[:4], "little")
        if footer > min(_LARGEST_FOOTER, size - 12):
            raise DataError(
                f"{self.name} is damaged, or no Parquet file: it describes itself in {footer:,} "
                f"bytes of {size:,}."
            )

    def _opened(self, file: BinaryIO, **more: Any) -> Any:
        from pyarrow import parquet

        return parquet.ParquetFile(
            file,
            buffer_size=_BUFFER,  # otherwise a whole column chunk is read at once
            thrift_string_size_limit=_LONGEST_TEXT,
            thrift_container_size_limit=_MOST_ITEMS,
            **more,
        )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Convert any error of pyarrow to one message."""
        try:
            from pyarrow import ArrowException
        except ImportError as error:
            raise DataError(
                f"{self.name} is a Parquet file, and reading it needs pyarrow: "
                "pip install 'neocog[parquet]'"
            ) from error
        try:
            yield
        except (ArrowException, OSError, ValueError, KeyError, MemoryError) as error:
            if isinstance(error, OSError) and error.strerror:
                raise DataError(
                    f"{printable(str(self.path), 300)} cannot be read: {error.strerror}."
                ) from error
            reason = printable(" ".join(str(error).split()), 200)
            raise DataError(f"{self.name} is damaged, or no Parquet file: {reason}") from error


def _texts(cells: Any) -> list[str]:
    """The cells of a column, with each distinct text created once."""
    import pyarrow.compute as compute
    import pyarrow.types as types

    kind = cells.type
    if not types.is_dictionary(kind):
        return [_text(value, kind) for value in cells.to_pylist()]
    # A dictionary grows along its row group: only the values of these rows are converted.
    used = compute.unique(cells.indices)
    texts = dict(
        zip(
            used.to_pylist(),
            [_text(value, kind.value_type) for value in cells.dictionary.take(used).to_pylist()],
            strict=True,
        )
    )
    return [texts[index] for index in cells.indices.to_pylist()]


def _text(value: object, kind: Any) -> str:
    if value is None or value != value:  # pandas writes NaN for missing values
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and kind.bit_width < 64:
        return str(np.float32(value)) if kind.bit_width == 32 else str(np.float16(value))
    return str(value).strip()
