"""Errors for users: each is one message with the bad value and what to do about it."""

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

# Control characters, line and paragraph separators, the marks that change the direction of text,
# and lone surrogates, which cannot be encoded.
_UNPRINTABLE = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

# Longest name to compare, as the time grows with the square of the length; and how many pairs of
# letters are compared, some 20,000 names of ten letters.
_LONGEST, _MOST_PAIRS = 100, 2_000_000


def is_plain(text: str) -> bool:
    """Whether `text` can be printed unchanged: it moves no cursor and reorders nothing."""
    # What Python calls printable has none of them, and is soon seen.
    return text.isprintable() or _UNPRINTABLE.search(text) is None


def printable(text: str, most: int = 100) -> str:
    r"""Text that comes from a file or another program, made safe for a message.

    Control characters (which can erase or imitate lines on a terminal), line separators, marks that
    reverse the direction of writing and lone surrogates become escapes such as ``\x1b``. Letters
    of all scripts and joined emoji stay as they are.

    Args:
        text: the text to show.
        most: number of characters to keep; the rest becomes an ellipsis.
    """
    shown = _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], text[:most])
    return shown if len(text) <= most else f"{shown}…"


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """A question with the known name that is nearest to `name`, after a space.

    Empty if no name is near, or `name` is not a text. The dashes before an option do not count.
    """
    import difflib  # slower to import than the rest of the command line's help

    if not isinstance(name, str):
        return ""
    name, spelled, pairs = name[:_LONGEST].lower().lstrip("-"), {}, 0
    for one in known:
        pairs += len(name) * len(one)
        if pairs > _MOST_PAIRS:
            break
        spelled[one.lower().lstrip("-")] = one
    near = difflib.get_close_matches(name, spelled, n=1, cutoff=0.5)
    return f" Did you mean {spelled[near[0]]!r}?" if near else ""


class NeocogError(Exception):
    """Base class of the errors that neocog raises on purpose; the text is for the user."""


class ArchitectureError(NeocogError):
    """Layers whose shapes do not fit each other, or bad arguments of a layer."""


class DataError(NeocogError):
    """Images or labels that are missing, damaged or not of the expected form."""


class FormatError(NeocogError):
    """A file that is damaged, refused for safety, or not of the format it claims."""


class TrainingDivergedError(NeocogError):
    """The loss became NaN or infinite, so training stopped."""
