"""Networks on disk: one pair of functions, and a module for each format.

`model_file` (``.safetensors``, the whole network) and `pth` (``.pth``, PyTorch's weights alone).
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from neocog import models
from neocog.errors import ArchitectureError, FormatError
from neocog.formats.model_file import load_model, read_training, save_model
from neocog.formats.pth import load_pth, save_pth
from neocog.network import Network, check_network
from neocog.validation import file_path

__all__ = [
    "assumption",
    "load",
    "load_model",
    "load_pth",
    "read_training",
    "save",
    "save_model",
    "save_pth",
    "training_of",
]

_PTH = (".pth", ".pt")


def save(network: Network, path: str | Path) -> None:
    """Write a network by the suffix of `path`, whole or not at all.

    ``.safetensors`` holds all of it; ``.pth`` and ``.pt`` hold its weights as PyTorch's state dict.

    Raises:
        ArchitectureError: if the network has no parameters yet.
        FormatError: if the suffix is another, or `path` cannot be written.
    """
    network = check_network(network)
    path = file_path("path", path, error=FormatError)
    suffix = path.suffix.lower()
    try:
        if suffix == ".safetensors":
            save_model(network, path)
        elif suffix in _PTH:
            save_pth(network.state_dict(), path)
        else:
            raise FormatError(f"{path}: the name must end in .safetensors, .pth or .pt.")
    except OSError as error:
        raise FormatError(f"{path}: {error.strerror or error}.") from error


def load(path: str | Path, model: str | Network | None = None) -> Network:
    """Read a network from a run folder, a ``.safetensors`` or a ``.pth``.

    A ``.pth`` has weights only. Its architecture is `model`, a name from `neocog.models.MODELS` or
    a network, which then gets the weights; without it, the first of those models whose weights have
    the same names and shapes. Models are tried at every width, for images of their own size. The
    preprocessing is that of the model, and it knows no names of classes. The other two carry all of
    that themselves, and `model` is not looked at.

    Raises:
        FormatError: if there is no such file, it is of no known kind, damaged or refused, or a
            ``.pth`` fits no model.
        ArchitectureError: if `model` is no model's name.
    """
    path = file_path("path", path, error=FormatError)
    if path.is_dir():
        if not (path / "model.safetensors").is_file():
            raise FormatError(f"{path} is not a run folder: it holds no model.safetensors.")
        return load_model(path / "model.safetensors")
    if not path.exists():
        raise FormatError(f"{path}: there is no such file.")
    if path.suffix.lower() == ".safetensors":
        return load_model(path)
    if path.suffix.lower() not in _PTH:
        raise FormatError(
            f"{path} is no known kind of model: a run folder, a .safetensors (the whole network), "
            "or a .pth or .pt (PyTorch's weights)."
        )
    state = load_pth(path)
    if model is None:
        found = _recognised(state)
        if found is None:
            raise FormatError(
                f"{path} holds weights without an architecture, and no model that is known has "
                f"such: {_listed(state)}. Give the .safetensors instead, or say which model it is."
            )
        network = found
    elif isinstance(model, str):
        named = models.make(model, _outputs(state))
        network = _recognised(state, (model,)) or named
    else:
        network = check_network(model)
    try:
        network.load_state_dict(state)
    except ArchitectureError as error:
        raise FormatError(f"{path}: {error}") from None
    return network


def assumption(path: str | Path, network: Network) -> str | None:
    """What `load` assumed when it read `network` from `path`, in a sentence; None if nothing."""
    if Path(path).suffix.lower() not in _PTH:
        return None
    known = models.name_of(network)
    return f"{path} holds weights alone: taken for {known}, with that model's own preprocessing."


def training_of(path: str | Path) -> dict[str, Any]:
    """What a run folder or a file says of how its network was trained; empty if nothing.

    Raises:
        FormatError: as `read_training` does.
    """
    path = Path(path)
    file = path / "model.safetensors" if path.is_dir() else path
    return read_training(file) if file.suffix.lower() == ".safetensors" else {}


def _recognised(
    state: Mapping[str, Any], names: Iterable[str] = tuple(models.MODELS)
) -> Network | None:
    """The first of these models whose weights have these names and shapes, at any width."""
    shapes = {name: tuple(array.shape) for name, array in state.items()}
    found = models.recognise(shapes, _outputs(state), names=names)
    return found[1] if found else None


def _outputs(state: Mapping[str, Any]) -> int:
    """How many classes the weights end in: the rows of the last weight; 1 if there is none."""
    rows = [array.shape[0] for array in state.values() if array.ndim >= 2]
    return max(1, rows[-1]) if rows else 1


def _listed(state: Mapping[str, Any]) -> str:
    shapes = [f"{name} {tuple(array.shape)}" for name, array in state.items()]
    return ", ".join(shapes[:8]) + (f" and {len(shapes) - 8} more" if len(shapes) > 8 else "")
