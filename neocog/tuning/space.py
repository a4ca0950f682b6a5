"""What is searched: for each of some settings, a range or a list of its values.

    lr=1e-4..1e-1:log    from … to …, evenly in its logarithm
    weight_decay=0..0.01
    batch_size=16,32,64  one of these

Names are those that `neocog.settings.override` takes. Every end of a range and every value of a
list must be a valid setting beside the others; this is checked before anything is trained.
"""

import argparse
from collections.abc import Iterable, Mapping
from dataclasses import Field, dataclass, fields
from itertools import combinations, product
from math import isfinite
from typing import Any, TypeAlias

from neocog.errors import NeocogError
from neocog.settings.averaging import EMA
from neocog.settings.options import parse_value
from neocog.settings.override import override, short_names
from neocog.settings.recipe import Recipe
from neocog.settings.setting import (
    OneOf,
    is_part,
    kind_named,
    kinds_of,
    options_of,
    unknown_setting,
)
from neocog.validation import as_real, as_row, refuse, shown

__all__ = ["Choices", "Parameter", "Range", "check_space", "parse_assignments", "parse_space"]

_MOST_CHOICES = 100
_MOST_PARAMETERS = 50
_DEEPEST = 8
# What a trial is not better or worse by, or what says how trials are compared.
_NOT_SEARCHED = (
    *("name", "about", "threads", "log_every", "monitor", "min_delta", "tta", "calibrate"),
    *("checkpoint_minutes", "checkpoint_steps", "keep_checkpoints"),
)


@dataclass(frozen=True)
class Range:
    """Numbers between two, both of which can be drawn; whole ones where the setting is whole.

    Attributes:
        low: the smallest.
        high: the largest.
        log: whether they are drawn evenly in their logarithm.
    """

    low: float
    high: float
    log: bool = False

    def __str__(self) -> str:
        return f"{self.low!r}..{self.high!r}{':log' if self.log else ''}"

    @property
    def extremes(self) -> tuple[Any, ...]:
        """The values that are checked for all others."""
        return self.low, self.high


@dataclass(frozen=True)
class Choices:
    """A few values, of which one is drawn.

    Attributes:
        values: numbers, texts, True, False or None.
    """

    values: tuple[Any, ...]

    def __str__(self) -> str:
        return ",".join(_text(value) for value in self.values)

    @property
    def extremes(self) -> tuple[Any, ...]:
        """The values that are checked for all others: they are all there are."""
        return self.values


Parameter: TypeAlias = Range | Choices


