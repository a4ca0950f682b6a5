"""Many requests at once: streams, bodies, threads and heads within bounds."""

import contextlib
import errno
import io
import socket
import socketserver
import sys
import threading
import time
from http.client import HTTPException

import numpy as np
import pytest
from exploring import PATIENCE, Listener, Page, served
from requests_by_hand import error, request_head

import neocog
from neocog.data.shapes import shapes
from neocog.web import Server
from neocog.web.events import Events
from neocog.web.guard import MOST_PICTURE
from neocog.web.incoming import Incoming
from neocog.web.refusal import RefusedError


def test_a_burst_of_streams_stops_at_the_limit(monkeypatch):
    monkeypatch.setattr("neocog.web.events._MOST", 5)
    with served(neocog.models.simple_cnn(), None) as page, contextlib.ExitStack() as ending:
        streams = [socket.create_connection((page.host, page.port), PATIENCE) for _ in range(40)]
        for stream in streams:
            ending.enter_context(stream)
        request = f"GET /api/events HTTP/1.1\r\nHost: {page.name}\r\n{page.key}\r\n".encode()
        for stream in streams:
            stream.sendall(request)
        found = [stream.makefile("rb").readline().split()[1] for stream in streams]
    assert sorted(found) == [b"200"] * 5 + [b"503"] * 35


def test_events_count_their_listeners_as_they_come():
    events = Events()
    streams = [events.listen(1.0) for _ in range(33)]
    for stream in streams[:32]:
        next(stream)
    with pytest.raises(RefusedError, match="Too many pages are open"):
        next(streams[32])
    assert events.listeners == 32
    streams[0].close()
    next(events.listen(1.0))


def test_bodies_in_memory_are_bounded(page: Page):
    """Of pictures that are sent slowly only so many are begun to be read."""
    start = request_head(page, "/api/upload", f"Content-Length: {MOST_PICTURE}")
    with contextlib.ExitStack() as ending:
        for _ in range(100):  # one that came while another was read may have been refused
            slow = socket.create_connection((page.host, page.port), PATIENCE)
            ending.enter_context(slow)
            slow.sendall(start + b"\x89PNG")
            found, reply = page.upload(b"no picture")
            if found == 503:
                break
            time.sleep(0.05)
        assert found == 503
        assert reply == {
            "error": "Too many requests are being sent at once. Send it again in a moment."
        }
        # What is small is still read.
        assert page.post("/api/kernel", kernel=[])[0] == 400
    for _ in range(20 * PATIENCE):
        found = page.upload(b"no picture")[0]
        if found == 400:
            break
        time.sleep(0.05)
    assert found == 400


def test_bodies_are_gone_while_the_explorer_is_asked(monkeypatch):
    """It may take long, as while kernels compile, and many may wait."""
    body = b"a picture of exactly so many bytes"
    read, waiting, go_on = [], threading.Semaphore(0), threading.Event()

    def ask(self, what):
        waiting.release()
        assert go_on.wait(PATIENCE)
        raise RefusedError("Enough.")

    image = np.zeros((32, 32, 3), np.uint8)
    monkeypatch.setattr("neocog.web.session.read_picture", lambda *_: read.append(1) or image)
    with served(neocog.models.simple_cnn(), None) as page, contextlib.ExitStack() as ending:
        ending.callback(go_on.set)
        monkeypatch.setattr("neocog.web.session.Session.ask", ask)
        threads = [threading.Thread(target=page.upload, args=(body,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for _ in threads:
            assert waiting.acquire(timeout=PATIENCE)
        assert len(read) == 3
        for frame in sys._current_frames().values():
            while frame is not None:
                if frame.f_globals["__name__"] == "neocog.web.server":
                    assert body not in frame.f_locals.values()
                frame = frame.f_back
        go_on.set()
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


def test_threads_are_bounded_and_the_others_wait(monkeypatch):
    monkeypatch.setattr("neocog.web.server._MOST_REQUESTS", 3)
    with served(neocog.models.simple_cnn(), None) as page, contextlib.ExitStack() as ending:
        before = threading.active_count()
        idle = [socket.create_connection((page.host, page.port), PATIENCE) for _ in range(20)]
        for each in idle:
            ending.enter_context(each)
        time.sleep(0.5)
        assert threading.active_count() <= before + 3
        # All those before are gone when it is its turn.
        for each in idle:
            each.close()
        assert page.send("GET", "/api/state")[0] == 200


def test_a_burst_waits_to_be_accepted():
    """Also of those who ask before there is anything to be served."""
    server = Server("127.0.0.1", 0)
    with contextlib.ExitStack() as ending:
        ending.callback(server.server_close)
        for _ in range(60):
            ending.enter_context(socket.create_connection(server.server_address, timeout=5))


def test_no_more_files_can_be_opened(monkeypatch):
    """What cannot be accepted stays there to be accepted: the loop must not run on and on."""
    tries, broken = [], threading.Event()
    accept = socketserver.TCPServer.get_request

    def get_request(self):
        if broken.is_set():
            tries.append(time.monotonic())
            raise OSError(errno.EMFILE, "Too many open files")
        return accept(self)

    monkeypatch.setattr("socketserver.TCPServer.get_request", get_request)
    with served(neocog.models.simple_cnn(), None) as page:
        broken.set()
        with socket.create_connection((page.host, page.port), PATIENCE):
            time.sleep(1.0)
            assert 1 <= len(tries) <= 20
            broken.clear()
        # Room was made for all that failed.
        assert page.send("GET", "/api/state")[0] == 200


def test_a_head_is_read_within_bounds():
    """Whoever sends it, as it is not known yet who does."""
    now = [0.0]
    here, there = socket.socketpair()
    with here, there:
        incoming = Incoming(here, 30, 100, lambda: now[0])
        file = io.BufferedReader(incoming)
        there.sendall(b"GET")
        now[0] = 29.0
        assert incoming.read(3) == b"GET"
        there.sendall(b" ")
        now[0] = 30.5
        with pytest.raises(TimeoutError):
            incoming.read(1)
        # A body may take longer.
        incoming.allow(1)
        assert file.read(1) == b" "
        assert here.gettimeout() is None

        incoming = Incoming(here, 30, 100)
        there.sendall(bytes(200))
        with pytest.raises(HTTPException, match="too long"):
            io.BufferedReader(incoming).read(200)


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
        for _ in range(20 * PATIENCE):
            if page.session.events.listeners == 0:
                break
            threading.Event().wait(0.05)
        Listener(page).leave()
