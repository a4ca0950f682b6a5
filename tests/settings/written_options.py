"""A recipe as somebody would type it: the options of the command line that say all of it."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from neocog.settings.setting import OneOf, Settings, items_of

#: None as the command line has it where "none" is no value of its own.
_NOTHING = {"crop": "0", "clip_norm": "0"}


def written(settings: Settings, prefix: str = "") -> list[str]:
    """The options, each with `=` where its value may begin with a minus."""
    found: list[str] = []
    for one in fields(settings):
        option = f"--{prefix}{one.name}".replace("_", "-")
        found += _one(one, option, f"{prefix}{one.name}.", getattr(settings, one.name))
    return found


def _one(one: Any, option: str, prefix: str, value: Any) -> list[str]:
    if isinstance(value, Settings):
        kind = [f"{option}={value.type_name}"] if isinstance(value, OneOf) else []
        return kind + written(value, prefix)
    if value is None:
        return [f"{option}={_NOTHING.get(one.name, 'none')}"]
    if isinstance(value, bool):
        return [option if value else option.replace("--", "--no-", 1)]
    if isinstance(value, Mapping):
        return [f"{option}={pattern}={epochs}" for pattern, epochs in value.items()]
    if items_of(one.type) is not None:
        return [f"{option}={_group(group)}" for group in value]
    if one.name in ("crop", "class_weights", "pos_weight"):
        return [f"{option}={','.join(map(repr, value))}"]
    if isinstance(value, tuple):
        return [option, *map(repr, value)]
    return [f"{option}={value if isinstance(value, str) else repr(value)}"]


def _group(group: Any) -> str:
    values = {one.name: getattr(group, one.name) for one in fields(group)}
    shown = {True: "true", False: "false", None: "none"}
    return ",".join(
        f"{name}={shown[value] if value is None or isinstance(value, bool) else value}"
        for name, value in values.items()
    )
