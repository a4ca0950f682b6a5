"""Settings as plain data, for recipes and run folders, and back: only into classes of a registry.

A dataclass becomes a dictionary of its fields with its name in the registry as ``type``; a tuple
becomes a list. Nothing else is ever built than what a registry names.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from neocog.errors import NeocogError
from neocog.validation import shown

__all__ = ["build", "describe"]

# Settings within settings within settings … that a file may describe.
_DEEPEST = 8


def describe(value: Any, registry: Mapping[str, type]) -> Any:
    """The value as plain data; `build` is the way back.

    Args:
        value: an instance of one of the registry's classes, or what their fields hold.
        registry: classes by name. A dataclass that is not among them goes without a ``type``.
    """
    if is_dataclass(value) and not isinstance(value, type):
        names = [{"type": name} for name, cls in registry.items() if cls is type(value)]
        content = {f.name: describe(getattr(value, f.name), registry) for f in fields(value)}
        return {**(names[0] if names else {}), **content}
    return [describe(v, registry) for v in value] if isinstance(value, tuple) else value


def build(
    description: object,
    registry: Mapping[str, type],
    what: str,
    parts: Mapping[str, type] | None = None,
    depth: int = 0,
) -> Any:
    """The instance that `describe` described.

    Args:
        description: plain data, of any origin.
        registry: classes by name.
        what: what is described, for messages: "schedule".
        parts: the class of a field's items that carry no ``type``, by the field's name.
        depth: how many descriptions this one lies within.

    Raises:
        NeocogError: for anything else.
    """
    if not isinstance(description, dict):
        raise NeocogError(f"A {what} must be described by its type and settings.")
    arguments = dict(description)
    name = arguments.pop("type", None)
    if not isinstance(name, str) or name not in registry:
        known = ", ".join(registry)
        raise NeocogError(f"Unknown {what} {shown(name)}. Known: {known}.")
    if depth > _DEEPEST:
        raise NeocogError(f"A {what} holds others more than {_DEEPEST} deep.")
    values = {}
    for key, value in arguments.items():
        if isinstance(value, dict):
            values[key] = build(value, registry, what, parts, depth + 1)
        elif isinstance(value, list) and parts and key in parts:
            values[key] = tuple(_make(parts[key], key, item) for item in value)
        else:
            values[key] = tuple(value) if isinstance(value, list) else value
    return _make(registry[name], name, values)


def _make(cls: type, name: str, values: object) -> Any:
    if not isinstance(values, dict):
        raise NeocogError(f"{name}: {shown(values)} is no group of settings.")
    known = {f.name: f for f in fields(cls)}
    if unknown := sorted(str(key) for key in values if key not in known):
        raise NeocogError(f"{name} has no setting {shown(unknown[0])}. Known: {', '.join(known)}.")
    try:
        return cls(**values)
    except TypeError as error:
        raise NeocogError(f"{name}: {error}.") from error
