"""The line that shows how a training goes, in notebooks and at a prompt."""

import re
import sys
import types

import pytest
from fitting import fit, small_data, small_network

import neocog
from neocog.training.history import Epoch, History
from neocog.training.live_line import LiveLine


class Shell:
    """As IPython's: in a notebook it has a kernel."""

    def __init__(self, **attributes):
        self.__dict__ |= attributes


class Handle:
    def __init__(self, shown):
        self.shown = shown

    def update(self, content, *, raw):
        assert raw
        self.shown.append(content["text/plain"])


@pytest.fixture
def ipython(monkeypatch):
    """Be in IPython; gives what its display is given."""

    def be(shell):
        shown = []

        def display(content, *, raw, display_id):
            assert raw
            assert display_id
            shown.append(content["text/plain"])
            return Handle(shown)

        module = types.ModuleType("IPython")
        module.get_ipython = lambda: shell
        module.display = types.SimpleNamespace(display=display)
        monkeypatch.setitem(sys.modules, "IPython", module)
        return shown

    return be


def test_in_a_notebook_a_line_shows_how_it_goes(ipython, monkeypatch, capsys):
    monkeypatch.setattr("neocog.training.live_line._PAUSE", 0)
    shown = ipython(Shell(kernel=1))
    history = fit(small_network(), epochs=2)
    *texts, last = [text for text in shown if not text.startswith("Compiling")]
    stays = [text for text in texts if text.startswith("Epoch")]
    for number, (text, epoch) in enumerate(zip(stays, history.epochs, strict=True), 1):
        left = r"(, \d+ s left)?" if number == 1 else ""
        loss = re.escape(f"{epoch.loss:.4g}")
        assert re.fullmatch(rf"Epoch {number} of 2: loss {loss}, \d\.\d s{left}", text), text
    running = [text for text in texts if text not in stays]
    number = r"\d+(,\d{3})*(\.\d)?"
    for text in running:
        assert re.fullmatch(
            rf"epoch [12] of 2, \d+ %(, loss \d\.\d{{3}})?, {number} batches/s(, \d+ s left)?", text
        ), text
    assert running
    assert last == f"2 epochs, loss {history.epochs[-1].loss:.3f}, {history.seconds:.1f} s"
    assert capsys.readouterr() == ("", "")
    shown.clear()
    fit(small_network(), callback=neocog.Callback())
    assert shown == []


@pytest.mark.parametrize("word", ["interrupted", "stopped", ""])
def test_what_ended_early_says_how(word):
    history = History(epochs=[Epoch(1, 0.5, 2.0)], seconds=2.0)
    if word:
        setattr(history, word, True)
    shown = []
    line = LiveLine(3, lambda text, _last: shown.append(text))
    line.ready(history)
    line.ended(history)
    after = f"{word} after " if word else ""
    assert shown == [f"{after}1 epoch, 2.0 s"]
    assert repr(history).endswith(f" 2.0 s, {word}>" if word else " 2.0 s>")


def test_in_a_notebook_each_epoch_has_an_output_of_its_own(ipython):
    outputs = []

    class Display:
        def __call__(self, content, *, raw, display_id):
            outputs.append(content["text/plain"])
            return self

        def update(self, content, *, raw):
            outputs[-1] = content["text/plain"]

    ipython(Shell(kernel=1))
    sys.modules["IPython"].display.display = Display()
    fit(small_network(), epochs=3, validation=small_data())
    outputs = [text for text in outputs if not text.startswith("Compiling")]
    assert [text[: len("Epoch 1 of 3: loss ")] for text in outputs[:3]] == [
        f"Epoch {number} of 3: loss " for number in (1, 2, 3)
    ]
    assert all(re.search(r", validation \d\.\d+, \d+\.\d\d %, ", text) for text in outputs[:3])
    assert re.fullmatch(r"3 epochs, loss \d\.\d{3}, \d\.\d s", outputs[3])
    assert len(outputs) == 4


def test_at_a_prompt_a_line_is_written_anew(monkeypatch, capsys):
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    fit(small_network())
    assert capsys.readouterr() == ("", "")  # in a pipe nothing is
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    fit(small_network())
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("\r")
    assert re.search(r"\r1 epoch, loss \d\.\d{3}, \d\.\d s\x1b\[K\n$", err)


def test_programs_and_ipython_without_a_terminal_get_no_line(ipython, capsys):
    fit(small_network())
    ipython(Shell())
    fit(small_network())
    ipython(None)
    fit(small_network())
    assert capsys.readouterr() == ("", "")
