"""Parquet files that somebody sent, opened by pyarrow with bounds on what they may ask for.

pyarrow is asked for when a Parquet file is: ``pip install 'neocog[parquet]'``.
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

#: Usual names of a column of pictures, in the order in which they count.
PICTURE_COLUMNS = ("image", "img", "picture", "photo")

_MAGIC = b"PAR1"
# What describes a file, at its end: bytes of it, and of one of its texts.
_LARGEST_FOOTER, _LONGEST_TEXT = 2**26, 2**24
_MOST_ITEMS = 2**20
_BUFFER = 2**20
# Rows that are read together, at most; of pictures, as many as have so many bytes, by the mean, and
# with the longest that there may be.
_ROWS = 2**14
_PIECE, _PIECE_AT_WORST = 2**24, 2**28
# A column of a group may unpack to this much, or to so many times what it is on disk.
_ALWAYS, _MOST_TIMES = 2**28, 100


def has_pictures(path: Path) -> bool:
    """Whether a Parquet file has pictures in it, and not their names; raises nothing.

    Where that cannot be found out, as without pyarrow, it is taken to have.
    """
    try:
        file = ParquetFile(path)
        found = file.picture_column()
    except NeocogError:
        return True
    if found is None:
        return False
    # Bytes of another name beside names of files may be anything.
    named, _others = usual_column(file.columns, "file")
    return file.columns[found[0]] in PICTURE_COLUMNS or named is None


class ParquetFile:
    """What a Parquet file says of itself, and its content in pieces.

    It is open only while something is read. Methods may be called by several threads at once.

    Args:
        path: of the file.

    Raises:
        DataError: it cannot be read, is damaged or asks for too much, or pyarrow is missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = printable(path.name)
        with self._errors(), open_regular(path) as file:
            status = os.fstat(file.fileno())
            #: Its bytes, and when it was last written, in nanoseconds.
            self.size, self.time = status.st_size, status.st_mtime_ns
            self._check_end(file)
            found = self._opened(file)
            self._metadata = found.metadata
            self._schema = found.schema_arrow
            paths = [found.schema.column(n).path for n in range(len(found.schema))]
        # Of a column with parts only the bytes of a picture are read.
        self._leaves = {path: n for n, path in enumerate(paths)}
        #: Rows of each group.
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
        """The column of pictures: its place, and the path to its bytes; None if there is none.

        Args:
            asked: the place of the column; found by its name and type, if None.
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
        """The names that numbers in a column stand for, as Hugging Face's `datasets` keeps them.

        Raises:
            DataError: they are not names.
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
            DataError: a column is of another type, or damaged.
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
        """Whether a column has texts, numbers or truth values."""
        import pyarrow.types as types

        kind = self._schema.field(place).type
        if types.is_dictionary(kind):
            kind = kind.value_type
        tests = (types.is_string, types.is_large_string, types.is_integer, types.is_floating)
        return any(test(kind) for test in (*tests, types.is_boolean, types.is_null))

    def pictures(self, group: int, column: str) -> Iterator[list[bytes | None]]:
        """The pictures of a group in order, `at_a_time` of them together, the last ones fewer.

        Args:
            group: which.
            column: what `picture_column` gives.

        Raises:
            DataError: it is damaged.
        """
        import pyarrow.compute as compute

        for batch in self._batches(group, [column], self.at_a_time(group, column)):
            cells = batch.column(0)
            if cells.type.num_fields:  # a struct, of which only this was read
                cells = compute.struct_field(cells, [0])
            yield cells.to_pylist()

    def at_a_time(self, group: int, column: str) -> int:
        """Rows of a group whose pictures are unpacked together.

        So few that all of them may be as long as the longest that the group can have: a value that
        a dictionary has once may stand in any number of rows.
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
        """Raise `DataError` if what a group has in a column unpacks to more than it should."""
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
        """Raise where the file's end is not that of a Parquet file, or describes too much."""
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
            buffer_size=_BUFFER,  # or a whole column of a group is read at once
            thrift_string_size_limit=_LONGEST_TEXT,
            thrift_container_size_limit=_MOST_ITEMS,
            **more,
        )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Whatever pyarrow raises, as one message."""
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
    """The cells of a column, each different text made once."""
    import pyarrow.compute as compute
    import pyarrow.types as types

    kind = cells.type
    if not types.is_dictionary(kind):
        return [_text(value, kind) for value in cells.to_pylist()]
    # A dictionary grows along its group: only what these rows have of it is looked at.
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
    if value is None or value != value:  # NaN is how pandas writes that there is nothing
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and kind.bit_width < 64:
        return str(np.float32(value)) if kind.bit_width == 32 else str(np.float16(value))
    return str(value).strip()
