"""TensorBoard event files: scalars over the steps of a run, as TensorBoard reads them.

An event file is a sequence of TFRecords:

    uint64  length of the data, little-endian
    uint32  masked CRC-32C of these eight bytes
    bytes   data: an ``Event`` protocol buffer
    uint32  masked CRC-32C of the data

    masked(crc) = rotate_right(crc, 15) + 0xa282ead8   (mod 2³²)

The fields of ``Event`` that are written here, by number (tensorboard/compat/proto/event.proto and
summary.proto):

    Event       1 wall_time: double   2 step: int64   3 file_version: string   5 summary: Summary
                7 session_log: SessionLog
    Summary     1 value: repeated Value
    Value       1 tag: string   2 simple_value: float
    SessionLog  1 status: enum, START = 1

Only one process writes to an event file: a resumed run opens a new file, which begins with a
session log that has the step at which it continues. TensorBoard then drops the steps from there on
in earlier files, so that no step appears twice.
"""

import os
import struct
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import TracebackType

import numpy as np

from neocog.errors import FormatError
from neocog.validation import as_whole, refuse
from neocog.write_errors import why_not_written

__all__ = ["EventWriter", "crc32c"]

# Castagnoli's polynomial 0x1EDC6F41 with its bits reversed.
_POLYNOMIAL = 0x82F63B78
_MASK_DELTA = 0xA282EAD8
_ALL_BITS = 0xFFFFFFFF
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_START = 1
_PREFIX, _SUFFIX = "events.out.tfevents.", ".neocog"
_LARGEST_STEP = 2**63 - 1


class EventWriter:
    """Writes scalars to a new TensorBoard event file in a folder.

    Every call of `add_scalars` passes whole records to the operating system, so that after a kill
    TensorBoard can read the file up to the last call. `flush` also waits for the disk.

    Args:
        folder: folder of the file; it is created if needed.
        purge_step: the first step of a resumed run. TensorBoard drops this and later steps in the
            folder's earlier files.

    Attributes:
        path: the file.

    Raises:
        FormatError: the file cannot be made or written.
        NeocogError: `purge_step` is not a valid step.
    """

    def __init__(self, folder: str | os.PathLike[str], *, purge_step: int | None = None) -> None:
        if purge_step is not None:
            purge_step = _as_step("purge_step", purge_step)
        try:
            self._descriptor, self.path = _new_file(Path(folder))
        except OSError as error:
            raise _not_written(Path(folder), error) from error
        self._size = 0
        try:
            self._append(_event(time.time(), 0, _bytes_field(3, b"brain.Event:2")))
            if purge_step is not None:
                start = _bytes_field(7, _key(1, _VARINT) + _varint(_START))
                self._append(_event(time.time(), purge_step, start))
        except BaseException:
            self.close()
            raise

    def __repr__(self) -> str:
        return f"<EventWriter of {self.path}, {self._size:,} bytes>"

    def __enter__(self) -> "EventWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def add_scalars(
        self, step: int, values: Mapping[str, float], wall_time: float | None = None
    ) -> None:
        """Write one number for each tag, such as ``{"loss/train": 0.25}``.

        Args:
            step: step of the run, from 0.
            values: numbers by tag, stored as float32. TensorBoard groups tags by the part before
                the first slash.
            wall_time: seconds since 1970; by default the present time.

        Raises:
            FormatError: the file cannot be written, for example because the disk is full. Earlier
                records stay readable, and writing can continue.
            NeocogError: `step` is not a valid step.
        """
        step = _as_step("step", step)
        summary = b"".join(_bytes_field(1, _value(tag, value)) for tag, value in values.items())
        when = time.time() if wall_time is None else wall_time
        self._append(_event(when, step, _bytes_field(5, summary)))

    def flush(self) -> None:
        """Wait until everything that was written is on disk."""
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            raise _not_written(self.path, error) from error

    def close(self) -> None:
        """Close the file; closing it twice does nothing."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)

    def _append(self, event: bytes) -> None:
        """Write a complete record, or remove the part of it that was written."""
        record = _record(event)
        try:
            waiting = memoryview(record)
            while waiting:
                waiting = waiting[os.write(self._descriptor, waiting) :]
        except BaseException as error:
            # Readers stop at an incomplete record and would never see anything after it.
            self._take_back()
            if isinstance(error, OSError):
                raise _not_written(self.path, error) from error
            raise
        self._size += len(record)

    def _take_back(self) -> None:
        try:
            os.ftruncate(self._descriptor, self._size)
            os.lseek(self._descriptor, self._size, os.SEEK_SET)
        except OSError:
            return  # the original error is the one to report


def _not_written(path: Path, error: OSError) -> FormatError:
    return FormatError(why_not_written(path, error))


def _as_step(name: str, step: int) -> int:
    whole = as_whole(step)
    if whole is None or not 0 <= whole <= _LARGEST_STEP:
        raise refuse(name, step, f"a whole number from 0 to {_LARGEST_STEP}")
    return whole


def _new_file(folder: Path) -> tuple[int, Path]:
    """Create an event file whose name sorts last, since TensorBoard reads them by name."""
    folder.mkdir(parents=True, exist_ok=True)
    stamp = max([int(time.time()), *(known + 1 for known in _stamps(folder))])
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    flags |= getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    while True:
        path = folder / f"{_PREFIX}{stamp:010d}{_SUFFIX}"
        try:
            return os.open(path, flags, 0o666), path
        except FileExistsError:
            stamp += 1


def _stamps(folder: Path) -> list[int]:
    """The seconds in the names of the folder's event files, including other programs'."""
    found = []
    for path in folder.iterdir():
        stamp = path.name.removeprefix(_PREFIX).partition(".")[0]
        if path.name.startswith(_PREFIX) and len(stamp) == 10 and stamp.isdecimal():
            found.append(int(stamp))
    return [stamp for stamp in found if stamp < 9_999_999_999]


# Protocol buffers


def _key(field: int, kind: int) -> bytes:
    return bytes([field << 3 | kind])


def _varint(value: int) -> bytes:
    """Seven bits per byte, the lowest first; the highest bit marks that more follow."""
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)


def _bytes_field(field: int, content: bytes) -> bytes:
    return _key(field, _BYTES) + _varint(len(content)) + content


def _value(tag: str, value: float) -> bytes:
    with np.errstate(over="ignore"):  # numbers too large for float32 become infinite
        number = np.float32(value)
    # Protocol buffers' strings are UTF-8, which cannot encode lone surrogates.
    name = tag.encode("utf-8", "replace")
    return _bytes_field(1, name) + _key(2, _FIXED32) + struct.pack("<f", number)


def _event(wall_time: float, step: int, what: bytes) -> bytes:
    head = _key(1, _FIXED64) + struct.pack("<d", wall_time) + _key(2, _VARINT) + _varint(step)
    return head + what


# Records


def _record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + _masked(length) + data + _masked(data)


def _masked(data: bytes) -> bytes:
    """The CRC in a TFRecord: rotated, as a CRC of data that contain their CRC says little."""
    crc = crc32c(data)
    rotated = crc >> 15 | crc << 17 & _ALL_BITS
    return struct.pack("<I", rotated + _MASK_DELTA & _ALL_BITS)


def crc32c(data: bytes) -> int:
    """The CRC-32C (Castagnoli) of some bytes, as RFC 3720 defines it."""
    table = _crc_table()
    crc = _ALL_BITS
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ _ALL_BITS


@cache
def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte
        for _bit in range(8):
            crc = crc >> 1 ^ (_POLYNOMIAL if crc & 1 else 0)
        table.append(crc)
    return tuple(table)
