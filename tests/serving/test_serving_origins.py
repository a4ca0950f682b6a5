"""Which requests are answered: those for a name of the server, and not from other pages."""

import pytest
from served import picture, serving

OTHER = "The Host header does not name this server."


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "", "[::1]"])
@pytest.mark.parametrize("path", ["/", "/predict", "/metrics", "/nothing"])
def test_another_name_is_refused(server, host, path):
    body = picture() if path == "/predict" else None
    status, found, _ = server.send(path, body, Host=host.format(port=server.port))
    assert status == 403
    assert found["error"].startswith(OTHER)


def test_no_name_and_two_names_are_refused(server):
    own = f"Host: {server.name}\r\n"
    for hosts in ("", own * 2):
        with server.connect() as one:
            one.sendall(f"GET /healthz HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n".encode())
            assert one.recv(4096).startswith(b"HTTP/1.1 403")


def test_localhost_is_the_same(server):
    host = f"localhost:{server.port}"
    assert server.send(body=picture(), Host=host)[0] == 200
    assert server.send(body=picture(), Host=host, Origin=f"http://{host}")[0] == 200
    # Names of one server are still two origins.
    assert server.send(body=picture(), Host=host, Origin=server.address)[0] == 403


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "", "http://127.0.0.1:1", "http://{name}.x"]
)
def test_other_origins_are_refused(server, origin):
    given = origin.format(name=server.name)
    status, found, _ = server.send(body=picture(), Origin=given)
    assert (status, found) == (403, {"error": "Requests from other pages are refused."})


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_what_another_page_embeds_is_refused(server, site):
    assert server.send(body=picture(), Sec_Fetch_Site=site)[0] == 403
    assert server.send("/metrics", Sec_Fetch_Site=site)[0] == 403
    assert server.send("/", Sec_Fetch_Site=site)[0] == 200  # a link leads here


def test_names_that_are_allowed(model, tmp_path):
    with serving(model, tmp_path, allow_host=["cats.example"]) as server:
        for host in ("cats.example", "CATS.example:443", server.name):
            assert server.send(body=picture(), Host=host)[0] == 200
        origin = "https://cats.example"
        assert server.send(body=picture(), Host="cats.example", Origin=origin)[0] == 200
        assert server.send(body=picture(), Host="dogs.example")[0] == 403
