"""Where a search begins: with the settings as they are."""

from collections.abc import Mapping
from typing import Any

from neocog.settings.recipe import Recipe
from neocog.settings.setting import OneOf
from neocog.tuning.space import Choices, Parameter

__all__ = ["starting_point"]


def starting_point(space: Mapping[str, Parameter], settings: Recipe) -> dict[str, Any]:
    """The values that the settings have now, by full names; the nearest ones within the ranges.

    Those that are none of a list's values, or that the settings do not have, are left out.
    """
    found: dict[str, Any] = {}
    for name, parameter in space.items():
        value = _value(settings, name)
        if isinstance(parameter, Choices):
            if value in parameter.values:
                found[name] = value
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[name] = type(parameter.low)(min(max(value, parameter.low), parameter.high))
    return found


def _value(settings: Any, name: str) -> Any:
    for part in name.split("."):
        settings = getattr(settings, part, None)
    return settings.type_name if isinstance(settings, OneOf) else settings
