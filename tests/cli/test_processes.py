"""Commands in processes of their own: signals, kills, readers that leave, and whole runs."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import CLASSES, FILES, FINISHED, names_in

import neocog
from neocog.cli import main
from neocog.training.run_process import settle


def start(*arguments: object, cwd: Path, **settings) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "neocog", *map(str, arguments)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        **settings,
    )


def ended(*arguments: object, cwd: Path, **settings) -> tuple[int, str, str]:
    process = start(*arguments, cwd=cwd, **settings)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, **more}


def test_built_in_data_from_end_to_end(here):
    """A fresh machine's first command, but for the epochs; in a pipe, so without a live line."""
    code, out, err = ended(
        *("train", "shapes", "--epochs", 1, "--batch-size", 64, "--lr", 0.01, "--log-every", 300),
        cwd=here,
    )
    assert code == 0, err
    first, second, finished, accuracy, results = out.splitlines()
    assert re.fullmatch(r"Epoch: 1, Batch: 300, Loss: \d\.\d{3}", first)
    assert re.fullmatch(r"Epoch: 1, Batch: 600, Loss: \d\.\d{3}", second)
    assert finished == "Training finished."
    percent = re.fullmatch(r"Test accuracy: (\d\d\.\d\d) % of 10,000 images \(.* %\)", accuracy)
    assert 70 < float(percent[1]) < 95
    folder = here / results.removeprefix("Results: ")
    assert names_in(folder) == FINISHED
    assert json.loads((folder / "run.json").read_text())["versions"]["neocog"]
    # No escape sequences, no redrawn lines: a line an epoch, and words on compiling.
    assert "\x1b" not in out + err
    assert "\r" not in out + err
    said = r"Engine: |Compil(ing \d+ kernels|ed in )|Epoch 1 of 1: loss "
    assert all(re.match(said, line) for line in err.splitlines())

    code, out, err = ended("evaluate", folder, "--json", cwd=here)
    assert code == 0, err
    result = json.loads(out)
    assert f"{100 * result['accuracy']:.2f}" == percent[1]
    assert result["classes"][0]["name"] == "ring"


@pytest.mark.skipif(not os.environ.get("NEOCOG_DATA"), reason="NEOCOG_DATA does not name CIFAR-10")
def test_cifar10_from_end_to_end(here):
    code, out, err = ended(
        *("train", "cifar10", "--epochs", 1, "--batch-size", 64, "--lr", 0.01, "--log-every", 300),
        cwd=here,
    )
    assert code == 0, err
    percent = re.search(r"Test accuracy: (\d\d\.\d\d) % of 10,000 images", out)
    assert 40 < float(percent[1]) < 70
    folder = here / re.search("Results: (.*)", out)[1]
    assert f"{percent[1]} %" in ended("evaluate", folder, cwd=here)[1]


@pytest.fixture
def long_run(here, monkeypatch):
    """Begin a run with small epochs that nobody will wait for."""
    script = here / "long.py"
    script.write_text(
        "import importlib, signal, sys\n"
        # Whatever this process was started with.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "for name in ('SIGTERM', 'SIGHUP'):\n"
        "    if hasattr(signal, name):\n"
        "        signal.signal(getattr(signal, name), signal.SIG_DFL)\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from commands import tiny\n"
        "from neocog.cli import main\n"
        "module = importlib.import_module('neocog.cli.training_setup')\n"
        "module.load_data = lambda *_, **__: tiny(train=int(sys.argv[1]))\n"
        "sys.exit(main(sys.argv[2:]))\n"
    )
    processes = []

    def begin(images: int, *arguments: object) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, str(script), str(images), "train", *map(str, arguments)],
            cwd=here,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield begin
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT to another process is POSIX")
@pytest.mark.parametrize(
    ("name", "code", "word"),
    [
        ("SIGINT", 130, "Interrupted"),
        ("SIGTERM", 143, "Ended by SIGTERM"),
        ("SIGHUP", 129, "Ended by SIGHUP"),
    ],
)
def test_signals_end_a_training_and_keep_what_was_done(long_run, here, name, code, word):
    process = long_run(40_000, "--epochs", 100_000, "--log-every", 100, "--out", "out")
    assert process.stdout.readline().startswith("Epoch: 1, Batch: 100, Loss: ")
    process.send_signal(getattr(signal, name))
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert f"{word}. The weights so far are in out\n" in err
    assert "Training finished." not in out
    assert names_in(here / "out") == FILES
    info = json.loads((here / "out" / "run.json").read_text())
    assert info["status"] == "interrupted"
    assert info.get("signal", "SIGINT") == name
    assert info["steps"] > 0
    assert neocog.load(here / "out").initialized


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT to another process is POSIX")
def test_ctrl_c_while_compiling_leaves_nothing(long_run, here, monkeypatch):
    monkeypatch.setenv("NEOCOG_CACHE_DIR", str(here / "kernels"))
    process = long_run(40, "--epochs", 1, "--out", "new/out")
    assert process.stderr.readline().startswith("Engine: ")
    assert re.match(r"Compiling \d+ kernels", process.stderr.readline())
    assert (here / "new" / "out" / "run.json").exists()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert (out, err) == ("", "neocog: interrupted.\n")
    assert not (here / "new").exists()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL")
