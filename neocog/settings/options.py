"""Settings as options of the command line, one for each setting, made from the settings' classes.

A nested setting is named with the part it belongs to, ``--optimizer.betas``; common ones have a
short option too, ``--lr``. Options that are not given are absent from what argparse returns.
"""

import argparse
from collections.abc import Callable, Iterable
from dataclasses import Field, fields
from typing import Any, get_args, get_origin

from neocog.settings.setting import (
    OneOf,
    Settings,
    is_part,
    items_of,
    kinds_of,
    options_of,
    setting_of,
)
from neocog.validation import shown

__all__ = ["add_options", "parse_value"]


def add_options(
    parser: argparse.ArgumentParser,
    cls: type[Settings],
    title: str,
    skip: Iterable[str] = (),
) -> None:
    """Add an option for every setting of a class and of its parts.

    Args:
        parser: the parser to add them to.
        cls: the class of settings.
        title: title of their group in the help.
        skip: names of settings that get no option.
    """
    group = parser.add_argument_group(title)
    parts = []
    for one in fields(cls):
        if one.name in skip:
            continue
        if is_part(one.type):
            parts.append(one)
            kind, _ = options_of(one.type)
            if not issubclass(kind, OneOf):
                continue
        _add(group, one, "", [cls], hidden=False)
    for one in parts:
        inner = parser.add_argument_group(f"{one.name} settings")
        _add_part(inner, one, f"{one.name}.", hidden=False)


def _add_part(group: Any, part: "Field[Any]", prefix: str, hidden: bool) -> None:
    kinds = kinds_of(part.type)
    known: dict[str, list[type[Settings]]] = {}
    for kind in kinds:
        for one in fields(kind):
            known.setdefault(one.name, []).append(kind)
    for name, having in known.items():
        one = next(each for each in fields(having[0]) if each.name == name)
        _add(group, one, prefix, having if len(having) < len(kinds) else [], hidden=hidden)
        if is_part(one.type) and prefix.count(".") == 1:
            # Schedules within schedules have options, but no rows in the help.
            _add_part(group, one, f"{prefix}{name}.", hidden=True)


def _add(
    group: Any, one: "Field[Any]", prefix: str, having: list[type[Settings]], hidden: bool
) -> None:
    said = setting_of(one)
    kind, optional = options_of(one.type)
    full = f"--{prefix}{one.name}".replace("_", "-")
    names = [said.option, full] if said.option and prefix.count(".") <= 1 else [full]
    kinds = [each.type_name for each in having if issubclass(each, OneOf)]
    help_ = said.help.replace("%", "%%") + (f" ({', '.join(kinds)})" if kinds else "")
    described: dict[str, Any] = {
        "dest": f"{prefix}{one.name}",
        "default": argparse.SUPPRESS,
        "help": argparse.SUPPRESS if hidden else help_,
    }
    if kind is bool:
        group.add_argument(*names, action=argparse.BooleanOptionalAction, **described)
        return
    described["metavar"] = said.metavar or one.name.rpartition("_")[2].upper()
    if choices := _choices(one):
        described |= {"choices": choices, "metavar": "|".join(choices)}
    else:
        described["type"] = _reader(one, optional)
    if get_origin(kind) is tuple and said.text is None and items_of(kind) is None:
        described["nargs"] = len(get_args(kind))
        if not isinstance(said.metavar, tuple):
            described["metavar"] = (one.name.upper(),) * described["nargs"]
    elif items_of(kind) is not None or _is_mapping(kind):
        described["action"] = "append"
        described.setdefault("metavar", "KEY=VALUE,…")
    group.add_argument(*names, **described)


def _is_mapping(kind: Any) -> bool:
    origin = get_origin(kind)
    return isinstance(origin, type) and not issubclass(origin, tuple)


def _choices(one: "Field[Any]") -> list[str]:
    kind, optional = options_of(one.type)
    known = list(setting_of(one).choices)
    if is_part(kind) and issubclass(kind, OneOf):
        known = list(kind.kinds)
    return [*known, "none"] if known and optional else known


def _reader(one: "Field[Any]", optional: bool) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        return parse_value(one, text, optional)

    return read


def parse_value(one: "Field[Any]", text: str, optional: bool) -> Any:
    """Parse the text of an option, or of one of its numbers; bounds are checked later."""
    if optional and text == "none":
        return None
    said = setting_of(one)
    kind, _ = options_of(one.type)
    try:
        if (item := items_of(kind)) is not None:
            return _item(item, text)
        if said.text is not None:
            return said.text(text)
        if kind is str:
            return text
        return int(text) if kind is int else _number(text)
    except (ValueError, KeyError):
        raise argparse.ArgumentTypeError(f"{shown(text)} is no such value") from None


def _number(text: str) -> float:
    """An int if the text is one, so that a length in steps stays whole; else a float."""
    try:
        return int(text)
    except ValueError:
        return float(text)


def _item(cls: type[Settings], text: str) -> dict[str, Any]:
    """The description of a group from ``match=*.bias,lr=0.1``."""
    known = {one.name: one for one in fields(cls)}
    found = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        kind, optional = options_of(known[name.strip()].type)
        if kind is bool:
            found[name.strip()] = {"true": True, "false": False}[value.lower()]
        else:
            found[name.strip()] = parse_value(known[name.strip()], value, optional)
    return found
