"""Connections whose clients have limited time, and room for new ones however many are slow.

uvicorn waits for a client as long as it likes to take. Here each connection has a deadline for what
it waits for: a head, a body, the reading of an answer, the next request. When there are too many,
the one whose client has been silent longest is closed, so that clients which open connections and
send nothing keep nobody out.
"""

import asyncio
import json
import sys
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from neocog.http.counts import Counts
from neocog.http.joining import Joining
from neocog.http.limits import HttpLimits
from neocog.http.refusal import overloaded, tell

__all__ = ["Connection", "Connections"]

# Bytes of a request's head, and requests that a client may send ahead of answers.
_MOST_HEAD = 2**16
_MOST_AHEAD = 16
# Seconds in which a client must have taken its last words. What it still sends is read and dropped
# meanwhile: closing a connection with unread bytes would discard them.
_LAST_SECONDS = 5.0


def _last_words(status: str, text: str, more: str = "") -> bytes:
    """An answer that uvicorn does not give."""
    content = json.dumps({"error": text})
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\n{more}"
    return f"{head}content-length: {len(content)}\r\n\r\n{content}".encode()


_SHORT = _last_words("400 Bad Request", "The request ended before its body was complete.")
_LATE = _last_words("408 Request Timeout", "The request did not come in time.")
_LONG = _last_words("431 Request Header Fields Too Large", "The request's head is too long.")
_FULL = _last_words(
    "503 Service Unavailable",
    "There are too many connections. Send it again in a second.",
    "retry-after: 1\r\n",
)


class Connections:
    """The connections of a process.

    Args:
        limits: of their number and times.
        counts: where they are counted.
    """

    def __init__(self, limits: HttpLimits, counts: Counts) -> None:
        self.limits, self.counts = limits, counts
        self.all: dict[Connection, None] = {}
        #: Those that wait for their client, which was silent longest first.
        self.silent: dict[Connection, None] = {}
        #: Whether each answer is the last on its connection.
        self.is_ending = False

    def make(self, **given: Any) -> "Connection":
        """A new connection; uvicorn calls it with its own arguments."""
        return Connection(self, **given)

    def admit(self, one: "Connection") -> None:
        """Take a new connection, perhaps in place of one that is silent."""
        self.all[one] = None
        if len(self.all) > self.limits.connections:
            oldest = next(iter(self.silent), None)
            if oldest is None:
                one.end(_FULL, is_patient=False)
                self.counts.request(503, 0.0)
            else:
                self.counts.add("evicted")
                oldest.abort()
        self.silent[one] = None
        self.counts.set("connections", len(self.all))

    def remove(self, one: "Connection") -> None:
        """Forget one that was closed."""
        self.all.pop(one, None)
        self.silent.pop(one, None)
        self.counts.set("connections", len(self.all))

    def expire(self, now: float) -> None:
        """Close those whose time is over."""
        for one in [one for one in self.all if one.deadline < now]:
            one.expire()

    def begin_to_end(self) -> None:
        """From now on each answer is the last on its connection."""
        self.is_ending = True
        for one in self.all:
            if one.cycle and not one.cycle.response_started:
                one.cycle.keep_alive = False

    @property
    def are_full(self) -> bool:
        """Whether as many requests are being answered as may be."""
        return len(self.all) - len(self.silent) >= self.limits.requests

    async def refuse(self, scope: Any, receive: Any, send: Any) -> None:
        """The application in place of the own one while `are_full`; it costs next to nothing."""
        self.counts.request(503, 0.0)
        await tell(overloaded("Too many requests are being answered."), scope, receive, send)

    def close_silent(self) -> None:
        """Close those on which no request has begun."""
        for one in list(self.silent):
            if not one.has_begun:
                one.transport.close()

    @property
    def are_busy(self) -> bool:
        """Whether a request has begun on any."""
        return any(one.has_begun for one in self.all)


