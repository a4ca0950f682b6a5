"""The ``config.toml`` of a run: its settings, and where its data are, if that is known."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neocog.errors import FormatError, NeocogError
from neocog.files import exists, write_bytes
from neocog.run_files import CONFIG
from neocog.settings.codec import to_plain
from neocog.settings.recipe import Recipe
from neocog.settings.toml import read_toml, write_toml
from neocog.settings.training import TrainingSettings

__all__ = ["read_run_config", "update_run_config", "write_config", "write_run_config"]

_KIND = "configuration of a run"


def write_run_config(
    folder: Path, settings: TrainingSettings, data: Mapping[str, Any] | None
) -> None:
    """Write the settings, and where the data are, if that is known; raises `OSError`."""
    write_config(folder / CONFIG, settings, data)


def write_config(path: Path, settings: TrainingSettings, data: Mapping[str, Any] | None) -> None:
    """`write_run_config` to a file of another name."""
    description = to_plain(settings) | ({"data": dict(data)} if data is not None else {})
    write_bytes(path, write_toml(description).encode())


def update_run_config(folder: Path, settings: TrainingSettings) -> None:
    """Put a run's settings in the place of those it had before; raises as reading and writing."""
    path = folder / CONFIG
    before = read_toml(path, _KIND) if exists(path) else {}
    content = write_toml({**before, **to_plain(settings)})
    if content != write_toml(before):
        write_bytes(path, content.encode())


def read_run_config(
    path: str | os.PathLike[str],
) -> tuple[Recipe, dict[str, Any] | None, frozenset[str]]:
    """The settings, the data's table, if there is one, and the names of what the file says.

    Raises:
        FormatError: there is no such file, or it is no TOML.
        NeocogError: settings that cannot be.
    """
    path = Path(path)
    description = read_toml(path, _KIND)
    data = description.pop("data", None)
    if data is not None and not isinstance(data, dict):
        raise FormatError(f"{path}: data must be a table with the source of the data.")
    try:
        return Recipe.from_dict(description), data, frozenset(description)
    except NeocogError as error:
        raise NeocogError(f"{path}: {error}") from error
