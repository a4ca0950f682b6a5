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
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np
import safetensors
import safetensors.numpy

from neocog.errors import ArchitectureError, FormatError, NeocogError, is_plain, printable
from neocog.files import open_regular, write_bytes
from neocog.formats.parts import ModelParts
from neocog.layers import Graph, chain, describe, state_dtype
from neocog.layers.registry import build_nodes, build_row, describe_node
from neocog.limits import require_memory
from neocog.preprocessing import Preprocessing, Resize
from neocog.settings.training import LOSSES

__all__ = [
    "check_shapes",
    "check_writable",
    "describe_network",
    "network_described",
    "read_header",
    "read_model",
    "read_training",
    "write_model",
]

# Versions of networks whose layers simply follow each other, and of all others.
_CHAIN, _NODES = 1, 2
# A ResNet of 1,001 layers has a header of 1.0 MB with 76,000 values. Each value takes some 100
# bytes of memory, however short it is in the file.
_MOST_HEADER_BYTES = 4 * 2**20
_MOST_VALUES = 400_000
_MOST_LAYERS = 10_000
_LONGEST_NAME = 1000
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
    if (why := _too_large(len(header), header)) is not None:
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
    """The JSON text of all parts but the weights; `network_described` is the inverse.

    Raises:
        ArchitectureError: there is something that is refused when it is read.
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
        _build(json.loads(text))
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
            parts = _build(_description(header))
            _check_tensors(header, parts.graph, length)
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
        return _dict(_description(header).get("training", {}), "training")
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
    text = file.read(min(size, _MOST_HEADER_BYTES))
    if (why := _too_large(size, text)) is not None:
        raise FormatError(why)
    return _json(text, "header"), length - 8 - size


def _too_large(size: int, header: bytes) -> str | None:
    """Why reading a header would take too much memory; None if it would not."""
    if size > _MOST_HEADER_BYTES:
        return f"its header has {size:,} bytes; up to {_MOST_HEADER_BYTES:,} are read."
    values = sum(map(header.count, (b",", b"[", b"{")))
    if values > _MOST_VALUES:
        return f"its header has {values:,} values; up to {_MOST_VALUES:,} are read."
    return None


def _description(header: dict[str, Any]) -> dict[str, Any]:
    metadata = _dict(header.get("__metadata__", {}), "metadata")
    if "neocog" not in metadata:
        raise FormatError(
            "this safetensors file holds weights, but not the architecture that neocog writes "
            "beside them."
        )
    return _versioned(metadata["neocog"])


def _versioned(text: object) -> dict[str, Any]:
    description = _json(text, "description of the network")
    if (version := description.get("version")) not in (_CHAIN, _NODES):
        raise FormatError(
            f"it is of version {printable(str(version), 20)} of the format; this neocog reads "
            f"{_CHAIN} and {_NODES}."
        )
    return description


def _json(text: object, what: str) -> dict[str, Any]:
    def without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) < len(pairs):
            raise ValueError("a name occurs twice")
        return result

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not JSON")

    if not isinstance(text, str | bytes):
        raise FormatError(f"its {what} is not a text.")
    try:
        value = json.loads(text, object_pairs_hook=without_repeats, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"its {what} is damaged: {error}.") from None
    return _dict(value, what)


# The network


def _build(description: dict[str, Any]) -> ModelParts:
    what = "layers" if description["version"] == _CHAIN else "nodes"
    entries = _list(description.get(what), f"list of {what}")
    _check_layers(entries)
    shape = _whole_numbers(description.get("input_shape"), "input_shape")
    preprocessing = _dict(description.get("preprocessing"), "preprocessing")
    mean, std = (_numbers(preprocessing.get(key), key) for key in ("mean", "std"))
    # Older files lack it; their pictures were always resized in this way.
    resize = Resize.from_dict(_dict(preprocessing.get("resize", {}), "resize"))
    classes = description.get("classes")
    if classes is not None and not all(
        isinstance(name, str) for name in _list(classes, "list of classes")
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
        _dict(description.get("training", {}), "training"),
        description.get("loss", LOSSES[0]),
    )


def network_described(text: str) -> ModelParts:
    """The parts from a text by `describe_network`, without weights.

    Raises:
        FormatError, ArchitectureError: the text is damaged, too long, or describes no network.
    """
    content = text.encode()
    if (why := _too_large(len(content), content)) is not None:
        raise FormatError(why)
    return _build(_versioned(text))


def check_shapes(graph: Graph) -> None:
    """Raise `FormatError` if a network from a file has absurdly large outputs for an image."""
    for name, output in {"input": graph.input_shape, **graph.shapes}.items():
        if math.prod(output) > _LARGEST_OUTPUT:
            raise FormatError(f"{name}: the shape {output} is absurdly large.")


def _check_layers(entries: list[Any]) -> None:
    """Check the number of layers, nested ones included, and the sizes of their arguments.

    `build_row` refuses bad arguments and layers that are nested too deeply, and `build_nodes`
    checks the names of a node's inputs.
    """
    waiting, count = list(entries), 0
    while waiting:
        layer = _dict(waiting.pop(), "layer")
        count += 1
        for key, value in layer.items():
            if key == "layers":  # of a Sequential
                waiting += _list(value, "list of layers")
            elif isinstance(value, dict):  # of a Residual
                waiting.append(value)
            elif key not in ("name", "type", "inputs"):
                _check_argument(value, printable(key))
    if count > _MOST_LAYERS:
        raise FormatError(f"it has {count} layers, more than {_MOST_LAYERS}.")


def _check_argument(value: object, key: str) -> None:
    if isinstance(value, str):
        _text(value, f"value of {key!r}")
    elif isinstance(value, float):
        _numbers([value], key)
    elif value is not None:
        _whole_numbers(value if isinstance(value, list) else [value], key)


def _check_tensors(header: dict[str, Any], graph: Graph, length: int) -> None:
    """Check that the header's tensors are the network's state, and that the file's length fits."""
    tensors = {name: spec for name, spec in header.items() if name != "__metadata__"}
    if tensors.keys() != graph.state_shapes.keys():
        odd = sorted(tensors.keys() ^ graph.state_shapes.keys())[0]
        raise FormatError(f"its weights are not those of its layers; for example {odd[:100]!r}.")
    expected = 0
    for name, shape in graph.state_shapes.items():
        spec, dtype = _dict(tensors[name], "header"), np.dtype(state_dtype(name))
        if spec.get("dtype") != _TYPES[dtype] or spec.get("shape") != list(shape):
            raise FormatError(f"{name} should be {dtype} of the shape {shape}.")
        expected += dtype.itemsize * math.prod(shape)
    if length != expected:
        raise FormatError(f"it should hold {expected} bytes of weights and holds {length}.")


# Values from JSON


def _dict(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise FormatError(f"its {what} is damaged.")
    return value


def _list(value: object, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise FormatError(f"its {what} is damaged.")
    return value


def _text(value: object, what: str) -> str:
    # These are printed, so they must not contain control characters.
    if not isinstance(value, str) or not is_plain(value) or len(value) > _LONGEST_NAME:
        raise FormatError(f"it has a {what} that is none.")
    return value


def _whole_numbers(value: object, what: str) -> tuple[int, ...]:
    numbers = _list(value, what)
    if not all(isinstance(n, int) and 0 <= n < 2**31 for n in numbers):
        raise FormatError(f"{what}: {str(numbers)[:100]} are not whole numbers of a sensible size.")
    return tuple(numbers)


def _numbers(value: object, what: str) -> tuple[float, ...]:
    numbers = _list(value, what)
    if not all(isinstance(n, int | float) and abs(n) < 1e6 for n in numbers):
        raise FormatError(f"{what}: {str(numbers)[:100]} are not numbers of a sensible size.")
    return tuple(numbers)
