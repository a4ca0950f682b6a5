"""The callback that keeps a run in its folder, so that nothing is lost wherever it ends."""

import time

from neocog.formats.tensorboard import EventWriter
from neocog.signals import deferred_signals
from neocog.training.callback import Callback
from neocog.training.checkpoints import Checkpoints
from neocog.training.early_stopping import best_epoch
from neocog.training.epoch_line import epoch_line
from neocog.training.history import Epoch, History, Logged
from neocog.training.run import TrainingRun
from neocog.training.run_folder import RunFolder
from neocog.training.time_left import TimeLeft

__all__ = ["Saving"]


class Saving(Callback):
    """Writes models and history after each epoch, and checkpoints more often.

    A checkpoint is written before the first step, after every epoch, wherever Ctrl+C or a signal
    ends the run, and as often as the settings say.

    Args:
        folder: of the run.
        tta: the views that the evaluation will average, which the models' files say.
    """

    def __init__(self, folder: RunFolder, tta: str | None = None) -> None:
        self._folder = folder
        self._tta = tta
        self._events: EventWriter | None = None
        self._saved_at = time.monotonic()
        self._seconds = 0.0

    def begin(self, run: TrainingRun) -> None:
        """Keep the run, whose state is saved."""
        self._run = run
        self._time_left = TimeLeft(run.length)
        settings = run.settings
        self.pause_every = settings.checkpoint_steps
        self._seconds = 60 * settings.checkpoint_minutes
        self._checkpoints = Checkpoints(self._folder.path, settings.keep_checkpoints)

    def ready(self, history: History) -> None:
        """Make what is appended to; save where the run begins."""
        with deferred_signals():
            goes_on = self._run.steps > 0
            purge = self._run.steps + 1 if goes_on else None
            self._events = EventWriter(self._folder.path, purge_step=purge)
            self._folder.log(f"Going on from step {self._run.steps}" if goes_on else "Started")
            if not goes_on:
                self._save_checkpoint()

    def progress(self, epoch: int, batch: int, batches: int) -> None:
        """Have the run pause where it is time for a checkpoint."""
        self._time_left.progress(epoch, batch)
        if self._seconds and time.monotonic() - self._saved_at >= self._seconds:
            self.pause()

    def paused(self, history: History) -> None:
        """Save where the run stands."""
        with deferred_signals():
            self._save_checkpoint()

    def logged(self, entry: Logged) -> None:
        """Append the loss to what TensorBoard reads, and to the log."""
        if self._events is not None:
            batches = (entry.epoch - 1) * self._run.length.whole + entry.batch
            self._events.add_scalars(batches, {"loss/batches": entry.loss})
        self._folder.log(f"Epoch {entry.epoch}, batch {entry.batch}: loss {entry.loss:.6g}")

    def epoch_done(self, epoch: Epoch, history: History) -> None:
        """Save what there is: the best model first, so that none is ever missed."""
        run = self._run
        best = best_epoch(history.epochs, run.settings)
        is_best = best == len(history.epochs) - 1 and epoch.validation_loss is not None
        with deferred_signals():
            self._folder.save(run.network, history, self._tta, is_best=is_best)
            self._save_checkpoint()
            time_left = self._time_left.epoch_done(epoch.epoch)
            self._folder.log(epoch_line(history.epochs, run.settings.epochs, best, time_left))
            if self._events is not None:
                batches = (epoch.epoch - 1) * run.length.whole + run.batches
                self._events.add_scalars(batches, _scalars(epoch))
                self._events.flush()

    def ended(self, history: History) -> None:
        """Close what was appended to."""
        if self._events is not None:
            self._events.close()
            self._events = None

    def _save_checkpoint(self) -> None:
        self._checkpoints.save(self._run.steps, self._run.state())
        self._saved_at = time.monotonic()


def _scalars(epoch: Epoch) -> dict[str, float]:
    values = {
        "loss/training": epoch.loss,
        "loss/validation": epoch.validation_loss,
        "accuracy/validation": epoch.validation_accuracy,
        "learning rate": epoch.lr,
    }
    return {tag: value for tag, value in values.items() if value is not None}
