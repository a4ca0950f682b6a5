"""A worker: a process that accepts connections of a socket that it shares, and answers requests.

What it is to do comes as a line of JSON on stdin, and the end of stdin says that its supervisor has
ended, so that it ends too. On stdout it says in lines of JSON whether it is ready, or why it ends.
"""

import asyncio
import contextlib
import gc
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from neocog.errors import NeocogError
from neocog.http.connections import Connections
from neocog.http.guard import Guard
from neocog.http.server import HttpServer
from neocog.serving.app import Service, make_app
from neocog.serving.batching import Batching
from neocog.serving.limits import Limits
from neocog.serving.metrics import Metrics
from neocog.serving.model import Model

__all__ = ["Work", "main"]

# Seconds after SIGTERM in which requests that were sent just before are still taken, with the last
# ones of open connections.
_GRACE = 0.5
# Descriptors that are not connections.
_OWN_FILES = 128
# How long a thread may keep the GIL while another one wants it. The loop and the batches' thread
# hand it over several times a batch; with Python's own 5 ms they wait for that most of the time.
_SWITCH = 0.0005


@dataclass(frozen=True)
class Work:
    """What a worker does.

    Attributes:
        model: a run folder or a file.
        architecture: of a ``.pth``.
        host: the address that the socket listens on.
        port: its port.
        allowed: further names of the server.
        threads: workers of a prediction.
        batch: pictures of a batch.
        pause: seconds that a picture waits for others.
        limits: of one worker, as plain data.
        row: its number.
        workers: how many there are.
        listener: descriptor of the socket.
        counts: descriptor of the metrics' memory.
        is_last: whether nobody else will accept what waits in the socket's queue.
    """

    model: str
    architecture: str | None
    host: str
    port: int
    allowed: tuple[str, ...]
    threads: int
    batch: int
    pause: float
    limits: dict[str, Any]
    row: int
    workers: int
    listener: int
    counts: int
    is_last: bool = True

    def line(self) -> bytes:
        """As a line of JSON."""
        return json.dumps(asdict(self)).encode() + b"\n"


class _Server(HttpServer):
    """A server that ends without losing a request.

    Args:
        service: what the application works with.
        is_last: as in `Work`.
    """

    def __init__(self, service: Service, *, is_last: bool) -> None:
        super().__init__(make_app(service), Connections(service.limits, service.metrics))
        self._service, self._is_last = service, is_last

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Ctrl+C reaches all processes of a terminal, and the supervisor decides what is done."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, lambda: None)
        loop.add_signal_handler(signal.SIGHUP, lambda: None)
        loop.add_signal_handler(signal.SIGTERM, self.end)
        yield

    def end(self) -> None:
        """End soon."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept, and say so."""
        await super().startup(sockets)
        self._watching = asyncio.create_task(self._service.model.watch())
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), self._supervisor_ended)
        _tell({"ready": self._service.model.current.version})

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take what was sent before the signal, answer it, and close."""
        self._service.is_ending = True
        self.connections.begin_to_end()
        loop = asyncio.get_running_loop()
        # What waits in the queue would be reset when the last worker closes the socket.
        own = sockets or [] if self._is_last else []
        accepted = [one for listener in own for one in _waiting_in(listener)]
        self.stop_accepting(sockets)
        for one in accepted:
            await loop.connect_accepted_socket(self._connection, one)
        end = loop.time() + self._service.limits.drain
        await asyncio.sleep(_GRACE)
        while loop.time() < end:
            self.connections.close_silent()
            if not self.connections.are_busy:
                break
            await asyncio.sleep(0.02)
        self._watching.cancel()
        while self.connections.all and loop.time() < end:  # what was written is still being sent
            await asyncio.sleep(0.02)
        await self.cut()

    def _connection(self) -> asyncio.Protocol:
        return self.connections.make(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

    def _supervisor_ended(self) -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
            self.end()


def main() -> int:
    """Work until SIGTERM; returns the exit code."""
    found = json.loads(_first_line())
    work = Work(**{**found, "allowed": tuple(found["allowed"])})
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.setswitchinterval(_SWITCH)
    limits = Limits(**work.limits)
    metrics = Metrics(work.counts, work.row, work.workers)

    def say(text: str, is_replaced: bool) -> None:
        metrics.add("replaced" if is_replaced else "refused")
        sys.stderr.write(f"neocog: {text}\n")

    try:
        model = Model(work.model, work.architecture, work.threads, say)
    except NeocogError as error:
        _tell({"error": str(error)})
        return 1
    _tell({"notes": model.current.notes})
    limits = _with_files(limits)
    batching = Batching(work.batch, work.pause, limits.wait, metrics)
    guard = Guard(
        work.host,
        work.port,
        work.allowed,
        schemes=("http", "https"),
        hint="neocog serve --allow-host NAME allows another name.",
    )
    service = Service(model, batching, guard, limits, metrics)
    # What has been loaded stays: nobody needs to look for garbage in it every few requests.
    gc.collect()
    gc.freeze()
    listener = socket.socket(fileno=work.listener)
    listener.setblocking(False)
    asyncio.run(_Server(service, is_last=work.is_last).serve([listener]))
    return 0


def _waiting_in(listener: socket.socket) -> list[socket.socket]:
    """The connections that wait to be accepted."""
    found = []
    with contextlib.suppress(OSError):  # there are no more
        while True:
            one = listener.accept()[0]
            one.setblocking(False)
            found.append(one)
    return found


def _first_line() -> bytes:
    """The first line of stdin, without a buffer that would hold the rest."""
    line = b""
    while not line.endswith(b"\n"):
        part = os.read(sys.stdin.fileno(), 1)
        if not part:
            raise SystemExit(1)
        line += part
    return line


def _tell(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def _with_files(limits: Limits) -> Limits:
    """The limits, with no more connections than this process may have open files."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.connections + _OWN_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        room = max(1, soft - _OWN_FILES)
        return replace(limits, connections=min(limits.connections, room))
    return limits


if __name__ == "__main__":
    sys.exit(main())
