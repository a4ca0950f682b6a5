"""Training that takes a few steps at a time, so that a page can show the network in between."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.data.images import Dataset
from neocog.engine import Trainer
from neocog.errors import TrainingDivergedError
from neocog.network import Network
from neocog.training.optimizers import SGD
from neocog.training.torch_stream import TorchStream

__all__ = ["Snapshot", "Training"]


@dataclass(frozen=True)
class Snapshot:
    """The state of a training: everything that its next steps depend on except the settings.

    Attributes:
        parameters: of the network, with running statistics.
        velocity: of the optimizer, by parameter; empty before the first step.
        stream: of random numbers.
        order: of this epoch's images.
        at: how many of them were used.
        epochs: that were begun.
        steps: that were taken.
    """

    parameters: dict[str, NDArray[Any]]
    velocity: dict[str, NDArray[np.float32]]
    stream: TorchStream
    order: NDArray[np.int64]
    at: int
    epochs: int
    steps: int

    @property
    def size(self) -> int:
        """Its size in memory, in bytes."""
        arrays = [*self.parameters.values(), *self.velocity.values(), self.order]
        return sum(array.nbytes for array in arrays)


class Training:
    """SGD with momentum, whose rate, momentum and batch size can change at any step.

    With the same first weights and the same stream, its steps are those of `neocog.fit`, bit for
    bit. The network itself only changes in `settle`.

    Args:
        network: with parameters.
        data: images of its input shape.
        stream: of random numbers, for the order of the images.
        threads: worker threads.
        on_compile: called with the number of kernels to compile, if there are any.

    Attributes:
        rate: the learning rate of the next steps.
        momentum: of the next steps, at least 0 and below 1.
        steps: that were taken.
        settled: how many of them are in the network's parameters.
        epochs: that were begun.
        latest: the indices of the images of the latest step; None if there is none to show.
        latest_loss: their mean loss.
    """

    def __init__(
        self,
        network: Network,
        data: Dataset,
        stream: TorchStream,
        threads: int,
        on_compile: Callable[[int], None],
    ) -> None:
        self._network = network
        self._data = data
        self._threads = threads
        self._on_compile = on_compile
        self.rate = 0.001
        self.momentum = 0.9
        self._batch_size = min(4, len(data))
        self._trainer: Trainer | None = None
        self._remembered: dict[str, NDArray[np.float32]] = {}
        self.restart(stream)

    def restart(self, stream: TorchStream) -> None:
        """Start over with the network's parameters, without a velocity."""
        self._stream = stream
        self._order = np.zeros(0, np.int64)
        self._at = 0
        self.epochs = 0
        self.steps = 0
        self._go_back()

    def snapshot(self) -> Snapshot:
        """The current state; call `settle` before."""
        trainer = self._trainer
        return Snapshot(
            self._network.state_dict(),
            self._remembered if trainer is None else trainer.optimizer_state(),
            copy.deepcopy(self._stream),
            self._order,
            self._at,
            self.epochs,
            self.steps,
        )

    def resume(self, snapshot: Snapshot) -> None:
        """Continue from a state, with the current settings."""
        self._network.load_state_dict(snapshot.parameters)
        self._stream = copy.deepcopy(snapshot.stream)
        self._order, self._at = snapshot.order, snapshot.at
        self.epochs, self.steps = snapshot.epochs, snapshot.steps
        self._go_back()
        if self._trainer is None:
            self._remembered = snapshot.velocity
        elif snapshot.velocity:
            self._trainer.set_optimizer_state(snapshot.velocity)

    def _go_back(self) -> None:
        """Return to the network's parameters, with a velocity of zero."""
        self.settled = self.steps
        self.latest: NDArray[np.int64] | None = None
        self.latest_loss = 0.0
        self._remembered = {}
        if self._trainer is not None:
            self.take_network()
            still = self._trainer.optimizer_state()
            self._trainer.set_optimizer_state({k: np.zeros_like(v) for k, v in still.items()})

    def take_network(self) -> None:
        """Continue with the network's parameters after they were changed."""
        if self._trainer is not None:
            self._trainer.set_state(self._network.state_dict())

    @property
    def batch_size(self) -> int:
        """Images in a step; the last step of an epoch may have fewer."""
        return self._batch_size

    @batch_size.setter
    def batch_size(self, size: int) -> None:
        if size == self._batch_size:
            return
        self.settle()
        if self._trainer is not None:
            self._remembered = self._trainer.optimizer_state()
            self._trainer = None
            self.latest = None
        self._batch_size = size

    def ready(self) -> Trainer:
        """The trainer; made, and perhaps compiled, at first and after a change of batch size."""
        if self._trainer is None:
            # Each step has its own rate, a factor to this 1.
            trainer = Trainer(
                self._network,
                self._data.images,
                self._data.labels,
                batch_size=self._batch_size,
                optimizer=SGD(1.0, momentum=0.9),
                moves_momentum=True,
                threads=self._threads,
                on_compile=self._on_compile,
            )
            if self._remembered:
                trainer.set_optimizer_state(self._remembered)
            self._trainer = trainer
        return self._trainer

    def take(self, count: int) -> NDArray[np.float64]:
        """Take so many steps, or fewer at the end of an epoch; returns their mean losses.

        Raises:
            TrainingDivergedError: a loss became NaN or infinite. The state is then that of the
                latest `settle`.
        """
        trainer = self.ready()
        if self._at >= len(self._order):
            self._order = self._stream.epoch_order(len(self._data))
            self._at = 0
            self.epochs += 1
        size = self._batch_size
        order = self._order[self._at : self._at + count * size]
        steps = -(-len(order) // size)
        losses = trainer.run(order, np.tile([self.rate, self.momentum, np.nan, 0.0], (steps, 1)))
        self._at += len(losses) * size
        self.steps += len(losses)
        if len(losses) < steps:
            self._diverged("The loss became NaN or infinite")
        self.latest = order[(steps - 1) * size :]
        self.latest_loss = float(losses[-1])
        return losses

    def settle(self) -> None:
        """Copy the trained parameters to the network.

        Raises:
            TrainingDivergedError: a weight is NaN or infinite. The state is then that of the latest
                `settle`.
        """
        if self._trainer is None or self.settled == self.steps:
            return
        state = self._trainer.state()
        if not all(np.isfinite(value).all() for value in state.values()):
            self._diverged("A weight became NaN or infinite")
        self._network.load_state_dict(state)
        self.settled = self.steps

    def _diverged(self, what: str) -> None:
        reached, self.steps = self.steps, self.settled
        self._go_back()
        raise TrainingDivergedError(
            f"{what} after step {reached}. Training has stopped, and the parameters are those of "
            f"step {self.steps} again. Try a tenth of the learning rate, or a smaller momentum."
        )

    def gradients(self) -> dict[str, NDArray[np.float32]]:
        """The gradient of the mean loss in the latest step, by parameter."""
        return self.ready().gradients()