class Connection(HttpToolsProtocol):
    """One connection.

    Attributes:
        deadline: when it is closed, by the loop's clock.
        has_begun: whether a request has begun whose answer was not sent.
    """

    def __init__(self, owner: Connections, **given: Any) -> None:
        super().__init__(**given)
        self._owner = owner
        self._limits = owner.limits
        self.deadline = float("inf")
        self.has_begun = False
        self._in_head = False
        self._length = 0
        self._is_ending = self._has_said_all = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the first request."""
        super().connection_made(Joining(transport, self.loop))  # type: ignore[arg-type]
        self.give(self._limits.head)
        self._owner.admit(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._owner.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read what has come, but no head without an end."""
        if self._is_ending or self.parser is None:
            return
        super().data_received(data)
        if self._in_head and not self._is_ending:
            self._length += len(data)
            if self._length > _MOST_HEAD:
                self._refuse(431, _LONG)

    def send_400_response(self, msg: str) -> None:
        """Say what is wrong with a request that is no HTTP."""
        if self._length > _MOST_HEAD:
            self._refuse(431, _LONG)
            return
        error = sys.exception()
        text = f"The request is not HTTP: {(error and error.__context__) or error or msg}"
        self._refuse(400, _last_words("400 Bad Request", text))

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client sends no more, but may still wait for answers."""
        self._has_said_all = True
        if self._is_ending:
            return False
        if self._is_answering() and self in self._owner.silent and not self.cycle.response_started:
            self._refuse(400, _SHORT)
            return True
        return self._is_answering() and self not in self._owner.silent

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self.scope["neocog.connection"] = self  # type: ignore[typeddict-unknown-key]
        if len(self.pipeline) >= _MOST_AHEAD:
            raise ValueError("Too many requests are sent ahead.")
        self.has_begun = self._in_head = True
        self._length = 0
        if not self._is_answering():
            self.give(self._limits.head)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field of the head has come."""
        self._length += len(name) + len(value)
        if self._length > _MOST_HEAD:
            raise ValueError("The head is too long.")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head has come."""
        self._in_head = False
        if not self._is_answering():
            self.give(self._limits.upload)
        is_refused = self._owner.are_full and self.parser.get_method() == b"POST"
        self.app = self._owner.refuse if is_refused else self.config.loaded_app
        super().on_headers_complete()
        if self._owner.is_ending:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """A request has come as a whole, so now its client waits."""
        super().on_message_complete()
        self._owner.silent.pop(self, None)
        self.give(self._limits.answer)

    def on_response_complete(self) -> None:
        """An answer was given; wait for the next request."""
        is_next_here = bool(self.pipeline)
        super().on_response_complete()
        self.has_begun = is_next_here
        if is_next_here:
            self.give(self._limits.answer)
            return
        if self._has_said_all:
            self.end()
            return
        self._unset_keepalive_if_required()  # the deadline also ends those that do not read
        self._owner.silent.pop(self, None)  # it is the one that was heard of last
        if self in self._owner.all:
            self._owner.silent[self] = None
        self.give(self._limits.idle)

    def expire(self) -> None:
        """End it, as its time is over."""
        if self._is_ending or self.transport.get_write_buffer_size():
            self.abort()
        elif self.has_begun and not (self.cycle and self.cycle.response_started):
            self._refuse(408, _LATE)
        else:
            self.end()

    def end(self, words: bytes = b"", *, is_patient: bool = True) -> None:
        """Send last words, and close it; the patient wait until the client has closed it."""
        self._is_ending = True
        self.give(_LAST_SECONDS)
        self.transport.write(words)
        if not words or not is_patient or self.pipeline:  # then another request is being answered
            self.transport.close()
            return
        self.transport.write_eof()
        self.flow.resume_reading()
        if self._is_answering():
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def give(self, seconds: float) -> None:
        """Set the deadline anew."""
        self.deadline = self.loop.time() + seconds

    def abort(self) -> None:
        """Close it at once."""
        self._owner.remove(self)
        self.transport.abort()

    def _is_answering(self) -> bool:
        return bool(self.cycle and not self.cycle.response_complete)

    def _refuse(self, status: int, words: bytes) -> None:
        self._owner.counts.request(status, 0.0)
        self.end(words)
