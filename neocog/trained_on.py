"""What a saved network was trained on, and whether data are the same.

A model's file has the data's name and fingerprint. Where they lay is in the ``run.json`` beside it,
and is opened unasked only to be compared with the fingerprint, so that a file or folder that
somebody sent cannot bring other data into what is shown.
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
        name: of the data; None if nothing is said.
        source: what `neocog.load_data` takes to find them: an absolute path, or a name that it
            knows; None if nothing is said.
        fingerprint: of the data; None if nothing is said.
        options: further arguments for `neocog.load_data`, which choose pictures.
    """

    name: str | None
    source: str | None
    fingerprint: str | None
    options: Mapping[str, Any] = field(default_factory=dict)

    def differ(self, data: Data) -> bool:
        """Whether these are certainly other data."""
        return self.fingerprint is not None and self.fingerprint != data.fingerprint

    def is_unsure(self, data: Data) -> bool:
        """Whether these are called the same, and nothing tells whether they are."""
        return self.fingerprint is None and self.name == data.name


def training_notes(data: Data) -> dict[str, str]:
    """What a model's file says of the data that it was trained on, which `trained_on` reads.

    Their path is not among it: who opens a file that somebody sent must not have others opened.
    """
    return {"data": data.name, "data_fingerprint": data.fingerprint}


def trained_on(model: str | Path) -> TrainedOn:
    """What the files of a run folder, a ``.safetensors`` or a ``.pth`` say.

    Raises:
        FormatError: as `neocog.formats.training_of` does.
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
        # Beside a file there may be the run.json of another model.
        of_this = hashed == fingerprint or (fingerprint is None and path.is_dir())
        known = read_options(kept.get("options", {}))
        if where and hashed and known is not None and of_this and _is_here(where):
            source, fingerprint, options = where, hashed, known
            name = name or _text(kept.get("name"))
    return TrainedOn(name, source, fingerprint, options)


def _is_here(source: str) -> bool:
    """Whether it is a name, or a path that means the same wherever it is looked up from.

    What begins with two slashes of either kind is, to Windows, on another machine: to ask for it
    tells that machine who the user is.
    """
    return source in NAMES or (
        Path(source).is_absolute() and not source.replace("\\", "/").startswith("//")
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
