"""How a training goes, where Python is used interactively: a line an epoch, and a live one below.

In a notebook the live line is an output that is written anew, in IPython and Python on a terminal a
line of stderr that is; that of an epoch that is done stays. Programs, and what is written into
pipes and files, get none of it.
"""

import sys
import time
from collections.abc import Callable
from math import ceil
from typing import Any

from neocog.training.callback import Callback
from neocog.training.early_stopping import best_epoch
from neocog.training.epoch_line import epoch_line, left
from neocog.training.history import Epoch, History, Logged
from neocog.training.rounding import round_up
from neocog.training.run import TrainingRun
from neocog.training.time_left import TimeLeft

__all__ = ["LiveLine", "interactive_callback"]

# Seconds between two texts of the line.
_PAUSE = 0.2


class LiveLine(Callback):
    """Shows the epoch, how much is done, the latest loss, the pace and the time that is left.

    Args:
        epochs: how long the training is.
        show: called with the line's text, again and again, and with True where it is to stay and
            the next text begins a line of its own.
    """

    def __init__(self, epochs: float, show: Callable[[str, bool], None]) -> None:
        self._time_left: TimeLeft | None = None
        self._best: Callable[[History], int | None] = lambda _history: None
        self._epochs = epochs
        self._show = show
        self._shown = 0.0
        self._whole = 0
        self._first: int | None = None
        self._loss = ""
        self._began: float | None = None
        self._compiled = False

    def begin(self, run: TrainingRun) -> None:
        """Know how long the training is, and which epoch is the best."""
        self._time_left = TimeLeft(run.length)
        self._best = lambda history: best_epoch(history.epochs, run.settings)

    def compiling(self, kernels: int) -> None:
        """Say what is waited for."""
        self._compiled = True
        self._show(f"Compiling {kernels} kernel{'' if kernels == 1 else 's'} …", False)

    def ready(self, history: History) -> None:
        """Begin to count."""
        self._began = time.monotonic()

    def progress(self, epoch: int, step: int, steps: int) -> None:
        """Write the line anew, not too often."""
        now = time.monotonic()
        seconds = self._time_left.progress(epoch, step) if self._time_left else None
        if now - self._shown < _PAUSE:
            return
        self._shown = now
        self._whole = max(self._whole, steps)
        done = (epoch - 1) * self._whole + step
        total = max(1, round_up(self._epochs, self._whole)) if self._epochs > 1 else steps
        if self._first is None:  # not 0 in a run that is continued
            self._first = done
        rate = (done - self._first) / max(now - (self._began or now), 1e-9)
        self._show(
            f"epoch {epoch} of {ceil(self._epochs)}, {100 * done / total:.0f} %{self._loss}, "
            f"{rate:,.{0 if rate >= 10 else 1}f} batches/s"
            + ("" if seconds is None else f", {left(seconds)}"),
            False,
        )

    def logged(self, entry: Logged) -> None:
        """Keep the loss for the line."""
        self._loss = f", loss {entry.loss:.3f}"

    def epoch_done(self, epoch: Epoch, history: History) -> None:
        """Leave a line that says how it went."""
        self._loss = f", loss {epoch.loss:.3f}"
        seconds = self._time_left.epoch_done(epoch.epoch) if self._time_left else None
        self._show(epoch_line(history.epochs, self._epochs, self._best(history), seconds), True)

    def ended(self, history: History) -> None:
        """Leave a line that says what was done."""
        if self._began is None:
            if self._compiled:
                self._show("it did not begin", True)
            return
        done = len(history.epochs)
        word = "interrupted after " if history.interrupted else ""
        word = "stopped after " if history.stopped else word
        epochs = f"{done} epoch{'' if done == 1 else 's'}"
        self._show(f"{word}{epochs}{self._loss}, {history.seconds:.1f} s", True)


def interactive_callback(epochs: float) -> LiveLine | None:
    """A line in the notebook or on the terminal where Python is used interactively, or None."""
    shell = _ipython()
    if shell is not None and hasattr(shell, "kernel"):
        return LiveLine(epochs, _in_notebook())
    at_a_prompt = shell is not None or hasattr(sys, "ps1")
    if at_a_prompt and sys.stderr is not None and sys.stderr.isatty():
        return LiveLine(epochs, _on_terminal)
    return None


def _ipython() -> Any:
    """The IPython that runs this; None if none does. Imports nothing that is not there."""
    module = sys.modules.get("IPython")
    get = getattr(module, "get_ipython", None)
    return get() if callable(get) else None


def _in_notebook() -> Callable[[str, bool], None]:
    display = sys.modules["IPython"].display.display
    handle: Any = None

    def show(text: str, last: bool) -> None:
        nonlocal handle
        content = {"text/plain": text}
        if handle is None:
            handle = display(content, raw=True, display_id=True)
        else:
            handle.update(content, raw=True)
        if last:
            handle = None

    return show


def _on_terminal(text: str, last: bool) -> None:
    sys.stderr.write(f"\r{text}\x1b[K" + ("\n" if last else ""))
    sys.stderr.flush()
