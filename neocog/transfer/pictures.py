"""Checks of what a network is to learn from."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.data.images import Dataset
from neocog.engine.trainer import check_images
from neocog.errors import DataError, printable
from neocog.losses import check_targets, has_targets
from neocog.network import Network

__all__ = ["are_gray", "check_pictures", "outputs_of"]

_MOST_NAMED = 10
# Pictures that are looked at for colors.
_LOOKED_AT = 200


def check_pictures(network: Network, found: Dataset) -> Dataset:
    """The pictures, if the network takes them.

    Raises:
        DataError: they are of another size or have another number of channels.
    """
    channels, height, width = network.input_shape
    given = found.images.shape[3]
    if given != channels and {given, channels} == {1, 3}:
        kinds = {1: "gray, with one channel", 3: "in color, with three channels"}
        raise DataError(
            f"The pictures are {kinds[given]}, and the network takes {channels}. Load them with "
            f"so many: neocog.load_data(…, channels={channels}, size={height})."
        )
    if found.images.shape[1:3] != (height, width) and len(found):
        rows, columns = found.images.shape[1:3]
        raise DataError(
            f"The pictures are {rows} × {columns}, and the network takes {height} × {width}. Load "
            f"them in that size: neocog.load_data(…, size={height}, "
            "resize=network.preprocessing.resize)."
        )
    check_images(network.input_shape, found.images)
    return found


def outputs_of(
    data: Dataset, loss: str, classes: tuple[str, ...] | None, held_out: Dataset | None = None
) -> int:
    """How many outputs a network for these labels has.

    Args:
        data: to train on.
        loss: as of `neocog.fit`.
        classes: their names, if they are known.
        held_out: pictures that are not trained on, for the message where there are too few.

    Raises:
        DataError: there is one class only, fewer than two pictures of one, or the labels do not
            fit the loss.
    """
    if has_targets(loss):
        outputs = data.labels.shape[1] if data.labels.ndim == 2 else 1
        check_targets(loss, outputs, data.labels)
        if len(data) < 2:
            raise DataError(f"There must be at least two pictures to learn from, not {len(data)}.")
        return outputs
    if data.labels.ndim == 1 and len(data) and data.labels.min() >= 0:
        count = int(data.labels.max()) + 1 if classes is None else len(classes)
    else:
        count = 0
    check_targets(loss, count, data.labels)
    others = np.empty(0, np.int64) if held_out is None else held_out.labels
    _check_counts(np.bincount(data.labels, minlength=count), others, classes)
    return count


def _check_counts(
    counts: NDArray[np.int64], others: NDArray[Any], classes: tuple[str, ...] | None
) -> None:
    if len(counts) < 2:
        raise DataError(
            f"There must be at least two classes to tell apart; these pictures have {len(counts)}."
        )
    few = np.flatnonzero(counts < 2).tolist()
    if not few:
        return
    held_out = {k: int((others == k).sum()) for k in few}
    named = []
    for k in few[:_MOST_NAMED]:
        name = printable(classes[k], 60) if classes else f"class {k}"
        apart = f" and {held_out[k]} held out" if held_out[k] else ""
        named.append(f"{name} ({counts[k]}{apart})")
    more = f" and {len(few) - _MOST_NAMED} more" if len(few) > _MOST_NAMED else ""
    keep = "hold none out (--validation 0), " if any(held_out.values()) else ""
    numbers = " If they are numbers to predict: --labels number." if _are_numbers(classes) else ""
    raise DataError(
        "Every class needs at least two pictures to train on, better twenty, and these have "
        f"fewer: {', '.join(named)}{more}. Add pictures, {keep}or leave these classes out.{numbers}"
    )


def _are_numbers(classes: tuple[str, ...] | None) -> bool:
    """Whether all names of classes are numbers, as of a table's column of doses."""
    try:
        return bool([float(name) for name in classes or ()])
    except ValueError:
        return False


def are_gray(images: NDArray[np.uint8]) -> bool:
    """Whether pictures have no colors: all channels of some of them are equal."""
    some = images[:: max(1, len(images) // _LOOKED_AT)]
    return bool((some == some[..., :1]).all())
