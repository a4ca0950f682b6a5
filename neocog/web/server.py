"""The explorer over HTTP: the page, its data, and a stream of events.

By the standard library's server: one user sends it few requests, and a framework is a dependency.
"""

import errno
import json
import os
import socket
import time
import traceback
from collections.abc import Callable
from contextlib import closing
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from neocog.errors import NeocogError
from neocog.explanation.message import to_json
from neocog.web import fields
from neocog.web.explorer import Explorer
from neocog.web.guard import MOST_JSON, MOST_PICTURE, Guard, body_length
from neocog.web.page import page
from neocog.web.refusal import RefusedError
from neocog.web.routes import ACTIONS, LOOKS, Answer
from neocog.web.session import Session

__all__ = ["Server"]

# What the page may do: run what is in it, show what it has drawn or was given, and ask its server.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src blob: data:; media-src blob:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Connection": "close",
}

_UPLOAD = "/api/upload"
_EVENTS = "/api/events"
_STATE = "/api/state"

# Streams at a time: more pages than anybody looks at.
_MOST_STREAMS = 32
# Seconds: within these a browser that has gone is noticed.
_HEARTBEAT = 1.0
_SLOWEST_READER = 10.0
# A slow reader must not find old events in a large buffer.
_STREAM_BUFFER = 2**15
# What is still read of a refused request, so that its sender gets to read why.
_MOST_DRAINED = 2 * MOST_PICTURE
_DRAIN_SECONDS = 5.0


class Server(ThreadingHTTPServer):
    """Listens as soon as it is made; `serve` a session to answer.

    Args:
        host: the address to listen on.
        port: 0 for any that is free.

    Raises:
        NeocogError: the port is in use, or the address is not this machine's.
    """

    daemon_threads = True
    # On Windows it would let two servers have one port.
    allow_reuse_address = os.name != "nt"

    def __init__(self, host: str = "127.0.0.1", port: int = 8421) -> None:
        if ":" in host:
            self.address_family = socket.AF_INET6
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            raise NeocogError(_why(error, host, port)) from error
        except OverflowError:
            raise NeocogError(f"--port (={port}) must be from 0 to 65535.") from None
        self.guard = Guard(host, self.server_port)
        self.session: Session

    def server_bind(self) -> None:
        """Bind, without asking DNS for this machine's name, which may take long."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, self.allow_reuse_address)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    @property
    def address(self) -> str:
        """Where the page is."""
        host = f"[{self.server_name}]" if ":" in self.server_name else self.server_name
        return f"http://{host}:{self.server_port}/"

    def serve(self, session: Session) -> None:
        """Answer requests, until `shutdown` or Ctrl+C."""
        self.session = session
        self.serve_forever(poll_interval=0.1)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that has left is no error."""


def _why(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {port} of {host} is in use, perhaps by another neocog explore. Choose another "
            "with --port, or any free one with --port 0."
        )
    return f"{host}:{port} cannot be listened on: {error.strerror or error}."


