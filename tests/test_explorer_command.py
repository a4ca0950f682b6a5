"""``neocog explore``: which network and data it is about, and how it starts and ends."""

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

import numpy as np
import pytest
from exploring import PATIENCE

import neocog
from neocog import loading
from neocog.cli import explore as explore_module  # noqa: F401  (patched below by its full name)
from neocog.cli import main
from neocog.data import Data, is_here
from neocog.data.shapes import CLASSES, shapes
from neocog.data.sources import cifar10 as cifar
from neocog.errors import FormatError, NeocogError
from neocog.formats import save_model
from neocog.loading import open_network
from neocog.web import Server


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def little_data(monkeypatch):
    """Give small data by their names, and refuse what would have to be downloaded."""
    asked = []

    def load(name, *, progress=None):
        asked.append(name)
        if name == "cifar10":
            part = shapes(0, 8, 4)
            return Data("cifar10", part.train, part.test, cifar.CLASSES)
        return shapes(0, 8, 4)

    monkeypatch.setattr(loading, "load_data", load)
    return asked


def saved(path, classes=CLASSES, **training):
    network = neocog.models.simple_cnn()
    network.initialize(3)
    if classes:
        network.name_classes(classes)
    save_model(network, path, training=training)
    return network


def assert_same(network, other):
    for name, value in other.state_dict().items():
        np.testing.assert_array_equal(network.state_dict()[name], value)


# Which network, which data


def test_a_new_network_for_the_data():
    opened = open_network()
    assert (opened.name, opened.data.name, opened.notes) == ("simple-cnn", "shapes", ())
    assert opened.network.classes == CLASSES
    assert not opened.network.initialized
    opened = open_network(data="cifar10")
    assert (opened.data.name, opened.network.classes) == ("cifar10", cifar.CLASSES)


def test_a_network_by_name():
    opened = open_network("lenet5")
    assert opened.name == "lenet5"
    assert opened.network.input_shape == (3, 32, 32)
    assert neocog.models.name_of(opened.network) == "lenet5"


def test_an_unknown_network_is_wrong_before_data_are_loaded(little_data):
    with pytest.raises(NeocogError, match="Did you mean 'lenet5'"):
        open_network("lenet")
    assert little_data == []


def test_a_python_file(here):
    (here / "mine.py").write_text(
        "import neocog\n"
        "def small(classes, input_shape):\n"
        "    return neocog.Network(flatten=neocog.Flatten(), fc=neocog.Linear(3072, classes))\n"
        "def gray(classes):\n"
        "    return neocog.Network(\n"
        "        input_shape=(1, 8, 8), flatten=neocog.Flatten(), fc=neocog.Linear(64, classes)\n"
        "    )\n"
    )
    opened = open_network("mine.py:small")
    assert (opened.name, list(opened.network.layers)) == ("mine", ["flatten", "fc"])
    with pytest.raises(NeocogError, match=r"mine.py:gray takes images of the shape \(1, 8, 8\)"):
        open_network("mine.py:gray")


def test_a_network_that_ends_in_a_map(here):
    network = neocog.Network(conv=neocog.Conv2d(3, 2, 3))
    network.initialize(0)
    network.save("map.safetensors")
    with pytest.raises(NeocogError, match=r"ends in the shape \(2, 30, 30\); only a network"):
        open_network("map.safetensors")


@pytest.mark.parametrize("name", ["shapes", "cifar10"])
def test_a_saved_network_comes_with_what_it_was_trained_on(here, monkeypatch, name):
    monkeypatch.setattr(loading, "is_here", lambda name: True)
    folder = here / "my-run"
    folder.mkdir()
    classes = CLASSES if name == "shapes" else cifar.CLASSES
    network = saved(folder / "model.safetensors", classes, data=name)
    for path, title in ((folder, "my-run"), (folder / "model.safetensors", "model")):
        opened = open_network(str(path))
        assert (opened.name, opened.data.name, opened.notes) == (title, name, ())
        assert_same(opened.network, network)


