"""The records of a zip that say where its entries are, for readers that do not trust it.

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

#: What stands in front of an entry's content: signature, lengths of its name and of more.
LOCAL = struct.Struct("<4s22xHH")
#: The end of a zip: signature, disk, entries here and in all, bytes and place of their list, and
#: the length of a comment.
END = struct.Struct("<4s4xHHLLH")
#: The same with numbers of 64 bits, and where it lies.
END_64 = struct.Struct("<4s20xQQQQ")
LOCATOR = struct.Struct("<4s4xQ4x")
#: Bytes that may follow an `END`.
LONGEST_COMMENT = 0xFFFF
# What a field of 32 bits holds where the value is among the extra ones of 64.
_IN_EXTRA = 0xFFFFFFFF


def widened(extra: bytes, *values: int) -> Iterator[int]:
    """An entry's size, packed size and place, those of 64 bits from its extra fields."""
    wide = _wide_values(extra) if _IN_EXTRA in values else iter(())
    # Those that do not fit stand there, in this order.
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
