"""Who is answered by the explorer, and what is refused before it is looked at."""

import base64
import contextlib
import errno
import hashlib
import io
import json
import os
import re
import socket
import socketserver
import struct
import sys
import threading
import time
import zlib
from email.message import Message
from http.client import HTTPException

import numpy as np
import pytest
from exploring import PATIENCE, Listener, Page, png, served

import neocog
from neocog.data.shapes import shapes
from neocog.errors import NeocogError
from neocog.web import Server, is_loopback
from neocog.web.events import Events
from neocog.web.guard import MOST_JSON, MOST_PICTURE, Guard
from neocog.web.incoming import Incoming
from neocog.web.refusal import RefusedError

JSON = {"Content-Type": "application/json"}

Reply = tuple[int, dict[str, str], bytes]


@pytest.fixture(scope="module")
def page():
    """One for all: whatever is refused must change nothing."""
    with served(neocog.models.simple_cnn(), shapes(0, 40, 20)) as page:
        before = page.state()
        yield page
        assert page.state() == before


def error(reply) -> tuple[int, str]:
    status, _, content = reply
    found = json.loads(content)
    assert list(found) == ["error"]
    return status, found["error"]


# Names and origins


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "", "[::1]:{port}"]
)
@pytest.mark.parametrize("path", ["/", "/api/state", "/api/events", "/api/nothing"])
def test_another_name_is_refused(page: Page, host, path):
    """A name in someone's DNS may point here, and its page would be of one origin with this."""
    reply = page.send("GET", path, headers={"Host": host.format(port=page.port)})
    assert error(reply) == (403, "The Host header does not name this server.")


def test_no_name_and_two_names_are_refused(page: Page):
    assert page.raw(b"GET / HTTP/1.1\r\n\r\n")[0] == 403
    own = f"Host: {page.name}\r\n".encode()
    assert page.raw(b"GET / HTTP/1.1\r\n" + own + own + b"\r\n")[0] == 403


def test_localhost_is_the_same(page: Page):
    host = f"localhost:{page.port}"
    assert page.send("GET", "/api/state", headers={"Host": host})[0] == 200
    headers = {"Host": host, "Origin": f"http://{host}", **JSON}
    body = b'{"kernel": [[1]]}'
    assert page.send("POST", "/api/kernel", body, headers)[0] == 200
    # Names of one server are still two origins.
    reply = page.send("POST", "/api/kernel", body, headers | {"Origin": page.origin})
    assert error(reply)[0] == 403


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "", "https://{name}", "http://127.0.0.1:1", "http://{name}.x"],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_other_origins_are_refused(page: Page, origin, method):
    headers = {"Origin": origin.format(name=page.name), **JSON}
    path, body = ("/api/state", None) if method == "GET" else ("/api/picture", b'{"index": 1}')
    found = error(page.send(method, path, body, headers))
    assert found == (403, "Requests from other pages are refused.")


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_what_another_page_embeds_is_refused(page: Page, site):
    """An image or a script of another page comes without an Origin."""
    headers = {"Sec-Fetch-Site": site}
    assert error(page.send("GET", "/api/events", headers=headers))[0] == 403
    assert page.send("GET", "/", headers=headers)[0] == 200  # a link leads here


