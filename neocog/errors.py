"""What goes wrong for a user: each error is one message with the value and what to do about it."""

import re
from collections.abc import Iterable

__all__ = [
    "ArchitectureError",
    "DataError",
    "FormatError",
    "NeocogError",
    "TrainingDivergedError",
    "did_you_mean",
    "is_plain",
    "printable",
]

# Control characters, line and paragraph separators, the marks that change the direction in which
# text is shown, and halves of UTF-16's pairs, which cannot be encoded at all.
_UNPRINTABLE = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

# Comparing takes a time that grows with the square of the length.
_LONGEST = 100


def is_plain(text: str) -> bool:
    """Whether `text` can be shown as it is: it moves no cursor and reorders nothing."""
    return _UNPRINTABLE.search(text) is None


def printable(text: str, most: int = 100) -> str:
    r"""Text that comes from a file or another program, made safe for a message.

    Control characters (which can erase or imitate lines on a terminal), line separators, marks that
    reverse the direction of writing and lone surrogates become escapes such as ``\x1b``. Letters
    of all scripts and joined emoji stay as they are.

    Args:
        text: to be shown.
        most: how many of its characters; the rest becomes an ellipsis.
    """
    shown = _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], text[:most])
    return shown if len(text) <= most else f"{shown}…"


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """A question after the known name that is nearest to `name`, and a space before it.

    Empty if none is near, or `name` is no text.
    """
    import difflib  # takes longer than the rest of the command line's help

    if not isinstance(name, str):
        return ""
    spelled = {one.lower(): one for one in known}
    near = difflib.get_close_matches(name[:_LONGEST].lower(), spelled, n=1, cutoff=0.5)
    return f" Did you mean {spelled[near[0]]!r}?" if near else ""


class NeocogError(Exception):
    """Any error that neocog raises on purpose; its text is meant to be read by the user."""


class ArchitectureError(NeocogError):
    """Layers whose shapes do not fit each other, or arguments that no layer can have."""


class DataError(NeocogError):
    """Images or labels that are missing, damaged or not of the expected form."""


class FormatError(NeocogError):
    """A file that is damaged, refused for safety, or not of the format it claims."""


class TrainingDivergedError(NeocogError):
    """The loss became NaN or infinite, so training stopped."""
