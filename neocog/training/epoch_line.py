"""What there is to say of an epoch, in a line that stays on the screen."""

from collections.abc import Sequence
from math import ceil

from neocog.training.history import Epoch

__all__ = ["duration", "epoch_line", "left"]


def epoch_line(
    epochs: Sequence[Epoch],
    length: float,
    best: int | None = None,
    seconds_left: float | None = None,
) -> str:
    """The line of the latest epoch: its losses, its time, and how much time is left.

    It fits into 80 columns in all but extreme cases.

    Args:
        epochs: all that are done.
        length: of the training in epochs.
        best: the index of the best one, if that is known. Without validation none is called so.
        seconds_left: until the training ends, if that is known.
    """
    epoch = epochs[-1]
    parts = [f"loss {epoch.loss:.4g}"]
    if epoch.validation_loss is not None:
        parts.append(f"validation {epoch.validation_loss:.4g}")
    if epoch.validation_accuracy is not None:
        parts.append(f"{100 * epoch.validation_accuracy:.2f} %")
    parts.append(duration(epoch.seconds))
    if seconds_left is not None and epoch.epoch < length:
        parts.append(left(seconds_left))
    if best == len(epochs) - 1 and len(epochs) > 1 and epoch.validation_loss is not None:
        parts.append("best")
    return f"Epoch {epoch.epoch} of {ceil(length)}: {', '.join(parts)}"


def duration(seconds: float) -> str:
    """``3.2 s``, ``1 min 26 s``, ``2 h 5 min``."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def left(seconds: float) -> str:
    """``12 s left``, ``4 min left``, ``2 h 5 min left``: no more digits than an estimate has."""
    if seconds <= 59:
        return f"{ceil(seconds)} s left"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min left"
    return f"{minutes // 60} h {minutes % 60} min left"
