"""``neocog explore``: how it starts, what it prints, and how it ends."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from explore_networks import saved
from exploring import PATIENCE

from neocog.cli import explore as explore_module  # noqa: F401  (patched below by its full name)
from neocog.cli import main
from neocog.web import Server

pytestmark = pytest.mark.usefixtures("little_data")


def run(capsys, *arguments) -> tuple[int, str, str]:
    try:
        code = main(["explore", *map(str, arguments)])
    except SystemExit as stop:
        code = stop.code
    return code, *capsys.readouterr()


@pytest.fixture
def served(monkeypatch):
    """Let the command go as far as serving, and record what it would have served."""
    seen = []

    def serve(self, session):
        seen.append((self, session))

    monkeypatch.setattr(Server, "serve", serve)
    return seen


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("broken.safetensors",), 1, "broken.safetensors"),
        (("nothing.pth",), 1, "nothing.pth: there is no such file"),
        (("lenet",), 1, "Did you mean 'lenet5'"),
        (("--port", 70_000), 1, "--port (=70000) must be from 0 to 65535"),
        (("--port", -1), 1, "--port (=-1) must be from 0 to 65535"),
        (("--threads", 0), 1, "threads (=0)"),
        (("--host", "192.0.2.1"), 1, "neocog cannot listen on"),
        (("--host", "no such host"), 1, "neocog cannot listen on"),
        (("--port", "x"), 2, "--port"),
    ],
)
def test_errors_are_one_line(capsys, here, arguments, code, message):
    (here / "broken.safetensors").write_bytes(b"\xff" * 100)
    ports = () if "--port" in arguments else ("--port", 0)
    found, out, err = run(capsys, *arguments, *ports)
    assert (found, out) == (code, "")
    assert message in err
    assert err.startswith("neocog: ")
    assert err.count("\n") == 1


def test_a_port_in_use(capsys):
    server = Server("127.0.0.1", 0)
    try:
        code, out, err = run(capsys, "--port", server.port)
    finally:
        server.close()
    assert (code, out) == (1, "")
    assert f"Port {server.port} of 127.0.0.1 is in use" in err
    assert "--port 0" in err


def test_the_address_is_all_that_goes_to_stdout(capsys, served):
    code, out, err = run(capsys, "--port", 0, "--threads", 1)
    ((server, session),) = served
    assert code == 0
    assert out == f"http://127.0.0.1:{server.port}/?token={server.access.token}\n"
    assert "Ctrl+C" in err
    assert "Whoever" not in err
    assert server.access.token not in err
    assert session.about["data"] == {"name": "shapes", "train": 8, "held_out": 4, "part": "test"}


def test_a_warning_for_other_addresses(capsys, served):
    code, out, err = run(capsys, "--port", 0, "--host", "0.0.0.0")
    assert code == 0
    ((server, _),) = served
    assert out == f"http://0.0.0.0:{server.port}/?token={server.access.token}\n"
    assert f"Anyone who can reach http://0.0.0.0:{server.port} and knows the address" in err
    assert "not encrypted" in err


@pytest.mark.parametrize(
    ("terminal", "arguments", "opens"),
    [(True, (), True), (True, ("--no-browser",), False), (False, (), False)],
)
def test_a_browser_is_opened(capsys, monkeypatch, here, terminal, arguments, opens):
    """By way of a file: others can read a command line, and with the token they would have all."""
    opened, done = [], threading.Event()

    def browse(address):
        file = Path(urllib.request.url2pathname(urllib.parse.urlsplit(address).path))
        opened.append((address, file, file.stat().st_mode & 0o777, file.read_text("utf-8")))
        done.set()

    def serve(self, session):
        assert done.wait(PATIENCE if opens else 0) == opens

    monkeypatch.setattr(Server, "serve", serve)
    monkeypatch.setattr("neocog.cli.explore.webbrowser.open", browse)
    monkeypatch.setattr("neocog.cli.explore.is_terminal", lambda: terminal)
    monkeypatch.setattr("tempfile.tempdir", str(here))
    monkeypatch.setattr("neocog.cli.explore._SNAPS", here / "no snaps")
    code, out, _ = run(capsys, "--port", 0, *arguments)
    assert code == 0
    if opens:
        ((address, _, mode, text),) = opened
        assert address.startswith("file://")
        assert f'content="0;url={out.strip()}"' in text
        assert os.name == "nt" or mode == 0o600
        assert out.strip().partition("=")[2] not in address
    else:
        assert opened == []
    assert list(here.iterdir()) == []


def test_a_browser_that_cannot_be_shown_the_way(capsys, served, monkeypatch, here):
    monkeypatch.setattr("neocog.cli.explore.is_terminal", lambda: True)
    monkeypatch.setattr("neocog.cli.explore.webbrowser.open", lambda address: None)
    monkeypatch.setattr("tempfile.tempdir", str(here / "none"))
    monkeypatch.setattr("neocog.cli.explore._SNAPS", here / "no snaps")
    code, out, err = run(capsys, "--port", 0)
    assert (code, out[:7]) == (0, "http://")
    assert "The browser is not opened (No such file or directory): open the address" in err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_ends_nothing(capsys, served, monkeypatch, here):
    def full(*_):
        (here / "way.html").touch()
        return os.open("/dev/full", os.O_WRONLY), str(here / "way.html")

    monkeypatch.setattr("neocog.cli.explore.is_terminal", lambda: True)
    monkeypatch.setattr("neocog.cli.explore.webbrowser.open", lambda address: pytest.fail(address))
    monkeypatch.setattr("tempfile.mkstemp", full)
    code, out, err = run(capsys, "--port", 0)
    assert (code, out[:7], len(served)) == (0, "http://", 1)
    assert "The browser is not opened (No space left on device): open the address" in err
    assert list(here.iterdir()) == []


def test_notes_are_said(capsys, served, here):
    saved(here / "a.safetensors")
    _, _, err = run(capsys, "a.safetensors", "--port", 0)
    assert "does not say which data it was trained on" in err


# `python -m neocog`, in a process where signals do what they do to one that a user started: where
# the tests run in the background or under nohup, what is started inherits that some are ignored.
_AS_A_USER = """
import runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
for name in ("SIGTERM", "SIGHUP"):
    signal.signal(getattr(signal, name), signal.SIG_DFL)
