"""One step of an optimizer on one image, and what it does to the prediction."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neocog.answers import class_labels
from neocog.engine.trainer import Trainer
from neocog.errors import DataError, did_you_mean
from neocog.explanation.rendering import render_figure
from neocog.losses import gives_numbers, probabilities_of
from neocog.network import Network
from neocog.settings.optimizers import Optimizer
from neocog.validation import shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Step", "take_step"]

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Step:
    """What one step changes. Arrays are by the parameters' names, in PyTorch's shapes.

    Attributes:
        optimizer: its description, with its learning rate.
        before: the parameters before the step.
        gradients: the gradients of the loss.
        state: the optimizer's state after the step, as ``conv1.weight.velocity``; it was zero
            before.
        after: the parameters after the step.
        probabilities: after the step, without the network's temperature, float32 [outputs]; of a
            network that gives numbers these.
        loss: the loss after the step.
        label: the number of the class that the step trains for, or of the explained output.
        classes: the outputs' names, or their numbers if they have none.
        probabilities_before: the same before the step.
        loss_before: the loss before the step.
        of_numbers: whether the network gives numbers, and not probabilities.
    """

    optimizer: Optimizer
    before: Mapping[str, Floats]
    gradients: Mapping[str, Floats]
    state: Mapping[str, Floats]
    after: Mapping[str, Floats]
    probabilities: Floats
    loss: float
    label: int
    classes: tuple[str, ...]
    probabilities_before: Floats
    loss_before: float
    of_numbers: bool

    def __repr__(self) -> str:
        losses = f"loss {self.loss_before:.4g} → {self.loss:.4g}"
        return f"<Step of {type(self.optimizer).__name__}(lr={self.optimizer.lr}): {losses}>"

    def figure(self, parameter: str | None = None) -> "Figure":
        """Draw how a parameter and the probabilities change; needs matplotlib.

        Args:
            parameter: its name, such as ``"conv1.weight"``; None for the first. For a convolution's
                weight the kernel that changes most is drawn, else the numbers that change most.

        Raises:
            DataError: the network has no such parameter.
        """
        name = next(iter(self.before)) if parameter is None else parameter
        if not isinstance(name, str) or name not in self.before:
            known = ", ".join(self.before)
            hint = did_you_mean(name, self.before)
            raise DataError(f"The network has no parameter {shown(name)}.{hint} Known: {known}.")
        return render_figure(self, name)


def take_step(
    network: Network,
    trainer: Trainer,
    optimizer: Optimizer,
    before: Mapping[str, Floats],
    gradients: Mapping[str, Floats],
    label: int,
    loss_before: float,
) -> Step:
    """Read the step that a trainer of one image has just taken, and run the image once more.

    Args:
        network: whose parameters were `before`.
        trainer: after its first step.
        optimizer: that made the step.
        before: the parameters before the step.
        gradients: of the loss, by parameter.
        label: the number of the image's class, or of the explained output.
        loss_before: the loss of the first step.
    """
    state, after = trainer.optimizer_state(), trainer.parameters()
    probabilities_before = _probabilities(network, trainer)
    # Numbers may overflow after the step. Then the trainer stops and gives no loss.
    loss = float(next(iter(trainer.run(np.zeros(1, np.int64))), np.nan))
    probabilities = np.full_like(probabilities_before, np.nan)
    if np.isfinite(loss):
        probabilities = _probabilities(network, trainer)
    return Step(
        optimizer=optimizer,
        before=before,
        gradients=gradients,
        state=state,
        after=after,
        probabilities=probabilities,
        loss=loss,
        label=label,
        classes=class_labels(network),
        probabilities_before=probabilities_before,
        loss_before=loss_before,
        of_numbers=gives_numbers(network.loss),
    )


def _probabilities(network: Network, trainer: Trainer) -> Floats:
    """What the latest run predicts, without the network's temperature."""
    (maps,) = trainer.maps(last=True).values()
    return probabilities_of(network.loss, maps["output"].reshape(-1))
