"""Names that a user may have meant."""

import difflib
from collections.abc import Iterable

from neocog.errors import DataError
from neocog.validation import shown

__all__ = ["meant", "unknown_layer"]

_LONGEST = 1000


def meant(name: str, known: Iterable[str]) -> str:
    """The question whether a known name was meant, with a space before it; "" if none is near."""
    if not isinstance(name, str):
        return ""
    near = difflib.get_close_matches(name[:_LONGEST], list(known), n=1, cutoff=0.4)
    return f" Did you mean {near[0]!r}?" if near else ""


def unknown_layer(name: str, known: Iterable[str]) -> DataError:
    """What to raise for a layer that there is not."""
    names = list(known)
    return DataError(
        f"The network has no layer {shown(name)}.{meant(name, names)} Known: {', '.join(names)}."
    )
