"""The explorer over HTTP: the page, its data, and a stream of events.

It uses the standard library's server: one user sends few requests, and a framework would be another
dependency.
"""

import errno
import io
import json
import os
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from typing import Any
from urllib.parse import parse_qs

from neocog.errors import NeocogError
from neocog.explanation.page.message import to_json
from neocog.web import fields
from neocog.web.access import Access
from neocog.web.door import LOCKED, leading_to
from neocog.web.explorer import Explorer
from neocog.web.guard import MOST_JSON, MOST_PICTURE, Guard, body_length
from neocog.web.incoming import Incoming
from neocog.web.page import page, policy
from neocog.web.refusal import RefusedError
from neocog.web.routes import ACTIONS, LOOKS, Answer
from neocog.web.session import Session

__all__ = ["Server"]

_HEADERS = {
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
_HTML = "text/html; charset=utf-8"
# The header that names the explorer, in requests and in replies.
_INSTANCE = "Neocog-Instance"

# Requests at a time, each with its own thread, streams included. Others wait to be accepted.
_MOST_REQUESTS = 128
_PAUSE = 0.1
# Bodies that may be in memory at a time, by their largest size.
_MOST_BODIES = {MOST_PICTURE: 4, MOST_JSON: 16}
# Limits for a request's head, whose sender is not known yet.
_HEAD_SECONDS = 30.0
_MOST_HEAD = 2**17
# Seconds until a browser that has left is noticed.
_HEARTBEAT = 1.0
_SLOWEST_READER = 10.0
# Small, because a slow reader would find old events in a large buffer.
_STREAM_BUFFER = 2**15
# What is still read of a refused request, so that its sender gets the reply.
_MOST_DRAINED = 2 * MOST_PICTURE
_DRAIN_SECONDS = 5.0


class Server(ThreadingHTTPServer):
    """A server that listens from the start, and answers once it has a session to `serve`.

    Args:
        host: the address to listen on.
        port: the port; 0 for any free one.
        token: that requests must have; None for a new one.

    Raises:
        NeocogError: the port is in use, or the address is not one of this machine.
    """

    daemon_threads = True
    # Connections that may wait; with the library's 5, a burst of requests would be refused.
    request_queue_size = 128
    # On Windows it would let two servers share a port.
    allow_reuse_address = os.name != "nt"

    def __init__(self, host: str = "127.0.0.1", port: int = 8421, token: str | None = None) -> None:
        if ":" in host:
            self.address_family = socket.AF_INET6
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            raise NeocogError(_why(error, host, port)) from error
        except OverflowError:
            raise NeocogError(f"--port (={port}) must be from 0 to 65535.") from None
        self.guard = Guard(host, self.server_port)
        self.access = Access(self.server_port, token)
        self.bodies = {most: threading.Semaphore(n) for most, n in _MOST_BODIES.items()}
        self._room = threading.Semaphore(_MOST_REQUESTS)
        self.session: Session

    def server_bind(self) -> None:
        """Bind without asking DNS for this machine's name, which can take long."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, self.allow_reuse_address)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    @property
    def origin(self) -> str:
        """The server's address, without the token."""
        host = f"[{self.server_name}]" if ":" in self.server_name else self.server_name
        return f"http://{host}:{self.server_port}"

    @property
    def address(self) -> str:
        """The page's address with the token, which gives access to everything."""
        return f"{self.origin}/?token={self.access.token}"

    def serve(self, session: Session) -> None:
        """Answer requests, until `shutdown` or Ctrl+C."""
        self.session = session
        self.serve_forever(poll_interval=0.1)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection if there is room; after a failure, wait before the next attempt."""
        if not self._room.acquire(timeout=_PAUSE):
            raise BlockingIOError
        try:
            return super().get_request()
        except OSError:  # for example, too many open files
            self._room.release()
            time.sleep(_PAUSE)
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a request in its own thread."""
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread could be started
            self._room.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer a request, and make room for another."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: it is no error that a browser has left."""


def _why(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {port} of {host} is in use, perhaps by another neocog explore. Choose another "
            "with --port, or any free one with --port 0."
        )
    return f"neocog cannot listen on {host}:{port}: {error.strerror or error}."


class _Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server
    timeout = 30
    # Bytes of the request's body that were not read yet.
    _unread = 0
    # The explorer's instance, once the request has shown the token.
    _instance: str | None = None

    def setup(self) -> None:
        """Read the head within limits."""
        super().setup()
        self.rfile.close()
        self._incoming = Incoming(self.connection, _HEAD_SECONDS, _MOST_HEAD)
        self.rfile = io.BufferedReader(self._incoming)

    def do_GET(self) -> None:
        """Answer with the page, with data or with the stream of events."""
        self._answer(self._get)

    def do_POST(self) -> None:
        """Do an action."""
        self._answer(self._post)

    def _answer(self, do: Callable[[str], Answer | None]) -> None:
        try:
            path, _, query = self.path.partition("?")
            self._query = parse_qs(query)
            changes = self.command == "POST"
            if changes or "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
                self._unread = _MOST_DRAINED
            self.server.guard.check(self.headers, changes=changes, api=path != "/")
            if changes or path != "/":
                self.server.access.check(self.headers)
                self._check_instance()
            answer = do(path)
        except RefusedError as error:
            self._refuse(error.status, str(error))
        except NeocogError as error:
            self._refuse(400, str(error))
        except _LostError:
            raise
        except OSError as error:  # for example, of a temporary file
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            self._refuse(507 if full else 500, f"That failed: {error.strerror or error}.")
        except Exception as error:
            traceback.print_exc()
            self._refuse(500, f"This should not happen: {type(error).__name__}: {error}")
        else:
            if answer is not None:
                self._send(answer)

    def _check_instance(self) -> None:
        """Refuse a page of another explorer that had this address before."""
        self._instance = self.server.session.instance
        given = [*self.headers.get_all(_INSTANCE, []), *self._query.get("instance", [])]
        if any(each != self._instance for each in given):
            raise RefusedError(
                "The explorer was started again after this page was opened. Reload the page.", 409
            )

    def _front(self) -> Answer:
        """The page; a browser that comes with the token in the address gets its cookie first."""
        access = self.server.access
        if "token" in self._query:
            if access.is_token(self._query["token"][0]):
                return Answer(leading_to("/").encode(), _HTML, cookie=access.cookie)
        elif access.is_in(self.headers):
            return Answer(page().encode(), _HTML)
        return Answer(LOCKED.encode(), _HTML, status=403)

    def _get(self, path: str) -> Answer | None:
        session = self.server.session
        if path == "/":
            return self._front()
        if path == _STATE:
            return Answer({**json.loads(session.events.newest), "network": session.about})
        if path == _EVENTS:
            self._stream()
            return None
        if path in LOOKS:
            return session.ask(LOOKS[path])
        raise _unknown(path, path == _UPLOAD or path in ACTIONS, "POST")

    def _post(self, path: str) -> Answer:
        what = self._asked(path)
        result, state = self.server.session.ask(lambda explorer: (what(explorer), explorer.state()))
        if isinstance(result, bytes):
            return Answer(result, "application/octet-stream")
        return Answer(state if result is None else {**state, "result": result})

    def _asked(self, path: str) -> Callable[[Explorer], Any]:
        """The function of the explorer that a request asks for.

        The body is freed when this returns: the explorer may take long, with many requests waiting.
        """
        if path == _UPLOAD:
            with self._reading(MOST_PICTURE) as content:
                image = self.server.session.decode(content)
            return lambda explorer: explorer.show(lambda picture: picture.upload(image))
        if path in ACTIONS:
            if self.headers.get_content_type() != "application/json":
                raise RefusedError("The content type must be application/json.", 415)
            with self._reading(MOST_JSON) as content:
                return ACTIONS[path](fields.read_json(content))
        raise _unknown(path, path in LOOKS or path in ("/", _STATE, _EVENTS), "GET")

    @contextmanager
    def _reading(self, most: int) -> Iterator[bytes]:
        """The body, counted among those in memory until the ``with`` ends."""
        length, room = body_length(self.headers, most), self.server.bodies[most]
        if not room.acquire(blocking=False):
            raise RefusedError(
                "Too many requests are being sent at once. Send it again in a moment.", 503
            )
        try:
            yield self._body(length)
        finally:
            room.release()

    def _body(self, length: int) -> bytes:
        self._incoming.allow(length)
        with _connected():
            content = self.rfile.read(length)
        if len(content) < length:
            raise RefusedError("The request ended before its body was complete.")
        self._unread = 0
        return content

    # Replies

    def _head(self, status: int, kind: str, length: int | None, **more: str | None) -> None:
        self.send_response(status)
        self.send_header("Content-Security-Policy", policy())
        more[_INSTANCE] = self._instance
        for key, value in (*_HEADERS.items(), *more.items()):
            if value is not None:
                self.send_header(key, value)
        self.send_header("Content-Type", kind)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def _send(self, answer: Answer) -> None:
        content = answer.content
        data = content if isinstance(content, bytes) else to_json(content)
        more = {"Set-Cookie": answer.cookie}
        if answer.name is not None:
            more["Content-Disposition"] = f'attachment; filename="{answer.name}"'
        self._head(answer.status, answer.kind, len(data), **more)
        self.wfile.write(data)

    def _refuse(self, status: int, text: str) -> None:
        self._send(Answer({"error": text}, status=status))
        self.close_connection = True
        if self._unread:
            self._drain()

    def _drain(self) -> None:
        """Read on for a while: closing a connection with unread bytes would discard the reply."""
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
        """Send events as they come, until the browser leaves."""
        with closing(self.server.session.events.listen(_HEARTBEAT)) as stream:
            first = next(stream, None)  # raises if the listener is refused
            with _connected():
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _STREAM_BUFFER)
                self.connection.settimeout(_SLOWEST_READER)
                self._head(200, "text/event-stream", None)
                for event in chain([first], stream):
                    told = b":\n\n" if event is None else b"data: " + event + b"\n\n"
                    self.wfile.write(told)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer invalid HTTP and unknown methods like every other refusal."""
        self.close_connection = True
        self._unread = _MOST_DRAINED  # for example, the rest of a head that is too long
        self._refuse(code, f"{message or HTTPStatus(code).phrase}.")

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: the page shows what goes wrong."""

    def version_string(self) -> str:
        """Tell no versions."""
        return "neocog"


class _LostError(Exception):
    """The browser has left or sends nothing more, so there is nobody to answer."""


@contextmanager
def _connected() -> Iterator[None]:
    """Turn errors of reading or sending into `_LostError`."""
    try:
        yield
    except OSError as error:
        raise _LostError from error


def _unknown(path: str, known: bool, method: str) -> RefusedError:
    if known:
        return RefusedError(f"{path:.100} takes only {method} requests.", 405)
    return RefusedError(f"There is nothing at {path:.100}.", 404)
