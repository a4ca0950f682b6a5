"""Fits data to an existing network: its input shape, its resizing and its classes."""

from dataclasses import replace

import numpy as np

from neocog.data import Data, Dataset
from neocog.data.finding import Found
from neocog.errors import NeocogError, printable
from neocog.network import Network

__all__ = ["fitting", "in_order_of", "mismatch"]

_MOST_NAMED = 8


def fitting(found: Found, network: Network, model: str) -> Found:
    """The pictures, to be loaded in the network's shape.

    Args:
        found: pictures of any shape.
        network: the network that determines the shape and the resizing.
        model: what messages call the network.

    Raises:
        NeocogError: the pictures have classes that the network does not know.
    """
    if network.classes is not None:
        unknown = [one for one in found.listing.classes if one not in network.classes]
        if unknown:
            raise NeocogError(
                f"{found.listing.name} has classes that {model} does not know: {_some(unknown)}. "
                f"It knows {_some(network.classes)}. Say with --classes which are meant."
            )
    channels, height, width = network.input_shape
    return found.made((channels, height, width), network.preprocessing.resize)


def in_order_of(data: Data, classes: tuple[str, ...] | None) -> Data:
    """The data with their classes in the order of a network, which may know more classes.

    The data are unchanged if they have unknown classes or the network's classes have no names.
    """
    if classes is None or data.classes == classes or not set(data.classes) <= set(classes):
        return data
    numbers = np.array([classes.index(one) for one in data.classes], np.int64)
    train, validation, test = (
        Dataset(part.images, numbers[part.labels], part.names, part.digest)
        for part in (data.train, data.validation, data.test)
    )
    return replace(data, train=train, validation=validation, test=test, classes=classes)


def mismatch(network: Network, data: Data, model: str) -> str | None:
    """Why the data do not fit the network; None if they do."""
    height, width, channels = data.train.images.shape[1:]
    if network.input_shape != (channels, height, width):
        return (
            f"{model} takes images of the shape {network.input_shape}, but those of {data.name} "
            f"are {(channels, height, width)} (channels, height, width)."
        )
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


def _some(names: "tuple[str, ...] | list[str]") -> str:
    shown = ", ".join(printable(one, 60) for one in names[:_MOST_NAMED])
    return shown + (f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else "")
