"""Fits data to an existing network: its input shape, its resizing and its classes."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.data import Data, Dataset
from neocog.data.finding import Found
from neocog.data.sources.base import LABELS, NUMBER, SEVERAL
from neocog.errors import NeocogError, printable
from neocog.losses import has_targets
from neocog.network import Network
from neocog.settings.training import LOSSES

__all__ = ["LABELS_OF", "fitting", "in_order_of", "labels_for", "mismatch"]

_MOST_NAMED = 8
#: What a label is in the data that a loss is of.
LABELS_OF = dict(zip(LOSSES, LABELS, strict=True))


def labels_for(network: Network) -> dict[str, str]:
    """The option of `load_data` that a network needs by what it was trained on, if any."""
    return {"labels": LABELS_OF[network.loss]} if has_targets(network.loss) else {}


def fitting(found: Found, network: Network, model: str) -> Found:
    """The pictures, to be loaded in the network's shape.

    Args:
        found: pictures of any shape.
        network: the network that determines the shape and the resizing.
        model: what messages call the network.

    Raises:
        NeocogError: the pictures have classes that the network does not know, or nothing says
            which of them have a label that it knows.
    """
    if network.classes is not None and found.options.labels != NUMBER:
        unknown = [one for one in found.listing.classes if one not in network.classes]
        if unknown:
            raise NeocogError(
                f"{found.listing.name} has classes that {model} does not know: {_some(unknown)}. "
                f"It knows {_some(network.classes)}. Say with --classes which are meant."
            )
        missing = [one for one in network.classes if one not in found.listing.classes]
        if missing and found.options.labels == SEVERAL and not found.listing.names_all:
            raise NeocogError(
                f"{model} knows labels that {found.listing.name} does not say of its pictures: "
                f"{_some(missing)}. Give the table a column of 0 and 1 for each."
            )
    channels, height, width = network.input_shape
    return found.made((channels, height, width), network.preprocessing.resize)


def in_order_of(data: Data, classes: tuple[str, ...] | None) -> Data:
    """The data with their classes in the order of a network, which may know more classes.

    The data are unchanged if they have unknown classes or the network's classes have no names. The
    same holds for labels, of which a picture has none that the data do not know. A number has the
    network's name for it, whatever its column is called.
    """
    if classes is None or data.classes == classes:
        return data
    if data.options.get("labels") == NUMBER:
        return replace(data, classes=classes) if len(classes) == len(data.classes) else data
    if not set(data.classes) <= set(classes):
        return data
    numbers = np.array([classes.index(one) for one in data.classes], np.int64)
    train, validation, test = (
        Dataset(part.images, _renumbered(part.labels, numbers, classes), part.names, part.digest)
        for part in (data.train, data.validation, data.test)
    )
    return replace(data, train=train, validation=validation, test=test, classes=classes)


def _renumbered(
    labels: NDArray[Any], numbers: NDArray[np.int64], classes: tuple[str, ...]
) -> NDArray[Any]:
    if labels.ndim == 1:
        found: NDArray[Any] = numbers[labels]
        return found
    found = np.zeros((len(labels), len(classes)), np.float32)
    found[:, numbers] = labels
    return found


def mismatch(network: Network, data: Data, model: str) -> str | None:
    """Why the data do not fit the network; None if they do."""
    height, width, channels = data.train.images.shape[1:]
    if network.input_shape != (channels, height, width):
        return (
            f"{model} takes images of the shape {network.input_shape}, but those of {data.name} "
            f"are {(channels, height, width)} (channels, height, width)."
        )
    if has_targets(network.loss) != (data.train.labels.ndim == 2) and network.initialized:
        return _other_labels(network, data, model)
    if network.output_shape != (len(data.classes),):
        return (
            f"{model} distinguishes {network.output_shape[0]} classes, but {data.name} has "
            f"{len(data.classes)}."
        )
    if network.classes is not None and network.classes != data.classes:
        return (
            f"{model} knows the classes {', '.join(network.classes)}, but {data.name} has "
            f"{', '.join(data.classes)}."
        )
    return None


def _other_labels(network: Network, data: Data, model: str) -> str:
    has = "a class for each picture"
    if data.train.labels.ndim == 2:
        has = "several labels for each picture, or a number"
    return f"{model} was trained by {network.loss}, but {data.name} has {has}."


def _some(names: "tuple[str, ...] | list[str]") -> str:
    shown = ", ".join(printable(one, 60) for one in names[:_MOST_NAMED])
    return shown + (f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else "")
