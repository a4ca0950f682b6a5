"""Names of classes: which texts they may be.

Letters of every script are, with what belongs to their spelling: the joiners of Persian, Hindi and
emoji, spaces that do not break, soft hyphens, tabs. What would move a terminal's cursor, break a
table's lines, reorder what stands beside it, or cannot be encoded is not. Whole numbers are taken
as the texts that they are written as.
"""

import operator
from collections.abc import Iterable

from neocog.errors import ArchitectureError, is_plain, printable

__all__ = ["class_names"]

_LONGEST = 1000


def class_names(classes: Iterable[object]) -> tuple[str, ...]:
    """The names as texts.

    Raises:
        ArchitectureError: naming the one that can be none.
    """
    if isinstance(classes, str | bytes):
        raise ArchitectureError(f"classes (={_shown(classes)}) must be a list of names.")
    return tuple(_name(name, number) for number, name in enumerate(classes))


def _name(name: object, number: int) -> str:
    if not isinstance(name, str):
        whole = _whole(name)
        if whole is None:
            raise ArchitectureError(
                f"The name of class {number}, {_shown(name)}, must be a text or a whole number."
            )
        return str(whole)
    if len(name) > _LONGEST:
        raise ArchitectureError(
            f"The name of class {number}, '{printable(name, 40)}', has {len(name):,} characters; "
            f"up to {_LONGEST:,} are kept."
        )
    if not is_plain(name.replace("\t", "")):
        raise ArchitectureError(
            f"The name of class {number}, '{printable(name)}', has a line break, another control "
            "character or a mark that reverses the direction of text. Take it out."
        )
    return str(name)  # NumPy's texts become Python's


def _whole(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return None
    return number if abs(number) < 2**64 else None


def _shown(value: object) -> str:
    try:
        return printable(repr(value))
    except ValueError:  # a whole number of thousands of digits
        return f"(an {type(value).__name__})"
