"""The training loop: epochs of steps, and word of how it goes while they run.

An epoch is one call into compiled code, in threads of its own. This loop watches it: it logs,
reports, and passes Ctrl+C on. It knows nothing of kernels, files or terminals.
"""

import operator
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.data.images import Dataset, as_dataset
from neocog.engine import Trainer, useful_threads
from neocog.engine.trainer import check_labels
from neocog.errors import DataError, NeocogError, TrainingDivergedError
from neocog.kernels.augmentation import Augment
from neocog.network import Network, Trained, check_network
from neocog.training.augmentation import Augmentation
from neocog.training.averaging import Averaging
from neocog.training.balance import balancing_weights
from neocog.training.callback import Callback
from neocog.training.freezing import with_frozen
from neocog.training.history import Epoch, History, Logged
from neocog.training.live_line import interactive_callback
from neocog.training.optimizers import SGD, Optimizer
from neocog.training.orders import Orders
from neocog.training.run_length import RunLength
from neocog.training.schedules import Constant, Schedule
from neocog.training.settings import (
    check_balance,
    check_class_weights,
    check_freezing,
    check_parts,
    check_settings,
    check_threads,
)
from neocog.training.torch_stream import TorchStream
from neocog.validation import instance

__all__ = ["Callback", "check_settings", "check_threads", "fit"]

# Seconds between two looks at a running epoch.
_LOOK = 0.05

# Between dropout's seeds in one training of a network and in the next: 2³² by the golden ratio.
_NEXT_SEED = 0x9E3779B9


