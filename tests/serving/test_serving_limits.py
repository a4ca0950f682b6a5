"""Clients that are slow, stop, or send too much; each limit is told, and holds."""

import socket
import time

import pytest
from served import Good, encoded, picture, read_reply, serving

from neocog.serving.limits import Limits

BODY = 2**20


@pytest.fixture(scope="module")
def strict(model, tmp_path_factory):
    """A server with little patience."""
    limits = {"body": BODY, "bodies": 3 * BODY, "head": 1.0, "upload": 2.0, "idle": 1.0}
    limits |= {"connections": 100, "pixels": 1_000_000, "pictures": 4}
    with serving(model, tmp_path_factory.mktemp("strict"), **limits) as found:
        yield found
        assert "Traceback" not in found.log.read_text()


def ended(one: socket.socket) -> bytes:
    """Everything that comes until the server closes."""
    found = b""
    one.settimeout(60)
    while part := one.recv(65536):
        found += part
    return found


def test_a_head_that_does_not_come(strict):
    with strict.connect() as one:
        one.sendall(b"POST /predict HTTP/1.1\r\nHost: x")
        assert ended(one).startswith(b"HTTP/1.1 408 ")


def test_nothing_at_all(strict):
    with strict.connect() as one:
        assert ended(one) == b""


def test_a_connection_that_is_not_used_again(strict):
    with strict.connect() as one:
        one.sendall(f"GET /healthz HTTP/1.1\r\nHost: {strict.name}\r\n\r\n".encode())
        assert read_reply(one)[0] == 200
        assert ended(one) == b""


def test_a_body_that_stops(strict):
    with strict.connect() as one:
        one.sendall(strict.head(1000) + b"x" * 10)
        assert ended(one).startswith(b"HTTP/1.1 408 ")


def test_a_head_of_bytes_that_come_one_by_one(strict):
    """Its time does not begin anew with each byte."""
    with strict.connect() as one:
        began = time.monotonic()
        try:
            for _ in range(1000):
                one.sendall(b"G")
                time.sleep(0.05)
        except OSError:
            pass
        assert time.monotonic() - began < 30


def test_a_client_that_leaves(strict):
    for part in (b"POST", strict.head(1000), strict.head(1000) + b"x"):
        with strict.connect() as one:
            one.sendall(part)
    assert strict.send(body=picture())[0] == 200


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000 + b"\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000,
    ],
)
def test_a_head_that_is_too_long(strict, head):
    with strict.connect() as one:
        try:
            one.sendall(head)
            found = ended(one)
        except ConnectionError:  # it was closed while the rest was sent
            return
        assert found.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 "))


@pytest.mark.parametrize("words", [b"\x16\x03\x01\0\0", b"HELLO\r\n\r\n", b"\0" * 100])
def test_what_is_no_http(strict, words):
    with strict.connect() as one:
        one.sendall(words + b"\r\n" * 2)
        assert ended(one).startswith(b"HTTP/1.1 400 ")


def test_a_body_that_is_too_large(strict):
    status, found, headers = strict.send(body=b"x" * (BODY + 1))
    assert status == 413
    assert found["error"] == "The request is too large: at most 1.0 MiB are accepted."
    assert headers["connection"] == "close"


def test_a_body_that_is_too_large_and_does_not_say_so(strict):
    chunks = (b"x" * 65536 for _ in range(20))
    status, found, _ = strict.send(body=chunks)
    assert status == 413
    assert found["error"].startswith("The request is too large")


def test_the_answer_comes_before_the_rest_of_a_refused_body(strict):
    with strict.connect() as one:
        one.sendall(strict.head(10 * BODY))
        assert read_reply(one)[0] == 413


def test_who_asks_before_sending_is_refused_before(strict):
    with strict.connect() as one:
        one.sendall(strict.head(10 * BODY, "image/png", "Expect: 100-continue"))
        assert one.recv(12) == b"HTTP/1.1 413"
    with strict.connect() as one:
        one.sendall(strict.head(len(picture()), "image/png", "Expect: 100-continue"))
        assert one.recv(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        one.sendall(picture())
        assert read_reply(one)[0] == 200


def test_pixels_are_counted_before_they_are_decoded(strict):
    from PIL import Image

    for kind in ("PNG", "GIF", "BMP", "TIFF"):
        content = encoded(Image.new("1", (1100, 1000)), kind)
        status, found, _ = strict.send(body=content)
        assert status == 413, kind
        assert "more than the 1,000,000 pixels" in found["error"]
    content = encoded(Image.new("1", (1000, 1000)))
    assert strict.send(body=content)[0] == 200


def test_uploads_that_stop_make_room_for_others(strict):
    """More bytes than all uploads may have; the oldest ones are refused."""
    stopped = [strict.connect() for _ in range(8)]
    try:
        for one in stopped:
            one.sendall(strict.head(BODY) + b"x" * (BODY - 10))
        assert read_reply(stopped[0])[0] == 503
        large = picture(1, (500, 500))
        assert 2**17 < len(large) < BODY
        assert strict.send(body=large)[0] == 200
    finally:
        for one in stopped:
            one.close()


def test_silent_connections_make_room_for_others(strict):
    silent = [strict.connect() for _ in range(300)]
    try:
        began = time.monotonic()
        with Good(strict, picture()) as good:
            time.sleep(1.0)
        assert {status for status, _ in good.answers} <= {200}
        assert strict.metric("neocog_connections") <= 100
        assert strict.metric("neocog_evicted_total") > 0 or time.monotonic() - began > 1.0
    finally:
        for one in silent:
            one.close()


def test_requests_sent_ahead_are_answered_in_order(strict):
    paths = ("/healthz", "/nothing", "/openapi.json") * 3
    head = "GET {} HTTP/1.1\r\nHost: " + strict.name + "\r\n\r\n"
    with strict.connect() as one:
        one.sendall("".join(map(head.format, paths)).encode())
        one.shutdown(socket.SHUT_WR)
        found = ended(one)
    assert found.count(b"HTTP/1.1 200") == 6
    assert found.count(b"HTTP/1.1 404") == 3


def test_too_many_requests_sent_ahead(strict):
    head = f"GET /healthz HTTP/1.1\r\nHost: {strict.name}\r\n\r\n".encode()
    with strict.connect() as one:
        one.sendall(head * 1000)
        assert b"HTTP/1.1 400" in ended(one)


@pytest.mark.parametrize(
    "given", [{"body": 0}, {"body": 1.5}, {"idle": 0}, {"idle": float("nan")}, {"pixels": "many"}]
)
def test_limits_that_cannot_be(given):
    from neocog import NeocogError

    with pytest.raises(NeocogError, match=next(iter(given))):
        Limits(**given)
