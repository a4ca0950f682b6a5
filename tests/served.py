"""A server of `neocog serve` in processes of its own, and clients that talk to it by hand."""

import base64
import contextlib
import http.client
import io
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from child_processes import environment
from PIL import Image

from neocog import models
from neocog.network import Network

#: Seconds that a busy machine may take for anything here; kernels may have to be compiled.
PATIENCE = 300

_START = """
import json, sys
from neocog.cli.serve import serve
settings = json.loads(sys.argv[1])
sys.exit(serve(**settings))
"""

# As systemd starts a service whose socket it listens on, sd_listen_fds(3).
_PASS = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


def small_network(seed: int = 0, classes: tuple[str, ...] = ("cat", "dog", "owl")) -> Network:
    network = models.make("lenet5", len(classes), input_shape=(3, 32, 32))
    network.initialize(seed)
    network.classes = classes
    return network


def picture(seed: int = 0, size: tuple[int, int] = (32, 32), kind: str = "PNG") -> bytes:
    """A file of noise; the network must see other pixels for another seed."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    return encoded(Image.fromarray(pixels), kind)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def base64_of(content: bytes) -> str:
    return base64.b64encode(content).decode()


class Served:
    """A running server."""

    def __init__(self, process: subprocess.Popen[str], address: str, log: Path) -> None:
        self.process, self.address, self.log = process, address, log
        self.host, _, port = address.removeprefix("http://").rpartition(":")
        self.port = int(port)
        self.name = f"{self.host}:{self.port}"

    def send(
        self,
        path: str = "/predict",
        body: bytes | None = None,
        kind: str | None = "image/png",
        method: str | None = None,
        **headers: str,
    ) -> tuple[int, Any, dict[str, str]]:
        """Status, the JSON or text of the answer, and its headers."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE)
        try:
            given = {name.replace("_", "-"): value for name, value in headers.items()}
            if body is not None and kind is not None:
                given["Content-Type"] = kind
            connection.request(method or ("GET" if body is None else "POST"), path, body, given)
            reply = connection.getresponse()
            content = reply.read().decode()
            found = {name.lower(): value for name, value in reply.getheaders()}
            return reply.status, _parsed(content, found), found
        finally:
            connection.close()

    def connect(self) -> socket.socket:
        return socket.create_connection((self.host, self.port), PATIENCE)

    def head(self, length: int, kind: str = "image/png", *more: str) -> bytes:
        """The head of a request with a body of so many bytes."""
        lines = [
            "POST /predict HTTP/1.1",
            f"Host: {self.name}",
            f"Content-Type: {kind}",
            f"Content-Length: {length}",
            *more,
        ]
        return "\r\n".join([*lines, "", ""]).encode()

    def metric(self, name: str) -> float:
        lines = self.send("/metrics")[1].splitlines()
        (found,) = (line for line in lines if line.startswith(f"{name} "))
        return float(found.split()[-1])

    def workers(self) -> list[int]:
        """The workers' process ids."""
        tasks = Path(f"/proc/{self.process.pid}/task")
        children = [(task / "children").read_text() for task in tasks.iterdir()]
        return [int(pid) for pid in " ".join(children).split()]

    def memory(self) -> int:
        """Bytes of the largest worker's memory."""
        sizes = [Path(f"/proc/{pid}/statm").read_text().split()[1] for pid in self.workers()]
        return os.sysconf("SC_PAGE_SIZE") * max(map(int, sizes))

    def end(self) -> int:
        """Send SIGTERM; gives the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


def _parsed(content: str, headers: dict[str, str]) -> Any:
    return json.loads(content) if "json" in headers.get("content-type", "") else content


def read_reply(one: socket.socket) -> tuple[int, Any]:
    """The status and the JSON of the next answer of a connection."""
    with http.client.HTTPResponse(one) as reply:
        reply.begin()
        return reply.status, json.loads(reply.read())


@contextlib.contextmanager
def serving(
    model: Path, folder: Path, listener: socket.socket | None = None, **settings: Any
) -> Iterator[Served]:
    """Serve a model until the block ends; on a socket that already listens, if there is one."""
    usual = {"host": "127.0.0.1", "port": 0, "workers": 1, "threads": 1, "batch": 64}
    usual |= {"batch_wait": 2.0, "allow_host": None, "model": str(model)}
    command = ["-c", _START, json.dumps(usual | settings)]
    passed = () if listener is None else (listener.fileno(),)
    if listener is not None:
        command = ["-c", _PASS, str(listener.fileno()), *command]
    log = folder / "serve.log"
    with log.open("w") as said:
        process = subprocess.Popen(
            [sys.executable, *command],
            pass_fds=passed,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            env=environment(),
            cwd=folder,
        )
    try:
        address = process.stdout.readline().strip()
        assert address.startswith("http://"), log.read_text()
        yield Served(process, address, log)
    finally:
        try:
            process.terminate()
            process.wait(PATIENCE)
        finally:
            process.kill()
            process.stdout.close()


class Good:
    """A client that asks again and again, and notes how long each answer took.

    What other programs of the machine cost is not the server's: the time for which this client, or
    the worker that waited longest, was ready and had no core, is left out. A machine that stands
    still for a moment stands still for this process, too: what took long while its own clock did
    not tick is left out.
    """

    def __init__(self, served: Served, body: bytes) -> None:
        self._served, self._body = served, body
        self._end = threading.Event()
        self._ticks = [time.monotonic()]
        #: Status and seconds of each answer.
        self.answers: list[tuple[int, float]] = []
        self._threads = [threading.Thread(target=one) for one in (self._ask, self._tick)]

    def __enter__(self) -> "Good":
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._end.set()
        for one in self._threads:
            one.join()

    def _ask(self) -> None:
        while not self._end.wait(0.05):
            workers = {pid: coreless(f"{pid}") for pid in self._served.workers()}
            own, began = coreless("thread-self"), time.monotonic()
            status = self._served.send(body=self._body)[0]
            now = time.monotonic()
            without = coreless("thread-self") - own
            without += max(coreless(f"{pid}") - before for pid, before in workers.items())
            ticks = [began, *(t for t in list(self._ticks) if began < t < now), now]
            still = max(b - a for a, b in itertools.pairwise(ticks))
            if still < 0.25:
                self.answers.append((status, now - began - without))

    def _tick(self) -> None:
        while not self._end.wait(0.02):
            self._ticks.append(time.monotonic())
            del self._ticks[:-2000]


def coreless(thread: str) -> float:
    """Seconds for which a process's first thread was ready to run and had no core, until now.

    The second number of /proc/…/schedstat; see the kernel's Documentation/scheduler/sched-stats.
    """
    return int(Path(f"/proc/{thread}/schedstat").read_text().split()[1]) / 1e9


def wait_until(holds: Any, patience: float = PATIENCE) -> None:
    end = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.05)
