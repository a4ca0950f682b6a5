"""One step of an optimizer from one image, and what it does to the prediction."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neocog.engine.trainer import Trainer
from neocog.errors import DataError, did_you_mean
from neocog.network import Network
from neocog.settings.optimizers import Optimizer
from neocog.validation import shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Step", "probabilities_of", "take_step"]

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Step:
    """What one step changes; arrays by the parameters' names, in PyTorch's shapes.

    Attributes:
        optimizer: its description, with its rate.
        before: the parameters before it.
        gradients: the loss's gradients.
        state: what the optimizer remembers after it, as ``conv1.weight.velocity``; all is zero
            before.
        after: the parameters after it.
        probabilities: softmax of what the network then gives for the image, without its
            temperature, float32 [classes].
        loss: the cross-entropy then.
        label: the class that the step teaches.
        classes: the classes' names, or their numbers if they have none.
        probabilities_before: the same before the step.
        loss_before: the cross-entropy before it.
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

    def __repr__(self) -> str:
        losses = f"loss {self.loss_before:.4g} → {self.loss:.4g}"
        return f"<Step of {type(self.optimizer).__name__}(lr={self.optimizer.lr}): {losses}>"

    def figure(self, parameter: str | None = None) -> "Figure":
        """What becomes of a parameter and of the probabilities; needs matplotlib.

        Args:
            parameter: such as ``"conv1.weight"``; the first without it. Of a convolution's weight
                the kernel that changes most is shown, of others the numbers that change most.

        Raises:
            DataError: for a parameter that there is not.
        """
        name = next(iter(self.before)) if parameter is None else parameter
        if not isinstance(name, str) or name not in self.before:
            known = ", ".join(self.before)
            hint = did_you_mean(name, self.before)
            raise DataError(f"The network has no parameter {shown(name)}.{hint} Known: {known}.")
        from neocog.explanation.figures import draw_step

        return draw_step(self, name)


def take_step(
    network: Network,
    trainer: Trainer,
    optimizer: Optimizer,
    before: Mapping[str, Floats],
    gradients: Mapping[str, Floats],
    label: int,
    loss_before: float,
) -> Step:
    """Look at the step that a trainer of one image has just taken, then pass forward once more.

    `before` are the network's parameters, with which the trainer began, `gradients` those of the
    loss, which was `loss_before`.
    """
    state, after = trainer.optimizer_state(), trainer.parameters()
    first = _probabilities(trainer, label, loss_before)
    # A step may lead to where numbers overflow; then there is no loss, and nothing after it.
    loss = float(next(iter(trainer.run(np.zeros(1, np.int64))), np.nan))
    then = np.full_like(first, np.nan)
    if np.isfinite(loss):
        then = _probabilities(trainer, label, loss)
    classes = network.classes or tuple(str(k) for k in range(network.output_shape[0]))
    return Step(
        optimizer,
        before,
        gradients,
        state,
        after,
        then,
        loss,
        label,
        classes,
        first,
        loss_before,
    )


def _probabilities(trainer: Trainer, label: int, loss: float) -> Floats:
    """What the last layer's scores said in the latest run, which had this loss."""
    (maps,) = trainer.maps(last=True).values()
    return probabilities_of(maps["output_gradient"], label, loss)


def probabilities_of(delta: Floats, label: int, loss: float) -> Floats:
    """The probabilities y of δ = y − t.

    The label's is exp(−loss): where it is small, δ + 1 has rounded it away.
    """
    found: Floats = delta.reshape(-1).copy()
    found[label] = np.exp(-loss)
    return found
