"""Rows of text for the settings and facts of a run."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from neocog.errors import printable

__all__ = ["fact_rows", "setting_rows"]

_MOST_ROWS, _MOST_CHARACTERS = 300, 200
# Largest depth of nested tables; no settings are deeper.
_DEEPEST = 8


def setting_rows(
    settings: Mapping[str, Any], defaults: Mapping[str, Any] | None = None
) -> list[list[str | None]]:
    """Rows [name, value, default]; default is None if it equals the value, "" if there is none.

    Args:
        settings: settings by name; nested ones are written with dots, such as ``optimizer.lr``.
        defaults: defaults in the same form.
    """
    usual = dict(_leaves(defaults or {}))
    rows: list[list[str | None]] = []
    for name, value in _leaves(settings):
        default = None if defaults is None else ""
        if name in usual:
            default = None if _same(usual[name], value) else _written(usual[name])
        rows.append([printable(name, _MOST_CHARACTERS), _written(value), default])
    return rows[:_MOST_ROWS]


def fact_rows(facts: Mapping[str, Any]) -> list[list[str]]:
    """Rows [name, value]; values that are None are left out."""
    return [
        [printable(name, _MOST_CHARACTERS), _written(value)]
        for name, value in _leaves(facts)
        if value is not None
    ][:_MOST_ROWS]


def _leaves(
    table: Mapping[str, Any], prefix: str = "", depth: int = 0
) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value and depth < _DEEPEST:
            yield from _leaves(value, f"{name}.", depth + 1)
        else:
            yield name, value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _same(one: Any, other: Any) -> bool:
    """Whether two settings are equal; a tuple equals the list that a file has for it."""
    if isinstance(one, tuple | list) and isinstance(other, tuple | list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


def _written(value: Any, depth: int = 0) -> str:
    match value:
        case list() | tuple() | Mapping() if depth == _DEEPEST:
            text = "…"
        case None:
            text = "none"
        case bool():
            text = "yes" if value else "no"
        case int():
            text = f"{value:,}" if abs(value) < 10**15 else str(value)[:_MOST_CHARACTERS]
        case float():
            text = f"{value:.6g}" if math.isfinite(value) else str(value)
        case list() | tuple():
            some = [_written(one, depth + 1) for one in value[:_MOST_ROWS]]
            text = ", ".join(some) or "none"
        case Mapping():
            some = [f"{key} = {_written(one, depth + 1)}" for key, one in value.items()]
            text = "; ".join(some) or "none"
        case _:
            text = str(value)
    return printable(text, _MOST_CHARACTERS)
