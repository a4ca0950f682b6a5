"""The settings that a run keeps when it is continued, as with others it would be another run."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from neocog.errors import NeocogError
from neocog.settings.codec import to_plain
from neocog.settings.override import short_names
from neocog.settings.setting import setting_of
from neocog.settings.training import TrainingSettings
from neocog.validation import shown

__all__ = ["check_fixed_settings"]


def check_fixed_settings(
    before: Mapping[str, Any], now: Mapping[str, Any], cls: type[TrainingSettings]
) -> None:
    """Raise `NeocogError` where a setting differs that must stay.

    Args:
        before: the settings of the run, as plain data.
        now: those that it is to be continued with.
        cls: whose fields are compared.
    """
    usual = to_plain(cls())  # of what a run of an earlier version could not set
    free = [one.name for one in fields(cls) if setting_of(one).free]
    fixed = [one.name for one in fields(cls) if one.name not in free]
    changes = [
        change
        for name in fixed
        for change in _differences(name, before.get(name, usual.get(name)), now.get(name))
    ]
    if not changes:
        return
    short = {full: name for name, full in short_names(cls).items()}
    listed = ", ".join(
        f"{short.get(name, name)} (was {shown(old)}, is {shown(new)})" for name, old, new in changes
    )
    raise NeocogError(
        f"These settings cannot change when a run is continued: {listed}. It would be another run: "
        "begin that with --config and the config.toml of this one. These can change: "
        f"{', '.join(sorted(free))}."
    )


def _differences(name: str, before: Any, now: Any) -> Iterator[tuple[str, Any, Any]]:
    """The names that differ, with the value before and now; of parts, those within them."""
    if isinstance(before, Mapping) and isinstance(now, Mapping) and before.keys() == now.keys():
        for key in before:
            yield from _differences(f"{name}.{key}", before[key], now[key])
    elif before != now:
        yield name, before, now
