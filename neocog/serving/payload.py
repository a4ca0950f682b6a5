"""Finds the pictures in a request's body: one as it is, several as multipart, or base64 in JSON."""

import binascii
import json
from typing import NamedTuple

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from neocog.errors import printable
from neocog.http.refusal import RefusedError

__all__ = ["Payload", "pictures_in"]

_KINDS = (
    "The content type must be image/… or application/octet-stream for one picture, "
    "multipart/form-data for several, or application/json for base64."
)
_NONE = 'There is no picture in the request: {"image": "…"} or {"images": ["…", …]} has them.'
# Values of JSON take twenty times as much memory as text, so their number is limited before.
_MARKS = (b"[", b"{", b",", b":")


class Payload(NamedTuple):
    """A picture as it came.

    Attributes:
        name: for the answer; a file's name, or the number of the picture.
        content: of the file; None if it is not base64.
    """

    name: str
    content: bytes | None


def pictures_in(kind: str, body: bytes, most: int) -> list[Payload]:
    """The pictures of a request.

    Args:
        kind: the Content-Type header; empty if there is none.
        body: of the request.
        most: number of pictures that are accepted.

    Raises:
        RefusedError: the body is of another kind, or is damaged, or has none or too many.
    """
    plain = kind.partition(";")[0].strip().lower()
    if plain.startswith("image/") or plain == "application/octet-stream":
        found = [Payload("0", body)] if body else []
    elif plain == "multipart/form-data":
        found = _parts(kind, body, most)
    elif plain == "application/json":
        found = _base64(body, most)
    else:
        raise RefusedError(_KINDS, 415)
    if not found:
        raise RefusedError(_NONE)
    return found


def _too_many(most: int) -> RefusedError:
    return RefusedError(f"There are too many pictures: at most {most} are accepted.", 413)


# multipart/form-data, RFC 7578


class _Part:
    def __init__(self) -> None:
        self.field = b""
        self.value = b""
        self.name: str | None = None
        self.data: list[bytes] = []


def _parts(kind: str, body: bytes, most: int) -> list[Payload]:
    _plain, options = parse_options_header(kind)
    boundary = options.get(b"boundary")
    if not boundary:
        raise RefusedError("The multipart request does not say its boundary.")
    parts: list[_Part] = []
    ended = False

    def begin() -> None:
        if len(parts) >= most:
            raise _too_many(most)
        parts.append(_Part())

    def field(data: bytes, start: int, end: int) -> None:
        parts[-1].field += data[start:end]

    def value(data: bytes, start: int, end: int) -> None:
        parts[-1].value += data[start:end]

    def header_end() -> None:
        part = parts[-1]
        if part.field.lower() == b"content-disposition":
            _kind, found = parse_options_header(part.value)
            name = found.get(b"filename") or found.get(b"name")
            part.name = name.decode("utf-8", "replace") if name else None
        part.field = part.value = b""

    def data(data: bytes, start: int, end: int) -> None:
        parts[-1].data.append(data[start:end])

    def finish() -> None:
        nonlocal ended
        ended = True

    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": begin,
            "on_header_field": field,
            "on_header_value": value,
            "on_header_end": header_end,
            "on_part_data": data,
            "on_end": finish,
        },
    )
    try:
        parser.write(body)
    except FormParserError as error:
        raise RefusedError(f"The multipart request is damaged: {printable(str(error))}.") from None
    if not ended:
        raise RefusedError("The multipart request is damaged: its last boundary is missing.")
    return [
        Payload(printable(part.name or str(number), 300), b"".join(part.data))
        for number, part in enumerate(parts)
    ]


# JSON


def _base64(body: bytes, most: int) -> list[Payload]:
    if sum(map(body.count, _MARKS)) > 4 * most + 64:
        raise _too_many(most)
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"The request is not JSON: {printable(str(error))}.") from None
    if not isinstance(value, dict) or not value.keys() <= {"image", "images"} or len(value) != 1:
        raise RefusedError(_NONE)
    texts = value.get("images", [value.get("image")])
    if not isinstance(texts, list) or not all(isinstance(one, str) for one in texts):
        raise RefusedError(_NONE)
    if len(texts) > most:
        raise _too_many(most)
    return [Payload(str(number), _decoded(text)) for number, text in enumerate(texts)]


def _decoded(text: str) -> bytes | None:
    """The bytes of base64, also of a data URL; None if it is none."""
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        return None