runpy.run_module("neocog", run_name="__main__", alter_sys=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals to send")
@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("SIGINT", 130, "neocog: interrupted.\n"),
        ("SIGTERM", 143, "neocog: ended by SIGTERM.\n"),
        ("SIGHUP", 129, "neocog: ended by SIGHUP.\n"),
    ],
)
def test_as_a_user_runs_it(here, name, code, said):
    """A process of its own, ended while it trains."""
    process = subprocess.Popen(
        [sys.executable, "-c", _AS_A_USER, "explore", "--port", "0", "--threads", "2"],
        cwd=here,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with contextlib.ExitStack() as ending:
        ending.callback(process.communicate)
        ending.callback(process.kill)
        place, token = process.stdout.readline().strip().split("/?token=")
        assert place.startswith("http://127.0.0.1:")

        def ask(method: str, path: str, body: bytes | None = None) -> http.client.HTTPResponse:
            connection = http.client.HTTPConnection(place[7:], timeout=PATIENCE)
            ending.callback(connection.close)
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            connection.request(method, path, body, headers)
            reply = connection.getresponse()
            ending.callback(reply.close)
            assert reply.status == 200
            return reply

        stream = ask("GET", "/api/events")
        ask("POST", "/api/training/start", b"{}")
        for line in stream:
            if line.startswith(b"data: ") and json.loads(line[6:])["training"]["steps"] > 10:
                break
        process.send_signal(getattr(signal, name))
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == code
    assert err.endswith(said)
    assert "Traceback" not in err
    assert list(here.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGHUP")
def test_a_signal_that_is_ignored_stays_so(capsys, monkeypatch):
    """As under nohup; and afterwards all are as they were."""
    found = {}

    def serve(self, session):
        found.update({n: signal.getsignal(n) for n in (signal.SIGHUP, signal.SIGTERM)})

    monkeypatch.setattr(Server, "serve", serve)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN), signal.getsignal(signal.SIGTERM)
    try:
        assert run(capsys, "--port", 0)[0] == 0
        assert found[signal.SIGHUP] == signal.SIG_IGN
        assert found[signal.SIGTERM] != before[1]
        assert signal.getsignal(signal.SIGTERM) == before[1]
    finally:
        signal.signal(signal.SIGHUP, before[0])
