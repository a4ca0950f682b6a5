"""Pictures in Parquet files, read in pieces, some of which are cached in memory."""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import accumulate
from threading import Lock

import numpy as np

from neocog.data.sources.tables.parquet import ParquetFile
from neocog.errors import DataError
from neocog.limits import available_memory

__all__ = ["ParquetStore"]

# Limits of the cached pieces: bytes, and fraction of the memory that this process may use.
_MOST_KEPT, _PART_KEPT = 2**28, 8
# Number of row groups whose reading can be continued.
_MOST_OPEN = 4

Piece = list[bytes | None]


class ParquetStore:
    """The pictures of several Parquet files; a `Store`.

    Pictures should be read nearly in order: those of a row group are read in pieces of some
    megabytes. Going back further than the cache reaches starts at the beginning of the group again.

    Args:
        files: in the order of their numbers.
        names: their names for people.
        columns: for each file the result of `ParquetFile.picture_column`.
    """

    def __init__(
        self, files: Sequence[ParquetFile], names: Sequence[str], columns: Sequence[str]
    ) -> None:
        self._files, self._names, self._columns = files, names, columns
        groups = [(n, g) for n, file in enumerate(files) for g in range(len(file.groups))]
        self._groups = groups
        self._firsts = [0, *accumulate(files[n].groups[g] for n, g in groups)]
        # Rows per piece, for each row group.
        self._at_a_time = [files[n].at_a_time(g, columns[n]) for n, g in groups]
        self._first_of_file = [0, *accumulate(file.rows for file in files)]
        self._sizes = np.full(self._firsts[-1], -1, np.int64)
        most = available_memory()
        self._most = _MOST_KEPT if most is None else min(_MOST_KEPT, most // _PART_KEPT)
        self._kept: OrderedDict[tuple[int, int], Piece] = OrderedDict()
        self._bytes = 0
        self._reading: OrderedDict[int, tuple[int, Iterator[Piece]]] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return self._firsts[-1]

    def name(self, row: int) -> str:
        """Its file and its row there, counted from 0, padded with zeros.

        So the order of the names is that of the rows.
        """
        n, place = self._place(row)
        digits = len(str(self._files[n].rows - 1))
        return f"{self._names[n]}, row {place:0{digits}}"

    def stamp(self, row: int) -> str:
        """Its file with length and time, and its row."""
        n, place = self._place(row)
        file = self._files[n]
        return f"{self._names[n]}\0{self._columns[n]}\0{file.size}\0{file.time}\0{place}"

    def size(self, row: int) -> int:
        """Its length, for which its piece is read; 0 if it is missing."""
        if self._sizes[row] < 0:
            try:
                self.read(row)
            except (DataError, OSError):
                self._sizes[row] = max(self._sizes[row], 0)
        return int(self._sizes[row])

    def read(self, row: int) -> bytes:
        """The bytes of its file."""
        number = bisect_right(self._firsts, row) - 1
        at, within = divmod(row - self._firsts[number], self._at_a_time[number])
        piece = self._piece(number, at)
        content = piece[within] if within < len(piece) else None
        if content is None:
            raise DataError("has no bytes in the file.")
        return content

    def _place(self, row: int) -> tuple[int, int]:
        n = bisect_right(self._first_of_file, row) - 1
        return n, row - self._first_of_file[n]

    def _piece(self, number: int, piece: int) -> Piece:
        key = number, piece
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            for at, found in self._read_on(number, piece):
                self._keep(number, at, found)
                if at == piece:
                    return found
        raise DataError("is not there: its file has fewer rows than it says.")

    def _read_on(self, number: int, piece: int) -> Iterator[tuple[int, Piece]]:
        """The pieces of a row group up to one, from where reading stopped, or from its start."""
        n, group = self._groups[number]
        begin, pieces = self._reading.pop(number, (0, None))
        if pieces is None or begin > piece:
            begin, pieces = 0, self._files[n].pictures(group, self._columns[n])
        last = (self._files[n].groups[group] - 1) // self._at_a_time[number]
        for at, found in zip(range(begin, piece + 1), pieces, strict=False):
            if at < last:
                self._reading[number] = at + 1, pieces
            if len(self._reading) > _MOST_OPEN:
                self._reading.popitem(last=False)
            yield at, found

    def _keep(self, number: int, at: int, piece: Piece) -> None:
        first = self._firsts[number] + at * self._at_a_time[number]
        lengths = [0 if one is None else len(one) for one in piece]
        self._sizes[first : first + len(piece)] = lengths
        if (number, at) not in self._kept:
            self._bytes += sum(lengths)
        self._kept[number, at] = piece
        while self._bytes > self._most and len(self._kept) > 1:
            _key, old = self._kept.popitem(last=False)
            self._bytes -= sum(0 if one is None else len(one) for one in old)
