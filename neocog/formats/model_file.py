"""The model file: weights, architecture, classes and preprocessing in one ``.safetensors``.

Weights have PyTorch's names and shapes. They are float32, or int64 where PyTorch counts batches.
Everything else is one JSON text in the file's metadata, under ``neocog``::

    {"version": 1,
     "input_shape": [3, 32, 32],
     "layers": [{"name": "conv1", "type": "Conv2d", "in_channels": 3, …}, …],
     "classes": ["airplane", …] or null,
     "preprocessing": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5],
                       "resize": {"mode": "stretch", "interpolation": "lanczos", …}},
     "temperature": 1.5,
     "threshold": 0.7,
     "loss": "binary-cross-entropy",
     "training": {…}}

If layers do not simply follow each other, the version is 2 and ``layers`` is replaced by ``nodes``,
each with the names of its ``inputs``, which come before it; ``"input"`` is the image.

The temperature is left out if it is 1, the threshold if there is none, and the loss if it is
"cross-entropy". A Sequential has its own list of ``layers``, a Residual has a ``body`` and a
``shortcut`` (or null), which are layers without names. Layers come from the closed registry in
`neocog.layers`, so a file can describe layers but never run code. Everything is checked against the
header and the file's length before any weight is read.
"""

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import safetensors
import safetensors.numpy

from neocog.errors import ArchitectureError, FormatError, NeocogError, is_plain, printable
from neocog.files import open_regular, write_bytes
from neocog.formats.json_text import MOST_BYTES, as_list, as_object, json_object, too_large
from neocog.formats.parts import ModelParts
from neocog.layers import Graph, Shape, chain, describe, state_dtype
from neocog.layers.registry import build_nodes, build_row, describe_node
from neocog.limits import require_memory
from neocog.preprocessing import Preprocessing, Resize
from neocog.settings.training import LOSSES

__all__ = [
    "check_shape",
    "check_shapes",
    "check_tensors",
    "check_version",
    "check_writable",
    "describe_network",
    "described_in",
    "network_described",
    "read_header",
    "read_model",
    "read_training",
    "write_model",
]

# Versions of networks whose layers simply follow each other, and of all others.
_CHAIN, _NODES = 1, 2
_MOST_LAYERS = 10_000
_LONGEST_NAME = 1000
# Of all layers' full names. A ResNet of 1,001 layers has 120,000.
_MOST_NAME_CHARACTERS = 2**22
_TYPES = {np.dtype(np.float32): "F32", np.dtype(np.int64): "I64"}
# Largest output of a layer for one image: 64 maps of 1024 × 1024, 256 MiB of float32.
_LARGEST_OUTPUT = 2**26
# More than the notes of any training, whose length is unknown in advance.
_LONG_NOTES = {"data": 2**16 * "x" + 100 * ","}


def write_model(parts: ModelParts, path: str | Path) -> None:
    """Write a network with everything that is needed to use it, completely or not at all.

    Equal networks give equal bytes. The notes become the file's ``training``, which `read_training`
    returns; nothing else reads it.

    Raises:
        ArchitectureError: the network has something that `read_model` refuses, such as custom
            layers.
        TypeError, ValueError: the notes have other values than finite numbers, texts, lists, dicts.
        OSError: `path` cannot be written.
    """
    text = describe_network(parts)
    # Only one entry of metadata: safetensors writes several in random order.
    content = safetensors.numpy.save(dict(parts.state), {"neocog": text})
    size = struct.unpack("<Q", content[:8])[0]
    _check_header(content[8 : 8 + size])
    write_bytes(path, content)


def check_writable(parts: ModelParts) -> None:
    """Check that `write_model` can write a network, before it is trained for hours.

    The weights are not checked, and the notes may become longer.

    Raises:
        ArchitectureError: as in `write_model`.
    """
    _check_header(_header(parts.graph, describe_network(replace(parts, notes=_LONG_NOTES))))


def _check_header(header: bytes) -> None:
    if (why := too_large(len(header), header)) is not None:
        raise ArchitectureError(f"A file cannot describe this network: {why}")


def _header(graph: Graph, text: str) -> bytes:
    """The header that safetensors will write: names, types, shapes and offsets of the weights."""
    header: dict[str, Any] = {"__metadata__": {"neocog": text}}
    end = 0
    for name, shape in graph.state_shapes.items():
        dtype = np.dtype(state_dtype(name))
        begin, end = end, end + dtype.itemsize * math.prod(shape)
        header[name] = {"dtype": _TYPES[dtype], "shape": shape, "data_offsets": [begin, end]}
    return json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()