def fit(
    network: Network,
    data: Dataset,
    *,
    epochs: float = 5,
    batch_size: int = 4,
    optimizer: Optimizer | None = None,
    schedule: Schedule | None = None,
    averaging: Averaging | None = None,
    augmentation: Augmentation | None = None,
    label_smoothing: float = 0.0,
    class_weights: Sequence[float] | NDArray[Any] | None = None,
    balance: str | None = None,
    clip_norm: float | None = None,
    accumulate: int = 1,
    freeze_after: Mapping[str, int] | None = None,
    seed: int = 0,
    threads: int | None = None,
    log_every: int = 2000,
    classes: tuple[str, ...] | None = None,
    callback: Callback | None = None,
) -> History:
    """Train the network in place with cross-entropy, and give the losses.

    A network without parameters is initialized first. With the same seed its first weights and
    the order of every epoch are PyTorch's, of `torch.manual_seed(seed)`, the network's modules
    and a `DataLoader` that shuffles. Called again for the same network with the same seed, it goes
    on in the random numbers where it ended, with the next epoch's order, while the momentum and
    the schedule begin anew. The result does not depend on `threads`.

    Ctrl+C ends after the current step: the network then has the weights so far, and
    `History.interrupted` is set.

    Args:
        network: one number a class at its end.
        data: images of the network's input shape, and their classes, as a `Dataset` or a tuple
            (images, labels). Images that `augmentation` crops may have any height and width.
        epochs: how often each image is seen; 9.5 is nine times, and then half of them once more.
        batch_size: images a batch; the last batch of an epoch may have fewer.
        optimizer: one of `neocog.training.optimizers`; the default is SGD(0.001, momentum=0.9).
        schedule: of the learning rate, one of `neocog.training.schedules`; constant, if None.
        averaging: of the weights: with `EMA` the network gets the averages of what it learns, and
            the latest batches' running statistics; `Lookahead` goes on from the averages.
        augmentation: how images are varied each time they are seen.
        label_smoothing: s: a label counts 1 − s for its class, and s for all classes in equal
            parts, as in `torch.nn.CrossEntropyLoss`.
        class_weights: a positive number for each class; the loss of a batch is the mean with these
            weights, as in `torch.nn.CrossEntropyLoss`.
        balance: "sample" shows every class equally often, "weight" makes `class_weights` of how
            many images each class has, as `neocog.training.balance` says.
        clip_norm: the largest norm of all gradients together; longer ones are scaled down.
        accumulate: batches to a step of the optimizer, whose gradient is the sum of theirs divided
            by this number; an epoch's last step may have fewer, and then is as much smaller.
        freeze_after: parameters that stay as they are after so many epochs, by patterns for their
            names: ``{"conv1.bias": 3}``.
        seed: of the initial weights, the shuffling, augmentation and dropout.
        threads: workers, at most the cores there are; if None, as many as this process may use.
        log_every: batches between two logged losses; an epoch that has fewer logs at its end.
        classes: names for the network's outputs, to travel with it.
        callback: told how training goes, and can end it. Without one, a line shows it where Python
            is used interactively, as in a notebook; ``callback=neocog.Callback()`` shows nothing.

    Raises:
        TrainingDivergedError: the loss, or a weight, became NaN or infinite. The network then has
            the weights of the last finished epoch.
        NeocogError: data, a network or settings that cannot be, or too little memory.
    """
    how = check_settings(
        epochs,
        batch_size,
        threads,
        log_every,
        label_smoothing=label_smoothing,
        clip_norm=clip_norm,
        accumulate=accumulate,
    )
    network = check_network(network)
    check_parts(optimizer, schedule, averaging, augmentation)
    if callback is not None:
        instance("callback", callback, Callback, "a neocog.Callback, or of a class made from it")
    optimizer = optimizer or SGD(0.001, momentum=0.9)
    optimizer.check(network.parameter_shapes)
    freezing = check_freezing(freeze_after, network.parameter_shapes)
    check_balance(balance, class_weights)
    weights = check_class_weights(class_weights, network.output_shape[0])
    data = as_dataset(data, "fit(network, data.train)")
    if len(data) == 0:
        raise DataError("There are no images to train on.")
    if balance is not None:
        check_labels(network, data.labels)
    if balance == "weight":
        weights = balancing_weights(data.labels, network.output_shape[0])
    if classes is not None:
        network.name_classes(classes)
    callback = callback or interactive_callback(how.epochs) or Callback()
    callback.stopped = False
    stream, before = _stream(network, seed)
    schedule = schedule or Constant()
    batch = min(how.batch_size, len(data))
    run_length = RunLength(len(data), batch, how.epochs, how.accumulate)
    settings = {
        "batch_size": run_length.batch_size,
        "threads": useful_threads(how.threads),
        "moves_momentum": schedule.moves_momentum,
        "augment": _augment(augmentation),
        "smoothing": how.label_smoothing,
        "class_weights": weights,
        "clip_norm": how.clip_norm,
        "accumulate": how.accumulate,
        "averaging": averaging.kind if averaging else "",
        # As much of it as PyTorch looks at.
        "seed": operator.index(seed) & 0xFFFFFFFF,
        "dropout_seed": (operator.index(seed) + before * _NEXT_SEED) & 0xFFFFFFFF,
        "on_compile": callback.compiling,
    }
    history = History()
    preprocessing = network.preprocessing
    try:
        trainers = _Trainers(network, data, optimizer, freezing, settings, history, before)
        orders = Orders(stream, data.labels, run_length.epochs, balanced=balance == "sample")
        callback.ready(history)
        for epoch in range(1, run_length.epochs + 1):
            trainer = trainers.of(epoch)
            log = _Log(epoch, run_length.batches(epoch), how.log_every, history, callback)
            rates = run_length.rates(epoch, schedule, averaging)
            done = _run(trainer, run_length.order(epoch, orders.current), rates, log, orders.draw)
            state = trainer.state() | _averages(trainer, averaging)
            whole = done == log.steps
            if whole or not history.interrupted:
                _check_finite(state, log, done)
            network.load_state_dict(state)
            network.trained = Trained(operator.index(seed), before + epoch, orders.state)
            if whole:
                history.epochs.append(Epoch(epoch, float(log.record.mean()), log.seconds))
                _tell_epoch(callback, history)
            if history.interrupted:
                history.interrupted = not whole or epoch < run_length.epochs
                break
            if callback.stopped:
                history.stopped = epoch < run_length.epochs
                break
            if epoch < run_length.epochs and network.preprocessing != preprocessing:
                raise NeocogError(
                    "The network's preprocessing was set to another while it trained. Set it "
                    "before fit, or between two of them."
                )
            orders.advance()
            del trainer  # so that the next one can have its memory
    finally:
        callback.ended(history)
    return history


def _stream(network: Network, seed: int) -> tuple[TorchStream, int]:
    """The random numbers of a training, and how many epochs have had theirs from them before."""
    stream = TorchStream(seed)
    if not network.initialized:
        network.initialize(stream)
        # Should this training come to nothing, the next one has these weights from here too.
        network.trained = Trained(operator.index(seed), 0, stream.get_state())
    elif network.trained is not None and network.trained.seed == operator.index(seed):
        stream.set_state(network.trained.stream)
        return stream, network.trained.epochs
    return stream, 0


