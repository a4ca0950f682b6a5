"""A network in training that goes a few steps at a time, so that one can look in between."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from neocog.data.images import Dataset
from neocog.errors import TrainingDivergedError
from neocog.formats.checkpoint import Checkpoint
from neocog.network import Network
from neocog.settings.optimizers import SGD
from neocog.settings.training import TrainingSettings
from neocog.training.run import TrainingRun

__all__ = ["Snapshot", "Training"]

# The rate and the momentum of each step are set while it runs, in the place of these.
_OPTIMIZER = SGD(1.0, momentum=0.9)
# There is always another epoch.
_EPOCHS = 1_000_000


@dataclass(frozen=True)
class Snapshot:
    """How far a training has come.

    Attributes:
        parameters: of the network, running statistics included.
        checkpoint: of the run; None where no step was taken.
        settings: of the run.
        steps: taken.
    """

    parameters: dict[str, NDArray[Any]]
    checkpoint: Checkpoint | None
    settings: TrainingSettings
    steps: int

    @property
    def size(self) -> int:
        """Bytes that it takes, about."""
        kept = {} if self.checkpoint is None else self.checkpoint.arrays
        return sum(array.nbytes for array in (*self.parameters.values(), *kept.values()))


class Training:
    """SGD with momentum, whose rate, momentum and batch size can change at any step.

    From the network's first weights and the same seed on, steps are those of `neocog.fit`, bit for
    bit. The network itself changes in `settle` only.

    Args:
        network: with parameters.
        data: images of its input shape.
        seed: of the orders of images.
        threads: workers.
        on_compile: told how many kernels are compiled first, if any are.

    Attributes:
        rate: the learning rate of the next steps.
        momentum: of the next steps, from 0 and below 1.
        steps: taken so far.
        settled: those of them that the network has.
        latest: the images of the latest step, by their numbers; None if there is none to look at.
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
        )
        self.restart(seed)

    def restart(self, seed: int) -> None:
        """Begin anew with the network's parameters, and nothing remembered of earlier steps."""
        self._settings = replace(self._settings, seed=seed)
        self._run = self._new_run()
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
        """Epochs begun so far."""
        return self._run.epoch if self.steps else 0

    def snapshot(self) -> Snapshot:
        """How far it has come; to be settled before."""
        checkpoint = self._run.state() if self.steps else None
        return Snapshot(self._network.state_dict(), checkpoint, self._settings, self.steps)

    def resume(self, snapshot: Snapshot) -> None:
        """Go on from there, with the rate and momentum of now."""
        self._network.load_state_dict(snapshot.parameters)
        self._settings = replace(snapshot.settings, batch_size=self.batch_size)
        self._run = self._new_run()
        self.steps = snapshot.steps
        if snapshot.checkpoint is not None:
            self._run = self._continued(snapshot.settings, snapshot.checkpoint)
        self._begin()

    def _continued(self, before: TrainingSettings, checkpoint: Checkpoint) -> TrainingRun:
        """A run with the settings of now that goes on where one with others stood."""
        run = TrainingRun(self._network, self._data, before, live=True, on_compile=self._on_compile)
        run.load_state(checkpoint)
        if before.batch_size == self.batch_size:
            return run
        if run.batch:  # the rest of the epoch is left out
            run.next_epoch()
        checkpoint = run.state()
        run = self._new_run()
        run.load_state(checkpoint)
        return run

    def take_network(self) -> None:
        """Go on with the network's parameters, after they were changed from outside."""
        self._run.take_network()

    @property
    def batch_size(self) -> int:
        """Images a step; the last step of an epoch may have fewer. Another begins an epoch."""
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
        """Have the program made, and perhaps compiled, as after a new batch size."""
        self._run.trainer  # noqa: B018

    def take(self, count: int) -> NDArray[np.float64]:
        """Take so many steps, or fewer at the end of an epoch; gives their mean losses.

        Raises:
            TrainingDivergedError: a loss became NaN or infinite. All is then as the network was
                settled last.
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
        self.latest = run.latest_images
        self.latest_loss = float(losses[-1])
        return losses

    def settle(self) -> None:
        """Give the network what was learned.

        Raises:
            TrainingDivergedError: a weight is NaN or infinite. All is then as it was settled last.
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
            f"step {self.steps} again. Take a smaller rate (a tenth), or a smaller momentum."
        )

    def gradients(self) -> dict[str, NDArray[np.float32]]:
        """The gradient of the mean loss in the latest step, by parameter."""
        return self._run.trainer.gradients()
