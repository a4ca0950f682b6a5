"""Several labels a picture, and numbers, from the command line: their loss, and checks.

``--labels several`` is ``--loss binary-cross-entropy``, and ``--labels number`` is ``--loss mse``
with standardized targets; each implies the other.
"""

from typing import Any

import numpy as np

from neocog.data import Data
from neocog.data.finding import holds_pictures
from neocog.errors import DataError, NeocogError, printable
from neocog.losses import has_targets
from neocog.matching import LABELS_OF
from neocog.settings.recipe import Recipe
from neocog.settings.training import LOSSES

__all__ = ["agreed", "check_has_targets", "check_learnable", "check_loss", "labels_by"]

_LOSS_OF = {labels: loss for loss, labels in LABELS_OF.items()}
_CLASSES, _LABELS, _NUMBERS = LOSSES
_MOST_NAMED = 8


def agreed(
    options: dict[str, Any], changes: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options of the data and the settings, each with what follows from the other.

    Raises:
        NeocogError: they contradict each other.
    """
    labels = options.get("labels")
    needed = None if labels is None else _LOSS_OF[labels]
    loss = changes.get("loss", needed)
    if loss is None:
        return options, changes
    if needed is not None and loss != needed:
        raise NeocogError(f"--labels {labels} is learned by {needed}: leave --loss {loss} out.")
    follows: dict[str, Any] = {"loss": loss}
    if has_targets(loss):
        follows["label_smoothing"] = 0.0  # of classes; recipes have some
    if loss == _NUMBERS:
        follows["standardize_targets"] = True
    return {**labels_by(loss), **options}, {**follows, **changes}


def labels_by(loss: str) -> dict[str, str]:
    """The option of the data that a loss needs, if it needs one."""
    return {"labels": LABELS_OF[loss]} if has_targets(loss) else {}


def check_loss(recipe: Recipe) -> None:
    """Raise `NeocogError` for settings that are of classes only."""
    if has_targets(recipe.loss) and recipe.calibrate:
        raise NeocogError(
            f"--calibrate is for networks that choose one class: leave it out with {recipe.loss}."
        )


def check_has_targets(source: str, loss: str) -> None:
    """Raise `DataError` where data of a loss with targets are no files, but built-in ones."""
    if has_targets(loss) and not holds_pictures(source):
        raise DataError(
            f"loss (={loss!r}) needs targets for every output, and {printable(source)} has a class "
            f"for each picture. Name a table, as in: neocog train labels.csv --labels "
            f"{LABELS_OF[loss]}"
        )


def check_learnable(data: Data, loss: str) -> None:
    """Raise `DataError` for targets from which nothing can be learned.

    Args:
        data: whose training pictures are looked at.
        loss: by which is learned.
    """
    targets = data.train.labels
    if not has_targets(loss) or not len(targets):
        return
    name = printable(data.name)
    if loss == _NUMBERS:
        if targets.min() == targets.max():
            raise DataError(
                f"{name}: all {len(targets):,} training pictures have the same "
                f"{printable(data.classes[0], 60)}, {float(targets.min()):g}: there is nothing to "
                "learn. Is it the right column (--label-column)?"
            )
        return
    counts = (targets > 0.5).sum(axis=0)
    for there, what in ((0, "no"), (len(targets), "every")):
        odd = [data.classes[k] for k in np.flatnonzero(counts == there).tolist()]
        if odd:
            shown = ", ".join(printable(one, 60) for one in odd[:_MOST_NAMED])
            more = f" and {len(odd) - _MOST_NAMED} more" if len(odd) > _MOST_NAMED else ""
            raise DataError(
                f"{name}: {what} training picture has the label {shown}{more}, so nothing can be "
                "learned of it. Leave it out with --classes, which names the labels to learn, or "
                "add pictures."
            )
