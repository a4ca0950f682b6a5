"""Replace some settings, by the names that the command line has."""

from collections.abc import Mapping
from dataclasses import Field, fields, replace
from typing import Any, TypeVar

from neocog.errors import NeocogError
from neocog.settings.averaging import EMA
from neocog.settings.codec import described, from_plain
from neocog.settings.optimizers import Group, Optimizer
from neocog.settings.recipe import Recipe
from neocog.settings.setting import (
    OneOf,
    Settings,
    is_part,
    kind_named,
    kinds_of,
    options_of,
    setting_of,
    unknown_setting,
)
from neocog.settings.training import TrainingSettings
from neocog.validation import as_real

__all__ = ["override", "short_names"]

T = TypeVar("T", bound=TrainingSettings)


def short_names(cls: type[Settings]) -> dict[str, str]:
    """Full names of nested settings by their short names: ``lr`` → ``optimizer.lr``."""
    return {
        inner.name: f"{one.name}.{inner.name}"
        for one in fields(cls)
        if is_part(one.type)
        for kind in kinds_of(one.type)
        for inner in fields(kind)
        if setting_of(inner).option
    }


def override(settings: T, **changes: Any) -> T:
    """The settings with some of them replaced.

    - A nested setting is named with its part (``optimizer.lr``); common ones also have a short name
      (``lr``). Only that setting changes.
    - A part is given as an object, as a description (``{"type": "sgd", "lr": 0.1}``), or by its
      name. A part of another kind has its defaults, except for the groups of parameters that are
      frozen.
    - ``lr`` scales the learning rates of groups of parameters by the same factor.
    - ``"none"`` is None where a setting can be None.
    - ``ema`` is a decay; 0 removes any average.
    - Another `model` drops what refers to the layers of a recipe's own model: `freeze_after`,
      groups of parameters, its width, and an initialization other than PyTorch's.

    Raises:
        NeocogError: an unknown setting, a bad value, or settings that contradict each other.
    """
    given = _of_parts(type(settings), changes)
    model = given.get("model")
    if isinstance(settings, Recipe) and isinstance(model, str) and model != settings.model:
        settings = replace(
            settings,
            freeze_after={},
            initialization="torch",
            width=1.0,
            optimizer=replace(settings.optimizer, groups=()),
        )
    return _changed(settings, given, "The training")


def _of_parts(cls: type[Settings], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The changes, with those of a part collected in a dictionary under the part's name."""
    short = short_names(cls)
    tree: dict[str, Any] = {}
    for name, value in changes.items():
        if name == "ema":
            tree["averaging"] = EMA(value) if as_real(value) != 0 else None
            continue
        *path, last = short.get(name, name).split(".")
        inner = tree
        for part in path:
            before = inner.get(part)
            if not isinstance(before, _Changes):
                before = inner[part] = _Changes({} if part not in inner else {"": before})
            inner = before
        if isinstance(inner.get(last), _Changes):
            inner[last][""] = value
        else:
            inner[last] = value
    return tree


class _Changes(dict[str, Any]):
    """Changes to a part's settings; the part itself, if given, is under the empty name."""


S = TypeVar("S", bound=Settings)


def _changed(settings: S, given: Mapping[str, Any], owner: str) -> S:
    known = {one.name: one for one in fields(settings)}
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name not in known:
            raise _no_such_setting(settings, owner, name)
        values[name] = _value(known[name], getattr(settings, name), value, name)
    if isinstance(settings, Optimizer) and "lr" in values and "groups" not in values:
        values["groups"] = _scaled(settings, values["lr"])
    return replace(settings, **values)


def _value(one: "Field[Any]", current: Any, value: Any, name: str) -> Any:
    kind, optional = options_of(one.type)
    if optional and isinstance(value, str) and value == "none":
        return None
    if not is_part(kind):
        return described(kind, name, _merged(value))
    inner: Mapping[str, Any] = {}
    if isinstance(value, _Changes):
        inner = {key: each for key, each in value.items() if key}
        value = value.get("", current)
        value = _value(one, current, value, name)
    if isinstance(value, str) and issubclass(kind, OneOf):
        value = _of_kind(current, kind_named(kind, value, name))
    elif isinstance(value, Mapping):
        value = from_plain(kind, value, name)
    if not inner:
        return value
    if value is None:
        some = next(iter(kinds_of(kind)))
        raise NeocogError(
            f"{name}.{next(iter(inner))} needs to know which {name}: say it too, such as "
            f"{getattr(some, 'type_name', '')!r}."
        )
    return _changed(value, inner, type(value).__name__)


def _merged(value: Any) -> Any:
    """Merge several dictionaries, as from an option that was given several times."""
    if isinstance(value, list) and value and all(isinstance(one, Mapping) for one in value):
        keys = [key for one in value for key in one]
        if len(set(keys)) == len(keys) and "match" not in keys:
            return {key: each for one in value for key, each in one.items()}
    return value


def _of_kind(current: Any, kind: type[OneOf]) -> OneOf:
    """The current part if it is of this kind; else a new one with defaults."""
    if type(current) is kind:
        return current
    made = kind()
    if isinstance(current, Optimizer):
        frozen = tuple(group for group in current.groups if group.frozen)
        return replace(made, groups=frozen)
    return made


def _no_such_setting(settings: Settings, owner: str, name: str) -> NeocogError:
    if isinstance(settings, OneOf):
        family: Any = next(base for base in type(settings).__mro__ if OneOf in base.__bases__)
        others = [key for key, kind in family.kinds.items() if name in kind.names()]
        if others:
            return NeocogError(
                f"{name} goes with --{family.__name__.lower()} {' or '.join(others)}, not with "
                f"{settings.type_name}."
            )
    known = list(settings.names())
    if isinstance(settings, TrainingSettings):
        known += list(short_names(type(settings)))
    return unknown_setting(owner, name, known)


def _scaled(optimizer: Optimizer, lr: Any) -> tuple[Group, ...]:
    """The groups, with their own learning rates scaled by the same factor."""
    rate = as_real(lr)
    if rate is None or rate <= 0:  # the optimizer refuses it
        return optimizer.groups
    factor = rate / optimizer.lr
    return tuple(
        group if group.lr is None else replace(group, lr=group.lr * factor)
        for group in optimizer.groups
    )
