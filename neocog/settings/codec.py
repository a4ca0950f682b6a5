"""Settings to plain data and back, for TOML and JSON.

A group of settings is a dictionary of its fields, one of several kinds with the kind's name as
``type``; a tuple is a list. Only what the classes of settings name is ever built.
"""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, TypeVar

from neocog.errors import NeocogError
from neocog.settings.setting import (
    OneOf,
    Settings,
    is_part,
    items_of,
    kind_named,
    options_of,
    setting_of,
    unknown_setting,
)
from neocog.validation import as_row, shown

__all__ = ["build", "described", "from_plain", "to_plain"]

S = TypeVar("S", bound=Settings)

# Levels of nested settings that a file may describe.
_DEEPEST = 8


def to_plain(settings: Settings) -> dict[str, Any]:
    """The settings as plain data, with None included; `from_plain` is the inverse."""
    kind = {"type": settings.type_name} if isinstance(settings, OneOf) else {}
    return {**kind, **{one.name: _plain(getattr(settings, one.name)) for one in fields(settings)}}


def _plain(value: Any) -> Any:
    if isinstance(value, Settings):
        return to_plain(value)
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return dict(value) if isinstance(value, Mapping) else value


def from_plain(cls: type[S], description: object, called: str, depth: int = 0) -> S:
    """Build settings from plain data, which may come from anywhere.

    Args:
        cls: a class of settings, or a family of kinds, one of which ``type`` names.
        description: values by name; whatever is left out has its default.
        called: what messages call the settings, such as "schedule".
        depth: how many levels of settings are around this one.

    Raises:
        NeocogError: an unknown name, for which the message has the nearest one, or a bad value.
    """
    if not isinstance(description, Mapping):
        raise NeocogError(f"{called} (={shown(description)}) must be settings by name.")
    if depth > _DEEPEST:
        raise NeocogError(f"{called} is nested more than {_DEEPEST} levels deep.")
    given = dict(description)
    made: Any = cls
    if issubclass(cls, OneOf):
        made = kind_named(cls, given.pop("type", None), called)
        called = made.__name__
    found: S = build(made, given, called, depth)
    return found


def build(cls: type[S], given: Mapping[str, Any], called: str, depth: int = 0) -> S:
    """An instance of a class from values by name; nested settings may be given as descriptions."""
    known = {one.name: one for one in fields(cls)}
    values = {}
    for name, value in given.items():
        if name not in known:
            raise unknown_setting(called, name, known)
        values[name] = described(known[name].type, name, value, depth)
    for name, one in known.items():
        if name not in values and one.default is one.default_factory is MISSING:
            raise NeocogError(f"{called} needs {name}: {setting_of(one).help}.")
    return cls(**values)


def described(annotation: Any, name: str, value: Any, depth: int = 0) -> Any:
    """A field's value, with descriptions of settings replaced by the settings."""
    kind, _ = options_of(annotation)
    if is_part(kind) and isinstance(value, Mapping):
        return from_plain(kind, value, name, depth + 1)
    item, row = items_of(kind), as_row(value)
    if item is not None and row is not None:
        return tuple(
            from_plain(item, one, item.__name__, depth + 1) if isinstance(one, Mapping) else one
            for one in row
        )
    return tuple(value) if isinstance(value, list) else value
