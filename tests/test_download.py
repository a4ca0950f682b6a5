"""Downloads against a server that cuts, lies and ignores what it is asked."""

import contextlib
import hashlib
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from neocog.data import download as module
from neocog.data.download import download
from neocog.errors import DataError

CONTENT = bytes(range(256)) * 4_000
SIZE = len(CONTENT)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves CONTENT; the attributes say how badly."""

    content = CONTENT
    ranges = True
    back = 0  # how far before the asked range an answer starts
    cut_after = SIZE  # bytes of body a response gets through
    cuts = 0  # how many responses are cut
    status = 0  # an error to answer with
    errors = 0  # how many times
    announce = True  # Content-Length

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/file"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        server, wanted = self.server, self.headers.get("Range")
        server.asked.append(wanted)
        if server.errors:
            server.errors -= 1
            self.send_error(server.status)
            return
        start = 0
        if wanted and server.ranges:
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) - server.back
            self.send_response(206)
            end = len(server.content)
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{end}")
        else:
            self.send_response(200)
        body = server.content[start:]
        if server.announce:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if server.cuts:
            server.cuts -= 1
            body = body[: server.cut_after]
        # A client that has all it wants closes the connection on us.
        with contextlib.suppress(OSError):
            self.wfile.write(body)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(module, "PAUSE", 0.0)
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "file"


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / "file.part"


def get(server: Server, target: Path) -> None:
    download(server.url, target, size=SIZE, sha256=SHA256)


def test_the_whole_file_arrives_with_progress_and_leaves_nothing_else(server, target):
    seen = []
    download(
        server.url,
        target,
        size=SIZE,
        sha256=SHA256,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert target.read_bytes() == CONTENT
    assert list(target.parent.iterdir()) == [target]
    assert seen == sorted(seen)
    assert seen[-1] == (SIZE, SIZE)


def test_a_part_of_an_earlier_run_is_resumed(server, target, part):
    part.write_bytes(CONTENT[:1000])
    get(server, target)
    assert server.asked == ["bytes=1000-"]
    assert target.read_bytes() == CONTENT
    assert not part.exists()


def test_a_cut_connection_is_resumed_within_one_call(server, target):
    server.cuts, server.cut_after = 2, 300_000
    get(server, target)
    assert server.asked == [None, "bytes=300000-", "bytes=600000-"]
    assert target.read_bytes() == CONTENT


def test_a_server_that_ignores_range_is_read_from_the_start(server, target, part):
    server.ranges = False
    part.write_bytes(b"x" * 1000)
    get(server, target)
    assert server.asked == ["bytes=1000-"]
    assert target.read_bytes() == CONTENT


def test_an_answer_from_another_place_than_asked_is_read_from_the_start(server, target, part):
    server.back = 1000
    part.write_bytes(b"x" * 1000)
    get(server, target)
    assert server.asked == ["bytes=1000-"]
    assert target.read_bytes() == CONTENT


def test_a_bad_part_is_given_up_for_a_fresh_start(server, target, part):
    part.write_bytes(b"x" * 1000)
    get(server, target)
    assert server.asked == ["bytes=1000-", None]
    assert target.read_bytes() == CONTENT


@pytest.mark.skipif(os.name == "nt", reason="needs links and pipes")
@pytest.mark.parametrize("kind", ["link", "second name", "link to nothing", "pipe"])
def test_what_lies_in_the_place_of_a_part_is_not_written_through(server, target, part, kind):
    precious = target.parent / "precious"
    precious.write_bytes(CONTENT[:1000])
    if kind == "link":
        part.symlink_to(precious)
    elif kind == "second name":
        part.hardlink_to(precious)
    elif kind == "link to nothing":
        part.symlink_to("new")
    else:
        os.mkfifo(part)
    get(server, target)
    assert server.asked == [None]
    assert target.read_bytes() == CONTENT
    assert not target.is_symlink()
    assert precious.read_bytes() == CONTENT[:1000]
    assert sorted(path.name for path in target.parent.iterdir()) == ["file", "precious"]


def test_a_link_that_is_put_there_meanwhile_is_not_written_through(server, target, part):
    precious = target.parent / "precious"
    precious.write_bytes(b"mine")
    real = module._usable_bytes

    def put(path, size):
        found = real(path, size)
        path.symlink_to(precious)
        return found

    with pytest.MonkeyPatch.context() as patch, pytest.raises(DataError):
        patch.setattr(module, "_usable_bytes", put)
        get(server, target)
    assert precious.read_bytes() == b"mine"


@pytest.mark.parametrize("junk", [CONTENT + b"more", b"x" * SIZE])
def test_a_part_that_cannot_be_a_beginning_is_dropped(server, target, part, junk):
    part.write_bytes(junk)
    get(server, target)
    assert server.asked == [None]
    assert target.read_bytes() == CONTENT


def test_a_whole_part_needs_no_server(target, part):
    part.write_bytes(CONTENT)
    download("http://127.0.0.1:1/", target, size=SIZE, sha256=SHA256)
    assert target.read_bytes() == CONTENT


def test_another_content_of_the_right_size_is_refused_and_not_kept(server, target, part):
    server.content = b"x" * SIZE
    with pytest.raises(DataError, match="is not the file: its SHA-256 is"):
        get(server, target)
    assert not target.exists()
    assert not part.exists()
    assert len(server.asked) == 1


@pytest.mark.parametrize("change", [-1, 1])
def test_another_announced_size_is_refused_before_reading(server, target, part, change):
    server.content = (CONTENT + b"x")[: SIZE + change]
    with pytest.raises(DataError, match=rf"offers {SIZE + change:,} bytes, not {SIZE:,}"):
        get(server, target)
    assert not target.exists()
    assert not part.exists()


def test_no_more_than_the_size_is_read_where_none_is_announced(server, target):
    server.announce, server.content = False, CONTENT + b"x" * 1_000_000
    get(server, target)
    assert target.read_bytes() == CONTENT


def test_after_too_many_cuts_it_stops_and_keeps_what_came(server, target, part):
    server.cuts, server.cut_after = 99, 1000
    with pytest.raises(DataError, match=r"cut after 5,000 of .* 5,000 bytes that arrived are kept"):
        get(server, target)
    assert len(server.asked) == module.ATTEMPTS
    assert part.read_bytes() == CONTENT[:5000]
    assert not target.exists()


def test_a_busy_server_is_asked_again(server, target):
    server.status, server.errors = 503, 2
    get(server, target)
    assert len(server.asked) == 3
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("kept", [0, 1000])
def test_a_missing_file_is_not_asked_for_again(server, target, part, kept):
    part.write_bytes(CONTENT[:kept])
    server.status, server.errors = 404, 99
    with pytest.raises(DataError, match="the server answered 404"):
        get(server, target)
    assert len(server.asked) == 1
    assert part.read_bytes() == CONTENT[:kept]


def test_a_refused_range_starts_over(server, target, part):
    part.write_bytes(CONTENT[:1000])
    server.status, server.errors = 416, 1
    get(server, target)
    assert server.asked == ["bytes=1000-", None]
    assert target.read_bytes() == CONTENT


def test_without_a_connection_it_says_so_at_once(target, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(module.time, "sleep", lambda _: pytest.fail("waited without a network"))
    with pytest.raises(DataError, match=r"Tried http://127.0.0.1:1/: no connection"):
        download("http://127.0.0.1:1/", target, size=SIZE, sha256=SHA256)
