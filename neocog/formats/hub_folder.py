"""The folder of a model on the Hugging Face hub: weights, ``config.json`` and a model card.

- ``model.safetensors`` has the weights by PyTorch's names, and nothing else.
- ``config.json`` has ``id2label`` and ``label2id`` for every reader, and under ``neocog`` the
  description that a model file has (`model_file`), without the names of the classes::

    {"architecture": "resnet8", "num_classes": 2,
     "id2label": {"0": "cat", "1": "dog"}, "label2id": {"cat": 0, "dog": 1},
     "neocog": {"version": 1, "input_shape": [3, 32, 32], "layers": […], …}}

- ``README.md`` is the card, for people and for the hub; nothing here reads it.
"""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from neocog.errors import ArchitectureError, FormatError, NeocogError, printable
from neocog.files import (
    exists,
    leftovers,
    open_regular,
    read_bytes,
    write_bytes,
    writing_together,
)
from neocog.formats.json_text import json_object, too_large
from neocog.formats.model_file import (
    check_tensors,
    check_version,
    describe_network,
    network_described,
    read_header,
)
from neocog.formats.parts import ModelParts
from neocog.layers import Graph, state_dtype
from neocog.limits import require_memory
from neocog.write_errors import why_not_written

__all__ = [
    "CARD",
    "CONFIG",
    "FILES",
    "MOST_CARD_BYTES",
    "MOST_CONFIG_BYTES",
    "WEIGHTS",
    "check_free",
    "files_of",
    "hub_files",
    "is_hub_folder",
    "read_config",
    "read_hub_folder",
    "read_hub_training",
    "weights_bytes",
    "write_files",
]

#: The names of the files.
CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
#: All of them, the one that identifies the set first.
FILES = (CONFIG, WEIGHTS, CARD)
#: As for the header of a model file; a card with a thousand classes has some 50 kB.
MOST_CONFIG_BYTES, MOST_CARD_BYTES = 4 * 2**20, 2**20


def is_hub_folder(path: str | Path) -> bool:
    """Whether a folder has a ``config.json`` beside a ``model.safetensors``, by whomever."""
    return exists(Path(path) / CONFIG) and exists(Path(path) / WEIGHTS)


def check_free(folder: Path, overwrite: bool) -> None:
    """Check that a model can be written to a folder.

    Raises:
        FormatError: it holds something already; or with `overwrite`, something but such a model.
    """
    if not exists(folder):
        return
    if not folder.is_dir():
        raise FormatError(f"{folder} is a file, not a folder: name another.")
    left = leftovers(folder)
    held = [path for path in folder.iterdir() if path not in left]
    if not held:
        return
    if not overwrite:
        raise FormatError(
            f"{folder} holds something already, and nothing is overwritten unless you ask for it: "
            "name another folder, or say overwrite=True (--overwrite)."
        )
    if not is_hub_folder(folder):
        raise FormatError(
            f"{folder} holds something, and no {CONFIG} and {WEIGHTS} that could be replaced: name "
            "another folder."
        )


def hub_files(parts: ModelParts, card: str, architecture: str | None = None) -> dict[str, bytes]:
    """The content of each file.

    Args:
        parts: of the network, with weights.
        card: the text of the ``README.md``.
        architecture: name of the network, if it has one.

    Raises:
        ArchitectureError: the network cannot be described in a file.
    """
    return {
        CONFIG: _config(parts, architecture),
        WEIGHTS: safetensors.numpy.save(dict(parts.state), {"format": "pt"}),
        CARD: card.encode(),
    }


def write_files(content: dict[str, bytes], folder: Path) -> None:
    """Write the files of such a folder, all or none; other files in it stay.

    Raises:
        FormatError: they cannot be written.
    """
    is_new = not exists(folder)
    try:
        folder.mkdir(exist_ok=True)
        with writing_together(folder, CONFIG) as new:
            for name, one in content.items():
                write_bytes(new / name, one)
    except OSError as error:
        if is_new and exists(folder):
            folder.rmdir()
        size = sum(map(len, content.values()))
        raise FormatError(why_not_written(folder, error, size=size)) from error


