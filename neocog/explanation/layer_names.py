"""The error for a layer's name that the network does not have."""

from collections.abc import Iterable

from neocog.errors import DataError, did_you_mean
from neocog.validation import shown

__all__ = ["unknown_layer"]


def unknown_layer(name: str, known: Iterable[str]) -> DataError:
    """The error for a name that is not among `known`, with the nearest of these."""
    names = list(known)
    hint = did_you_mean(name, names)
    return DataError(f"The network has no layer {shown(name)}.{hint} Known: {', '.join(names)}.")
