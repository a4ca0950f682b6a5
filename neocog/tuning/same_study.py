"""Whether a study is that of these data, these settings and this space."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neocog.data.loaded import LoadedData
from neocog.errors import FormatError, NeocogError, printable
from neocog.settings.codec import to_plain
from neocog.settings.recipe import Recipe
from neocog.tuning.space import Parameter
from neocog.validation import shown

__all__ = ["check_same", "described", "space_of"]

# Another value of these makes no other trial.
_FREE = ("threads", "log_every", "checkpoint_minutes", "checkpoint_steps", "keep_checkpoints")


def described(space: Mapping[str, Parameter], settings: Recipe, data: LoadedData) -> dict[str, Any]:
    """What a study is of, as plain data."""
    plain = to_plain(settings)
    return {
        "space": {name: str(parameter) for name, parameter in space.items()},
        "settings": {name: value for name, value in plain.items() if name not in _FREE},
        "data": {"name": data.name, "fingerprint": data.fingerprint},
    }


def space_of(description: Mapping[str, Any]) -> dict[str, str]:
    """The space of a study, as texts."""
    return {name: str(text) for name, text in _part(description, "space").items()}


def check_same(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise `NeocogError` where a study is of something else, and say what differs."""
    data = _part(before, "data")
    if data.get("fingerprint") != now["data"]["fingerprint"]:
        raise NeocogError(
            f"{folder} is a study of {printable(str(data.get('name')))}, whose images are not "
            f"those of {printable(now['data']['name'])} as they are now. Begin a new study with "
            "another --study."
        )
    for part in ("space", "settings"):
        old, new = _flat(_part(before, part)), _flat(now[part])
        for name in sorted(old.keys() | new.keys()):
            if old.get(name) != new.get(name):
                raise NeocogError(
                    f"{folder} is a study of another {part.removesuffix('s')}: {printable(name)} "
                    f"was {_shown(old, name)}, and is {_shown(new, name)}. Say what it was, or "
                    "begin a new study with another --study."
                )


def _part(description: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = description.get(name)
    if not isinstance(found, dict):
        raise FormatError(f"The study does not say its {name}: its journal is damaged.")
    return found


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Settings of parts under their full names."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        inner = _flat(value, f"{before}{name}.") if isinstance(value, dict) else {}
        found |= inner or {f"{before}{name}": value}
    return found


def _shown(values: Mapping[str, Any], name: str) -> str:
    return shown(values[name]) if name in values else "not there"
