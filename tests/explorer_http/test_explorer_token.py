"""Whom the explorer answers: whoever has the token, for the same explorer."""

import contextlib
import json

import pytest
from exploring import Page, served
from requests_by_hand import JSON, error, request_head

import neocog
from neocog.web import Server
from neocog.web.app import MOST_PICTURE

Reply = tuple[int, dict[str, str], bytes]


# The token


def plain(page: Page, path: str, *headers: str, method: str = "GET", body: str = "") -> Reply:
    """The reply to a request with these headers and no others but its host and length.

    The names of the reply's headers are in small letters.
    """
    lines = [f"{method} {path} HTTP/1.1", f"Host: {page.name}", *headers]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    answer, _, content = page.exchange("\r\n".join([*lines, "", body]).encode()).partition(
        b"\r\n\r\n"
    )
    first, *rest = answer.decode().split("\r\n")
    found = (line.split(": ", 1) for line in rest)
    return int(first.split()[1]), {name.lower(): value for name, value in found}, content


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
        assert "set-cookie" not in head
        assert "neocog-instance" not in head
    for path in ("/", "/?token=", "/?token=wrong", "/?x=1"):
        status, head, content = plain(page, path, *headers)
        assert (status, head["content-type"]) == (403, "text/html; charset=utf-8")
        assert b"<code>neocog explore</code> printed" in content
        assert b"<script" not in content
        assert "set-cookie" not in head
        assert page.token.encode() not in content


def test_the_address_with_the_token_gives_a_cookie(page: Page):
    assert page.address == f"{page.origin}/?token={page.token}"
    status, head, content = plain(page, f"/?token={page.token}")
    assert status == 200
    cookie, *rules = head["set-cookie"].split("; ")
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
            ending.callback(server.close)
        one, other, named = (server.access.token for server in servers)
    assert one != other
    assert len(one) == len(other) == 32
    assert named == "mine"


def test_the_largest_picture_is_not_read_without_it(page: Page):
    start = request_head(page, "/api/upload", f"Content-Length: {MOST_PICTURE}")
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
