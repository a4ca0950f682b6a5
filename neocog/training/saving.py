"""The callback that keeps a run in its folder, so that nothing is lost wherever it ends."""

import time
from collections.abc import Callable

from neocog.errors import NeocogError
from neocog.formats.tensorboard import EventWriter
from neocog.network import Network
from neocog.run_files import CONFIG
from neocog.signals import deferred_signals
from neocog.training.callback import Callback
from neocog.training.early_stopping import best_epoch, is_long_enough
from neocog.training.epoch_line import epoch_line
from neocog.training.history import Epoch, History, Logged
from neocog.training.run import TrainingRun
from neocog.training.run_folder import RunFolder
from neocog.training.time_left import TimeLeft

__all__ = ["Saving"]


class Saving(Callback):
    """Writes models and history after each epoch, and checkpoints more often.

    A checkpoint is written before the first step, after every epoch, wherever Ctrl+C or a signal
    ends the run, and as often as the settings say. What is said of an epoch is appended before its
    checkpoint is written, and the models after it, which a run that goes on from there writes anew:
    so a run that was killed in between lacks nothing.

    Args:
        folder: of the run.
        tta: the views that the evaluation will average, which the models' files say.
        whole: gives the network that is saved, where only a part of it is trained.
    """

    def __init__(
        self,
        folder: RunFolder,
        tta: str | None = None,
        whole: Callable[[Network], Network] | None = None,
    ) -> None:
        self._folder = folder
        self._whole = whole
        self._tta = tta
        self._events: EventWriter | None = None
        self._saved_at = time.monotonic()
        self._seconds = 0.0
        # Where the run stood when it was saved last: epoch, batch, whether the epoch is recorded.
        self._saved: tuple[int, int, bool] | None = None

    def begin(self, run: TrainingRun) -> None:
        """Keep the run, whose state is saved.

        Raises:
            NeocogError: it was finished before, and has nothing left to do.
        """
        self._run = run
        self._time_left = TimeLeft(run.length)
        settings = run.settings
        self.pause_every = settings.checkpoint_steps
        self._seconds = 60 * settings.checkpoint_minutes
        self._folder.checkpoints.keep = settings.keep_checkpoints
        if self._folder.was_finished and run.epoch_is_recorded:
            self._check_unfinished(run)

    def _check_unfinished(self, run: TrainingRun) -> None:
        path, epochs = self._folder.path, run.settings.epochs
        if run.is_done:
            why, more = f"it has done all of its {epochs:g} epochs", "more epochs"
        elif is_long_enough(run.history.epochs, run.settings):
            why, more = f"it stopped early after {run.epoch} epochs", "more patience"
        else:
            return
        raise NeocogError(
            f"The run in {path} is finished: {why}. To go on, give it {more}. For a new run with "
            f"its settings: neocog train --config {path / CONFIG}"
        )

    def ready(self, history: History) -> None:
        """Make what is appended to; save where the run begins, or what a kill has cut off."""
        run = self._run
        with deferred_signals():
            goes_on = run.steps > 0 or run.batch > 0
            self._folder.begin(run.settings)
            purge = self._batches(run.epoch, run.batch) + 1 if goes_on else None
            self._events = EventWriter(self._folder.path, purge_step=purge)
            self._folder.log(f"Going on from step {run.steps}" if goes_on else "Started")
            if not self._folder.checkpoints.saved():
                self._save(history)
            elif run.epoch_is_recorded:
                self._save_models(history)

    def progress(self, epoch: int, batch: int, batches: int) -> None:
        """Have the run pause where it is time for a checkpoint."""
        self._time_left.progress(epoch, batch)
        if self._seconds and time.monotonic() - self._saved_at >= self._seconds:
            self.pause()

    def paused(self, history: History) -> None:
        """Save where the run stands."""
        with deferred_signals():
            self._save(history)

    def logged(self, entry: Logged) -> None:
        """Append the loss to what TensorBoard reads, and to the log."""
        if self._events is not None:
            batches = self._batches(entry.epoch, entry.batch)
            self._events.add_scalars(batches, {"loss/batches": entry.loss})
        self._folder.log(f"Epoch {entry.epoch}, batch {entry.batch}: loss {entry.loss:.6g}")

    def epoch_done(self, epoch: Epoch, history: History) -> None:
        """Append what there is to say of the epoch, and save it."""
        run = self._run
        with deferred_signals():
            best = best_epoch(history.epochs, run.settings)
            time_left = self._time_left.epoch_done(epoch.epoch)
            self._folder.log(epoch_line(history.epochs, run.settings.epochs, best, time_left))
            if self._events is not None:
                self._events.add_scalars(self._batches(run.epoch, run.batch), _scalars(epoch))
            self._save(history)

    def ended(self, history: History) -> None:
        """Close what was appended to."""
        if self._events is not None:
            self._events.close()
            self._events = None

    def _batches(self, epoch: int, batch: int) -> int:
        """Batches of the whole run up to one of an epoch."""
        return (epoch - 1) * self._run.length.whole + batch

    def _save(self, history: History) -> None:
        run = self._run
        place = (run.epoch, run.batch, run.epoch_is_recorded)
        if place == self._saved:
            return
        if self._events is not None:
            self._events.flush()
        self._folder.checkpoints.save(run.steps, run.state())
        if run.epoch_is_recorded:
            self._save_models(history)
        self._saved, self._saved_at = place, time.monotonic()

    def _save_models(self, history: History) -> None:
        best = best_epoch(history.epochs, self._run.settings)
        is_best = best == len(history.epochs) - 1 and history.epochs[-1].validation_loss is not None
        network = self._run.network
        network = self._whole(network) if self._whole is not None else network
        self._folder.save(network, history, self._tta, is_best=is_best)
        self._folder.note_progress(history)


def _scalars(epoch: Epoch) -> dict[str, float]:
    values = {
        "loss/training": epoch.loss,
        "loss/validation": epoch.validation_loss,
        "accuracy/validation": epoch.validation_accuracy,
        "learning rate": epoch.lr,
    }
    return {tag: value for tag, value in values.items() if value is not None}
