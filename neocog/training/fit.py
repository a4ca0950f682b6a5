"""The training loop: epochs of steps, and word of how it goes while they run.

An epoch is one call into compiled code, in threads of its own. This loop watches it: it logs,
reports, and passes Ctrl+C on. It knows nothing of kernels, files or terminals.
"""

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.data.dataset import Dataset
from neocog.engine import Trainer, available_threads
from neocog.errors import DataError, NeocogError, TrainingDivergedError
from neocog.network import Network
from neocog.training.history import Epoch, History, Logged
from neocog.training.optimizers import SGD, Optimizer
from neocog.training.torch_stream import TorchStream

__all__ = ["Watcher", "check_settings", "check_threads", "fit"]

# Seconds between two looks at a running epoch.
_LOOK = 0.05
_MOST_THREADS = 256


class Watcher:
    """Is told how training goes; every method does nothing until a subclass says what to do."""

    def compiling(self, kernels: int) -> None:
        """So many kernels are about to be compiled, for the first time on this machine."""

    def ready(self, history: History) -> None:
        """The program is there; the first step comes next."""

    def progress(self, epoch: int, step: int, steps: int) -> None:
        """So many steps of the epoch are done; called some twenty times a second."""

    def logged(self, entry: Logged) -> None:
        """A line of the log."""

    def epoch_done(self, epoch: Epoch, history: History) -> None:
        """An epoch is finished, and the network has its weights."""


def fit(
    network: Network,
    data: Dataset,
    *,
    epochs: int = 5,
    batch_size: int = 4,
    optimizer: Optimizer | None = None,
    seed: int = 0,
    threads: int | None = None,
    log_every: int = 2000,
    classes: tuple[str, ...] | None = None,
    watcher: Watcher | None = None,
) -> History:
    """Train the network in place with cross-entropy, and give the losses.

    A network without parameters is initialised first. With the same seed its first weights and
    the order of every epoch are PyTorch's, of `torch.manual_seed(seed)`, the network's modules
    and a `DataLoader` that shuffles. The result does not depend on `threads`.

    Ctrl+C ends after the current step: the network then has the weights so far, and
    `History.interrupted` is set.

    Args:
        network: one number a class at its end.
        data: images of the network's input shape, and their classes.
        epochs: how often each image is seen.
        batch_size: images a step; the last step of an epoch may have fewer.
        optimizer: `SGD` (the default: lr 0.001, momentum 0.9) or `Adam`.
        seed: of the initial weights and the shuffling.
        threads: workers; the cores there are, if None.
        log_every: batches between two logged losses; an epoch that has fewer logs at its end.
        classes: names for the network's outputs, to travel with it.
        watcher: told how it goes.

    Raises:
        TrainingDivergedError: the loss, or a weight, became NaN or infinite. The network then has
            the weights of the last finished epoch.
        NeocogError: data or settings that cannot be.
    """
    check_settings(epochs, batch_size, threads, log_every)
    if len(data) == 0:
        raise DataError("There are no images to train on.")
    if classes is not None:
        network.name_classes(classes)
    watcher = watcher or Watcher()
    stream = TorchStream(seed)
    if not network.initialised:
        network.initialise(stream)
    history = History()
    began = time.perf_counter()
    trainer = Trainer(
        network,
        data.images,
        data.labels,
        batch_size=min(batch_size, len(data)),
        optimiser=optimizer or SGD(0.001, momentum=0.9),
        threads=threads or available_threads(),
        on_compile=watcher.compiling,
    )
    history.compile_seconds = time.perf_counter() - began
    history.memory = trainer.memory
    order = stream.epoch_order(len(data))
    watcher.ready(history)
    for epoch in range(1, epochs + 1):
        log = _Log(epoch, -(-len(data) // trainer.batch_size), log_every, history, watcher)
        run = trainer.start(order, log.record)
        try:
            if epoch < epochs:
                order = stream.epoch_order(len(data))  # while the workers are busy
            ended = False
            while not ended:
                ended = run.wait(_LOOK)
                log.look(trainer.done)
        except KeyboardInterrupt:
            trainer.stop()
            history.interrupted = True
        except BaseException:
            # A watcher failed. The workers must not outlive the arrays that they read.
            trainer.stop()
            run.finish()
            raise
        done = run.finish()
        trainer.finished(done, log.steps)
        log.look(done)
        log.close(done)
        if history.interrupted and done < log.steps:
            network.load_state_dict(trainer.state())
            return history
        state = trainer.state()
        _check_finite(state, log, done)
        network.load_state_dict(state)
        history.epochs.append(Epoch(epoch, float(log.record.mean()), log.seconds))
        watcher.epoch_done(history.epochs[-1], history)
        if history.interrupted:
            history.interrupted = epoch < epochs
            return history
    return history


class _Log:
    """The losses of one epoch as they come in."""

    def __init__(
        self, epoch: int, steps: int, every: int, history: History, watcher: Watcher
    ) -> None:
        self.epoch = epoch
        self.steps = steps
        self.record: NDArray[np.float64] = np.full(steps, np.nan)
        self.seconds = 0.0
        self._every = min(every, steps)
        self._history = history
        self._watcher = watcher
        self._written = 0
        self._before = history.seconds
        self._steps_before = history.steps
        self._began = time.perf_counter()

    def look(self, done: int) -> None:
        """Log what has come in since the last look."""
        self.seconds = time.perf_counter() - self._began
        self._watcher.progress(self.epoch, done, self.steps)
        while self._written + self._every <= done:
            part = self.record[self._written : self._written + self._every]
            self._written += self._every
            entry = Logged(
                self.epoch, self._written, float(part.mean()), self._before + self.seconds
            )
            self._history.logged.append(entry)
            self._watcher.logged(entry)

    def close(self, done: int) -> None:
        """Count the epoch's steps and its time."""
        self._history.steps = self._steps_before + done
        self._history.seconds = self._before + self.seconds


def _check_finite(state: dict[str, NDArray[Any]], log: _Log, done: int) -> None:
    if done < log.steps:
        what = f"The loss became {log.record[done]} in epoch {log.epoch}, batch {done + 1}"
    elif not all(np.isfinite(value).all() for value in state.values()):
        what = f"A weight became NaN or infinite in epoch {log.epoch}, batch {done}"
    else:
        return
    raise TrainingDivergedError(
        f"{what}. Training has stopped; the results up to the epoch before are kept. Try a smaller "
        "learning rate (a tenth), or a smaller momentum."
    )


def check_settings(epochs: int, batch_size: int, threads: int | None, log_every: int) -> None:
    """Raise `NeocogError` for numbers that `fit` would not take."""
    for name, value, most in (
        ("epochs", epochs, 1_000_000),
        ("batch_size", batch_size, 1_000_000),
        ("log_every", log_every, 1_000_000_000),
    ):
        _check_number(name, value, most)
    check_threads(threads)


def check_threads(threads: int | None) -> None:
    """Raise `NeocogError` for a number of workers that cannot be; None means every core."""
    if threads is not None:
        _check_number("threads", threads, _MOST_THREADS)


def _check_number(name: str, value: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise NeocogError(f"{name} (={value!r}) must be a whole number from 1 to {most}.")
