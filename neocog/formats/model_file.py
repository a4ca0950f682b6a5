"""The model file: weights, architecture, classes and preprocessing in one ``.safetensors``.

The weights are named and shaped as in PyTorch, float32, and int64 where PyTorch counts batches. All
else is one JSON text in the file's metadata,
under ``neocog``::

    {"version": 1,
     "input_shape": [3, 32, 32],
     "layers": [{"name": "conv1", "type": "Conv2d", "in_channels": 3, …}, …],
     "classes": ["airplane", …] or null,
     "preprocessing": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5],
                       "resize": {"mode": "stretch", "interpolation": "lanczos", …}},
     "temperature": 1.5,
     "threshold": 0.7,
     "training": {…}}

The temperature is left out if it is 1, the threshold if there is none. A Sequential has its own
list of ``layers``, a Residual a ``body`` and a ``shortcut`` (or null) that are layers without
names. Layers come from the closed registry in `neocog.layers`: a file can describe, never run.
Everything is checked against the header and the file's length before any weight is read.
"""

import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import numpy as np
import safetensors
import safetensors.numpy

from neocog.errors import ArchitectureError, FormatError, NeocogError, is_plain, printable
from neocog.files import open_regular, write_bytes
from neocog.layers import describe
from neocog.layers.registry import build_row
from neocog.limits import require_memory
from neocog.network import Network, state_dtype
from neocog.preprocessing import Preprocessing, Resize

__all__ = ["check_savable", "check_shapes", "load_model", "read_training", "save_model"]

_VERSION = 1
# A ResNet of 1,001 layers has a header of 1.0 MB with 76,000 values. Each value takes some
# 100 bytes when it is read, however short it is.
_MOST_HEADER_BYTES = 4 * 2**20
_MOST_VALUES = 400_000
_MOST_LAYERS = 10_000
_LONGEST_NAME = 1000
_TYPES = {np.dtype(np.float32): "F32", np.dtype(np.int64): "I64"}
# Numbers in the output of one layer for one image: 64 maps of 1024 × 1024, 256 MiB of float32.
_LARGEST_OUTPUT = 2**26
# Longer than what is noted of any training, which is not known before it.
_LONG_NOTES = {"data": 2**16 * "x" + 100 * ","}


def save_model(
    network: Network, path: str | Path, training: Mapping[str, Any] | None = None
) -> None:
    """Write the network with all that is needed to use it, whole or not at all.

    The same network gives the same bytes.

    Args:
        network: with parameters.
        path: where to, by custom ``….safetensors``.
        training: how it came about, for people to read: plain JSON values, such as the name of
            the data. `read_training` gives it back; nothing else looks at it.

    Raises:
        ArchitectureError: if the network has no parameters yet, or has what `load_model` refuses,
            such as layers of one's own.
        TypeError, ValueError: if `training` holds anything but finite numbers, texts, lists, dicts.
        OSError: if `path` cannot be written.
    """
    text = _described(network, training or {})
    state = network.state_dict()
    # One entry of metadata only: safetensors writes several in a random order.
    content = safetensors.numpy.save(state, {"neocog": text})
    size = struct.unpack("<Q", content[:8])[0]
    _check_header(content[8 : 8 + size])
    write_bytes(path, content)


def check_savable(network: Network) -> None:
    """Find out, before it is trained for hours, whether `save_model` can write a network.

    Raises:
        ArchitectureError: as `save_model` does, but for parameters.
    """
    _check_header(_header(network, _described(network, _LONG_NOTES)))


def _check_header(header: bytes) -> None:
    if (why := _too_large(len(header), header)) is not None:
        raise ArchitectureError(f"A file cannot describe this network: {why}")


def _header(network: Network, text: str) -> bytes:
    """What safetensors will write before the weights: their names, types, shapes and places."""
    header: dict[str, Any] = {"__metadata__": {"neocog": text}}
    end = 0
    for name, shape in network.state_shapes.items():
        dtype = np.dtype(state_dtype(name))
        begin, end = end, end + dtype.itemsize * math.prod(shape)
        header[name] = {"dtype": _TYPES[dtype], "shape": shape, "data_offsets": [begin, end]}
    return json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()


def _described(network: Network, training: Mapping[str, Any]) -> str:
    description = {
        "version": _VERSION,
        "input_shape": list(network.input_shape),
        "layers": [{"name": name, **describe(layer)} for name, layer in network],
        "classes": None if network.classes is None else list(network.classes),
        "preprocessing": {
            "mean": list(network.preprocessing.mean),
            "std": list(network.preprocessing.std),
            "resize": network.preprocessing.resize.to_dict(),
        },
        **({"temperature": network.temperature} if network.temperature != 1 else {}),
        **({"threshold": network.threshold} if network.threshold else {}),
        "training": dict(training),
    }
    text = json.dumps(description, ensure_ascii=False, allow_nan=False)
    try:
        _build(json.loads(text))
    except (ArchitectureError, FormatError) as error:
        raise ArchitectureError(f"A file cannot describe this network: {error}") from None
    return text


