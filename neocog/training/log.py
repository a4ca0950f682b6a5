"""The losses of one epoch as they come in."""

from neocog.training.callback import Callbacks
from neocog.training.history import Logged
from neocog.training.run import TrainingRun

__all__ = ["Log"]


class Log:
    """Writes the mean loss of every `log_every` batches into the history, and tells of it.

    An epoch that has fewer batches is logged at its end. What was logged before a run was
    continued is not logged again.
    """

    def __init__(self, run: TrainingRun, callbacks: Callbacks) -> None:
        self._run = run
        self._callbacks = callbacks
        self._every = min(run.settings.log_every, run.batches)

    def _logged(self) -> int:
        """Batches of the epoch that are logged, as the history says, whatever interrupted it."""
        latest = self._run.history.logged[-1] if self._run.history.logged else None
        return latest.batch if latest and latest.epoch == self._run.epoch else 0

    def look(self, done: int) -> bool:
        """Log what has come in since the last look; gives whether a callback wants a pause."""
        run = self._run
        self._callbacks.progress(run.epoch, done, run.batches)
        while (batch := self._logged() + self._every) <= done:
            part = run.losses[batch - self._every : batch]
            entry = Logged(run.epoch, batch, float(part.mean()), run.seconds)
            run.history.logged.append(entry)
            self._callbacks.logged(entry)
        return self._callbacks.take_pause()