@pytest.mark.parametrize(
    ("training", "why"),
    [
        ({}, "does not say which data it was trained on."),
        ({"data": "cifar10"}, "was trained on cifar10, which is not on this machine."),
        ({"data": "/etc/passwd"}, "was trained on /etc/passwd, but does not say where they are."),
        ({"data": "https://a.org/\x1b[2J"}, r"was trained on https://a.org/\x1b[2J, but does not"),
        ({"data": ["shapes"]}, "does not say which data"),
    ],
)
def test_nothing_is_downloaded_or_opened_because_a_file_says_so(
    here, monkeypatch, little_data, training, why
):
    monkeypatch.setattr(loading, "is_here", lambda name: name == "shapes")
    saved(here / "a.safetensors", **training)
    opened = open_network("a.safetensors")
    assert opened.data is None
    (note,) = opened.notes
    assert note.startswith(f"a.safetensors {why}")
    assert little_data == []


def test_a_run_says_where_its_data_are(here, monkeypatch):
    noise, loaded = shapes(0, 8, 4), []

    def load_data(source, **_):
        loaded.append(source)
        return noise

    monkeypatch.setattr(loading, "load_data", load_data)
    monkeypatch.setattr(loading, "holds_pictures", lambda _: False)
    (here / "mine").mkdir()
    (here / "run").mkdir()
    own = noise.fingerprint
    saved(here / "run" / "model.safetensors", data="noise", data_fingerprint=own)
    source = str(here / "mine")

    def opened(**kept):
        info = {"name": "noise", "source": source, "fingerprint": own} | kept
        (here / "run" / "run.json").write_text(json.dumps({"data": info}), encoding="utf-8")
        found = open_network("run")
        return found.data, found.notes

    assert opened() == (noise, ())
    assert loaded == [source]
    # A path is opened only for the data that the model's file speaks of.
    data, (note,) = opened(fingerprint="0" * 64)
    assert (data, note) == (None, "run was trained on noise, but does not say where they are.")
    assert loaded == [source]
    noise.__dict__["fingerprint"] = "1" * 64
    data, (note,) = opened()
    assert (data, note) == (None, f"run was trained on other images than {source} now has.")
    (here / "run" / "run.json").write_text("[" * 100_000)
    assert "does not say where they are" in open_network("run").notes[0]


def test_the_network_of_weights_alone_can_be_said(here):
    (here / "resnet.pytorch").mkdir()
    (here / "resnet.pytorch" / "own.py").write_text(
        "import neocog\n"
        "def gray(classes):\n"
        "    return neocog.Network(\n"
        "        input_shape=(1, 8, 8), flatten=neocog.Flatten(), fc=neocog.Linear(64, classes)\n"
        "    )\n"
    )
    model = "resnet.pytorch/own.py:gray"
    network = neocog.models.load_model_file("resnet.pytorch/own.py", "gray", 4)
    network.initialize(0)
    network.save("a.pth")
    network.save("a.safetensors")
    opened = open_network("a.pth", architecture=model)
    assert_same(opened.network, network)
    assert f"taken for {model}" in opened.notes[0]
    for other in ("a.safetensors", "simple-cnn", None):
        with pytest.raises(NeocogError, match=r"says it itself\. Leave --model out"):
            open_network(other, architecture=model)
    assert loading.name_of_run(model) == "own"


def test_weights_alone_need_data_to_be_named(here):
    network = saved(here / "a.safetensors")
    network.save(here / "a.pth")
    opened = open_network("a.pth")
    assert opened.data is None
    assert opened.notes[0].startswith("a.pth holds weights alone: taken for simple-cnn")
    opened = open_network("a.pth", "shapes")
    assert opened.network.classes == CLASSES
    assert_same(opened.network, network)