def _tell_epoch(callback: Callback, history: History) -> None:
    try:
        callback.epoch_done(history.epochs[-1], history)
    except KeyboardInterrupt:
        history.interrupted = True


def _augment(augmentation: Augmentation | None) -> Augment | None:
    """The same in the kernels' terms."""
    if augmentation is None or not augmentation.changes:
        return None
    return Augment(**asdict(augmentation))


def _averages(trainer: Trainer, averaging: Averaging | None) -> dict[str, NDArray[Any]]:
    """What the network gets in the place of its weights, if these are averaged beside them."""
    if averaging is None or averaging.kind != "average":
        return {}
    return dict(trainer.averages())


class _Trainers:
    """One trainer after another: where parameters come to rest, a program without them goes on."""

    def __init__(
        self,
        network: Network,
        data: Dataset,
        optimizer: Optimizer,
        freeze_after: Mapping[str, int],
        settings: dict[str, Any],
        history: History,
        before: int,
    ) -> None:
        self._network = network
        self._data = data
        self._optimizer = optimizer
        self._freeze_after = freeze_after
        self._settings = settings
        self._history = history
        self._trainer: Trainer | None = self._make(optimizer)
        self._trainer.epochs = before

    def _make(self, optimizer: Optimizer) -> Trainer:
        began = time.perf_counter()
        data = self._data
        trainer = Trainer(
            self._network, data.images, data.labels, optimizer=optimizer, **self._settings
        )
        self._history.compile_seconds += time.perf_counter() - began
        self._history.memory = max(self._history.memory, trainer.memory)
        return trainer

    def of(self, epoch: int) -> Trainer:
        """The trainer of an epoch; asked for every epoch in turn."""
        old = self._trainer
        assert old is not None  # noqa: S101
        if epoch - 1 not in self._freeze_after.values():
            return old
        state, remembered = old.state(), old.optimizer_state()
        steps, epochs = old.steps, old.epochs
        # Two programs would take twice the memory.
        del old
        self._trainer = None
        resting = [name for name, last in self._freeze_after.items() if last < epoch]
        trainer = self._make(with_frozen(self._optimizer, resting))
        trainer.set_state(state)
        trainer.set_optimizer_state(remembered)
        trainer.steps, trainer.epochs = steps, epochs
        self._trainer = trainer
        return trainer


def _run(
    trainer: Trainer,
    order: NDArray[np.int64],
    rates: NDArray[np.float64],
    log: "_Log",
    meanwhile: Callable[[], None],
) -> int:
    """Train over an order of images and log it; gives how many batches were finished."""
    try:
        try:
            run = trainer.start(order, log.record, rates)
            meanwhile()  # while the workers are busy
            ended = False
            while not ended:
                ended = run.wait(_LOOK)
                log.look(trainer.done)
            run.finish()
        except KeyboardInterrupt:
            log.history.interrupted = True
    finally:  # whatever was raised here or by a callback, no worker is left behind
        done = trainer.end()
    trainer.finished(done, log.steps)
    log.look(done)
    log.close(done)
    return done


class _Log:
    """The losses of one epoch as they come in."""

    def __init__(
        self, epoch: int, steps: int, every: int, history: History, callback: Callback
    ) -> None:
        self.epoch = epoch
        self.steps = steps
        self.record: NDArray[np.float64] = np.full(steps, np.nan)
        self.seconds = 0.0
        self._every = min(every, steps)
        self.history = history
        self._callback = callback
        self._written = 0
        self._before = history.seconds
        self._steps_before = history.steps
        self._began = time.perf_counter()

    def look(self, done: int) -> None:
        """Log what has come in since the last look."""
        self.seconds = time.perf_counter() - self._began
        self._callback.progress(self.epoch, done, self.steps)
        while self._written + self._every <= done:
            part = self.record[self._written : self._written + self._every]
            self._written += self._every
            entry = Logged(
                self.epoch, self._written, float(part.mean()), self._before + self.seconds
            )
            self.history.logged.append(entry)
            self._callback.logged(entry)

    def close(self, done: int) -> None:
        """Count the epoch's steps and its time."""
        self.history.steps = self._steps_before + done
        self.history.seconds = self._before + self.seconds


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
