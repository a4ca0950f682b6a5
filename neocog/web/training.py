"""Training that takes a few steps at a time, so that a page can show the network in between."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from neocog.data.images import Dataset
from neocog.errors import TrainingDivergedError
from neocog.formats.checkpoint import Checkpoint
from neocog.losses import gives_numbers
from neocog.network import Network
from neocog.settings.codec import to_plain
from neocog.settings.optimizers import SGD
from neocog.settings.training import TrainingSettings
from neocog.training.run import TrainingRun

__all__ = ["Snapshot", "Training"]

# Each step has its own rate and momentum, which replace these.
_OPTIMIZER = SGD(1.0, momentum=0.9)
# So many that training never ends by itself.
_EPOCHS = 1_000_000


@dataclass(frozen=True)
class Snapshot:
    """The state of a training.

    Attributes:
        parameters: of the network, with running statistics.
        checkpoint: of the run; None before the first step.
        settings: of the run.
        steps: that were taken.
    """

    parameters: dict[str, NDArray[Any]]
    checkpoint: Checkpoint | None
    settings: TrainingSettings
    steps: int

    @property
    def size(self) -> int:
        """Its size in memory, in bytes."""
        kept = {} if self.checkpoint is None else self.checkpoint.arrays
        return sum(array.nbytes for array in (*self.parameters.values(), *kept.values()))


class Training:
    """SGD with momentum, whose rate, momentum and batch size can change at any step.

    It minimizes what the network was trained by, and learns numbers standardized: less their mean,
    over their deviation.

    With the same first weights and the same seed, its steps are those of `neocog.fit`, bit for bit.
    The network itself only changes in `settle`.

    Args:
        network: with parameters.
        data: images of its input shape.
        seed: of the order of the images.
        threads: worker threads.
        on_compile: called with the number of kernels to compile, if there are any.

    Attributes:
        rate: the learning rate of the next steps.
        momentum: of the next steps, at least 0 and below 1.
        steps: that were taken.
        settled: how many of them are in the network's parameters.
        latest: the indices of the images of the latest step; None if there is none to show.
        latest_loss: their mean loss.
    """

    def __init__(
        self,
        network: Network,
        data: Dataset,
        seed: int,
        threads: int,
        on_compile: Callable[[int], None],
    ) -> None:
        self._network = network
        self._data = data
        self._on_compile = on_compile
        self.rate = 0.001
        self.momentum = 0.9
        self._settings = TrainingSettings(
            epochs=_EPOCHS,
            batch_size=min(4, len(data)),
            optimizer=_OPTIMIZER,
            seed=seed,
            threads=threads,
            loss=network.loss,
            standardize_targets=gives_numbers(network.loss),
        )
        self.restart(seed)

    def restart(self, seed: int, *, new: bool = False) -> None:
        """Start over with the network's parameters, without a velocity.

        Args:
            seed: of the order of the images.
            new: whether the parameters were just drawn, so that they are in no units yet, and are
                put in those of the targets, as by `fit`.
        """
        if new:
            stream = self._network.trained
            self._network.load_state_dict(self._run.scale.outer(self._network.state_dict()))
            self._network.trained = stream
        self._settings = replace(self._settings, seed=seed)
        self._run: TrainingRun = self._new_run()
        self.steps = 0
        self._begin()

    def _new_run(self) -> TrainingRun:
        return TrainingRun(
            self._network, self._data, self._settings, live=True, on_compile=self._on_compile
        )

    def _begin(self) -> None:
        self.settled = self.steps
        self.latest: NDArray[np.int64] | None = None
        self.latest_loss = 0.0

    @property
    def epochs(self) -> int:
        """The epochs that were begun."""
        return self._run.epoch if self.steps else 0

    def snapshot(self) -> Snapshot:
        """The current state; call `settle` before."""
        checkpoint = self._run.state() if self.steps else None
        return Snapshot(self._network.state_dict(), checkpoint, self._settings, self.steps)

    def resume(self, snapshot: Snapshot) -> None:
        """Continue from a state, with the current rate, momentum and batch size."""
        self._network.load_state_dict(snapshot.parameters)
        self._settings = replace(snapshot.settings, batch_size=self.batch_size)
        self._run = self._new_run()
        self.steps = snapshot.steps
        if snapshot.checkpoint is not None:
            self._run = self._continued(snapshot.settings, snapshot.checkpoint)
        self._begin()

    def _continued(self, before: TrainingSettings, checkpoint: Checkpoint) -> TrainingRun:
        """A run with the current settings that continues one with the settings `before`."""
        run = TrainingRun(self._network, self._data, before, live=True, on_compile=self._on_compile)
        run.load_state(checkpoint)
        if before.batch_size == self.batch_size:
            return run
        if run.batch:  # the rest of the epoch is left out
            run.next_epoch()
        state = run.state()
        run = self._new_run()
        # Of all settings it is just this one that may change here.
        values = {**state.values, "settings": to_plain(self._settings)}
        run.load_state(Checkpoint(state.arrays, values))
        return run

    def take_network(self) -> None:
        """Continue with the network's parameters after they were changed."""
        self._run.take_network()

    @property
    def batch_size(self) -> int:
        """Images in a step, fewer in an epoch's last one. Setting it begins a new epoch."""
        return self._settings.batch_size

    @batch_size.setter
    def batch_size(self, size: int) -> None:
        if size == self.batch_size:
            return
        self.settle()
        before, self._settings = self._settings, replace(self._settings, batch_size=size)
        if self.steps:
            self._run = self._continued(before, self._run.state())
        else:
            self._run = self._new_run()
        self.latest = None

    def ready(self) -> None:
        """Make the program, and perhaps compile it, at first and after a change of batch size."""
        self._run.trainer  # noqa: B018

    def take(self, count: int) -> NDArray[np.float64]:
        """Take so many steps, or fewer at the end of an epoch; returns their mean losses.

        Raises:
            TrainingDivergedError: a loss became NaN or infinite. The state is then that of the
                latest `settle`.
        """
        run = self._run
        if run.epoch_is_done:
            run.next_epoch()
        run.rate, run.momentum = self.rate, self.momentum
        before = run.batch
        try:
            losses = run.step(count)
        except TrainingDivergedError:
            self.steps += run.batch - before
            self._diverged("The loss became NaN or infinite")
        self.steps += len(losses)
        self.latest = run.images_of(run.batch)
        self.latest_loss = float(losses[-1])
        return losses

    def settle(self) -> None:
        """Copy the trained parameters to the network.

        Raises:
            TrainingDivergedError: a weight is NaN or infinite. The state is then that of the latest
                `settle`.
        """
        if self.settled == self.steps:
            return
        try:
            self._run.update_network()
        except TrainingDivergedError:
            self._diverged("A weight became NaN or infinite")
        self.settled = self.steps

    def _diverged(self, what: str) -> NoReturn:
        reached, self.steps = self.steps, self.settled
        self._run.take_network()
        self._run.forget()
        self._begin()
        raise TrainingDivergedError(
            f"{what} after step {reached}. Training has stopped, and the parameters are those of "
            f"step {self.steps} again. Try a tenth of the learning rate, or a smaller momentum."
        )

    def gradients(self) -> dict[str, NDArray[np.float32]]:
        """The gradient of the mean loss in the latest step, by parameter."""
        return self._run.trainer.gradients()
