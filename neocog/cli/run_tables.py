"""Formats values of runs for tables, and tables for the terminal."""

import shutil
from collections.abc import Sequence

__all__ = [
    "cut",
    "duration",
    "names_within",
    "percent",
    "setting",
    "short_names",
    "table",
    "table_width",
    "three_digits",
]

_NARROWEST = 40


def table_width() -> int:
    """Width of the terminal in columns; 80 if there is none."""
    return max(_NARROWEST, shutil.get_terminal_size().columns)


def table(columns: Sequence[Sequence[str]], right: Sequence[bool]) -> list[str]:
    """The lines of a table, two spaces between its columns.

    Args:
        columns: the cells of each column, the heading first.
        right: whether each column is right-aligned, as numbers are.
    """
    widths = [max(map(len, column)) for column in columns]
    lines = []
    for cells in zip(*columns, strict=True):
        placed = (
            cell.rjust(width) if ends else cell.ljust(width)
            for cell, width, ends in zip(cells, widths, right, strict=True)
        )
        lines.append("  ".join(placed).rstrip())
    return lines


def cut(text: str, most: int) -> str:
    """Shorten a text to `most` characters, with an ellipsis in its middle."""
    if len(text) <= most:
        return text
    end = (most - 1) * 2 // 3  # the end of a run's name has the time
    return f"{text[: most - 1 - end]}…{text[-end:]}"


def names_within(names: Sequence[str], most: int) -> list[str]:
    """Shorten names to `most` characters each, keeping the part around their first difference."""
    letters = enumerate(zip(*names, strict=False))
    differs = next((place for place, of_all in letters if len(set(of_all)) > 1), 0)
    return [_around(name, differs - most // 3, most) for name in names]


def _around(name: str, begin: int, most: int) -> str:
    begin = max(0, min(begin, len(name) - most))
    part = name[begin : begin + most]
    if begin:
        part = f"…{part[1:]}"
    return part if begin + most >= len(name) else f"{part[:-1]}…"


def short_names(names: Sequence[str]) -> list[str]:
    """The last part of each dotted name if it is unique: ``lr`` for ``optimizer.lr``."""
    ends = [name.rpartition(".")[2] for name in names]
    return [end if ends.count(end) == 1 else name for name, end in zip(names, ends, strict=True)]


def percent(part: float | None) -> str:
    """A fraction in percent."""
    return "–" if part is None else f"{100 * part:.1f} %"


def three_digits(number: float | None) -> str:
    """A number with three significant digits."""
    return "–" if number is None else f"{number:.3g}"


def duration(seconds: float | None) -> str:
    """A time for people: ``8.1 s``, ``12 min``, ``3.4 h``."""
    if seconds is None:
        return "–"
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def setting(value: object) -> str:
    """A setting's value."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
