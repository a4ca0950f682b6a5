"""Numbers in units in which a network learns them, whatever their own are: doses or parts of one.

A network is trained on (t − m) / s, with the mean m and the deviation s of the training targets t.
Its last layer, z = W x + b, then gives the numbers themselves with the weights s W and s b + m.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.errors import ArchitectureError, DataError
from neocog.layers import Graph, Linear
from neocog.settings.training import TrainingSettings

__all__ = ["Scale", "TargetScale", "scale_of"]

State = Mapping[str, NDArray[Any]]


class Scale:
    """What a network is trained on and with: the targets and weights themselves."""

    def standardized(self, targets: NDArray[Any]) -> NDArray[Any]:
        """Labels or targets as they are trained on."""
        return targets

    def inner(self, state: State) -> dict[str, NDArray[Any]]:
        """A network's state dict in the units in which it is trained."""
        return dict(state)

    def outer(self, state: State) -> dict[str, NDArray[Any]]:
        """The state dict of a network that gives the targets themselves, from a trained one."""
        return dict(state)


def scale_of(
    settings: TrainingSettings, graph: Graph, targets: NDArray[Any]
) -> "Scale | TargetScale":
    """The units of a training, which are those of the targets unless they are standardized.

    Raises:
        NeocogError: as in `TargetScale.of`.
    """
    return TargetScale.of(graph, targets) if settings.standardize_targets else Scale()


@dataclass(frozen=True, eq=False)
class TargetScale(Scale):
    """The mean and the deviation of each output's targets.

    Attributes:
        mean: float64 [outputs].
        deviation: float64 [outputs].
        layer: the name of the network's last layer.
    """

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    layer: str

    @classmethod
    def of(cls, graph: Graph, targets: NDArray[np.float32]) -> "TargetScale":
        """The scale of the targets that a network is to be trained on, float32 [n, outputs].

        Raises:
            ArchitectureError: the network does not end in a linear layer with a bias.
            DataError: all targets of an output are equal, so that there is nothing to learn.
        """
        last = graph.nodes[-1]
        if not isinstance(last.layer, Linear) or not last.layer.bias:
            raise ArchitectureError(
                f"The network ends in {last.name}, a {type(last.layer).__name__}, and only one "
                "that ends in a Linear layer with a bias can learn standardized numbers: take "
                "another, or set standardize_targets to False."
            )
        wide = targets.astype(np.float64)
        same = np.flatnonzero(wide.min(axis=0) == wide.max(axis=0)).tolist()
        if same:
            raise DataError(
                f"All {len(wide):,} training pictures have the same number, "
                f"{float(wide[0, same[0]]):g}: there is nothing to learn."
            )
        return cls(wide.mean(axis=0), wide.std(axis=0), last.name)

    def standardized(self, targets: NDArray[np.float32]) -> NDArray[np.float32]:
        """Targets, float32 [n, outputs], less their mean and over their deviation."""
        return ((targets.astype(np.float64) - self.mean) / self.deviation).astype(np.float32)

    def squared_error(self, outputs: NDArray[np.float64], targets: NDArray[np.float32]) -> float:
        """That of standardized numbers: 1 of a network that always gives their mean."""
        return float(np.square((outputs - targets) / self.deviation).mean())

    def inner(self, state: State) -> dict[str, NDArray[Any]]:
        """A network's state dict for targets that are standardized."""
        return self._with_last(
            state,
            lambda w, b: (w / self.deviation[:, None], (b - self.mean) / self.deviation),
        )

    def outer(self, state: State) -> dict[str, NDArray[Any]]:
        """The state dict with the scale in the last layer."""
        return self._with_last(
            state,
            lambda w, b: (w * self.deviation[:, None], b * self.deviation + self.mean),
        )

    def _with_last(self, state: State, change: Any) -> dict[str, NDArray[Any]]:
        weight, bias = f"{self.layer}.weight", f"{self.layer}.bias"
        wide = (state[name].astype(np.float64) for name in (weight, bias))
        changed = (found.astype(np.float32) for found in change(*wide))
        return {**state, **dict(zip((weight, bias), changed, strict=True))}
