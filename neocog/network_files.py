"""Saves networks to files and loads them.

A ``.safetensors`` has the whole network. A ``.pth`` has only PyTorch's weights, whose
architecture is given separately or recognized. A ``.onnx`` has a network as any program wrote it.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neocog import models
from neocog.errors import ArchitectureError, FormatError, printable
from neocog.files import exists
from neocog.formats import (
    ModelParts,
    check_writable,
    is_hub_folder,
    is_onnx,
    is_weights,
    load_pth,
    read_hub_folder,
    read_input_shape,
    read_model,
    write_model,
)
from neocog.formats.model_file import check_shapes
from neocog.layers import Shape
from neocog.network import Network, check_network
from neocog.run_files import BEST, LAST, model_of_run
from neocog.validation import file_path

if TYPE_CHECKING:
    from neocog.formats.onnx.reading.reader import Import

__all__ = ["assumption", "check_savable", "load", "load_model", "save", "save_model"]

# Components of a prefix that all names share which may be removed.
_LONGEST_PREFIX = 8
_OTHER_IMAGES = (
    " The file does not say how large its images are: if not as these, give load's argument model "
    "a network that is for them."
)


def save(network: Network, path: str | Path) -> None:
    """Save a network, completely or not at all; the suffix of `path` determines the format.

    ``.safetensors`` has the whole network; ``.pth`` and ``.pt`` have its weights as PyTorch's state
    dict.

    Raises:
        ArchitectureError: the network has no parameters yet.
        FormatError: the suffix is another, or `path` cannot be written.
    """
    check_network(network).save(path)


def save_model(
    network: Network, path: str | Path, training: Mapping[str, Any] | None = None
) -> None:
    """Save the network with everything that is needed to use it, completely or not at all.

    Args:
        network: with parameters.
        path: the file, by convention ``….safetensors``.
        training: notes about the training, for people: plain JSON values, such as the name of the
            data. `neocog.formats.read_training` returns them; nothing else reads them.

    Raises:
        ArchitectureError: the network has no parameters yet, or has something that `load_model`
            refuses, such as custom layers.
        TypeError, ValueError: `training` has other values than finite numbers, texts, lists, dicts.
        OSError: `path` cannot be written.
    """
    write_model(network.parts(training), path)


def check_savable(network: Network) -> None:
    """Check that `save_model` can save a network, before it is trained for hours.

    Raises:
        ArchitectureError: as in `save_model`, except for missing parameters.
    """
    parts = ModelParts(
        network.graph,
        {},
        network.preprocessing,
        network.classes,
        network.temperature,
        network.threshold,
    )
    check_writable(parts)


def load_model(path: str | Path) -> Network:
    """Load a network saved by `save_model`: layers, weights, classes and preprocessing.

    Raises:
        FormatError: the file is missing, damaged, of another kind or of a later version.
        NeocogError: there is not enough memory.
    """
    return _network(path, read_model(path))


def _network(path: str | Path, parts: ModelParts) -> Network:
    try:
        network = Network.from_graph(parts.graph, parts.classes, parts.preprocessing)
        network.temperature = parts.temperature
        network.threshold = parts.threshold
        network.loss = parts.loss
        network.load_state_dict(parts.state)
    except ArchitectureError as error:
        raise FormatError(f"{path}: {printable(str(error), 1000)}") from None
    return network


def load(path: str | Path, model: str | Network | None = None) -> Network:
    """Load a network from a folder, a ``.safetensors``, a ``.onnx`` or a ``.pth``.

    A folder is that of a run, or one as `neocog.export` writes for the Hugging Face hub.

    A ``.pth`` has only weights. Its architecture is `model`: a name from `neocog.models.MODELS`, a
    Python file (``my_net.py`` or ``my_net.py:make``, which is run), or a network, which then gets
    the weights. Without `model`, it is the first of the built-in models whose weights have the same
    names and shapes, at any width. The size of its images is the one that `save` noted in the file
    or, in a file written by PyTorch, the model's own or the first square that fits. The
    preprocessing is that of the model, and the classes have no names. Folders,
    ``.safetensors`` and ``.onnx`` contain all of that, and `model` is ignored.

    A ``.onnx`` may come from neocog or from PyTorch's exporters; its nodes become the layers that
    they stand for. If it does not say how images are normalized, mean and std are 0.5.

    A prefix of up to 8 components that all names of a ``.pth`` share is removed if the names fit
    only without it. Missing batch counts, which PyTorch introduced in 0.4.1, are set to 0.

    Raises:
        FormatError: there is no such file, it is of an unknown kind, damaged or refused, a ``.pth``
            fits no model, or a ``.onnx`` has an operator that is no layer.
        ArchitectureError: `model` is not a model's name, or its file makes no network.
        NeocogError: there is not enough memory.
    """
    path = file_path("path", path, error=FormatError)
    if _is_folder(path):
        model_file = model_of_run(path)
        if model_file is None and is_hub_folder(path):
            return _network(path, read_hub_folder(path))
        if model_file is None:
            raise FormatError(
                f"{path} is no folder of a model: it holds no {BEST} and no {LAST} of a run, and "
                "no config.json with a model.safetensors."
            )
        return load_model(model_file)
    if not exists(path):
        raise FormatError(f"{path}: there is no such file.")
    if path.suffix.lower() == ".safetensors":
        return load_model(path)
    if is_onnx(path):
        return _network(path, _read_onnx(path).parts)
    if not is_weights(path):
        raise FormatError(
            f"{path} is no known kind of model: a folder, a .safetensors (the whole network), "
            "a .onnx, or a .pth or .pt (PyTorch's weights)."
        )
    state, images = load_pth(path), read_input_shape(path)
    if model is not None and not isinstance(model, str):
        network = check_network(model)
    elif model is not None and (file := models.split_python_file(model)) is not None:
        network = models.load_model_file(*file, _outputs(state), input_shape=images)
    else:
        names = tuple(models.MODELS) if model is None else (model,)
        known = (_recognized(one, names, images) for one in _spellings(state))
        found = next(filter(None, known), None)
        if found is None and model is None:
            raise FormatError(
                f"{path} holds weights without an architecture, and no model that is known has "
                f"such: {_listed(state)}. Say which network they are of, a name or my_net.py:make "
                "(--model, or load's argument model), or give the .safetensors instead."
            )
        network = found or models.make(str(model), _outputs(state), input_shape=images)
    fitting = (one for one in _spellings(state) if one.keys() == network.state_shapes.keys())
    try:
        if not isinstance(model, Network):
            check_shapes(network.graph)
        network.load_state_dict(next(fitting, state))
    except (ArchitectureError, FormatError) as error:
        unsure = isinstance(model, str) and images is None
        raise FormatError(
            f"{path}: {printable(str(error), 1000)}{_OTHER_IMAGES * unsure}"
        ) from None
    return network


def assumption(
    path: str | Path, network: Network, model: str | Network | None = None
) -> str | None:
    """What `load` assumed when it read `network` from `path`, as a sentence; None if nothing.

    Args:
        path: the file.
        network: the result.
        model: the argument of `load`.
    """
    if is_onnx(path):
        found = _read_onnx(path, weights=False).assumption
        return found and f"{path} {found}"
    if not is_weights(path) or isinstance(model, Network):
        return None
    images = " × ".join(map(str, network.input_shape))
    known = models.name_of(network) if model is None else model
    return (
        f"{path} holds weights alone: taken for {known} with images of {images} (channels, height, "
        "width) and that model's own preprocessing."
    )


def _read_onnx(path: str | Path, *, weights: bool = True) -> "Import":
    # Imported here because only such files need it, and it has many rules.
    from neocog.formats.onnx.reading.reader import read_onnx

    return read_onnx(path, weights=weights)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError as error:  # such as for a name that is too long
        raise FormatError(f"{path}: {error.strerror or error}.") from None


def _spellings(state: Mapping[str, NDArray[Any]]) -> Iterator[dict[str, NDArray[Any]]]:
    """The weights by their names, and by their names without shared prefixes."""
    names = dict(state)
    for norm in [name.removesuffix("running_var") for name in state if ".running_var" in name]:
        names.setdefault(f"{norm}num_batches_tracked", np.zeros((), np.int64))
    yield names
    prefix = ""
    for part in next(iter(names), "").split(".")[:_LONGEST_PREFIX]:
        prefix += f"{part}."
        if not all(name.startswith(prefix) and name != prefix for name in names):
            return
        yield {name.removeprefix(prefix): value for name, value in names.items()}


def _recognized(
    state: Mapping[str, NDArray[Any]], names: tuple[str, ...], images: Shape | None
) -> Network | None:
    """The first of these models whose weights have these names and shapes, at any width."""
    shapes = {name: tuple(array.shape) for name, array in state.items()}
    found = models.recognize(shapes, _outputs(state), images, names)
    return found[1] if found else None


def _outputs(state: Mapping[str, Any]) -> int:
    """Number of classes, from the rows of the last weight; 1 if there are no weights."""
    rows = [array.shape[0] for array in state.values() if array.ndim >= 2]
    return max(1, rows[-1]) if rows else 1


def _listed(state: Mapping[str, Any]) -> str:
    shapes = [f"{name} {tuple(array.shape)}" for name, array in state.items()]
    return ", ".join(shapes[:8]) + (f" and {len(shapes) - 8} more" if len(shapes) > 8 else "")