def test_data_that_do_not_fit(here):
    saved(here / "a.safetensors", cifar.CLASSES, data="shapes")
    with pytest.raises(NeocogError, match=r"a.safetensors knows the classes airplane, .* ring"):
        open_network("a.safetensors", "shapes")
    # What a file says is no order: it is still opened.
    opened = open_network("a.safetensors")
    assert opened.data is None
    assert "knows the classes airplane" in opened.notes[0]

    network = neocog.models.simple_cnn(3)
    network.initialize(0)
    network.save("three.safetensors")
    with pytest.raises(NeocogError, match="tells 3 classes apart, but shapes has 10"):
        open_network("three.safetensors", "shapes")
    network = neocog.models.simple_cnn(input_shape=(1, 28, 28))
    network.initialize(0)
    network.save("gray.safetensors")
    with pytest.raises(NeocogError, match=r"shape \(1, 28, 28\), but those of shapes are \(3, 32"):
        open_network("gray.safetensors", "shapes")


def test_damaged_files(here):
    saved(here / "a.safetensors")
    content = (here / "a.safetensors").read_bytes()
    (here / "b.safetensors").write_bytes(content[:-100])
    (here / "c.pth").write_bytes(content)
    for path in ("b.safetensors", "c.pth", "none.safetensors", "."):
        with pytest.raises(FormatError, match=path.replace(".", r"\.")):
            open_network(path)


def test_what_is_here(tmp_path, monkeypatch):
    cache, named = tmp_path / "cache", tmp_path / "named"
    monkeypatch.setattr(cifar, "_cache", lambda: cache)
    monkeypatch.delenv("NEOCOG_DATA", raising=False)
    assert is_here("shapes")
    assert not is_here("cifar10")
    assert not is_here(str(tmp_path))
    (cache / cifar.FOLDER).mkdir(parents=True)
    assert not is_here("cifar10")
    (cache / cifar.FOLDER / "data_batch_1.bin").touch()
    assert is_here("cifar10")
    # A place that is named is the only one.
    monkeypatch.setenv("NEOCOG_DATA", str(named))
    assert not is_here("cifar10")
    named.mkdir()
    (named / cifar.ARCHIVE).touch()
    assert is_here("cifar10")
    monkeypatch.setenv("NEOCOG_DATA", str(named / cifar.ARCHIVE))
    assert is_here("cifar10")


def test_what_was_downloaded_before_is_here(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar, "_cache", lambda: tmp_path)
    monkeypatch.delenv("NEOCOG_DATA", raising=False)
    monkeypatch.setattr(cifar, "FILE_BYTES", 3)
    folder = cifar._unpacked_folder()
    folder.mkdir()
    for name in cifar.FILES:
        assert not is_here("cifar10")
        (folder / name).write_bytes(b"abc")
    assert is_here("cifar10")


# The command


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
        code, out, err = run(capsys, "--port", server.server_port)
    finally:
        server.server_close()
    assert (code, out) == (1, "")
    assert f"Port {server.server_port} of 127.0.0.1 is in use" in err
    assert "--port 0" in err


def test_the_address_is_all_that_goes_to_stdout(capsys, served):
    code, out, err = run(capsys, "--port", 0, "--threads", 1)
    ((server, session),) = served
    assert code == 0
    assert out == f"http://127.0.0.1:{server.server_port}/?token={server.access.token}\n"
    assert "Ctrl+C" in err
    assert "Whoever" not in err
    assert server.access.token not in err
    expected = {"name": "shapes", "train": 8, "held_out": 4, "part": "test"}
    assert session.about["data"] == expected


def test_a_warning_for_other_addresses(capsys, served):
    code, out, err = run(capsys, "--port", 0, "--host", "0.0.0.0")
    assert code == 0
    ((server, _),) = served
    assert out == f"http://0.0.0.0:{server.server_port}/?token={server.access.token}\n"
    assert f"Whoever reaches http://0.0.0.0:{server.server_port} and has the address" in err
    assert "unencrypted" in err


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