def parse_assignments(texts: Iterable[str]) -> dict[str, str]:
    """Texts such as ``lr=1e-4..1e-1:log`` as names and what is said of each.

    Raises:
        NeocogError: one has no ``=``, or a name is there twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not equals or not name.strip():
            raise NeocogError(
                f"--space {shown(text)} must be a setting and its values, such as "
                "lr=1e-4..1e-1:log or batch_size=16,32."
            )
        name = name.strip()
        if name in found:
            raise NeocogError(f"--space {shown(name)} is there twice.")
        found[name] = values.strip()
    return found


def parse_space(given: Mapping[str, Any], settings: Recipe) -> dict[str, Parameter]:
    """The parameters of a space by the full names of their settings.

    Args:
        given: by the name of a setting, short or full, a text as above, a `Range`, `Choices`, or a
            list of values.
        settings: settings of all trials, except those that are searched.

    Raises:
        NeocogError: unknown settings, or bad values.
    """
    if not isinstance(given, Mapping) or not given:
        raise refuse("space", given, "values by names of settings, as {'lr': '1e-4..1e-1:log'}")
    if len(given) > _MOST_PARAMETERS:
        raise NeocogError(f"space has {len(given)} settings; up to {_MOST_PARAMETERS} go.")
    space: dict[str, Parameter] = {}
    for name, values in given.items():
        full, one = _field_named(settings, name)
        if full in space:
            raise NeocogError(f"space has {full} twice.")
        space[full] = _parameter(full, one, values)
    check_space(space, settings)
    return space


def check_space(space: Mapping[str, Parameter], settings: Recipe) -> None:
    """Raise `NeocogError` unless all ends and choices are valid, also two of them together."""
    for name, parameter in space.items():
        for value in parameter.extremes:
            try:
                override(settings, **{name: value})
            except NeocogError as error:
                raise NeocogError(f"space {name}={shown(str(parameter))}: {error}") from error
    for (first, one), (second, other) in combinations(space.items(), 2):
        for a, b in product(_corners(settings, first, one), _corners(settings, second, other)):
            try:
                override(settings, **{first: a, second: b})
            except NeocogError as error:
                raise NeocogError(
                    f"space: {first} = {shown(_text(a))} does not go with {second} = "
                    f"{shown(_text(b))}: {error}"
                ) from error


def _corners(settings: Recipe, name: str, parameter: Parameter) -> tuple[Any, ...]:
    """All kinds of a part, and of other values the first and the last."""
    values = parameter.extremes
    return values if is_part(_field_named(settings, name)[1].type) else (values[0], values[-1])


# Names


def _field_named(settings: Recipe, name: object) -> tuple[str, "Field[Any]"]:
    """The full name of a setting, and its field; of several kinds that of the first that has it."""
    if not isinstance(name, str):
        raise refuse("space's name", name, "the name of a setting")
    short = short_names(type(settings))
    name = name.replace("-", "_")
    if name == "ema":
        return name, next(one for one in fields(EMA) if one.name == "decay")
    full = short.get(name, name)
    if full in _NOT_SEARCHED:
        raise NeocogError(f"space has {full}, by which no training is better or worse.")
    *path, last = full.split(".")
    classes: list[Any] = [type(settings)]
    owner = "The training"
    for part in path[:_DEEPEST]:
        one = _found(classes, part)
        if one is None or not is_part(one.type):
            break
        classes, owner = kinds_of(one.type), part
    else:
        one = _found(classes, last) if len(path) <= _DEEPEST else None
        if one is not None:
            return full, one
    known = [one.name for cls in classes for one in fields(cls)]
    if classes == [type(settings)]:
        known += list(short)
    wrong = name if classes == [type(settings)] else last
    raise unknown_setting(owner, wrong, dict.fromkeys(known))


def _found(classes: Iterable[Any], name: str) -> "Field[Any] | None":
    return next((one for cls in classes for one in fields(cls) if one.name == name), None)


# Values


def _parameter(name: str, one: "Field[Any]", given: Any) -> Parameter:
    kind, _ = options_of(one.type)
    is_number = kind in (int, float)
    is_kind = is_part(kind) and issubclass(kind, OneOf)
    if not (is_number or is_kind or kind in (bool, str)):
        raise NeocogError(f"space has {name}, whose values are neither numbers nor names.")
    if isinstance(given, str):
        return _parsed(name, one, given, is_number)
    if isinstance(given, Range):
        if not is_number:
            raise NeocogError(f"space {name} (={given}) is no number: give a list of values.")
        return _checked_range(name, kind, given)
    values = given.values if isinstance(given, Choices) else as_row(given)
    if values is None:
        raise refuse(f"space {name}", given, "a text such as 1e-4..1e-1:log, or a list of values")
    return _checked_choices(name, Choices(tuple(values)))


def _parsed(name: str, one: "Field[Any]", given: str, is_number: bool) -> Parameter:
    text, _, flag = given.partition(":") if is_number else (given, "", "")
    if not is_number or ".." not in text:
        values = [_value(name, one, part.strip(), given) for part in given.split(",")]
        return _checked_choices(name, Choices(tuple(values)))
    if flag not in ("", "log"):
        raise NeocogError(f"space {name} (={shown(given)}) has :{flag}; there is :log.")
    low, _, high = text.partition("..")
    first, last = (_value(name, one, end.strip(), given) for end in (low, high))
    return _checked_range(name, options_of(one.type)[0], Range(first, last, flag == "log"))


def _value(name: str, one: "Field[Any]", text: str, given: str) -> Any:
    kind, optional = options_of(one.type)
    if optional and text == "none":
        return None
    if kind is bool:
        if text in ("true", "false"):
            return text == "true"
        raise NeocogError(f"space {name} (={shown(given)}) must be true,false.")
    if is_part(kind):
        return kind_named(kind, text, name).type_name
    try:
        return parse_value(one, text, optional)
    except argparse.ArgumentTypeError as error:
        raise NeocogError(f"space {name} (={shown(given)}): {error}.") from None


def _checked_range(name: str, kind: type, given: Range) -> Range:
    low, high = as_real(given.low), as_real(given.high)
    if low is None or high is None or not (isfinite(low) and isfinite(high)):
        raise NeocogError(f"space {name} (={given}) must go from a number to a number.")
    if kind is int:
        if low != int(low) or high != int(high):
            raise NeocogError(f"space {name} (={given}) must have whole numbers as its ends.")
        low, high = int(low), int(high)
    else:
        low, high = float(low), float(high)
    if low >= high:
        raise NeocogError(f"space {name} (={given}) must go from a number to a larger one.")
    if given.log and low <= 0:
        raise NeocogError(f"space {name} (={given}): a logarithm needs ends above 0.")
    return Range(low, high, bool(given.log))


def _checked_choices(name: str, given: Choices) -> Choices:
    values = given.values
    if not all(value is None or isinstance(value, bool | int | float | str) for value in values):
        raise NeocogError(f"space {name} must have numbers, texts, True, False or None as values.")
    if len({_text(value) for value in values}) != len(values):
        raise NeocogError(f"space {name} (={shown(str(given))}) has a value twice.")
    if not 2 <= len(values) <= _MOST_CHOICES:
        raise NeocogError(
            f"space {name} (={shown(str(given))}) has {len(values)} values; from 2 to "
            f"{_MOST_CHOICES} can be tried. A single one is given as a setting of all trials."
        )
    return given


def _text(value: Any) -> str:
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)
