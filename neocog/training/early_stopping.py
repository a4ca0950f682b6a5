"""Which epoch is the best so far, and when there is no use in further ones."""

from collections.abc import Sequence
from math import isfinite

from neocog.errors import NeocogError
from neocog.settings.training import TrainingSettings
from neocog.training.callback import Callback
from neocog.training.history import Epoch, History
from neocog.training.run import TrainingRun

__all__ = ["EarlyStopping", "best_epoch", "is_long_enough"]


def best_epoch(epochs: Sequence[Epoch], settings: TrainingSettings) -> int | None:
    """The index of the best epoch by the measure that the settings name; None if there is none.

    An epoch is better only if it is better by `min_delta`. One whose measure is missing, NaN or
    infinite is never the best.
    """
    best, found = None, None
    for index, epoch in enumerate(epochs):
        value = getattr(epoch, settings.monitor)
        if value is None or not isfinite(value):
            continue
        if settings.monitor == "validation_accuracy":
            value = -value
        if best is None or value < best - settings.min_delta:
            best, found = value, index
    return found


def is_long_enough(epochs: Sequence[Epoch], settings: TrainingSettings) -> bool:
    """Whether there have been `patience` epochs in a row none of which was better than before."""
    best = best_epoch(epochs, settings)
    if settings.patience is None or best is None:
        return False
    return len(epochs) - 1 - best >= settings.patience


class EarlyStopping(Callback):
    """Ends a training after `patience` epochs in a row none of which was better than before.

    Args:
        settings: of the training.
        has_validation: whether there are data to validate by.

    Raises:
        NeocogError: the measure needs validation data, and there are none.
    """

    def __init__(self, settings: TrainingSettings, *, has_validation: bool) -> None:
        self._settings = settings
        if settings.patience is not None and settings.monitor != "loss" and not has_validation:
            measure = settings.monitor.replace("_", " ")
            raise NeocogError(
                f"patience (={settings.patience}) goes by the {measure}, and there are no "
                "validation data. Give some, or set monitor to 'loss'."
            )

    def begin(self, run: TrainingRun) -> None:
        """Stop at once where a run is continued that had been long enough."""
        self._stop_in_time(run.history)

    def epoch_done(self, epoch: Epoch, history: History) -> None:
        """Stop where it has been long enough."""
        self._stop_in_time(history)

    def _stop_in_time(self, history: History) -> None:
        if is_long_enough(history.epochs, self._settings):
            self.stop()
