"""What an explanation's gradients are of: a loss, or a number whose true value nobody knows.

    one class         −ln y[label],                         y = softmax(z)
    several labels    Σ_j −t[j] ln y[j] − (1 − t[j]) ln(1 − y[j])  / K,   y = σ(z)
    numbers           Σ_j (z[j] − t[j])² / K

with the scores z and targets t of K outputs: the losses of training, without weights. Without a
true number there is no error, and the gradients are those of the explained number z[label] itself.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.errors import DataError
from neocog.losses import check_targets, has_targets
from neocog.network import Network
from neocog.settings.training import LOSSES
from neocog.validation import refuse

__all__ = ["Objective", "objective_of"]

Floats = NDArray[np.float32]

_CLASSES, _LABELS, _NUMBERS = LOSSES


@dataclass(frozen=True)
class Objective:
    """What a `Trainer` of the explained image minimizes.

    Attributes:
        loss: the loss to train with; any for `of_score`.
        labels: of the one image: int64 [1] or targets, float32 [1, outputs].
        of_score: whether gradients are those of the label's score, and not of a loss.
        targets: the truth, float32 [outputs]; None if there is none.
    """

    loss: str
    labels: NDArray[Any]
    of_score: bool
    targets: Floats | None


def objective_of(
    network: Network, pixels: NDArray[np.uint8], label: int, targets: Any, *, said: bool
) -> Objective:
    """What the gradients of an explanation are of.

    Args:
        network: that is explained.
        pixels: the image.
        label: the number of the output that is explained.
        targets: what is true of each output; None if nobody knows.
        said: whether somebody said `label`, and so that the image has it.

    Raises:
        DataError: `targets` do not fit the network.
    """
    loss, outputs = network.loss, network.output_shape[0]
    if targets is not None:
        targets = _checked(loss, outputs, targets)
    elif loss == _CLASSES:
        targets = np.zeros(outputs, np.float32)
        targets[label] = 1
    elif loss == _LABELS:
        targets = network.predict(pixels[None])[0].astype(np.float32)
        if said:
            targets[label] = 1
    if has_targets(loss) and targets is not None:
        return Objective(loss, targets[None], of_score=False, targets=targets)
    return Objective(_CLASSES, np.array([label]), loss == _NUMBERS, targets)


def _checked(loss: str, outputs: int, targets: Any) -> Floats:
    if not has_targets(loss):
        raise DataError(
            "targets are for networks of several labels, or of numbers. This one chooses one "
            "class: give it as label=."
        )
    try:
        row = np.array(targets, np.float32)  # a copy, which stays as it is
    except (TypeError, ValueError, OverflowError):
        row = np.empty((), np.float32)
    if row.ndim != 1:
        raise refuse("targets", targets, f"{outputs} numbers, one for each output", DataError)
    check_targets(loss, outputs, row[None])
    return row
