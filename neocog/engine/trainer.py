"""A network in training: its parameters and all state between two steps, and the steps."""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from neocog.engine.lower import lower
from neocog.engine.program import Program, Run
from neocog.engine.schedule import training_plan
from neocog.engine.state import fill_preprocessing, read_state, write_state
from neocog.engine.tensor import Parameter
from neocog.engine.updating import OPTIMISER_STATE, Updating
from neocog.errors import DataError
from neocog.network import Network

__all__ = ["Trainer"]

Floats = NDArray[np.float32]


class Optimiser(Protocol):
    """What the engine asks of an optimiser's description."""

    @property
    def kind(self) -> str:
        """A key of `OPTIMISER_STATE`."""

    @property
    def settings(self) -> tuple[float, ...]:
        """At most four numbers, as the kernel of that kind takes them."""


class Trainer:
    """Takes training steps on a network's data.

    All that lasts from one step to the next is in `parameters`, `optimiser_state` and `steps`.

    Args:
        network: with parameters; they are copied in, and `parameters` copies them out.
        images: uint8 [n, height, width, channels], of the network's input shape.
        labels: int64 [n], classes of the network.
        batch_size: images a step.
        optimiser: SGD or Adam.
        threads: workers; results do not depend on it.
        on_compile: told how many kernels are compiled first, if any are.
    """

    def __init__(
        self,
        network: Network,
        images: NDArray[np.uint8],
        labels: NDArray[np.int64],
        *,
        batch_size: int,
        optimiser: Optimiser,
        threads: int,
        on_compile: Callable[[int], None] | None = None,
    ) -> None:
        check_images(network, images)
        check_labels(network, labels)
        self._network = network
        self._stages = lower(network, training=True)
        self._parameters = [p for stage in self._stages for p in stage.parameters()]
        self._images = np.ascontiguousarray(images)
        self._labels = np.ascontiguousarray(labels)
        self._optimiser = optimiser
        self.batch_size = batch_size
        #: Steps taken so far, of which Adam's correction depends.
        self.steps = 0
        plan = training_plan(self._stages, batch_size, Updating(optimiser.kind))
        self._program = Program(plan, threads, batch_size, on_compile)
        fill_preprocessing(self._program, network)
        self.set_state(network.state_dict())
        settings = self._program.memory.array("settings", np.float64)
        settings[: len(optimiser.settings)] = optimiser.settings

    @property
    def memory(self) -> int:
        """Bytes that the program works in, beside the data."""
        return self._program.memory.size

    def _array(self, name: str) -> Floats:
        return self._program.memory.array(name, np.float32)

    def _read(self, parameters: list[Parameter], suffix: str) -> dict[str, Floats]:
        return {p.name: p.unpack(self._array(p.name + suffix)) for p in parameters}

    def parameters(self) -> dict[str, Floats]:
        """The parameters by name, in PyTorch's shapes; copies."""
        return self._read(self._parameters, "")

    def state(self) -> dict[str, NDArray[Any]]:
        """The whole state dict by name, running statistics included; copies."""
        batches = self._batches_before + self.steps
        return read_state(self._program, self._stages, self._network, batches)

    def set_state(self, state: dict[str, NDArray[Any]]) -> None:
        """Replace every parameter and running statistic."""
        tracked = [int(v) for name, v in state.items() if name.endswith(".num_batches_tracked")]
        self._batches_before = max(tracked, default=0) - self.steps
        write_state(self._program, self._stages, state)

    def gradients(self) -> dict[str, Floats]:
        """The gradient of the mean loss in the latest step, by parameter; copies."""
        return self._read(self._parameters, ".gradient")

    def optimiser_state(self) -> dict[str, Floats]:
        """What the optimiser remembers, as ``conv1.weight.velocity``, in PyTorch's shapes."""
        kept = OPTIMISER_STATE[self._optimiser.kind][1]
        return {
            f"{name}.{word}": value
            for word in kept
            for name, value in self._read(self._parameters, f".{word}").items()
        }

    def set_optimiser_state(self, state: dict[str, Floats]) -> None:
        """Replace what the optimiser remembers."""
        for parameter in self._parameters:
            for word in OPTIMISER_STATE[self._optimiser.kind][1]:
                key = f"{parameter.name}.{word}"
                self._array(key)[:] = parameter.pack(state[key])

    def start(self, order: NDArray[np.int64], record: NDArray[np.float64]) -> Run:
        """Begin to take a step for each batch of `order`, in threads; gives the run under way.

        Args:
            order: int64, indices of images.
            record: float64 [steps], gets the mean loss of each step.
        """
        self._order = np.ascontiguousarray(order)
        if len(order) and not 0 <= order.min() <= order.max() < len(self._images):
            raise DataError(f"The order has indices outside 0 to {len(self._images) - 1}.")
        self._program.bind({"images": self._images, "labels": self._labels, "order": self._order})
        return self._program.start(len(order), record, self.steps)

    def run(self, order: NDArray[np.int64]) -> NDArray[np.float64]:
        """Take a step for each batch of `order`; gives the mean loss of each finished step."""
        record = np.full(-(-len(order) // self.batch_size), np.nan)
        done = self.start(order, record).finish()
        self.steps += done
        return record[:done]

    def profile(self) -> list[tuple[str, float]]:
        """Microseconds of each kernel in one step, each alone on one thread with warm caches.

        In order of execution, as (layer and kernel, time); the least of many runs over the order
        of the latest run. What the kernels write is written again, so train afresh afterwards.
        """
        return self._program.profile(len(self._order))

    @property
    def done(self) -> int:
        """Steps finished so far in the run under way."""
        return self._program.done

    def stop(self) -> None:
        """Ask the run under way to end after its current step."""
        self._program.stop()


def check_images(network: Network, images: NDArray[np.uint8]) -> None:
    """Raise `DataError` unless the images are what the network takes."""
    c, h, w = network.input_shape
    if images.ndim != 4 or images.dtype != np.uint8 or images.shape[1:] != (h, w, c):
        raise DataError(
            f"The network takes images as uint8 [n, {h}, {w}, {c}] (height, width, channels), not "
            f"{images.dtype} {list(images.shape)}."
        )


def check_labels(network: Network, labels: NDArray[np.int64]) -> None:
    """Raise `DataError` unless every label is one of the network's classes."""
    classes = network.output_shape[0]
    if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
        raise DataError(
            f"The labels go from {labels.min()} to {labels.max()}, but the network has "
            f"{classes} classes, 0 to {classes - 1}."
        )
