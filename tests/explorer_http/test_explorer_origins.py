"""Which pages the explorer answers: names of hosts, origins, kinds of requests."""

import pytest
from exploring import Page
from requests_by_hand import JSON, error

from neocog.http.guard import Guard
from neocog.http.refusal import RefusedError
from neocog.web import is_loopback


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


def asking(name: str) -> dict[str, object]:
    """A request for this host, as an application gets it."""
    return {"path": "/api/state", "headers": [(b"host", name.encode())]}


def test_on_every_address_only_addresses_and_its_own_name_will_do(monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "Mine")
    guard = Guard("0.0.0.0", 80)
    own = ("192.168.0.7", "192.168.0.7:80", "[fe80::1]:80", "mine", "MINE.local:80", "localhost")
    for name in own:
        guard.check(asking(name))
    for name in (
        "evil.example",
        "192.168.0.7:81",
        "localhost.example",
        "192.168.0.7.evil.example",
        "mine:x",
        "[::1",
    ):
        with pytest.raises(RefusedError):
            guard.check(asking(name))


def test_loopback():
    assert all(map(is_loopback, ("127.0.0.1", "127.3.4.5", "::1", "localhost", "LOCALHOST")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.0.7", "localhost.evil.example")))
