"""The records of a zip that locate its entries, for readers that do not trust it.

The format: APPNOTE.TXT of PKWARE, sections 4.3 (records) and 4.5.3 (zip64).
"""

import struct
from collections.abc import Iterator

__all__ = [
    "END",
    "END_64",
    "LOCAL",
    "LOCATOR",
    "LONGEST_COMMENT",
    "widened",
]

#: The local header before an entry's content: signature, lengths of its name and extra fields.
LOCAL = struct.Struct("<4s22xHH")
#: The end record of a zip: signature, disk, entries on this disk and in all, size and offset of the
#: central directory, and the length of a comment.
END = struct.Struct("<4s4xHHLLH")
#: The zip64 end record, with numbers of 64 bits, and its locator.
END_64 = struct.Struct("<4s20xQQQQ")
LOCATOR = struct.Struct("<4s4xQ4x")
#: Largest comment after an `END`, in bytes.
LONGEST_COMMENT = 0xFFFF
# Value of a 32-bit field whose 64-bit value is in the extra fields.
_IN_EXTRA = 0xFFFFFFFF


def widened(extra: bytes, *values: int) -> Iterator[int]:
    """An entry's size, compressed size and offset, with 64-bit values from its extra fields."""
    wide = _wide_values(extra) if _IN_EXTRA in values else iter(())
    # Values that do not fit 32 bits are there, in this order.
    return (next(wide, _IN_EXTRA) if value == _IN_EXTRA else value for value in values)


def _wide_values(extra: bytes) -> Iterator[int]:
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == 1:
            content = extra[at + 4 : at + 4 + length]
            for (number,) in struct.iter_unpack("<Q", content[: len(content) // 8 * 8]):
                yield number
            return
        at += 4 + length
