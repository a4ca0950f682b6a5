"""Pickles as Python 2's cPickle writes them by protocol 2, which no Python 3 does."""

import numpy as np

__all__ = ["python2_pickle"]


def python2_pickle(value) -> bytes:
    """A dict of bytes to lists of numbers, lists of bytes, bytes, or arrays uint8 [n, m]."""
    return b"\x80\x02" + _Writer().write(value) + b"."


class _Writer:
    def __init__(self):
        self.kept = 0

    def keep(self) -> bytes:
        self.kept += 1
        number = self.kept
        return b"q" + bytes([number]) if number < 256 else b"r" + number.to_bytes(4, "little")

    def write(self, value) -> bytes:
        if isinstance(value, dict):
            items = b"".join(self.write(key) + self.write(one) for key, one in value.items())
            return b"}" + self.keep() + b"(" + items + b"u"
        if isinstance(value, list):
            head, parts = b"]" + self.keep(), [self.write(one) for one in value]
            # As many at a time as cPickle takes.
            batches = [parts[at : at + 1000] for at in range(0, len(parts), 1000)]
            return head + b"".join(b"(" + b"".join(batch) + b"e" for batch in batches)
        if isinstance(value, bytes):
            return self.text(value) + self.keep()
        if isinstance(value, np.ndarray):
            return self.array(value)
        return self.number(value)

    def text(self, value: bytes) -> bytes:
        if len(value) < 256:
            return b"U" + bytes([len(value)]) + value
        return b"T" + len(value).to_bytes(4, "little") + value

    def number(self, value: int) -> bytes:
        if 0 <= value < 256:
            return b"K" + bytes([value])
        if 0 <= value < 65536:
            return b"M" + value.to_bytes(2, "little")
        return b"J" + value.to_bytes(4, "little", signed=True)

    def array(self, value: np.ndarray) -> bytes:
        made = b"cnumpy.core.multiarray\n_reconstruct\n" + self.keep()
        made += b"cnumpy\nndarray\n" + self.keep() + b"K\x00\x85" + self.keep()
        made += self.text(b"b") + b"\x87" + self.keep() + b"R" + self.keep()
        made += b"(K\x01" + b"".join(map(self.number, value.shape)) + b"\x86" + self.keep()
        made += b"cnumpy\ndtype\n" + self.keep() + self.text(b"u1") + self.keep()
        made += b"K\x00K\x01\x87" + self.keep() + b"R" + self.keep()
        made += b"(K\x03" + self.text(b"|") + self.keep() + b"NNN" + self.number(-1) * 2 + b"K\x00t"
        made += self.keep() + b"b\x89" + self.text(value.tobytes()) + self.keep() + b"t"
        return made + self.keep() + b"b"
