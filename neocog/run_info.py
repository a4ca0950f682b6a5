"""The ``run.json`` of a run folder, as whoever opens a folder that somebody sent may read it."""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from neocog.errors import NeocogError
from neocog.files import read_bytes
from neocog.limits import require_memory
from neocog.run_files import RUN, model_of_run

__all__ = ["read_info", "run_of_model"]

# The counts of a thousand classes that were taken for each other are 7 MB, a thousand epochs 72 kB.
_MOST_BYTES = 8 * 2**20
# Bytes for each byte of JSON at worst, which is a list of empty objects: 24, and the text itself.
_MOST_MEMORY = 26


def read_info(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """What the ``run.json`` of a folder holds; empty where there is none, or no such thing."""
    with suppress(OSError, ValueError, RecursionError, MemoryError, NeocogError):
        content = read_bytes(Path(folder) / RUN, _MOST_BYTES)
        require_memory(_MOST_MEMORY * len(content), "This run.json", "")
        found = json.loads(content)
        if isinstance(found, dict):
            return found
    return {}


def run_of_model(model: str | os.PathLike[str]) -> dict[str, Any]:
    """What the ``run.json`` says of a model: a run folder, or the file in it that was evaluated.

    Empty for any other file, as the run beside it may be another model's.
    """
    path = Path(model)
    with suppress(OSError):
        if path.is_dir():
            return read_info(path)
        if model_of_run(path.parent) == path:
            return read_info(path.parent)
    return {}
