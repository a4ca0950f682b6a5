"""File formats of networks, one module each, which read and write a network's plain parts.

`model_file` is ``.safetensors``, the whole network; `hub_folder` a folder as the Hugging Face hub
has them, with a `model_card`; `pth` is ``.pth``, PyTorch's weights alone; the
folder `onnx` is ``.onnx``, which has the network and its weights in other terms.
`neocog.network_files` makes networks of the parts.
"""

from pathlib import Path
from typing import Any

from neocog.errors import FormatError
from neocog.formats.hub_folder import is_hub_folder, read_hub_folder, read_hub_training
from neocog.formats.model_file import check_writable, read_model, read_training, write_model
from neocog.formats.parts import ModelParts
from neocog.formats.pth import load_pth, read_input_shape, save_pth
from neocog.run_files import LAST, model_of_run
from neocog.validation import file_path
from neocog.write_errors import why_not_written

__all__ = [
    "ModelParts",
    "check_writable",
    "is_hub_folder",
    "is_onnx",
    "is_weights",
    "load_pth",
    "read_hub_folder",
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
    """Write a network in the format of `path`'s suffix, completely or not at all.

    ``.safetensors`` has all parts; ``.pth`` and ``.pt`` have the weights as PyTorch's state dict.

    Raises:
        ArchitectureError: the network cannot be described in a file.
        FormatError: the suffix is another, or `path` cannot be written.
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
    """Whether a file with this name has only weights, without an architecture."""
    return Path(path).suffix.lower() in _PTH


def is_onnx(path: str | Path) -> bool:
    """Whether a file with this name is in ONNX's format, which neocog reads."""
    return Path(path).suffix.lower() == ".onnx"


def training_of(path: str | Path) -> dict[str, Any]:
    """The notes on training in a folder or a file; empty if there are none.

    Raises:
        FormatError: as in `read_training`.
    """
    path = Path(path)
    try:
        file = model_of_run(path) if path.is_dir() else path
    except OSError as error:  # such as for a name that is too long
        raise FormatError(f"{path}: {error.strerror or error}.") from None
    if file is None and is_hub_folder(path):
        return read_hub_training(path)
    file = file or path / LAST
    return read_training(file) if file.suffix.lower() == ".safetensors" else {}