def describe_network(parts: ModelParts) -> str:
    """The JSON text that describes a network, all but its weights.

    Raises:
        ArchitectureError: as in `write_model`.
    """
    graph, preprocessing = parts.graph, parts.preprocessing
    layers: dict[str, Any] = {
        "layers": [{"name": node.name, **describe(node.layer)} for node in graph.given]
    }
    if not graph.is_chain:
        layers = {"nodes": [describe_node(node) for node in graph.given]}
    description = {
        "version": _CHAIN if graph.is_chain else _NODES,
        "input_shape": list(graph.input_shape),
        **layers,
        "classes": None if parts.classes is None else list(parts.classes),
        "preprocessing": {
            "mean": list(preprocessing.mean),
            "std": list(preprocessing.std),
            "resize": preprocessing.resize.to_dict(),
        },
        **({"temperature": parts.temperature} if parts.temperature != 1 else {}),
        **({"threshold": parts.threshold} if parts.threshold else {}),
        **({"loss": parts.loss} if parts.loss != LOSSES[0] else {}),
        "training": dict(parts.notes),
    }
    text = json.dumps(description, ensure_ascii=False, allow_nan=False)
    try:
        network_described(json.loads(text))
    except (ArchitectureError, FormatError) as error:
        raise ArchitectureError(f"A file cannot describe this network: {error}") from None
    return text


def read_model(path: str | Path) -> ModelParts:
    """Read a network written by `write_model`.

    Raises:
        FormatError: the file is missing, damaged, of another kind or of a later version.
        NeocogError: there is not enough memory.
    """
    try:
        with open_regular(path) as file:
            header, length = read_header(file)
            parts = network_described(_description(header))
            check_tensors(header, parts.graph, length)
            # The file, its arrays, and the network's own copies of them.
            require_memory(3 * length, "Reading this network", "Close other programs.")
            file.seek(0)
            return replace(parts, state=safetensors.numpy.load(file.read()))
    except (FormatError, ArchitectureError, safetensors.SafetensorError) as error:
        raise FormatError(f"{path}: {printable(str(error), 1000)}") from None
    except NeocogError as error:
        raise NeocogError(f"{path}: {error}") from None
    except OSError as error:
        raise FormatError(f"{path}: {error.strerror or error}.") from None


def read_training(path: str | Path) -> dict[str, Any]:
    """The notes given to `write_model`; empty if there were none. Reads only the header.

    Raises:
        FormatError: as in `read_model`, except for damaged weights.
    """
    try:
        with open_regular(path) as file:
            header, _length = read_header(file)
        return as_object(_description(header).get("training", {}), "training")
    except FormatError as error:
        raise FormatError(f"{path}: {printable(str(error), 1000)}") from None
    except OSError as error:
        raise FormatError(f"{path}: {error.strerror or error}.") from None


# The header


def read_header(file: BinaryIO) -> tuple[dict[str, Any], int]:
    """The JSON of a safetensors file's header, and the number of bytes that follow it.

    Raises:
        FormatError: there is none, it is damaged, or it is too large.
    """
    length = file.seek(0, 2)
    file.seek(0)
    start = file.read(8)
    size = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
    if not 2 <= size <= length - 8:
        raise FormatError("this is not a safetensors file, or it is cut short.")
    text = file.read(min(size, MOST_BYTES))
    if (why := too_large(size, text)) is not None:
        raise FormatError(why)
    return json_object(text, "header"), length - 8 - size


def _description(header: dict[str, Any]) -> dict[str, Any]:
    metadata = as_object(header.get("__metadata__", {}), "metadata")
    if "neocog" not in metadata:
        raise FormatError(
            "this safetensors file holds weights, but not the architecture that neocog writes "
            "beside them."
        )
    return described_in(metadata["neocog"])


def described_in(text: object) -> dict[str, Any]:
    """The description in a text that `describe_network` has made; raises `FormatError`."""
    description = json_object(text, "description of the network")
    check_version(description)
    return description


def check_version(description: Mapping[str, Any]) -> None:
    """Raise `FormatError` unless a description is of a version that this neocog reads."""
    if (version := description.get("version")) not in (_CHAIN, _NODES):
        raise FormatError(
            f"it is of version {printable(str(version), 20)} of the format; this neocog reads "
            f"{_CHAIN} and {_NODES}."
        )


# The network


