"""A served explorer for tests, and pages that talk to it as browsers do."""

import contextlib
import http.client
import io
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from PIL import Image

import neocog
from neocog.data import Data
from neocog.web import Server, Session

# Seconds that a busy machine may take for anything here; kernels may have to be compiled.
PATIENCE = 300


class Listener:
    """An open stream of events, and all that came."""

    def __init__(self, page: "Page") -> None:
        self.events: list[dict[str, Any]] = []
        self._more = threading.Condition()
        self._ended = False
        self._socket = socket.create_connection((page.host, page.port), PATIENCE)
        lines = f"GET /api/events HTTP/1.1\r\nHost: {page.name}\r\n{page.key}Connection: close"
        self._socket.sendall(f"{lines}\r\n\r\n".encode())
        threading.Thread(target=self._read, daemon=True).start()
        self.wait(lambda events: events)

    def _read(self) -> None:
        with contextlib.suppress(ConnectionError, ValueError):  # no timeout: that is no end
            for line in self._socket.makefile("rb"):
                if line.startswith(b"data: "):
                    with self._more:
                        self.events.append(json.loads(line[6:]))
                        self._more.notify_all()
        with self._more:
            self._ended = True
            self._more.notify_all()

    def wait(self, holds: Callable[[list[dict[str, Any]]], Any]) -> dict[str, Any]:
        """Wait until it holds of the events so far; gives the newest."""
        with self._more:
            assert self._more.wait_for(lambda: self._ended or holds(self.events), PATIENCE)
            assert holds(self.events), "the stream ended"
            return self.events[-1]

    def wait_for_end(self) -> None:
        """Wait until the server has closed the stream."""
        with self._more:
            assert self._more.wait_for(lambda: self._ended, PATIENCE)

    def leave(self) -> None:
        """Close, as a browser that is shut."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


class Page:
    """Sends requests, as the explorer's own page would."""

    def __init__(self, server: Server) -> None:
        self.host, self.port = server.host, server.port
        self.name = f"{self.host}:{self.port}"
        self.origin = f"http://{self.name}"
        #: As a program sends it; a browser opens the address.
        self.token = server.access.token
        self.key = f"Authorization: Bearer {self.token}\r\n"
        self.address = server.address

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """Status, headers and content of the reply; the token goes with it."""
        headers = {"Authorization": f"Bearer {self.token}", **(headers or {})}
        connection = http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers)
            reply = connection.getresponse()
            return reply.status, reply.headers, reply.read()

    def raw(self, request: bytes) -> tuple[int, dict[str, Any]]:
        """Status and error of the reply to bytes that may be no good HTTP."""
        head, _, content = self.exchange(request).partition(b"\r\n\r\n")
        return int(head.split()[1]), json.loads(content)

    def exchange(self, request: bytes) -> bytes:
        """All that comes back for these bytes."""
        with socket.create_connection((self.host, self.port), PATIENCE) as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            return connection.makefile("rb").read()

    def get(self, path: str) -> bytes:
        """What there is."""
        status, _, content = self.send("GET", path)
        assert status == 200, content
        return content

    def state(self) -> dict[str, Any]:
        """The state, and what does not change."""
        return json.loads(self.get("/api/state"))

    def binary(self, path: str) -> tuple[dict[str, Any], np.ndarray]:
        """The structure and the block of a binary message."""
        return unpacked(self.get(path))

    def post(self, path: str, **fields: Any) -> tuple[int, dict[str, Any]]:
        """Status and JSON of an action's reply."""
        headers = {"Content-Type": "application/json", "Origin": self.origin}
        status, _, content = self.send("POST", path, json.dumps(fields).encode(), headers)
        return status, json.loads(content)

    def do(self, path: str, **fields: Any) -> dict[str, Any]:
        """The state after an action."""
        status, found = self.post(path, **fields)
        assert status == 200, found
        return found

    def refused(self, path: str, status: int = 400, **fields: Any) -> str:
        """Why an action is refused."""
        found, reply = self.post(path, **fields)
        assert (found, list(reply)) == (status, ["error"]), reply
        return reply["error"]

    def upload(self, content: bytes, kind: str = "image/png") -> tuple[int, dict[str, Any]]:
        """Status and JSON of the reply to a picture."""
        headers = {"Content-Type": kind, "Origin": self.origin}
        status, _, reply = self.send("POST", "/api/upload", content, headers)
        return status, json.loads(reply)

    def weights(self) -> dict[str, np.ndarray]:
        """All parameters, by way of the file that can be downloaded."""
        import safetensors.numpy

        return safetensors.numpy.load(self.get("/api/model.safetensors"))


def unpacked(content: bytes) -> tuple[dict[str, Any], np.ndarray]:
    """The structure and the block of a binary message."""
    (length,) = struct.unpack("<I", content[:4])
    begin = -(-(4 + length) // 4) * 4
    return json.loads(content[4 : 4 + length]), np.frombuffer(content[begin:], "<f4")


def at(place: dict[str, Any], block: np.ndarray) -> np.ndarray:
    """The array at a place of the block."""
    size = int(np.prod(place["shape"]))
    return block[place["at"] : place["at"] + size].reshape(place["shape"])


def png(image: np.ndarray | Image.Image, kind: str = "PNG") -> bytes:
    """A picture's file."""
    content = io.BytesIO()
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    picture.save(content, kind)
    return content.getvalue()


@contextlib.contextmanager
def served(
    network: neocog.Network, data: Data | None, port: int = 0, **settings: Any
) -> Iterator[Page]:
    """A page of an explorer of its own."""
    if data is not None and network.classes is None:
        network.name_classes(data.classes)
    server = Server("127.0.0.1", port)
    session = Session(network, data, "simple-cnn", **{"threads": 2, "away": 1e9, **settings})
    thread = threading.Thread(target=server.serve, args=(session,), daemon=True)
    thread.start()
    page = Page(server)
    page.session = session
    try:
        yield page
    finally:
        session.close(PATIENCE)
        server.shutdown()
        thread.join(PATIENCE)
        server.close()
