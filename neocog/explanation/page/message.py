"""Structure and numbers in one binary message.

4 bytes     the length of the JSON, little-endian
JSON        UTF-8; an array in it is {"at": its first number's place in the block, "shape": […]}
0–3 bytes   zeros, up to a multiple of 4
block       float32, little-endian
"""

import json
import math
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Block", "message", "to_json"]


class Block:
    """Collects arrays in one block, and says where each one is. Equal arrays are stored once."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._places: dict[bytes, int] = {}
        self._size = 0

    def add(self, array: NDArray[Any]) -> dict[str, Any]:
        """Store an array as float32.

        Returns:
            ``{"at": its first number's place in the block, "shape": […]}``.
        """
        part = np.ascontiguousarray(array, "<f4").tobytes()
        at = self._places.setdefault(part, self._size)
        if at == self._size:
            self._parts.append(part)
            self._size += len(part) // 4
        return {"at": at, "shape": list(np.shape(array))}

    @property
    def size(self) -> int:
        """How many numbers are stored."""
        return self._size

    def bytes(self) -> bytes:
        """The whole block."""
        return b"".join(self._parts)


def to_json(value: Mapping[str, Any]) -> bytes:
    """A mapping as JSON. NaN and infinity, which JSON does not have, become null."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(value), ensure_ascii=False, allow_nan=False)
    return text.encode()


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def message(structure: Mapping[str, Any], block: bytes = b"") -> bytes:
    """A message in the format that is described at the top of this module."""
    text = to_json(structure)
    return struct.pack("<I", len(text)) + text + bytes(-len(text) % 4) + block