def network_described(description: dict[str, Any]) -> ModelParts:
    """The network of a description, without weights; its version must be a known one.

    Raises:
        ArchitectureError, FormatError: it describes none, or an absurdly large one.
    """
    what = "layers" if description["version"] == _CHAIN else "nodes"
    entries = as_list(description.get(what), f"list of {what}")
    _check_layers(entries)
    shape = _whole_numbers(description.get("input_shape"), "input_shape")
    preprocessing = as_object(description.get("preprocessing"), "preprocessing")
    mean, std = (_numbers(preprocessing.get(key), key) for key in ("mean", "std"))
    # Older files lack it; their pictures were always resized in this way.
    resize = Resize.from_dict(as_object(preprocessing.get("resize", {}), "resize"))
    classes = description.get("classes")
    if classes is not None and not all(
        isinstance(name, str) for name in as_list(classes, "list of classes")
    ):
        raise FormatError("its list of classes is damaged.")
    nodes = chain(build_row(entries)) if what == "layers" else build_nodes(entries)
    graph = Graph(nodes, shape)
    check_shapes(graph)
    return ModelParts(
        graph,
        {},
        Preprocessing(mean, std, resize),
        None if classes is None else tuple(classes),
        description.get("temperature", 1.0),
        description.get("threshold"),
        as_object(description.get("training", {}), "training"),
        description.get("loss", LOSSES[0]),
    )


def check_shapes(graph: Graph) -> None:
    """Raise `FormatError` if a network from a file has absurdly large outputs for an image."""
    for name, output in {"input": graph.input_shape, **graph.shapes}.items():
        check_shape(name, output)


def check_shape(name: str, output: Shape) -> None:
    """Raise `FormatError` if what a layer of a file gives is absurdly large."""
    if math.prod(output) > _LARGEST_OUTPUT:
        raise FormatError(f"{name}: the shape {output} is absurdly large.")


def _check_layers(entries: list[Any]) -> None:
    """Check the number of layers, nested ones included, and the sizes of their arguments.

    `build_row` refuses bad arguments and layers that are nested too deeply, and `build_nodes`
    checks the names of a node's inputs.
    """
    waiting, count, characters = [(entry, 0) for entry in entries], 0, 0
    while waiting:
        entry, before = waiting.pop()
        layer = as_object(entry, "layer")
        count += 1
        # A layer's full name has those of all that it lies in.
        length = before + len(str(layer.get("name", ""))) + 1
        characters += length
        for key, value in layer.items():
            if key == "layers":  # of a Sequential
                waiting += [(one, length) for one in as_list(value, "list of layers")]
            elif isinstance(value, dict):  # of a Residual
                waiting.append((value, length + len(key) + 1))
            elif key not in ("name", "type", "inputs"):
                _check_argument(value, printable(key))
    if count > _MOST_LAYERS:
        raise FormatError(f"it has {count} layers, more than {_MOST_LAYERS}.")
    if characters > _MOST_NAME_CHARACTERS:
        raise FormatError(
            f"the names of its layers have {characters:,} characters altogether; up to "
            f"{_MOST_NAME_CHARACTERS:,} are read."
        )


def _check_argument(value: object, key: str) -> None:
    if isinstance(value, str):
        _text(value, f"value of {key!r}")
    elif isinstance(value, float):
        _numbers([value], key)
    elif value is not None:
        _whole_numbers(value if isinstance(value, list) else [value], key)


def check_tensors(header: dict[str, Any], graph: Graph, length: int) -> None:
    """Check that the header's tensors are the network's state, and that the file's length fits."""
    tensors = {name: spec for name, spec in header.items() if name != "__metadata__"}
    if tensors.keys() != graph.state_shapes.keys():
        odd = sorted(tensors.keys() ^ graph.state_shapes.keys())[0]
        raise FormatError(f"its weights are not those of its layers; for example {odd[:100]!r}.")
    expected = 0
    for name, shape in graph.state_shapes.items():
        spec, dtype = as_object(tensors[name], "header"), np.dtype(state_dtype(name))
        if spec.get("dtype") != _TYPES[dtype] or spec.get("shape") != list(shape):
            raise FormatError(f"{name} should be {dtype} of the shape {shape}.")
        expected += dtype.itemsize * math.prod(shape)
    if length != expected:
        raise FormatError(f"it should hold {expected} bytes of weights and holds {length}.")


# Values from JSON


def _text(value: object, what: str) -> str:
    # These are printed, so they must not contain control characters.
    if not isinstance(value, str) or not is_plain(value) or len(value) > _LONGEST_NAME:
        raise FormatError(f"it has a {what} that is none.")
    return value


def _whole_numbers(value: object, what: str) -> tuple[int, ...]:
    numbers = as_list(value, what)
    if not all(isinstance(n, int) and 0 <= n < 2**31 for n in numbers):
        raise FormatError(f"{what}: {str(numbers)[:100]} are not whole numbers of a sensible size.")
    return tuple(numbers)


def _numbers(value: object, what: str) -> tuple[float, ...]:
    numbers = as_list(value, what)
    if not all(isinstance(n, int | float) and abs(n) < 1e6 for n in numbers):
        raise FormatError(f"{what}: {str(numbers)[:100]} are not numbers of a sensible size.")
    return tuple(numbers)