class _Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server
    timeout = 30
    # Bytes of the request's body that were not read.
    _unread = 0

    def do_GET(self) -> None:
        """The page, data, or the stream."""
        self._answer(self._get)

    def do_POST(self) -> None:
        """An action."""
        self._answer(self._post)

    def _answer(self, do: Callable[[str], Answer | None]) -> None:
        try:
            path = self.path.partition("?")[0]
            changes = self.command == "POST"
            if changes or "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
                self._unread = _MOST_DRAINED
            self.server.guard.check(self.headers, changes=changes, api=path != "/")
            answer = do(path)
        except RefusedError as error:
            self._refuse(error.status, str(error))
        except NeocogError as error:
            self._refuse(400, str(error))
        except OSError:
            raise
        except Exception as error:
            traceback.print_exc()
            self._refuse(500, f"This should not happen: {type(error).__name__}: {error}")
        else:
            if answer is not None:
                self._send(200, answer)

    def _get(self, path: str) -> Answer | None:
        session = self.server.session
        if path == "/":
            return Answer(page().encode(), "text/html; charset=utf-8")
        if path == _STATE:
            return Answer({**json.loads(session.events.newest), "network": session.about})
        if path == _EVENTS:
            self._stream()
            return None
        if path in LOOKS:
            return session.ask(LOOKS[path])
        raise _unknown(path, path == _UPLOAD or path in ACTIONS, "POST")

    def _post(self, path: str) -> Answer:
        what: Callable[[Explorer], Any]
        if path == _UPLOAD:
            content = self._body(MOST_PICTURE)

            def what(explorer: Explorer) -> None:
                explorer.show(lambda picture: picture.upload(content))

        elif path in ACTIONS:
            if self.headers.get_content_type() != "application/json":
                raise RefusedError("The content type must be application/json.", 415)
            what = ACTIONS[path](fields.read_json(self._body(MOST_JSON)))
        else:
            known = path in LOOKS or path in ("/", _STATE, _EVENTS)
            raise _unknown(path, known, "GET")
        result, state = self.server.session.ask(lambda explorer: (what(explorer), explorer.state()))
        if isinstance(result, bytes):
            return Answer(result, "application/octet-stream")
        return Answer(state if result is None else {**state, "result": result})

    def _body(self, most: int) -> bytes:
        length = body_length(self.headers, most)
        content = self.rfile.read(length)
        if len(content) < length:
            raise RefusedError("The request ended before it was whole.")
        self._unread = 0
        return content

    # Replies

    def _head(self, status: int, kind: str, length: int | None, name: str | None = None) -> None:
        self.send_response(status)
        for key, value in _HEADERS.items():
            self.send_header(key, value)
        self.send_header("Content-Type", kind)
        if length is not None:
            self.send_header("Content-Length", str(length))
        if name is not None:
            self.send_header("Content-Disposition", f'attachment; filename="{name}"')
        self.end_headers()

    def _send(self, status: int, answer: Answer) -> None:
        content = answer.content
        data = content if isinstance(content, bytes) else to_json(content)
        self._head(status, answer.kind, len(data), answer.name)
        self.wfile.write(data)

    def _refuse(self, status: int, text: str) -> None:
        self._send(status, Answer({"error": text}))
        self.close_connection = True
        if self._unread:
            self._drain()

    def _drain(self) -> None:
        """Read on a little: a connection closed on unread bytes would take the reply with it."""
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_WR)
        end = time.monotonic() + _DRAIN_SECONDS
        self.connection.settimeout(1.0)
        try:
            while self._unread > 0 and time.monotonic() < end:
                read = len(self.connection.recv(min(self._unread, 2**16)))
                if read == 0:
                    return
                self._unread -= read
        except OSError:
            return

    def _stream(self) -> None:
        """Events, as they come, until the browser leaves."""
        events = self.server.session.events
        if events.listeners >= _MOST_STREAMS:
            raise RefusedError("Too many pages are open; close some.", 503)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _STREAM_BUFFER)
        self.connection.settimeout(_SLOWEST_READER)
        self._head(200, "text/event-stream", None)
        with closing(events.listen(_HEARTBEAT)) as stream:
            for event in stream:
                told = b":\n\n" if event is None else b"data: " + event + b"\n\n"
                self.wfile.write(told)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """As every other refusal; called for what is no HTTP, or no method that there is."""
        self.close_connection = True
        self._refuse(code, f"{message or HTTPStatus(code).phrase}.")

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the page says what goes wrong."""

    def version_string(self) -> str:
        """No versions for whoever asks."""
        return "neocog"


def _unknown(path: str, known: bool, method: str) -> RefusedError:
    if known:
        return RefusedError(f"{path:.100} is for {method}.", 405)
    return RefusedError(f"There is nothing at {path:.100}.", 404)
