"""Names of layers that there are not."""

from collections.abc import Iterable

from neocog.errors import DataError, did_you_mean
from neocog.validation import shown

__all__ = ["unknown_layer"]


def unknown_layer(name: str, known: Iterable[str]) -> DataError:
    """What to raise for a layer that there is not."""
    names = list(known)
    hint = did_you_mean(name, names)
    return DataError(f"The network has no layer {shown(name)}.{hint} Known: {', '.join(names)}.")