def load_model(path: str | Path) -> Network:
    """The network that `save_model` wrote: layers, weights, classes, preprocessing and the rest.

    Raises:
        FormatError: if the file is missing, damaged, of another kind or of a later version.
        NeocogError: if this process cannot get the memory.
    """
    try:
        with open_regular(path) as file:
            header, length = _read_header(file)
            network = _build(_description(header))
            _check_tensors(header, network, length)
            # The file, its arrays, and the network's own copies of them.
            require_memory(3 * length, "Reading this network", "Close other programs.")
            file.seek(0)
            network.load_state_dict(safetensors.numpy.load(file.read()))
    except (FormatError, ArchitectureError, safetensors.SafetensorError) as error:
        raise FormatError(f"{path}: {printable(str(error), 1000)}") from None
    except NeocogError as error:
        raise NeocogError(f"{path}: {error}") from None
    except OSError as error:
        raise FormatError(f"{path}: {error.strerror or error}.") from None
    return network


def read_training(path: str | Path) -> dict[str, Any]:
    """What `save_model` was given as `training`; empty if nothing was. Reads the header only.

    Raises:
        FormatError: as `load_model` does, but for damaged weights.
    """
    try:
        with open_regular(path) as file:
            header, _length = _read_header(file)
        return _dict(_description(header).get("training", {}), "training")
    except FormatError as error:
        raise FormatError(f"{path}: {printable(str(error), 1000)}") from None
    except OSError as error:
        raise FormatError(f"{path}: {error.strerror or error}.") from None


# The header


def _read_header(file: BinaryIO) -> tuple[dict[str, Any], int]:
    """The header's JSON, and how many bytes of numbers follow it."""
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
    """Why a header would take too much memory to be read; None if it does not."""
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
    description = _json(metadata["neocog"], "description of the network")
    if (version := description.get("version")) != _VERSION:
        raise FormatError(
            f"it is of version {printable(str(version), 20)} of the format; this neocog reads "
            f"{_VERSION}."
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


def _build(description: dict[str, Any]) -> Network:
    entries = _list(description.get("layers"), "list of layers")
    _check_layers(entries)
    shape = _whole_numbers(description.get("input_shape"), "input_shape")
    preprocessing = _dict(description.get("preprocessing"), "preprocessing")
    mean, std = (_numbers(preprocessing.get(key), key) for key in ("mean", "std"))
    # Files from before it was written have what was always done then.
    resize = Resize.from_dict(_dict(preprocessing.get("resize", {}), "resize"))
    classes = description.get("classes")
    if classes is not None and not all(
        isinstance(name, str) for name in _list(classes, "list of classes")
    ):
        raise FormatError("its list of classes is damaged.")
    try:
        network = Network(
            input_shape=shape,
            classes=classes,
            preprocessing=Preprocessing(mean, std, resize),
            **build_row(entries),
        )
    except TypeError:  # a layer named like another argument of Network
        raise FormatError("a layer has a name that no layer can have.") from None
    check_shapes(network)
    network.temperature = description.get("temperature", 1.0)
    network.threshold = description.get("threshold")
    return network


def check_shapes(network: Network) -> None:
    """Raise `FormatError` if what a file describes gives absurdly large outputs for an image."""
    for name, output in {"input": network.input_shape, **network.shapes}.items():
        if math.prod(output) > _LARGEST_OUTPUT:
            raise FormatError(f"{name}: the shape {output} is absurdly large.")


def _check_layers(entries: list[Any]) -> None:
    """That there are not too many layers, within each other too, and no absurd argument.

    What a layer makes of its arguments, and how deep layers lie, is for `build_row` to refuse.
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
            elif key not in ("name", "type"):
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


def _check_tensors(header: dict[str, Any], network: Network, length: int) -> None:
    """That the header's tensors are the network's state, and the file as long as they are."""
    tensors = {name: spec for name, spec in header.items() if name != "__metadata__"}
    if tensors.keys() != network.state_shapes.keys():
        odd = sorted(tensors.keys() ^ network.state_shapes.keys())[0]
        raise FormatError(f"its weights are not those of its layers; for example {odd[:100]!r}.")
    expected = 0
    for name, shape in network.state_shapes.items():
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
    # These are printed, so they must not move the cursor or the like.
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
