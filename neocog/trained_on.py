"""The data that a saved network was trained on, and whether other data are the same.

A model's file has the data's name and fingerprint. Their path is in the ``run.json`` beside it, and
is opened only to be compared with the fingerprint, so that a file or folder from someone else
cannot bring other data into what is shown.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neocog.data import NAMES, Data
from neocog.data.finding import read_options
from neocog.formats import training_of
from neocog.run_info import read_info

__all__ = ["TrainedOn", "trained_on", "training_notes"]


@dataclass(frozen=True)
class TrainedOn:
    """The data that a network was trained on, as far as its files say.

    Attributes:
        name: name of the data; None if unknown.
        source: argument of `neocog.load_data` to load them: an absolute path, or the name of a
            built-in data set; None if unknown.
        fingerprint: fingerprint of the data; None if unknown.
        options: further arguments of `neocog.load_data` that select pictures.
    """

    name: str | None
    source: str | None
    fingerprint: str | None
    options: Mapping[str, Any] = field(default_factory=dict)

    def differ(self, data: Data) -> bool:
        """Whether these are certainly other data."""
        return self.fingerprint is not None and self.fingerprint != data.fingerprint

    def is_unsure(self, data: Data) -> bool:
        """Whether these have the same name, but no fingerprint tells whether they are the same."""
        return self.fingerprint is None and self.name == data.name


def training_notes(data: Data) -> dict[str, str]:
    """The description of the training data in a model's file, which `trained_on` reads.

    It does not have their path: opening a file from someone else must not open other files.
    """
    return {"data": data.name, "data_fingerprint": data.fingerprint}


def trained_on(model: str | Path) -> TrainedOn:
    """Read what a run folder, a ``.safetensors`` or a ``.pth`` says about its training data.

    Raises:
        FormatError: as in `neocog.formats.training_of`.
    """
    said = training_of(model)
    name, fingerprint = (_text(said.get(key)) for key in ("data", "data_fingerprint"))
    # Anything else may be a path.
    source = name if name in NAMES else None
    options: dict[str, Any] = {}
    path = Path(model)
    kept = read_info(path if path.is_dir() else path.parent).get("data")
    if isinstance(kept, dict):
        where, hashed = (_text(kept.get(key)) for key in ("source", "fingerprint"))
        # The run.json beside a single file may belong to another model.
        of_this = hashed == fingerprint or (fingerprint is None and path.is_dir())
        known = read_options(kept.get("options", {}))
        if where and hashed and known is not None and of_this and _is_here(where):
            source, fingerprint, options = where, hashed, known
            name = name or _text(kept.get("name"))
    return TrainedOn(name, source, fingerprint, options)


def _is_here(source: str) -> bool:
    """Whether it is a name, or an absolute path on this machine.

    On Windows, a path that begins with two slashes is on another machine, and looking it up tells
    that machine who the user is.
    """
    return source in NAMES or (
        Path(source).is_absolute() and not source.replace("\\", "/").startswith("//")
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
