"""Many requests at once: streams, bodies, connections and heads within bounds."""

import contextlib
import errno
import socket
import sys
import threading
import time
from concurrent.futures import Future
from dataclasses import replace

import numpy as np
import pytest
from event_loop import run_async
from exploring import PATIENCE, Listener, Page, served
from requests_by_hand import error, request_head, wait_until

import neocog
from neocog.data.shapes import shapes
from neocog.http.refusal import RefusedError
from neocog.web import Server
from neocog.web.events import Events
from neocog.web.server import _LIMITS


@pytest.fixture
def limited(monkeypatch):
    """A function that sets limits for servers to come."""
    return lambda **some: monkeypatch.setattr("neocog.web.server._LIMITS", replace(_LIMITS, **some))


def connect(page: Page) -> socket.socket:
    return socket.create_connection((page.host, page.port), PATIENCE)


def test_a_burst_of_streams_stops_at_the_limit(monkeypatch):
    monkeypatch.setattr("neocog.web.events._MOST", 5)
    with served(neocog.models.simple_cnn(), None) as page, contextlib.ExitStack() as ending:
        streams = [ending.enter_context(connect(page)) for _ in range(40)]
        request = f"GET /api/events HTTP/1.1\r\nHost: {page.name}\r\n{page.key}\r\n".encode()
        for stream in streams:
            stream.sendall(request)
        found = [stream.makefile("rb").readline().split()[1] for stream in streams]
    assert sorted(found) == [b"200"] * 5 + [b"503"] * 35


def test_events_count_their_listeners_as_they_come():
    async def run():
        events = Events()
        streams = [events.listen(1.0) for _ in range(33)]
        for stream in streams[:32]:
            await anext(stream)
        with pytest.raises(RefusedError, match="Too many pages are open"):
            await anext(streams[32])
        assert events.listeners == 32
        await streams[0].aclose()
        await anext(events.listen(1.0))

    run_async(run())


def test_bodies_in_memory_are_bounded(limited):
    """Of those that are sent slowly the oldest go, and they keep nobody out."""
    limited(bodies=3 * 2**20)
    with served(neocog.models.simple_cnn(), None) as page, contextlib.ExitStack() as ending:
        half = request_head(page, "/api/upload", f"Content-Length: {2 * 2**20}") + bytes(2**20)
        slow = [ending.enter_context(connect(page)) for _ in range(5)]
        for each in slow:
            each.sendall(half)
        for each in slow[:2]:
            assert each.makefile("rb").readline().split()[1] == b"503"
        assert page.upload(b"no picture")[0] == page.post("/api/kernel", kernel=[])[0] == 400
        slow[-1].sendall(bytes(2**20))
        assert slow[-1].makefile("rb").readline().split()[1] == b"400"


def test_bodies_are_gone_while_the_explorer_is_asked(monkeypatch):
    """It may take long, as while kernels compile, and many may wait."""
    read, asked = [], []

    def ask(self, what):
        asked.append(Future())
        return asked[-1]

    image = np.zeros((32, 32, 3), np.uint8)
    monkeypatch.setattr("neocog.web.session.read_picture", lambda it, *_: read.append(it) or image)
    monkeypatch.setattr("neocog.web.session.read_photograph", lambda *_: None)
    with served(neocog.models.simple_cnn(), None) as page:
        monkeypatch.setattr("neocog.web.session.Session.ask", ask)
        threads = [threading.Thread(target=page.upload, args=(bytes(n),)) for n in (9, 99, 2**20)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(asked) == 3)
        # One reference is that of `read`, the other one that of the call.
        wait_until(lambda: all(sys.getrefcount(read[n]) == 2 for n in range(3)))
        for future in asked:
            future.set_exception(RefusedError("Enough."))
        for thread in threads:
            thread.join(PATIENCE)


