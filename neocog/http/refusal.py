"""Refusals: an error with HTTP's status, and the answer that tells it."""

import asyncio
import json
from typing import Any

from starlette.types import Receive, Scope, Send

from neocog.errors import NeocogError

__all__ = ["GoneError", "Headers", "RefusedError", "overloaded", "send_json", "tell"]

Headers = tuple[tuple[bytes, bytes], ...]

# What is still read of the body of a refused request, so that its sender gets the answer: closing a
# connection with unread bytes would discard it.
_DRAIN_SECONDS = 5.0
_MOST_DRAINED = 40 * 2**20

_JSON = (b"content-type", b"application/json")


class RefusedError(NeocogError):
    """A request is refused. `status` is HTTP's status code, the text says why."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


class GoneError(Exception):
    """The client has left, so there is nobody to answer."""


def overloaded(what: str) -> RefusedError:
    """The refusal of a request for which there is no room now; it is told at once."""
    return RefusedError(f"{what} Send it again in a second.", 503)


async def send_json(send: Send, value: Any, status: int = 200, headers: Headers = ()) -> None:
    """Send a value as the whole answer."""
    await _send_start(send, content := json.dumps(value).encode(), status, headers)
    await send({"type": "http.response.body", "body": content})


async def tell(error: RefusedError, scope: Scope, receive: Receive, send: Send) -> None:
    """Send a refusal, and then drop what still comes of the request's body for a while."""
    more: Headers = ((b"retry-after", b"1"),) if error.status == 503 else ()
    value = {"error": str(error)}
    if not _has_body(scope):
        await send_json(send, value, error.status, more)
        return
    more += ((b"connection", b"close"),)
    await _send_start(send, content := json.dumps(value).encode(), error.status, more)
    await send({"type": "http.response.body", "body": content, "more_body": True})
    try:
        async with asyncio.timeout(_DRAIN_SECONDS):
            await _drop(receive)
    except TimeoutError:
        pass
    await send({"type": "http.response.body", "body": b""})


async def _send_start(send: Send, content: bytes, status: int, headers: Headers) -> None:
    length = (b"content-length", str(len(content)).encode())
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [_JSON, length, *headers],
        }
    )


def _has_body(scope: Scope) -> bool:
    """Whether some of the body may not have been read yet."""
    if scope.get("neocog.body_read"):
        return False
    return any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"])


async def _drop(receive: Receive) -> None:
    dropped = 0
    while dropped < _MOST_DRAINED:
        message = await receive()
        dropped += len(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body", False):
            return
