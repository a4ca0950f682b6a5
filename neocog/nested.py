"""Settings within settings by scikit-learn's names: ``optimizer__lr`` is the `lr` of `optimizer`.

scikit-learn looks for `get_params` and `set_params` in what is nested. Optimizers, schedules and
their like are frozen dataclasses without them: a changed setting makes another object.
"""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from neocog.errors import did_you_mean
from neocog.validation import shown

__all__ = ["nested_settings", "with_settings"]

_BETWEEN = "__"


def nested_settings(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The settings within a dataclass, and within those, by their whole names."""
    if not is_dataclass(value) or isinstance(value, type):
        return
    for field in fields(value):
        inner = getattr(value, field.name)
        yield f"{name}{_BETWEEN}{field.name}", inner
        yield from nested_settings(f"{name}{_BETWEEN}{field.name}", inner)


def with_settings(name: str, value: Any, changes: Mapping[str, Any]) -> Any:
    """The same as `value`, with some settings changed.

    Args:
        name: what the value is called in a message.
        value: a dataclass.
        changes: by names within it, such as ``lr`` or ``rest__lr``.

    Raises:
        ValueError: there is no such setting.
    """
    if not is_dataclass(value) or isinstance(value, type):
        raise ValueError(
            f"{name} (={shown(value)}) has no setting {shown(next(iter(changes)))}: set {name} "
            "itself first."
        )
    known = [field.name for field in fields(value)]
    own: dict[str, Any] = {}
    inner: dict[str, dict[str, Any]] = {}
    for path, change in changes.items():
        setting, deeper, rest = path.partition(_BETWEEN)
        if setting not in known:
            raise ValueError(
                f"{type(value).__name__} ({name}) has no setting {shown(setting)}."
                f"{did_you_mean(setting, known)} It has: {', '.join(known)}."
            )
        if deeper:
            inner.setdefault(setting, {})[rest] = change
        else:
            own[setting] = change
    for setting, within in inner.items():
        whole = own.get(setting, getattr(value, setting))
        own[setting] = with_settings(f"{name}{_BETWEEN}{setting}", whole, within)
    return replace(value, **own)
