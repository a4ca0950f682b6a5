"""Listens, starts the workers, and starts another one in place of one that has died.

The socket is the supervisor's, so what waits in its queue is not lost with a worker. systemd may
listen instead (socket activation): then not even a restart of the service loses a connection.
"""

import contextlib
import ctypes
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from neocog.errors import NeocogError
from neocog.http.listening import address_of, listen
from neocog.serving.metrics import metrics_size
from neocog.serving.worker import Work

__all__ = ["Listener", "Supervisor"]

_SO_ATTACH_FILTER = 26

# The first descriptor that systemd passes, sd_listen_fds(3).
_PASSED = 3
# A worker that dies within so many seconds is started again after a pause, which grows.
_SOON = 10.0
_LONGEST_PAUSE = 30.0
_LOOK = 0.1
# Seconds beyond those of requests after which a worker that does not end is killed.
_PATIENCE = 5.0


class Listener:
    """A socket that listens.

    Args:
        socket_: the socket.
        is_own: whether nobody listens once this process has ended.
    """

    def __init__(self, socket_: socket.socket, *, is_own: bool = True) -> None:
        self.socket, self.is_own = socket_, is_own

    @classmethod
    def open(cls, host: str, port: int) -> "Listener":
        """Listen, or take the socket that systemd has passed.

        Raises:
            NeocogError: the port is in use, or the address is not one of this machine.
        """
        if os.environ.get("LISTEN_PID") == str(os.getpid()) and os.environ.get("LISTEN_FDS") == "1":
            return cls(socket.socket(fileno=_PASSED), is_own=False)
        return cls(listen(host, port, "neocog serve"))

    def close(self) -> None:
        """Let nobody in from now on, and leave who waits already to the workers.

        When the last worker closes the socket, the kernel resets what is in its queue. So what
        comes is dropped first: its sender tries again a second later, and is then refused, or
        accepted by the next server.
        """
        if self.is_own and self.socket.fileno() >= 0 and sys.platform == "linux":
            # A filter of one instruction, "take 0 bytes"; socket(7), <linux/filter.h>.
            filter_ = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))
            program = struct.pack("HP", 1, ctypes.addressof(filter_))
            with contextlib.suppress(OSError):
                self.socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
        self.socket.close()


def _environment() -> dict[str, str]:
    """A worker's variables, by which glibc gives memory of large bodies and pictures back at once.

    Otherwise it keeps what was used once, in an arena for each thread.
    """
    own = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "131072"}
    own |= {"MALLOC_ARENA_MAX": "2"}
    passed = {name: value for name, value in os.environ.items() if not name.startswith("LISTEN_")}
    return {**own, **passed}


def _shared(size: int) -> int:
    """The descriptor of so many zeros, which processes can share."""
    if sys.platform == "linux":  # also where no folder can be written to
        descriptor = os.memfd_create("neocog counts")
        os.truncate(descriptor, size)
        return descriptor
    with tempfile.TemporaryFile() as file:
        file.truncate(size)
        return os.dup(file.fileno())


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    started: float
    told: list[dict[str, Any]] = field(default_factory=list)
    news: threading.Condition = field(default_factory=threading.Condition)
    is_silent: bool = False

    def __post_init__(self) -> None:
        self.listening = threading.Thread(target=self.listen, daemon=True)
        self.listening.start()

    def close(self) -> None:
        """Give its pipes back, once it has ended."""
        self.listening.join()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # what was not read
                    pipe.close()

    def listen(self) -> None:
        """Collect what it says, until it has ended."""
        for line in self.process.stdout or ():
            with self.news, contextlib.suppress(ValueError):
                self.told.append(json.loads(line))
                self.news.notify_all()
        with self.news:
            self.is_silent = True
            self.news.notify_all()

    def find(self, key: str) -> Any:
        """What it has said under this key; None if nothing."""
        return next((each[key] for each in self.told if key in each), None)


class Supervisor:
    """The workers of a server.

    Args:
        listener: is closed when the server ends.
        host: the name under which it was asked to listen.
        work: of the first worker; descriptors and its number are filled in here.
        say: called with messages for the user.
    """

    def __init__(
        self, listener: Listener, host: str, work: Work, say: Callable[[str], None]
    ) -> None:
        self._listener, self._say = listener, say
        self._counts = _shared(metrics_size(work.workers))
        self._work = replace(
            work,
            host=host,
            port=listener.socket.getsockname()[1],
            listener=listener.socket.fileno(),
            is_last=listener.is_own,
            counts=self._counts,
        )
        self._workers: dict[int, _Worker] = {}
        self._pauses: dict[int, float] = {}

    @property
    def address(self) -> str:
        """The server's address."""
        return address_of(self._work.host, self._work.port)

    def start(self) -> None:
        """Start all workers; the first one compiles what the others need.

        Raises:
            NeocogError: the model cannot be served.
        """
        first = self._start(0)
        with first.news:
            first.news.wait_for(lambda: first.is_silent or first.find("ready"))
        for note in first.find("notes") or ():
            self._say(note)
        if first.find("ready") is None:
            raise NeocogError(first.find("error") or "The first worker has ended without a word.")
        for row in range(1, self._work.workers):
            self._start(row)

    def run(self) -> None:
        """Look after the workers, until the process is interrupted."""
        again: dict[int, float] = {}
        while True:
            time.sleep(_LOOK)
            now = time.monotonic()
            for row, worker in list(self._workers.items()):
                code = worker.process.poll()
                if code is None:
                    continue
                del self._workers[row]
                worker.close()
                lived = now - worker.started
                pause = self._pauses.get(row, 0.0)
                pause = 0.0 if lived > _SOON else min(_LONGEST_PAUSE, 2 * pause or 1.0)
                self._pauses[row] = pause
                again[row] = now + pause
                why = worker.find("error") or f"with the code {code}"
                self._say(f"Worker {row} has ended ({why}); another one takes its place.")
            for row in [row for row, when in again.items() if when <= now]:
                del again[row]
                self._start(row)

    def stop(self) -> None:
        """Have all workers answer what they have, and wait until they have ended."""
        self._listener.close()
        for worker in self._workers.values():
            worker.process.send_signal(signal.SIGTERM)
        end = time.monotonic() + float(self._work.limits["drain"]) + _PATIENCE
        try:
            for worker in self._workers.values():
                worker.process.wait(max(0.0, end - time.monotonic()))
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            self._say("Workers that do not end are killed.")
        finally:
            for worker in self._workers.values():
                worker.process.kill()
                worker.process.wait()
                worker.close()
            os.close(self._counts)

    def _start(self, row: int) -> _Worker:
        work = replace(self._work, row=row)
        process = subprocess.Popen(
            [sys.executable, "-m", "neocog.serving.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(work.listener, work.counts),
            env=_environment(),
        )
        worker = _Worker(process, time.monotonic())
        self._workers[row] = worker
        if process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # it has ended, which is seen later
                process.stdin.write(work.line())
                process.stdin.flush()
        return worker
