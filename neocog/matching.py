"""Data made to fit a network that is there already: its shape, its resizing, its classes."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from neocog.data import Data, Dataset, load_data
from neocog.data.finding import Found, find, holds_pictures
from neocog.data.options import LoadOptions
from neocog.data.progress import Progress
from neocog.errors import NeocogError, printable
from neocog.network import Network

__all__ = ["fitting", "in_order_of", "load_for", "mismatch"]

_MOST_NAMED = 8


def fitting(found: Found, network: Network, model: str) -> Found:
    """Pictures that were found, to be made to fit the network.

    Args:
        found: of any shape.
        network: whose shape and resizing they get.
        model: what the user calls it.

    Raises:
        NeocogError: they are of classes that the network does not know.
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
    """The data with their classes in the order of a network, which may know more of them.

    Data that have others, or a network whose classes have no names, leave them as they are.
    """
    if classes is None or data.classes == classes or not set(data.classes) <= set(classes):
        return data
    numbers = np.array([classes.index(one) for one in data.classes], np.int64)
    parts = {
        name: Dataset(part.images, numbers[part.labels], part.names)
        for name, part in data.parts.items()
    }
    return replace(data, classes=classes, **parts)


def load_for(
    network: Network,
    model: str,
    data: str,
    options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Data:
    """What `load_data` gives, of the network's shape and in the order of its classes.

    Args:
        network: to be trained on or judged.
        model: what the user calls it.
        data: a name or a path.
        options: further ones of `load_data`, which choose pictures.
        progress: told of loading.

    Raises:
        NeocogError: as `load_data` does, or the data do not fit the network.
    """
    if holds_pictures(data):
        found = find(data, LoadOptions.of(**(options or {}), progress=progress))
        loaded = fitting(found, network, model).load()
    else:
        loaded = load_data(data, progress=progress)
    loaded = in_order_of(loaded, network.classes)
    if (why := mismatch(network, loaded, model)) is not None:
        raise NeocogError(why)
    return loaded


def mismatch(network: Network, data: Data, model: str) -> str | None:
    """Why they do not go together; None if they do."""
    height, width, channels = data.train.images.shape[1:]
    if network.input_shape != (channels, height, width):
        return (
            f"{model} takes images of the shape {network.input_shape}, but those of {data.name} "
            f"are {(channels, height, width)} (channels, height, width)."
        )
    if network.output_shape != (len(data.classes),):
        return (
            f"{model} tells {network.output_shape[0]} classes apart, but {data.name} has "
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
