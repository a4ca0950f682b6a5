"""The stream of events, as browsers' ``EventSource`` reads it.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import socket
from collections.abc import AsyncIterator
from contextlib import aclosing

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from neocog.web.events import Events

__all__ = ["Stream"]

# Seconds until a browser that has left is noticed.
_HEARTBEAT = 1.0
# Bytes; small, because a slow reader would find old events in a large buffer.
_BUFFER = 2**15


class Stream:
    """Answers with each event as it comes, until the browser leaves.

    Args:
        events: to send.
    """

    def __init__(self, events: Events) -> None:
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        transport = scope["neocog.connection"].transport
        async with aclosing(self._events.listen(_HEARTBEAT)) as events:
            first = await anext(events, None)  # raises if the listener is refused
            transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER
            )
            transport.set_write_buffer_limits(0)
            response = StreamingResponse(_lines(first, events), media_type="text/event-stream")
            await response(scope, receive, send)


async def _lines(first: bytes | None, events: AsyncIterator[bytes | None]) -> AsyncIterator[bytes]:
    yield _line(first)
    async for event in events:
        yield _line(event)


def _line(event: bytes | None) -> bytes:
    return b":\n\n" if event is None else b"data: " + event + b"\n\n"
