"""One trial: a training in a run folder of its own, which may end early.

While it trains, the folder has the models of its last and best epochs. Models are kept of the best
trial alone; of others stay ``config.toml``, ``history.csv`` and ``run.json``.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from math import isfinite
from pathlib import Path
from typing import Any

from neocog.data.dataset import Data
from neocog.errors import NeocogError, TrainingDivergedError
from neocog.network import Network
from neocog.run_files import BEST, LAST, WEIGHTS
from neocog.settings.recipe import Recipe
from neocog.signals import deferred_signals
from neocog.training.callback import Callback
from neocog.training.early_stopping import best_epoch
from neocog.training.fit import fit
from neocog.training.history import Epoch, History
from neocog.training.run import TrainingRun
from neocog.training.run_folder import RunFolder
from neocog.tuning.study import TrialResult

__all__ = ["TRIALS", "drop_models", "folder_of_trial", "run_trial"]

#: The folder of all trials in a study's folder.
TRIALS = "trials"


def folder_of_trial(study: Path, number: int) -> Path:
    """The run folder of a trial."""
    return study / TRIALS / f"{number:04d}"


def drop_models(folder: Path) -> None:
    """Remove the models of a trial that is not the best."""
    with suppress(OSError):
        for name in (BEST, LAST, WEIGHTS):
            (folder / name).unlink(missing_ok=True)


class _Keeping(Callback):
    """Saves the models and the history after each epoch."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder

    def begin(self, run: TrainingRun) -> None:
        """Keep the run, whose network is saved."""
        self._run = run

    def epoch_done(self, epoch: Epoch, history: History) -> None:
        """Save what there is."""
        is_best = best_epoch(history.epochs, self._run.settings) == len(history.epochs) - 1
        with deferred_signals():
            self._folder.save(self._run.network, history, is_best=is_best)


class _Pruning(Callback):
    """Ends a trial that is not promising, or whose measure is no number."""

    def __init__(self, monitor: str, report: Callable[[float, int], bool]) -> None:
        self._monitor = monitor
        self._report = report
        self.pruned = False

    def begin(self, run: TrainingRun) -> None:
        """Keep the run, which says where it ends."""
        self._run = run

    def epoch_done(self, epoch: Epoch, history: History) -> None:
        """Report the measure; one that is done is not stopped any more."""
        value = getattr(epoch, self._monitor)
        if value is None or not isfinite(value):
            self.stop()
        elif self._report(value, epoch.epoch) and not self._run.is_done:
            self.pruned = True
            self.stop()


def run_trial(
    number: int,
    values: Mapping[str, Any],
    make: Callable[[], Network],
    data: Data,
    settings: Recipe,
    folder: Path,
    report: Callable[[float, int], bool],
    *,
    options: Mapping[str, Any] | None = None,
    callback: Callback | None = None,
) -> TrialResult:
    """Train with the settings of a trial.

    Args:
        number: of the trial.
        values: that were drawn for it.
        make: gives the network.
        data: with a part for validation.
        settings: of this training.
        folder: of the run; new.
        report: told the measure after each epoch; gives whether the trial should end.
        options: of the data, for ``config.toml``.
        callback: told how it goes, too.

    Returns:
        How it ended. Whatever `NeocogError` it raises is a trial that failed.
    """
    began = time.monotonic()

    def ended(outcome: str, epochs: int = 0, **more: Any) -> TrialResult:
        seconds = time.monotonic() - began
        return TrialResult(number, values, outcome, epochs=epochs, seconds=seconds, **more)

    run = RunFolder.create(folder, "", settings, data, options)
    pruning = _Pruning(settings.monitor, report)
    watching = [pruning, _Keeping(run), *([callback] if callback else [])]
    try:
        history = fit(
            make(),
            data.train,
            settings,
            validation=data.validation,
            classes=data.classes,
            callback=watching,
        )
    except TrainingDivergedError as error:
        run.fail(error)
        return ended("diverged", reason=str(error))
    except NeocogError as error:
        run.fail(error)
        return ended("failed", reason=str(error))
    except KeyboardInterrupt as error:
        with deferred_signals():
            run.fail(error)
        return ended("interrupted")
    except BaseException as error:
        run.fail(error)
        raise
    with deferred_signals():
        run.finish(history, None, "interrupted" if history.interrupted else "finished")
    epochs = len(history.epochs)
    if history.interrupted:
        return ended("interrupted", epochs)
    if pruning.pruned:
        return ended("pruned", epochs)
    best = best_epoch(history.epochs, settings)
    if best is None or not isfinite(getattr(history.epochs[-1], settings.monitor)):
        reason = f"The {settings.monitor.replace('_', ' ')} is no number."
        return ended("diverged", epochs, reason=reason)
    return ended("finished", epochs, value=float(getattr(history.epochs[best], settings.monitor)))