def test_a_killed_run_leaves_whole_files_only(long_run, here):
    """Epochs of a millisecond, so that most of the time is spent writing; killed at four times."""
    for attempt, wait in enumerate((0.0, 0.031, 0.077, 0.15)):
        process = long_run(40, "--epochs", 100_000, "--log-every", 10, "--out", f"out{attempt}")
        for _ in range(5):
            assert process.stdout.readline().startswith("Epoch: ")
        time.sleep(wait)
        process.kill()
        process.communicate()
        folder = here / f"out{attempt}"
        info = json.loads((folder / "run.json").read_text())
        assert info["status"] == "running"
        assert neocog.load(folder).classes == CLASSES
        assert "cut off" in settle(folder)  # tidies up behind a process that was killed in a saving
        assert neocog.load(folder / "cnn_model.pth").initialized
        header, *rows = (folder / "history.csv").read_text().splitlines(keepends=True)
        assert header == "epoch,batch,loss,seconds\n"
        assert len(rows) >= 3
        assert all(re.fullmatch(r"\d+,10,\d+\.\d+(e-\d+)?,\d+\.\d+\n", row) for row in rows)
        assert names_in(folder) == FILES


@pytest.mark.skipif(sys.platform == "win32", reason="pipes close otherwise")
def test_a_reader_that_leaves_is_no_traceback(model, pictures, here):
    process = start("predict", model, pictures[0], cwd=here)
    process.stdout.close()
    assert process.wait(timeout=60) == 141
    assert process.stderr.read() == ""
    process.stderr.close()


@pytest.mark.skipif(sys.platform == "win32", reason="pipes close otherwise")
def test_a_training_whose_reader_leaves_goes_on_and_is_kept(long_run, here):
    """As of: neocog train | head -1."""
    process = long_run(400, "--epochs", 20, "--log-every", 10, "--out", "out")
    assert process.stdout.readline().startswith("Epoch: 1, Batch: 10, Loss: ")
    process.stdout.close()
    assert process.wait(timeout=60) == 141
    err = process.stderr.read()
    chatter = ("Engine: ", "Compil", "Epoch ")
    assert [line for line in err.splitlines() if not line.startswith(chatter)] == []
    process.stdout = None
    info = json.loads((here / "out" / "run.json").read_text())
    assert (info["status"], info["steps"]) == ("finished", 20 * 100)
    assert info["test"]["accuracy"] > 0
    assert names_in(here / "out") == FINISHED


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_training_whose_log_is_full_goes_on_and_is_kept(command, with_data, here, monkeypatch):
    with_data()
    with Path("/dev/full").open("w") as full, pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", full)
        code = main(["train", "--epochs", "2", "--log-every", "4", "--out", "out"])
    assert code == 1
    info = json.loads((here / "out" / "run.json").read_text())
    assert (info["status"], info["steps"]) == ("finished", 20)


def test_on_a_terminal_there_is_a_live_line_on_stderr(here, long_run):
    pty = pytest.importorskip("pty")
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [
            *(sys.executable, str(here / "long.py"), "12000", "train"),
            *("--epochs", "4", "--log-every", "1500"),
        ],
        cwd=here,
        stdout=subprocess.PIPE,
        stderr=terminal,
        env=environment(TERM="xterm", COLUMNS="80"),
        text=True,
    )
    os.close(terminal)
    shown = b""
    while True:
        try:
            part = os.read(controller, 65536)
        except OSError:  # how Linux says that the other end is closed
            break
        if not part:
            break
        shown += part
    out = process.communicate(timeout=60)[0]
    os.close(controller)
    assert process.returncode == 0
    assert "\x1b" not in out
    assert len(out.splitlines()) == 4 * 2 + 3
    text = shown.decode()
    assert "\x1b" in text
    assert re.search(r"epoch \d of 4", text)
    assert re.search(r"[\d,]+ batches/s", text)
    assert "left" in text
    # A line as wide as the terminal is broken by the ^C that is typed, and then stays.
    lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", text))
    assert max(map(len, lines)) <= 77
