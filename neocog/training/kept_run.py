"""A run of `neocog.fit` that is kept in a folder, and how it ends there."""

import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from neocog.files import exists
from neocog.formats.checkpoint import Checkpoint
from neocog.network import Network
from neocog.run_files import CONFIG
from neocog.settings.codec import from_plain
from neocog.settings.recipe import Recipe
from neocog.settings.training import TrainingSettings
from neocog.signals import deferred_signals, termination_signals
from neocog.training.history import History
from neocog.training.run_config import read_run_config
from neocog.training.run_folder import RunFolder

__all__ = ["Kept", "keeping", "reopened", "settings_of_run"]

# From `warnings.warn` to whoever called `fit`.
_TO_CALLER = 3


@dataclass
class Kept:
    """A run and its folder.

    Attributes:
        folder: of the run.
        history: None until it has ended by itself, or by Ctrl+C.
    """

    folder: RunFolder
    history: History | None = None

    def done(self, history: History) -> History:
        """Say that it has ended; gives the history."""
        self.history = history
        return history


@contextmanager
def keeping(folder: RunFolder, network: Network) -> Iterator[Kept]:
    """Say in the folder how a training ends that happens within, whatever ends it.

    SIGTERM and SIGHUP end it as Ctrl+C does, and then do what they would have done before.
    """
    with termination_signals() as ended:
        kept = Kept(folder)
        try:
            try:
                yield kept
                if kept.history is not None:
                    with deferred_signals():
                        _finish(folder, network, kept.history, ended.by.name if ended.by else None)
            except BaseException as error:
                with deferred_signals():
                    folder.fail(error, ended.by.name if ended.by else None)
                raise
        finally:
            by = ended.by
    if by is not None:
        signal.raise_signal(by.exit_code - 128)


def _finish(folder: RunFolder, network: Network, history: History, by: str | None) -> None:
    if not history.interrupted:
        folder.finish(history, None, "finished")
    elif history.steps == 0:
        folder.fail(KeyboardInterrupt(), by)
    else:
        folder.save(network, history)
        folder.finish(history, None, "interrupted", by)


def reopened(folder: RunFolder) -> tuple[TrainingSettings, Checkpoint]:
    """The settings of a run that goes on, and its newest checkpoint that is whole.

    Warns of newer ones that are damaged.

    Raises:
        FormatError: there is none.
    """
    newest = folder.newest()
    for sentence in newest.damaged:
        warnings.warn(sentence, stacklevel=_TO_CALLER)
    config = folder.path / CONFIG
    if exists(config):
        return read_run_config(config)[0], newest.checkpoint
    return settings_of_run(newest.checkpoint), newest.checkpoint


def settings_of_run(checkpoint: Checkpoint) -> TrainingSettings:
    """The settings that a run had when a checkpoint was saved.

    Raises:
        NeocogError: it has none.
    """
    return from_plain(Recipe, checkpoint.values.get("settings"), "The checkpoint's settings")
