"""Splits the rows of a table into parts."""

from collections.abc import Sequence

from neocog.data.sources.base import ALL
from neocog.data.sources.class_folders import part_of
from neocog.errors import DataError, printable

__all__ = ["parts_of_rows"]

_MOST_NAMED = 8


def parts_of_rows(
    splits: Sequence[str | None], names: Sequence[str], table: str
) -> tuple[list[str], list[str]]:
    """The part of each row, and notes for the user.

    Args:
        splits: the part that each row names; None if it names none.
        names: names of the rows' pictures. If no row names a part, and all folders are named after
            parts, the folders are used.
        table: name of the table, for messages.

    Raises:
        DataError: some rows name a part and others something else, or none is for training.
    """
    notes = []
    values = {one for one in splits if one is not None}
    parts = {value: part_of(value) for value in values}
    if not values or not any(parts.values()):
        if values:
            notes.append(
                f"A column of {table} that is named as if it had parts has other values "
                f"({_some(sorted(values))}), and is not used."
            )
        found = [part_of(name.partition("/")[0]) if "/" in name else None for name in names]
        if "train" not in found or None in found:
            return [ALL] * len(splits), notes
    else:
        odd = sorted(value for value, part in parts.items() if part is None)
        if odd or None in splits:
            raise DataError(
                f"{table} has rows in parts that are not known: {_some(odd or ['none'])}. A part "
                "is train, validation or test."
            )
        found = [parts[one] for one in splits if one is not None]
    known = [part for part in found if part is not None]
    if len(set(known)) == 1:
        return [ALL] * len(splits), notes
    if "train" not in known:
        raise DataError(f"{table} has parts, but none is named train.")
    return known, notes


def _some(values: Sequence[str]) -> str:
    shown = ", ".join(f"'{printable(one, 40)}'" for one in values[:_MOST_NAMED])
    return shown + (f" and {len(values) - _MOST_NAMED} more" if len(values) > _MOST_NAMED else "")
