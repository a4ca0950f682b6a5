"""Who is answered by the explorer, and what is refused before it is looked at."""

import json
import threading
import zlib
from email.message import Message

import numpy as np
import pytest
from exploring import PATIENCE, Listener, Page, png, served

import neocog
from neocog.data.shapes import shapes
from neocog.errors import NeocogError
from neocog.web import Server, is_loopback
from neocog.web.guard import MOST_JSON, MOST_PICTURE, Guard
from neocog.web.refusal import RefusedError

JSON = {"Content-Type": "application/json"}


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
    assert error(reply) == (403, "This server is not served under that name.")


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
    assert found == (403, "Requests of other pages are refused.")


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


# Headers


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/"), ("GET", "/api/state"), ("GET", "/no"), ("PUT", "/")]
)
def test_every_reply_says_what_a_page_may_do(page: Page, method, path):
    _, headers, _ = page.send(method, path)
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'unsafe-inline'",
        "style-src": "'unsafe-inline'",
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
    assert page.refused("/api/state", 405) == "/api/state is for GET."
    assert page.refused("/api/curve", 405) == "/api/curve is for GET."
    assert page.refused("/", 405) == "/ is for GET."
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
    kind = "image/png" if path == "/api/upload" else "application/json"
    start = [f"POST {path} HTTP/1.1", f"Host: {page.name}", f"Content-Type: {kind}", *lines]
    return "\r\n".join([*start, "", ""]).encode()


@pytest.mark.parametrize(
    ("path", "most"), [("/api/upload", MOST_PICTURE), ("/api/picture", MOST_JSON)]
)
def test_bounds_hold_before_anything_is_read(page: Page, path, most):
    for length in (most + 1, 10**12, 10**30):
        status, found = page.raw(head(page, path, f"Content-Length: {length}"))
        assert status == 413
        assert found["error"] == f"That is larger than the {most // 2**20} MiB that are read."


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
        (["Content-Length: 5"], 400, "ended before it was whole"),
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
        ("/api/training", {"rate": -1}, "rate (=-1) must be a number from 0 to 1e+06."),
        ("/api/training", {"rate": "0.1"}, "rate (='0.1') must be a number"),
        ("/api/training", {"rate": None}, "rate (=None) must be a number"),
        ("/api/training", {"momentum": 1}, "momentum (=1) must be a number from 0 and below 1."),
        ("/api/training", {"batch_size": 0}, "batch_size (=0) must be a whole number"),
        ("/api/training", {"batch_size": 41}, "batch_size (=41) must be from 1 to 40."),
        ("/api/training", {"batch_size": 1025}, "must be a whole number from 1 to 1024."),
        ("/api/training", {"epochs": 3}, "no field 'epochs'"),
        ("/api/training/start", {"now": 1}, "no field 'now'. It takes none."),
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
        ("/api/weight", {}, "name (=None) must be a parameter's"),
        ("/api/weight", {"name": "conv1.weight", "index": 3}, "must be a list of whole numbers"),
        (
            "/api/weight",
            {"name": "conv1.bias", "index": [0]},
            "value (=None) must be a number",
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
    assert page.refused("/api/weight/back", 409) == "There is no changed weight to take back."


def test_no_batch_yet(page: Page):
    status, found = error(page.send("GET", "/api/batch"))
    assert (status, found) == (409, "There is no batch to look at: take a step first.")


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


# The server


def test_a_port_in_use():
    server = Server("127.0.0.1", 0)
    try:
        with pytest.raises(NeocogError, match=r"Port \d+ of 127.0.0.1 is in use.*--port 0"):
            Server("127.0.0.1", server.server_port)
    finally:
        server.server_close()


def test_an_address_that_is_not_here():
    with pytest.raises(NeocogError, match=r"192\.0\.2\.1:8421 cannot be listened on"):
        Server("192.0.2.1")
    with pytest.raises(NeocogError, match=r"--port \(=70000\) must be from 0 to 65535"):
        Server("127.0.0.1", 70_000)


def test_too_many_streams(monkeypatch):
    monkeypatch.setattr("neocog.web.server._MOST_STREAMS", 1)
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
