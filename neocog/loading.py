"""Which network a command is about, and with which data.

A file may be anybody's: nothing that it names is opened, run or fetched for it, but data that
neocog itself knows by name. The ``run.json`` of a run folder may name a path.
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
from neocog.matching import fitting, in_order_of, mismatch
from neocog.models import MODELS, split_python_file
from neocog.models.named import is_file, make_model
from neocog.network import Network
from neocog.network_files import assumption, load
from neocog.trained_on import trained_on
from neocog.training.run_process import settle

__all__ = [
    "Opened",
    "is_new",
    "name_of_run",
    "open_network",
    "open_saved",
]

_NEW = "simple-cnn"


@dataclass(frozen=True)
class Opened:
    """What was opened.

    Attributes:
        network: with or without parameters.
        data: of its shape and classes; None if there are none.
        name: of the network.
        notes: what the user should know of how it was found.
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
) -> Opened:
    """The network and its data.

    Args:
        model: a network's name, ``my_net.py:make``, a run folder, a ``.safetensors`` or a
            ``.pth``; a new simple-cnn without it.
        data: as `load_data` takes it. Without it, a new network gets shapes; a saved one what its
            file says it was trained on, if that is on this machine.
        progress: told of loading what `data` asks for, as for `load_data`; nothing else is
            downloaded.
        architecture: which network a ``.pth`` is of, as for `open_saved`.

    Raises:
        NeocogError: there is no such network or data, its file is damaged, or they do not fit.
    """
    if model is None or is_new(model):
        if architecture is not None:
            raise _names_itself(model or _NEW)
        return _new(model or _NEW, data or "shapes", progress)
    network, notes = open_saved(model, architecture)
    _check_outputs(network, model)
    name = Path(model).resolve().stem
    if data is not None:
        loaded = _load_for(network, model, data, progress=progress)
        if network.classes is None:
            network.name_classes(loaded.classes)
        return Opened(network, loaded, name, notes)
    found, why = _usual_data(network, model)
    if why is not None:
        notes = (*notes, why)
    return Opened(network, found, name, notes)


def open_saved(model: str, architecture: str | None = None) -> tuple[Network, tuple[str, ...]]:
    """A saved network, and what the user should know of how it was read.

    Args:
        model: a run folder, a ``.safetensors`` or a ``.pth``.
        architecture: which network a ``.pth`` is of, a name or ``my_net.py:make``; without it, one
            that is known and has such weights.

    Raises:
        NeocogError: there is no such network, its file is damaged, or `architecture` is given for
            what says it itself.
    """
    if architecture is not None and not is_weights(model):
        raise _names_itself(model)
    stands = settle(model)
    network = load(model, architecture)
    said = (f"{model}: {stands}" if stands else None, assumption(model, network, architecture))
    return network, tuple(note for note in said if note)


def _names_itself(model: str) -> NeocogError:
    return NeocogError(
        f"--model says which network the weights of a .pth are of; {printable(model)} says it "
        "itself. Leave --model out."
    )


def is_new(model: str) -> bool:
    """Whether it names a network, and no file that holds one."""
    return is_file(model) or model in MODELS or not (exists(model) or "." in model or "/" in model)


def name_of_run(model: str) -> str:
    """What to call a new network in a folder's name or a title."""
    file = split_python_file(model)
    return Path(file[0]).stem if file is not None else model


def _new(model: str, data: str, progress: Progress | None) -> Opened:
    if not is_file(model):
        make_model(model)  # an unknown name is wrong at once, before data are drawn or fetched
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
    """What `load_data` gives, of the network's shape and in the order of its classes.

    Raises `NeocogError`, as `load_data` does, and where they do not fit the network.
    """
    if holds_pictures(data):
        found = find(data, LoadOptions.of(**(options or {}), progress=progress))
        loaded = Data.of(fitting(found, network, model).load())
    else:
        loaded = load_data(data, progress=progress)
    loaded = in_order_of(loaded, network.classes)
    if (why := mismatch(network, loaded, model)) is not None:
        raise NeocogError(why)
    return loaded


def _usual_data(network: Network, model: str) -> tuple[Data | None, str | None]:
    """The data that its file names, or why there are none."""
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