def test_a_picture_is_decoded_while_others_are_answered(monkeypatch):
    """And no two at a time."""
    began, go_on, most, now = threading.Semaphore(0), threading.Event(), [], []

    def read(content, shape, resize):
        now.append(content)
        most.append(len(now))
        began.release()
        assert go_on.wait(PATIENCE)
        now.pop()
        return np.zeros((32, 32, 3), np.uint8)

    monkeypatch.setattr("neocog.web.session.read_picture", read)
    monkeypatch.setattr("neocog.web.session.read_photograph", lambda *_: None)
    with served(neocog.models.simple_cnn(), shapes(0, 8, 2)) as page:
        found = []
        threads = [
            threading.Thread(target=lambda: found.append(page.upload(b"picture")[0]))
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        assert began.acquire(timeout=PATIENCE)
        assert page.do("/api/picture", index=1)["picture"]["index"] == 1
        go_on.set()
        for thread in threads:
            thread.join(PATIENCE)
    assert found == [200, 200, 200]
    assert most == [1, 1, 1]


def test_who_says_nothing_keeps_nobody_out(limited):
    limited(connections=3)
    with served(neocog.models.simple_cnn(), None) as page, contextlib.ExitStack() as ending:
        idle = [ending.enter_context(connect(page)) for _ in range(20)]
        assert page.send("GET", "/api/state")[0] == 200
        assert sum(each.recv(1) == b"" for each in idle[:17]) == 17


def test_streams_and_connections_take_no_threads():
    with served(neocog.models.simple_cnn(), None) as page, contextlib.ExitStack() as ending:
        assert page.upload(b"no picture")[0] == 400
        before = threading.active_count()
        request = f"GET /api/events HTTP/1.1\r\nHost: {page.name}\r\n{page.key}\r\n".encode()
        for _ in range(30):
            stream = ending.enter_context(connect(page))
            stream.sendall(request)
            assert stream.recv(15) == b"HTTP/1.1 200 OK"
        assert threading.active_count() == before


def test_a_burst_waits_to_be_accepted():
    """Also of those who ask before there is anything to be served."""
    server = Server("127.0.0.1", 0)
    with contextlib.ExitStack() as ending:
        ending.callback(server.close)
        for _ in range(60):
            ending.enter_context(socket.create_connection((server.host, server.port), timeout=5))


def test_no_more_files_can_be_opened(monkeypatch, limited, caplog):
    """What cannot be accepted stays there to be accepted: the loop must not run on and on."""
    limited(connections=9)
    tries, broken = [], threading.Event()
    accept = socket.socket.accept

    def no_more(self):
        if broken.is_set():
            tries.append(time.monotonic())
            raise OSError(errno.EMFILE, "Too many open files")
        return accept(self)

    monkeypatch.setattr("socket.socket.accept", no_more)
    with served(neocog.models.simple_cnn(), None) as page:
        broken.set()
        with connect(page):
            time.sleep(0.5)
            # asyncio tries as often as its backlog is long, and then waits a second.
            assert 1 <= len(tries) <= 128
            broken.clear()
        assert page.send("GET", "/api/state")[0] == 200
    assert caplog.text == ""


def test_a_head_and_a_body_must_come_in_time(limited):
    limited(head=0.5, upload=1.0)
    with served(neocog.models.simple_cnn(), None) as page:
        start = request_head(page, "/api/upload", "Content-Length: 9")
        for part in (start[:9], start + b"picture"):
            with connect(page) as slow:
                slow.sendall(part)
                assert slow.makefile("rb").read().startswith(b"HTTP/1.1 408 ")


def test_a_reply_may_take_longer(limited, monkeypatch):
    """The explorer may have to compile."""
    limited(head=0.2, upload=0.2, idle=0.2)
    with served(neocog.models.simple_cnn(), None) as page:
        slow = threading.Event()
        page.session.ask(lambda _explorer: slow.wait(1.5))
        assert page.post("/api/training/reset", seed=0)[0] == 200


def test_who_does_not_read_is_left(monkeypatch):
    monkeypatch.setattr("neocog.web.entrance._READING", 0.5)
    with served(neocog.models.simple_cnn(), None) as page, connect(page) as lazy:
        request = f"GET /api/events HTTP/1.1\r\nHost: {page.name}\r\n{page.key}\r\n"
        lazy.sendall(request.encode())
        wait_until(lambda: page.session.events.listeners == 1)
        page.session.events.tell(bytes(2**24))
        wait_until(lambda: page.session.events.listeners == 0)


def test_too_long_a_head(page: Page):
    lines = b"".join(b"X-%d: %s\r\n" % (n, bytes(60_000).replace(b"\0", b"x")) for n in range(9))
    own = f"GET /api/state HTTP/1.1\r\nHost: {page.name}\r\n{page.key}".encode()
    assert page.raw(own + lines + b"\r\n")[0] == 431


def test_too_many_streams(monkeypatch):
    monkeypatch.setattr("neocog.web.events._MOST", 1)
    with served(neocog.models.simple_cnn(), shapes(0, 8, 2)) as page:
        first = Listener(page)
        status, message = error(page.send("GET", "/api/events"))
        assert (status, message) == (503, "Too many pages are open; close some.")
        # Who leaves makes room.
        first.leave()
        wait_until(lambda: page.session.events.listeners == 0)
        Listener(page).leave()