@pytest.mark.parametrize(
    "kind", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_what_a_form_can_send_is_refused(page: Page, kind):
    headers = {} if kind is None else {"Content-Type": kind}
    body = b'{"index": 1}'
    assert error(page.send("POST", "/api/picture", body, headers))[0] == 403
    assert error(page.send("POST", "/api/upload", body, headers))[0] == 403
    own = headers | {"Origin": page.origin}
    assert error(page.send("POST", "/api/picture", body, own))[0] == 415


def test_a_program_without_origin_may(page: Page):
    assert page.send("POST", "/api/kernel", b'{"kernel": [[1]]}', JSON)[0] == 200


def test_json_is_not_sent_as_a_picture(page: Page):
    headers = {"Content-Type": "image/png", "Origin": page.origin}
    assert error(page.send("POST", "/api/picture", b'{"index": 1}', headers))[0] == 415


def host(name: str) -> Message:
    message = Message()
    message["Host"] = name
    return message


def test_on_every_address_only_addresses_and_its_own_name_will_do(monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "Mine")
    guard = Guard("0.0.0.0", 80)
    for name in ("192.168.0.7", "192.168.0.7:80", "[fe80::1]:80", "mine", "MINE.local:80"):
        guard.check(host(name), changes=False, api=True)
    for name in ("evil.example", "192.168.0.7:81", "192.168.0.7.evil.example", "mine:x", "[::1"):
        with pytest.raises(RefusedError):
            guard.check(host(name), changes=False, api=True)


def test_loopback():
    assert all(map(is_loopback, ("127.0.0.1", "127.3.4.5", "::1", "localhost", "LOCALHOST")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.0.7", "localhost.evil.example")))


# The token


def plain(page: Page, path: str, *headers: str, method: str = "GET", body: str = "") -> Reply:
    """The reply to a request with these headers and no others but its host and length."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {page.name}", *headers]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    answer, _, content = page.exchange("\r\n".join([*lines, "", body]).encode()).partition(
        b"\r\n\r\n"
    )
    first, *rest = answer.decode().split("\r\n")
    return int(first.split()[1]), dict(line.split(": ", 1) for line in rest), content


@pytest.mark.parametrize(
    "headers",
    [
        (),
        ("Authorization: Bearer",),
        ("Authorization: Bearer wrong",),
        ("Authorization: Basic {token}",),
        ("Cookie: neocog-{port}=wrong",),
        ("Cookie: neocog-{port}={token}x",),
        ("Cookie: neocog-1={token}",),
        ("Cookie: other=1; xneocog-{port}={token}",),
    ],
)
def test_nothing_without_the_token(page: Page, headers):
    headers = [each.format(token=page.token, port=page.port) for each in headers]
    paths = ("/api/state", "/api/events", "/api/explanation", "/api/model.safetensors", "/api/no")
    found = [plain(page, path, *headers) for path in paths]
    found += [
        plain(page, path, *headers, method="POST", body="{}")
        for path in ("/api/training/reset", "/api/upload", "/")
    ]
    for status, head, content in found:
        assert status == 403
        assert "neocog explore printed, with ?token=… in it" in json.loads(content)["error"]
        assert "Set-Cookie" not in head
        assert "Neocog-Instance" not in head
    for path in ("/", "/?token=", "/?token=wrong", "/?x=1"):
        status, head, content = plain(page, path, *headers)
        assert (status, head["Content-Type"]) == (403, "text/html; charset=utf-8")
        assert b"<code>neocog explore</code> printed" in content
        assert b"<script" not in content
        assert "Set-Cookie" not in head
        assert page.token.encode() not in content


def test_the_address_with_the_token_gives_a_cookie(page: Page):
    assert page.address == f"{page.origin}/?token={page.token}"
    status, head, content = plain(page, f"/?token={page.token}")
    assert status == 200
    cookie, *rules = head["Set-Cookie"].split("; ")
    # Ports of one host share their cookies.
    assert cookie == f"neocog-{page.port}={page.token}"
    assert sorted(rules) == ["HttpOnly", "Path=/", "SameSite=Strict"]
    # It leaves the address bar at once.
    assert b'content="0;url=/"' in content
    for kept in (f"Cookie: {cookie}", f'Cookie: a="b; c:d=é; {cookie};x'):
        assert plain(page, "/", kept)[0] == plain(page, "/api/state", kept)[0] == 200
        found = plain(page, "/api/kernel", kept, method="POST", body='{"kernel": [[1]]}')
        assert found[0] == 200
    assert plain(page, "/api/state", f"authorization: bearer {page.token}")[0] == 200


def test_each_server_has_a_token_of_its_own():
    with contextlib.ExitStack() as ending:
        servers = [Server("127.0.0.1", 0), Server("127.0.0.1", 0), Server("127.0.0.1", 0, "mine")]
        for server in servers:
            ending.callback(server.server_close)
        one, other, named = (server.access.token for server in servers)
    assert one != other
    assert len(one) == len(other) == 32
    assert named == "mine"


def test_the_largest_picture_is_not_read_without_it(page: Page):
    start = head(page, "/api/upload", f"Content-Length: {MOST_PICTURE}")
    status, found = page.raw(start.replace(page.token.encode(), b"wrong"))
    assert status == 403
    assert "token" in found["error"]


# Another explorer's page


def test_a_page_of_another_explorer_does_nothing(page: Page):
    """It is still open when another one has the same address."""
    instance = page.state()["instance"]
    _, headers, _ = page.send("GET", "/api/curve")
    assert headers["Neocog-Instance"] == instance
    with served(neocog.models.simple_cnn(), None) as other:
        assert other.state()["instance"] != instance
    wrong = {"Neocog-Instance": "0123456789abcdef"}
    for path in ("/api/training/reset", "/api/training/start", "/api/upload", "/api/weight"):
        found = error(page.send("POST", path, b"{}", JSON | wrong))
        assert found == (
            409,
            "The explorer was started again after this page was opened. Reload the page.",
        )
    assert error(page.send("GET", "/api/explanation", headers=wrong))[0] == 409
    assert error(page.send("GET", "/api/events?instance=0123456789abcdef"))[0] == 409
    own = {"Neocog-Instance": instance}
    assert page.send("POST", "/api/kernel", b'{"kernel": [[1]]}', JSON | own)[0] == 200
    assert page.send("GET", f"/api/state?instance={instance}", headers=own)[0] == 200


# Headers


def sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/"), ("GET", "/api/state"), ("GET", "/no"), ("PUT", "/")]
)
def test_every_reply_says_what_a_page_may_do(page: Page, method, path):
    _, headers, _ = page.send(method, path)
    # The page is one text for all: what it holds, and nothing else, is run.
    text = page.get("/").decode()
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    (script,) = re.findall(r'<script type="module">(.*?)</script>', text, re.DOTALL)
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": f"'sha256-{sha256(script)}'",
        "style-src": f"'sha256-{sha256(style)}'",
        "img-src": "blob: data:",
        "media-src": "blob:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "Access-Control-Allow-Origin" not in headers
    assert "Python" not in headers["Server"]


# Paths


def test_paths(page: Page):
    assert b"<!doctype html>" in page.get("/")
    assert json.loads(page.get("/api/state?x=1"))["version"] == 1
    for path in ("/../etc/passwd", "/api/", "/index.html", "/%2e%2e/", "/etc/passwd"):
        assert error(page.send("GET", path)) == (404, f"There is nothing at {path}.")
    assert error(page.send("GET", "/api/picture"))[0] == 405
    assert error(page.send("GET", "/api/upload"))[0] == 405
    assert page.refused("/api/state", 405) == "/api/state takes only GET requests."
    assert page.refused("/api/curve", 405) == "/api/curve takes only GET requests."
    assert page.refused("/", 405) == "/ takes only GET requests."
    assert page.refused("/api/nothing", 404) == "There is nothing at /api/nothing."


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "HEAD", "TRACE"])
def test_other_methods(page: Page, method):
    assert page.send(method, "/api/state")[0] == 501


@pytest.mark.parametrize("line", [b"nonsense", b"GET / HTTP/9.9", b"GET / HTTP/x", b"A B C D"])
def test_what_is_no_http(page: Page, line):
    reply = page.exchange(line + b"\r\n\r\n")
    assert reply.endswith(b"}")
    assert b'{"error": ' in reply
    assert page.state()["version"] == 1


# Lengths


def head(page: Page, path: str, *lines: str) -> bytes:
    """As a page would begin a request, the token with it."""
    kind = "image/png" if path == "/api/upload" else "application/json"
    start = [
        f"POST {path} HTTP/1.1",
        f"Host: {page.name}",
        page.key.strip(),
        f"Content-Type: {kind}",
    ]
    return "\r\n".join([*start, *lines, "", ""]).encode()


@pytest.mark.parametrize(
    ("path", "most", "said"),
    [("/api/upload", MOST_PICTURE, "20 MiB"), ("/api/picture", MOST_JSON, "128 KiB")],
)
def test_bounds_hold_before_anything_is_read(page: Page, path, most, said):
    for length in (most + 1, 10**12, 10**30):
        status, found = page.raw(head(page, path, f"Content-Length: {length}"))
        assert status == 413
        assert found["error"] == f"The request is too large: at most {said} are accepted."


def test_the_largest_kernel_is_read(page: Page):
    """With every digit that its numbers can have."""
    most = np.full((16, 15, 15), -1.2345678901234567e-100).tolist()
    found = error(page.send("POST", "/api/kernel", json.dumps({"kernel": most}).encode(), JSON))
    assert found[0] == 400
    assert "must be [3, rows, columns]" in found[1]


def test_who_sends_too_much_reads_why(page: Page):
    """Even if all is sent before the answer is read."""
    status, found = page.upload(bytes(MOST_PICTURE + 1))
    assert (status, list(found)) == (413, ["error"])


def test_the_largest_picture_is_read(page: Page):
    status, found = page.upload(bytes(MOST_PICTURE))
    assert (status, found["error"]) == (400, "The picture is not an image that Pillow knows.")


@pytest.mark.parametrize("path", ["/api/upload", "/api/picture"])
@pytest.mark.parametrize(
    ("lines", "status", "message"),
    [
        ([], 411, "length"),
        (["Transfer-Encoding: chunked"], 411, "length"),
        (["Transfer-Encoding: chunked", "Content-Length: 5"], 411, "length"),
        (["Content-Length: -1"], 400, "no number"),
        (["Content-Length: 0x10"], 400, "no number"),
        (["Content-Length: ٣"], 400, "no number"),
        (["Content-Length: 2", "Content-Length: 2"], 400, "no number"),
        (["Content-Length: 5"], 400, "ended before its body was complete"),
    ],
)
def test_lengths(page: Page, path, lines, status, message):
    found, reply = page.raw(head(page, path, *lines) + b"{}")
    assert found == status
    assert message in reply["error"]


# Fields


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "The request is not JSON"),
        (b"\xff", "The request is not JSON"),
        (b"[1]", "must be a JSON object"),
        (b"3", "must be a JSON object"),
        (b"[" * 100_000, "The request is not JSON"),
        (b'{"rate": NaN}', "NaN is not JSON"),
        (b'{"rate": 1' + b"0" * 5000 + b"}", "The request is not JSON"),
    ],
)
def test_what_is_no_object(page: Page, body, message):
    status, _, content = page.send("POST", "/api/training", body, JSON)
    assert status == 400
    assert message in json.loads(content)["error"]


@pytest.mark.parametrize(
    ("path", "fields", "message"),
    [
        ("/api/picture", {}, "Give either index or move."),
        ("/api/picture", {"index": 1, "move": "next"}, "Give either index or move."),
        ("/api/picture", {"file": "/etc/passwd"}, "no field 'file'. Known: index, move."),
        ("/api/picture", {"index": 20}, "index (=20) must be a test image, from 0 to 19."),
        ("/api/picture", {"index": -1}, "index (=-1) must be a whole number from 0 to"),
        ("/api/picture", {"index": 1.0}, "index (=1.0) must be a whole number"),
        ("/api/picture", {"index": True}, "index (=True) must be a whole number"),
        ("/api/picture", {"move": "up"}, "move (='up') must be one of: next, previous, random."),
        ("/api/picture", {"move": ["next"]}, "must be one of"),
        ("/api/label", {}, "Give a label"),
        ("/api/label", {"label": "house"}, "no class 'house'. Known: ring, disc,"),
        ("/api/label", {"label": 10}, "no class 10."),
        ("/api/label", {"label": -1}, "no class -1."),
        ("/api/label", {"label": True}, "no class True."),
        ("/api/label", {"label": ["ring"]}, "no class ['ring']."),
        ("/api/training", {"rate": -1}, "rate (=-1) must be a number from 0 to 10⁶."),
        ("/api/training", {"rate": "0.1"}, "rate (='0.1') must be a number"),
        ("/api/training", {"rate": None}, "rate (=null) must be a number"),
        ("/api/training", {"momentum": 1}, "momentum (=1) must be a number from 0 and below 1."),
        ("/api/training", {"batch_size": 0}, "batch_size (=0) must be a whole number"),
        ("/api/training", {"batch_size": 41}, "batch_size (=41) must be from 1 to 40."),
        ("/api/training", {"batch_size": 1025}, "must be a whole number from 1 to 1024."),
        ("/api/training", {"epochs": 3}, "no field 'epochs'"),
        ("/api/training/start", {"now": 1}, "no field 'now'. This request takes no fields."),
        ("/api/training/reset", {"seed": -1}, "seed (=-1) must be a whole number"),
        ("/api/training/reset", {"seed": 2**64}, "must be a whole number"),
        ("/api/kernel", {}, "kernel must be lists of numbers"),
        ("/api/kernel", {"kernel": []}, "kernel must be lists of numbers"),
        ("/api/kernel", {"kernel": 3}, "kernel must be lists of numbers"),
        ("/api/kernel", {"kernel": [[1, 2, 3], [4, 5]]}, "lists of equal length"),
        ("/api/kernel", {"kernel": [["a"]]}, "finite numbers"),
        ("/api/kernel", {"kernel": [[1e300]]}, "finite numbers"),
        ("/api/kernel", {"kernel": [[True]]}, "finite numbers"),
        ("/api/kernel", {"kernel": [[[[[1]]]]]}, "kernel must be lists of numbers"),
        ("/api/kernel", {"kernel": [1]}, "must be [3, rows, columns] or [rows, columns], not [1]"),
        ("/api/kernel", {"kernel": [[[1]], [[1]]]}, "not [2, 1, 1]"),
        ("/api/kernel", {"kernel": [[1, 2]]}, "1 × 2 numbers; both must be odd, at most 15."),
        ("/api/kernel", {"kernel": [[1]] * 17}, "17 × 1 numbers"),
        ("/api/kernel", {"kernel": [[1]], "bias": "x"}, "bias (='x') must be a number"),
        ("/api/weight", {}, "name (=null) must be a parameter's"),
        ("/api/weight", {"name": "conv1.weight", "index": 3}, "must be a list of whole numbers"),
        (
            "/api/weight",
            {"name": "conv1.bias", "index": [0]},
            "value (=null) must be a number",
        ),
        (
            "/api/weight",
            {"name": "conv9.bias", "index": [0], "value": 1},
            "no parameter 'conv9.bias'. Known: conv1.weight, conv1.bias, fc.weight, fc.bias.",
        ),
        (
            "/api/weight",
            {"name": "conv1.bias", "index": [16], "value": 1},
            "index (=[16]) must be a place in conv1.bias, [16].",
        ),
        ("/api/weight", {"name": "conv1.bias", "index": [-1], "value": 1}, "must be a place"),
        ("/api/weight", {"name": "conv1.bias", "index": [], "value": 1}, "must be a place"),
        ("/api/weight", {"name": "conv1.bias", "index": [1.0], "value": 1}, "whole numbers"),
        ("/api/weight", {"name": "conv1.bias", "index": [0], "value": 1e30}, "value (=1e+30)"),
    ],
)
def test_fields(page: Page, path, fields, message):
    assert message in page.refused(path, **fields)


def test_nothing_to_take_back(page: Page):
    assert page.refused("/api/weight/back", 409) == "There is no changed weight to undo."


def test_no_batch_yet(page: Page):
    status, found = error(page.send("GET", "/api/batch"))
    assert (status, found) == (409, "There is no batch yet: take a step first.")


# Pictures


def broken() -> dict[str, tuple[bytes, str]]:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    whole = png(noise)

    def claiming(side: int) -> bytes:
        """A PNG whose first chunk says that it is so wide and high."""
        chunk = b"IHDR" + side.to_bytes(4, "big") * 2 + whole[24:29]
        return whole[:12] + chunk + zlib.crc32(chunk).to_bytes(4, "big") + whole[33:]

    return {
        "nothing": (b"", "not an image that Pillow knows"),
        "text": (b"<svg onload=alert(1)>", "not an image that Pillow knows"),
        "truncated": (whole[: len(whole) // 2], "cannot be decoded"),
        "truncated JPEG": (png(noise, "JPEG")[:700], "cannot be decoded"),
        "absurdly large": (claiming(60_000), "is too large"),
        "too large": (claiming(12_000), "is 12000 × 12000 pixels, more than the 100,000,000"),
        "a drawing": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EOF\n", "a drawing"),
    }


@pytest.mark.parametrize("name", broken())
def test_broken_pictures(page: Page, name):
    content, message = broken()[name]
    status, found = page.upload(content)
    assert (status, list(found)) == (400, ["error"])
    assert message in found["error"]
    assert found["error"].startswith("The picture ")
    assert "\n" not in found["error"]
    assert "0x" not in found["error"]


# Failures


@pytest.mark.parametrize(
    ("number", "status", "why"),
    [
        (errno.ENOSPC, 507, "No space left on device"),
        (errno.EACCES, 500, "Permission denied"),
        (errno.EPIPE, 500, "Broken pipe"),
    ],
)
def test_a_file_that_cannot_be_written_is_no_lost_connection(
    page: Page, monkeypatch, number, status, why
):
    def save_model(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("neocog.web.explorer.save_model", save_model)
    assert error(page.send("GET", "/api/model.safetensors")) == (status, f"That failed: {why}.")


def test_who_leaves_is_not_answered(page: Page, monkeypatch, capfd):
    """Neither in the midst of what is sent, nor of a stream."""
    refused = []
    monkeypatch.setattr("neocog.web.server._Handler._refuse", lambda *what: refused.append(what))
    handled = threading.Semaphore(0)
    monkeypatch.setattr(Server, "handle_error", lambda *_: handled.release())
    reset = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)  # what is closed is reset
    stream = f"GET /api/events HTTP/1.1\r\nHost: {page.name}\r\n{page.key}\r\n".encode()
    for start in (head(page, "/api/upload", "Content-Length: 9") + b"\x89PNG", stream):
        with socket.create_connection((page.host, page.port), PATIENCE) as connection:
            connection.sendall(start)
            time.sleep(0.2)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        assert handled.acquire(timeout=PATIENCE)
    assert refused == []
    assert capfd.readouterr().err == ""


# The server


def test_a_port_in_use():
    server = Server("127.0.0.1", 0)
    try:
        with pytest.raises(NeocogError, match=r"Port \d+ of 127.0.0.1 is in use.*--port 0"):
            Server("127.0.0.1", server.server_port)
    finally:
        server.server_close()


def test_an_address_that_is_not_here():
    with pytest.raises(NeocogError, match=r"neocog cannot listen on 192\.0\.2\.1:8421"):
        Server("192.0.2.1")
    with pytest.raises(NeocogError, match=r"--port \(=70000\) must be from 0 to 65535"):
        Server("127.0.0.1", 70_000)


# Many at once


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
    start = head(page, "/api/upload", f"Content-Length: {MOST_PICTURE}")
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
