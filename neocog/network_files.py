"""Networks and their files: what is written of one, and which network a file is.

A ``.safetensors`` holds the whole network, a ``.pth`` PyTorch's weights alone, whose architecture
is said beside them or recognized.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog import models
from neocog.errors import ArchitectureError, FormatError, printable
from neocog.files import exists
from neocog.formats import (
    ModelParts,
    check_writable,
    is_weights,
    load_pth,
    read_input_shape,
    read_model,
    write_model,
)
from neocog.formats.model_file import check_shapes
from neocog.layers import Shape
from neocog.network import Network, check_network
from neocog.run_files import BEST, LAST, model_of_run
from neocog.validation import file_path

__all__ = ["assumption", "check_savable", "load", "load_model", "save", "save_model"]

# Parts of a prefix that all names share which are taken off.
_LONGEST_PREFIX = 8
_OTHER_IMAGES = (
    " The file does not say how large its images are: if not as these, give load's argument model "
    "a network that is for them."
)


def save(network: Network, path: str | Path) -> None:
    """Write a network by the suffix of `path`, whole or not at all.

    ``.safetensors`` holds all of it; ``.pth`` and ``.pt`` hold its weights as PyTorch's state dict.

    Raises:
        ArchitectureError: if the network has no parameters yet.
        FormatError: if the suffix is another, or `path` cannot be written.
    """
    check_network(network).save(path)


def save_model(
    network: Network, path: str | Path, training: Mapping[str, Any] | None = None
) -> None:
    """Write the network with all that is needed to use it, whole or not at all.

    Args:
        network: with parameters.
        path: where to, by custom ``….safetensors``.
        training: how it came about, for people to read: plain JSON values, such as the name of
            the data. `neocog.formats.read_training` gives it back; nothing else looks at it.

    Raises:
        ArchitectureError: if the network has no parameters yet, or has what `load_model` refuses,
            such as layers of one's own.
        TypeError, ValueError: if `training` holds anything but finite numbers, texts, lists, dicts.
        OSError: if `path` cannot be written.
    """
    write_model(network.parts(training), path)


def check_savable(network: Network) -> None:
    """Find out, before it is trained for hours, whether `save_model` can write a network.

    Raises:
        ArchitectureError: as `save_model` does, but for parameters.
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
    """The network that `save_model` wrote: layers, weights, classes and preprocessing.

    Raises:
        FormatError: if the file is missing, damaged, of another kind or of a later version.
        NeocogError: if this process cannot get the memory.
    """
    parts = read_model(path)
    try:
        network = Network.from_graph(parts.graph, parts.classes, parts.preprocessing)
        network.temperature = parts.temperature
        network.threshold = parts.threshold
        network.load_state_dict(parts.state)
    except ArchitectureError as error:
        raise FormatError(f"{path}: {printable(str(error), 1000)}") from None
    return network


def load(path: str | Path, model: str | Network | None = None) -> Network:
    """Read a network from a run folder, a ``.safetensors`` or a ``.pth``.

    A ``.pth`` has weights only. Its architecture is `model`: a name from `neocog.models.MODELS`, a
    Python file (``my_net.py`` or ``my_net.py:make``, which is run), or a network, which then gets
    the weights. Without it, it is the first of those models whose weights have the same names and
    shapes, at any width and for images of any size: the one that `save` noted in the file, or, in a
    file of PyTorch's, the model's own or the first square that fits. The preprocessing is that of
    the model, and it knows no names of classes. The other two carry all of that themselves, and
    `model` is not looked at.

    A prefix of up to 8 parts that all names of a ``.pth`` share is taken off where they fit only
    without it, and counts of batches, which PyTorch did not have before 0.4.1, are 0 where there
    are none.

    Raises:
        FormatError: if there is no such file, it is of no known kind, damaged or refused, or a
            ``.pth`` fits no model.
        ArchitectureError: if `model` is no model's name, or its file makes no network.
        NeocogError: if this process cannot get the memory.
    """
    path = file_path("path", path, error=FormatError)
    if _is_folder(path):
        model_file = model_of_run(path)
        if model_file is None:
            raise FormatError(f"{path} is not a run folder: it holds no {BEST} and no {LAST}.")
        return load_model(model_file)
    if not exists(path):
        raise FormatError(f"{path}: there is no such file.")
    if path.suffix.lower() == ".safetensors":
        return load_model(path)
    if not is_weights(path):
        raise FormatError(
            f"{path} is no known kind of model: a run folder, a .safetensors (the whole network), "
            "or a .pth or .pt (PyTorch's weights)."
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
    """What `load` assumed when it read `network` from `path`, in a sentence; None if nothing.

    Args:
        path: what was read.
        network: what came out.
        model: as it was given to `load`.
    """
    if not is_weights(path) or isinstance(model, Network):
        return None
    images = " × ".join(map(str, network.input_shape))
    known = models.name_of(network) if model is None else model
    return (
        f"{path} holds weights alone: taken for {known} with images of {images} (channels, height, "
        "width) and that model's own preprocessing."
    )


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError as error:  # as of a name that is too long
        raise FormatError(f"{path}: {error.strerror or error}.") from None


def _spellings(state: Mapping[str, NDArray[Any]]) -> Iterator[dict[str, NDArray[Any]]]:
    """The weights by their names, and by those without the prefixes that all of them share."""
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
    """How many classes the weights end in: the rows of the last weight; 1 if there is none."""
    rows = [array.shape[0] for array in state.values() if array.ndim >= 2]
    return max(1, rows[-1]) if rows else 1


def _listed(state: Mapping[str, Any]) -> str:
    shapes = [f"{name} {tuple(array.shape)}" for name, array in state.items()]
    return ", ".join(shapes[:8]) + (f" and {len(shapes) - 8} more" if len(shapes) > 8 else "")
