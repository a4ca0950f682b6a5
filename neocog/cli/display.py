"""Progress of training: losses on stdout as the note prints them, and a live line on a terminal."""

import sys
from math import ceil

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from neocog.cli.terminal import drawing, is_terminal, say, say_compiling
from neocog.settings.training import TrainingSettings
from neocog.training.callback import Callback
from neocog.training.early_stopping import best_epoch
from neocog.training.epoch_line import epoch_line, left
from neocog.training.history import Epoch, History, Logged
from neocog.training.rounding import round_up
from neocog.training.run import TrainingRun
from neocog.training.time_left import TimeLeft

__all__ = ["Display"]

# Compiling for less than this means loading from disk, which is not worth a line.
_WORTH_SAYING = 2.0


class Display(Callback):
    """Prints losses and progress while a network trains."""

    def __init__(self, settings: TrainingSettings) -> None:
        self._settings = settings
        self._epochs = settings.epochs
        # Batches of a full epoch; the last epoch may have fewer.
        self._whole = 0
        self._prepared = "Compiled in"
        # Batches that were done when it began to show any.
        self._first: int | None = None
        self._live: Progress | None = None

    def close(self) -> None:
        """Remove the live line."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def begin(self, run: TrainingRun) -> None:
        """Know how long the training is, and say what computes."""
        self._time_left = TimeLeft(run.length)
        say(f"Engine: {run.engine}.")
        if run.engine.engine == "torch":
            self._prepared = "PyTorch was ready after"

    def compiling(self, kernels: int) -> None:
        """Say that kernels are being compiled."""
        say_compiling(kernels)

    def ready(self, history: History) -> None:
        """Start the live line."""
        if history.compile_seconds > _WORTH_SAYING:
            say(f"{self._prepared} {history.compile_seconds:.1f} s.")
        if is_terminal():
            self._live = Progress(
                TextColumn("{task.description}"),
                # Kept short: ^C, when typed, would break a line that fills the terminal's width.
                BarColumn(bar_width=20),
                TextColumn("{task.percentage:>3.0f} %"),
                TextColumn("{task.fields[rate]}"),
                TextColumn("{task.fields[left]}"),
                console=Console(file=drawing()),
                transient=True,
                # Printed lines appear above the live one if both streams are the same terminal.
                redirect_stdout=sys.stdout.isatty(),
            )
            self._task = self._live.add_task("", total=1, rate="", left="")
            self._live.start()

    def progress(self, epoch: int, step: int, steps: int) -> None:
        """Update the live line."""
        seconds = self._time_left.progress(epoch, step)
        if self._live is None:
            return
        self._whole = max(self._whole, steps)
        done = (epoch - 1) * self._whole + step
        if self._first is None:  # not 0 in a run that is continued
            self._first = done
            self._live.reset(self._task, completed=done)
        elapsed = self._live.tasks[0].elapsed or 0
        rate = (done - self._first) / elapsed if elapsed else 0.0
        self._live.update(
            self._task,
            total=max(round_up(self._epochs, self._whole), steps) if self._epochs > 1 else steps,
            completed=done,
            description=f"epoch {epoch} of {ceil(self._epochs)}",
            rate=f"{rate:,.{0 if rate >= 10 else 1}f} batches/s" if rate else "",
            left="" if seconds is None else left(seconds),
        )

    def logged(self, entry: Logged) -> None:
        """Print a loss as the note does."""
        print(f"Epoch: {entry.epoch}, Batch: {entry.batch}, Loss: {entry.loss:.3f}", flush=True)

    def epoch_done(self, epoch: Epoch, history: History) -> None:
        """Print the results of the epoch."""
        best = best_epoch(history.epochs, self._settings)
        seconds = self._time_left.epoch_done(epoch.epoch)
        say(epoch_line(history.epochs, self._epochs, best, seconds))
