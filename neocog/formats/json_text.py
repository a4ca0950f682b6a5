"""JSON texts of files from anywhere, bounded before they are read."""

import json
from typing import Any, NoReturn

from neocog.errors import FormatError

__all__ = ["MOST_BYTES", "as_list", "as_object", "json_object", "json_value", "too_large"]

# A ResNet of 1,001 layers has a text of 1.0 MB with 76,000 values. Each value takes some 100
# bytes of memory, however short it is in the file.
#: The longest text that is read.
MOST_BYTES = 4 * 2**20
_MOST_VALUES = 400_000


def json_object(text: object, what: str) -> dict[str, Any]:
    """The object that a JSON text holds, as `json_value`; raises `FormatError`."""
    return as_object(json_value(text, what), what)


def json_value(text: object, what: str) -> Any:
    """What a JSON text holds.

    Args:
        text: str or bytes.
        what: what messages call it, as in "header".

    Raises:
        FormatError: it is damaged, or reading it would take too much memory.
    """

    def without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) < len(pairs):
            raise ValueError("a name occurs twice")
        return result

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not JSON")

    if not isinstance(text, str | bytes):
        raise FormatError(f"its {what} is not a text.")
    content = text if isinstance(text, bytes) else text.encode(errors="replace")
    if (why := too_large(len(content), content, what)) is not None:
        raise FormatError(why)
    try:
        return json.loads(text, object_pairs_hook=without_repeats, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"its {what} is damaged: {error}.") from None


def too_large(size: int, text: bytes, what: str = "header") -> str | None:
    """Why reading a JSON text would take too much memory; None if it would not.

    Args:
        size: of the text, in bytes.
        text: the text, or its beginning where it is longer than `MOST_BYTES`.
        what: what the answer calls it.
    """
    if size > MOST_BYTES:
        return f"its {what} has {size:,} bytes; up to {MOST_BYTES:,} are read."
    values = sum(map(text.count, (b",", b"[", b"{")))
    if values > _MOST_VALUES:
        return f"its {what} has {values:,} values; up to {_MOST_VALUES:,} are read."
    return None


def as_object(value: object, what: str) -> dict[str, Any]:
    """A value of a JSON text that must be an object; raises `FormatError`."""
    if not isinstance(value, dict):
        raise FormatError(f"its {what} is damaged.")
    return value


def as_list(value: object, what: str) -> list[Any]:
    """A value of a JSON text that must be an array; raises `FormatError`."""
    if not isinstance(value, list):
        raise FormatError(f"its {what} is damaged.")
    return value
