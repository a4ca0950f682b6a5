"""Networks on disk, as plain parts: a module for each format.

`model_file` (``.safetensors``, the whole network) and `pth` (``.pth``, PyTorch's weights alone).
What a network is made of them is for `neocog.network_files` to say.
"""

from pathlib import Path
from typing import Any

from neocog.errors import FormatError
from neocog.formats.model_file import check_writable, read_model, read_training, write_model
from neocog.formats.parts import ModelParts
from neocog.formats.pth import load_pth, read_input_shape, save_pth
from neocog.run_files import LAST, model_of_run
from neocog.validation import file_path
from neocog.write_errors import why_not_written

__all__ = [
    "ModelParts",
    "check_writable",
    "is_weights",
    "load_pth",
    "read_input_shape",
    "read_model",
    "read_training",
    "save_parts",
    "save_pth",
    "training_of",
    "write_model",
]

_PTH = (".pth", ".pt")


def save_parts(parts: ModelParts, path: str | Path) -> None:
    """Write a network by the suffix of `path`, whole or not at all.

    ``.safetensors`` holds all of it; ``.pth`` and ``.pt`` hold its weights as PyTorch's state dict.

    Raises:
        ArchitectureError: if a file cannot describe it.
        FormatError: if the suffix is another, or `path` cannot be written.
    """
    path = file_path("path", path, error=FormatError)
    suffix = path.suffix.lower()
    try:
        if suffix == ".safetensors":
            write_model(parts, path)
        elif suffix in _PTH:
            save_pth(parts.state, path, parts.graph.input_shape)
        else:
            raise FormatError(f"{path}: the name must end in .safetensors, .pth or .pt.")
    except OSError as error:
        raise FormatError(why_not_written(path, error)) from error


def is_weights(path: str | Path) -> bool:
    """Whether a file with this name holds weights alone, without an architecture."""
    return Path(path).suffix.lower() in _PTH


def training_of(path: str | Path) -> dict[str, Any]:
    """What a run folder or a file says of how its network was trained; empty if nothing.

    Raises:
        FormatError: as `read_training` does.
    """
    path = Path(path)
    try:
        file = (model_of_run(path) or path / LAST) if path.is_dir() else path
    except OSError as error:  # as of a name that is too long
        raise FormatError(f"{path}: {error.strerror or error}.") from None
    return read_training(file) if file.suffix.lower() == ".safetensors" else {}