def weights_bytes(graph: Graph) -> int:
    """The most bytes that the weights of a network may take as a file, its header included."""
    sizes = (
        np.dtype(state_dtype(name)).itemsize * math.prod(shape)
        for name, shape in graph.state_shapes.items()
    )
    return sum(sizes) + MOST_CONFIG_BYTES


def _config(parts: ModelParts, architecture: str | None) -> bytes:
    description = json.loads(describe_network(replace(parts, classes=None)))
    del description["classes"]
    labels = dict(enumerate(parts.classes or ()))
    config = {
        **({"architecture": architecture} if architecture else {}),
        "num_classes": parts.graph.output_shape[0],
        "id2label": {str(n): name for n, name in labels.items()},
        "label2id": {name: n for n, name in labels.items()},
        "neocog": description,
    }
    text = json.dumps(config, ensure_ascii=False, indent=1, allow_nan=False).encode()
    if (why := too_large(len(text), text)) is not None:
        raise ArchitectureError(f"A {CONFIG} cannot describe this network: {why}")
    return text + b"\n"


# Reading


def files_of(folder: Path) -> dict[str, bytes]:
    """The content of each file that a folder has, which `read_hub_folder` can read.

    Raises:
        FormatError: one cannot be read, or is too large.
    """
    limits = {CONFIG: MOST_CONFIG_BYTES, WEIGHTS: None, CARD: MOST_CARD_BYTES}
    there = {name: most for name, most in limits.items() if exists(folder / name)}
    try:
        return {name: read_bytes(folder / name, most) for name, most in there.items()}
    except OSError as error:
        raise FormatError(f"{folder}: {error.strerror or error}.") from None


def read_hub_folder(folder: str | Path) -> ModelParts:
    """Read a network whose files are those of `hub_files`.

    Raises:
        FormatError: a file is missing or damaged, or the folder is another program's.
        NeocogError: there is not enough memory.
    """
    folder = Path(folder)
    parts = read_config(folder)
    path = folder / WEIGHTS
    try:
        with open_regular(path) as file:
            header, length = read_header(file)
            check_tensors(header, parts.graph, length)
            require_memory(3 * length, "Reading this network", "Close other programs.")
            file.seek(0)
            return replace(parts, state=safetensors.numpy.load(file.read()))
    except (FormatError, safetensors.SafetensorError) as error:
        raise FormatError(f"{path}: {printable(str(error), 1000)}") from None
    except NeocogError as error:
        raise NeocogError(f"{path}: {error}") from None
    except OSError as error:
        raise FormatError(f"{path}: {error.strerror or error}.") from None


def read_hub_training(folder: str | Path) -> dict[str, Any]:
    """The notes on the training of such a network; raises as `read_hub_folder` does."""
    return dict(read_config(Path(folder)).notes)


def read_config(folder: Path) -> ModelParts:
    """The network of a ``config.json``, without its weights; raises as `read_hub_folder` does."""
    path = folder / CONFIG
    try:
        text = read_bytes(path, MOST_CONFIG_BYTES)
        config = json_object(text, "text")
        if "neocog" not in config:
            raise FormatError(_of_others(config))
        description = config["neocog"]
        if not isinstance(description, dict):
            raise FormatError("its description of the network is damaged.")
        check_version(description)
        parts = network_described({**description, "classes": _classes(config)})
    except (FormatError, ArchitectureError) as error:
        raise FormatError(f"{path}: {printable(str(error), 1000)}") from None
    except OSError as error:
        raise FormatError(f"{path}: {error.strerror or error}.") from None
    return parts


def _of_others(config: dict[str, Any]) -> str:
    names = [config.get("architecture"), *_list(config.get("architectures"))]
    known = [printable(name, 60) for name in names if isinstance(name, str)]
    whose = f" It is of another program's, for {known[0]!r}." if known else ""
    return (
        f"it does not have the layers of the network, which neocog writes there.{whose} Make the "
        "module with the program that wrote it, and take it over by neocog.from_torch(module, "
        "input_shape)."
    )


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _classes(config: dict[str, Any]) -> list[str] | None:
    labels = config.get("id2label")
    if not labels:
        return None
    wanted = [str(n) for n in range(len(labels))] if isinstance(labels, dict) else []
    if not wanted or labels.keys() != set(wanted):
        raise FormatError("its id2label does not number the classes from 0.")
    return [labels[n] for n in wanted]
