"""The state of a training run between two steps, and its way into a checkpoint and back.

- arrays: ``network/…``, ``optimizer/…``, ``stream/…``, ``losses``
- values: ``epoch``, ``batch``, ``steps``, ``epochs_before``, ``data``, ``network``, ``settings``,
  ``history``
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from neocog.errors import FormatError, NeocogError, printable
from neocog.formats.checkpoint import Checkpoint
from neocog.layers.registry import describe_node
from neocog.network import Network
from neocog.training.data_mark import mark_in_words
from neocog.training.history import History
from neocog.training.run_length import RunLength

__all__ = ["Arrays", "Place", "RunState", "check_arrays", "network_mark"]

Arrays = Mapping[str, NDArray[Any]]

_MOST = 2**53


@dataclass
class Place:
    """Where a run stands.

    Attributes:
        epoch: the one under way, from 1.
        batch: batches of it that are done.
        steps: of the optimizer, in all.
    """

    epoch: int = 1
    batch: int = 0
    steps: int = 0


@dataclass(frozen=True)
class RunState:
    """What a run's next steps depend on.

    Attributes:
        epoch, batch, steps: where it stands; see `TrainingRun`.
        epochs_before: epochs that had their random numbers before the run.
        network: the weights and running statistics by name, as they are trained.
        optimizer: what the optimizer remembers, and the average of the weights.
        stream: of random numbers, before the order of the epoch under way was drawn.
        losses: float64, of the epoch's batches so far.
        history: of the whole run.
        data, network_mark: by which the images and the network are known again.
        settings: as plain data.
    """

    epoch: int
    batch: int
    steps: int
    epochs_before: int
    network: Arrays
    optimizer: Arrays
    stream: Arrays
    losses: NDArray[np.float64]
    history: History
    data: Mapping[str, Any]
    network_mark: str
    settings: Mapping[str, Any]

    def to_checkpoint(self) -> Checkpoint:
        """As arrays and plain values; `from_checkpoint` is the way back."""
        arrays = {
            **_prefixed("network", self.network),
            **_prefixed("optimizer", self.optimizer),
            **_prefixed("stream", self.stream),
            "losses": self.losses,
        }
        values = {
            "epoch": self.epoch,
            "batch": self.batch,
            "steps": self.steps,
            "epochs_before": self.epochs_before,
            "data": dict(self.data),
            "network": self.network_mark,
            "settings": dict(self.settings),
            "history": self.history.to_dict(),
        }
        return Checkpoint(arrays, values)

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> Self:
        """The state in a checkpoint.

        Raises:
            FormatError: it is none of a training run.
        """
        arrays, values = checkpoint.arrays, checkpoint.values
        try:
            numbers = [values[name] for name in ("epoch", "batch", "steps", "epochs_before")]
            if not all(type(number) is int and 0 <= number < _MOST for number in numbers):
                raise ValueError
            epoch, batch, steps, epochs_before = numbers
            losses = arrays["losses"]
            if losses.shape != (batch,) or losses.dtype != np.float64 or epoch < 1:
                raise ValueError
            return cls(
                epoch,
                batch,
                steps,
                epochs_before,
                _of(arrays, "network"),
                _of(arrays, "optimizer"),
                _of(arrays, "stream"),
                losses,
                History.from_dict(values["history"]),
                dict(values["data"]),
                str(values["network"]),
                dict(values["settings"]),
            )
        except (KeyError, TypeError, ValueError):
            raise FormatError("This is no checkpoint of a training run of this version.") from None

    def check_same(self, data: Mapping[str, Any], network: Network) -> None:
        """Raise `NeocogError` unless these are the run's images and its network."""
        if self.data != data:
            raise NeocogError(
                f"The run was trained on {mark_in_words(self.data)}, which are not these: "
                f"{mark_in_words(data)}. Continue it with the data it began with."
            )
        if self.network_mark != network_mark(network):
            raise NeocogError(
                "The run was of another network: its layers or its preprocessing differ from this "
                "one's. Continue it with the network it began with."
            )

    def check_place(self, length: RunLength) -> None:
        """Raise `NeocogError` where a run of this length cannot go on from here."""
        if self.epoch > length.epochs or self.batch > length.batches(self.epoch):
            raise NeocogError(
                f"The run has come to batch {self.batch:,} of epoch {self.epoch:,}, which is "
                f"beyond the end of {length.length:g} epochs. Give it as many as it had, or more."
            )
        steps = self.steps - (self.epoch - 1) * length.steps(1)
        within = self.batch % length.accumulate and self.batch < length.batches(self.epoch)
        if within and steps > self.batch // length.accumulate:
            raise NeocogError(
                f"The run ended within epoch {self.epoch:,} by a step of fewer than "
                f"{length.accumulate} batches, so this epoch cannot go on. Begin a new run."
            )


def check_arrays(given: Arrays, needed: Arrays) -> None:
    """Raise `FormatError` unless all that are needed are given, in their shapes."""
    for name, array in needed.items():
        if name not in given or given[name].shape != array.shape:
            raise FormatError(
                f"This checkpoint has no {printable(name)} of {list(array.shape)} numbers, which "
                "the run needs."
            )


def network_mark(network: Network) -> str:
    """A digest of the layers and the preprocessing of a network, by which it is known again."""
    graph = network.graph
    described = {
        "input_shape": list(graph.input_shape),
        "nodes": [describe_node(node) for node in graph.given],
        "preprocessing": asdict(network.preprocessing),
    }
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def _prefixed(prefix: str, arrays: Arrays) -> dict[str, NDArray[Any]]:
    return {f"{prefix}/{name}": value for name, value in arrays.items()}


def _of(arrays: Arrays, prefix: str) -> dict[str, NDArray[Any]]:
    """The arrays under a prefix, by the rest of their names."""
    return {
        name.removeprefix(f"{prefix}/"): value
        for name, value in arrays.items()
        if name.startswith(f"{prefix}/")
    }
