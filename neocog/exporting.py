"""Writes a network for other programs: ONNX, PyTorch's weights or program, a folder for the hub.

What computes by itself, ONNX and PyTorch's program, is run beside neocog before it is written.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.data import Data
from neocog.data.images import Dataset, mixed
from neocog.errors import DataError, FormatError, NeocogError
from neocog.extras import module_of_extra
from neocog.files import write_bytes
from neocog.formats import save_parts
from neocog.formats.hub_folder import check_free, write_files
from neocog.formats.metadata import gives_probabilities
from neocog.hub_card import files_with_card
from neocog.losses import check_classifier
from neocog.matching import mismatch
from neocog.network import Network, check_network
from neocog.validation import choice, file_path, flag, instance
from neocog.write_errors import check_replaceable, why_not_written

__all__ = [
    "FORMATS",
    "PROGRAMS",
    "SUFFIXES",
    "Difference",
    "Export",
    "Quantized",
    "check_export",
    "export",
]

#: The suffixes of each format's files, the usual one first.
SUFFIXES = {
    "onnx": (".onnx",),
    "pth": (".pth", ".pt"),
    "safetensors": (".safetensors",),
    "torch-export": (".pt2",),
}
#: The formats; the last one is a folder.
FORMATS = (*SUFFIXES, "hub")
#: Those that compute by themselves.
PROGRAMS = ("onnx", "torch-export")

# Images that are compared, and pictures that ranges of int8 are taken from.
_COMPARED, _CALIBRATED = 32, 256
# Images that a quantized model gets at a time.
_BATCH = 256
# Part of the largest score by which two programs may differ; of the same network they differ by
# some 1e-6, and more than this would be a mistake.
_MOST = 1e-3

Run = Callable[[NDArray[Any]], Mapping[str, NDArray[np.float32]]]


@dataclass(frozen=True)
class Difference:
    """How far an exported program's results are from neocog's.

    Attributes:
        images: what was compared, such as "random pictures".
        count: number of them.
        scores: the largest difference of a score, divided by the largest score; None if the program
            does not give them.
        probabilities: the largest difference of a probability; None if it does not give them.
    """

    images: str
    count: int
    scores: float | None
    probabilities: float | None


@dataclass(frozen=True)
class Quantized:
    """What int8 cost.

    Attributes:
        calibrated: number of training pictures that the ranges come from.
        part: part of the data that both were evaluated on, "validation", or "test" if there is
            none.
        count: number of its pictures.
        accuracy_before: accuracy of the network, 0 to 1.
        accuracy: accuracy of the quantized one.
        same: part of the pictures that both give the same answer for.
    """

    calibrated: int
    part: str
    count: int
    accuracy_before: float
    accuracy: float
    same: float


@dataclass(frozen=True)
class Export:
    """A file that was written.

    Attributes:
        path: of it.
        format: one of `FORMATS`.
        size: of the file, in bytes.
        inputs: what it takes, as in "images: uint8 [batch, 32, 32, 3]"; empty if it is no program.
        outputs: what it gives, as in "probabilities: float32 [batch, 10]".
        runtime: what it was run by, with its version.
        differences: how far its results are from neocog's, before it was quantized.
        quantized: what int8 cost; None if it is not quantized.
    """

    path: Path
    format: str
    size: int
    inputs: str = ""
    outputs: str = ""
    runtime: str = ""
    differences: tuple[Difference, ...] = ()
    quantized: Quantized | None = None

    def to_dict(self) -> dict[str, Any]:
        """The attributes as plain data, for JSON."""
        return {
            **vars(self),
            "path": str(self.path),
            "differences": [dict(vars(one)) for one in self.differences],
            "quantized": None if self.quantized is None else dict(vars(self.quantized)),
        }


def export(
    network: Network,
    path: str | Path,
    *,
    to: str | None = None,
    pictures: bool = True,
    softmax: bool = True,
    int8: bool = False,
    data: Data | None = None,
    overwrite: bool = False,
    notes: Mapping[str, Any] | None = None,
    run: Mapping[str, Any] | None = None,
) -> Export:
    """Write a network for other programs, completely or not at all.

    ``"onnx"`` is for ONNX Runtime and others (docs/export.md), ``"torch-export"`` is a program that
    ``torch.export.load`` reads, ``"pth"`` has PyTorch's weights, and ``"safetensors"`` is neocog's
    own, whose weights other programs read, too. ``"hub"`` is a folder as the Hugging Face hub has
    them, with a model card (docs/travel.md). The first two are run beside neocog on random
    pictures, and on some of `data`, and are written only if the results are the same but for
    rounding.

    Args:
        network: with weights.
        path: the file, or the folder.
        to: one of `FORMATS`; by default the suffix of `path` determines it.
        pictures: the program takes uint8 pictures [batch, height, width, channels] of the network's
            size and preprocesses them; else float32 [batch, channels, height, width].
        softmax: it gives probabilities; else scores.
        int8: quantize an ONNX model to 8 bits, with ranges from pictures of ``data.train``.
        data: pictures to compare results on, and for `int8`.
        overwrite: whether a file that exists is replaced.
        notes: on the training, for a ``.safetensors`` and a folder.
        run: what the ``run.json`` of the training says, for the card of a folder.

    Raises:
        ArchitectureError: the network has no weights, or a layer that the format cannot have.
        DataError: `int8` needs data, or the data do not fit.
        FormatError: the file exists, cannot be written, or its suffix is not the format's.
        NeocogError: a package is missing, or the program's results are not the network's.
    """
    network = check_network(network).copy()  # a copy that no other thread can change
    path = file_path("path", path, error=FormatError)
    format_ = check_export(path, to, flag("overwrite", overwrite))
    for name, value, usual, those in (
        ("pictures", pictures, True, PROGRAMS),
        ("softmax", softmax, True, PROGRAMS),
        ("int8", int8, False, ("onnx",)),
    ):
        if flag(name, value) != usual and format_ not in those:
            raise NeocogError(
                f"{name} (={value}) is for {' and '.join(those)}; {format_} has no such choice."
            )
    if int8:
        check_classifier(network.loss, "Quantizing")
    if notes is not None:
        instance("notes", notes, Mapping, "notes by name, such as {'data': 'cifar10'}")  # type: ignore[type-abstract]
    if data is not None:
        _check_data(network, instance("data", data, Data, "a neocog.Data, as load_data gives"))
    if format_ == "hub":
        files = files_with_card(network, path.absolute().name, notes, run)
        write_files(files, path)
        return Export(path, format_, sum(map(len, files.values())))
    if format_ not in PROGRAMS:
        save_parts(network.parts(notes), path)
        return Export(path, format_, path.stat().st_size)
    if format_ == "torch-export":
        content, found = _torch_program(network, path, pictures, softmax, data)
    else:
        content, found = _onnx(network, path, pictures, softmax, int8, data)
    try:
        write_bytes(path, content)
    except OSError as error:
        raise FormatError(why_not_written(path, error, size=len(content))) from error
    return found


def check_export(path: Path, to: str | None = None, overwrite: bool = False) -> str:
    """Check that a file can be written; returns its format, one of `FORMATS`.

    Args:
        path: the file.
        to: the format that is asked for; by default that of the suffix.
        overwrite: whether the file may exist.

    Raises:
        FormatError: it exists, or the suffix is not that of the format, or of any.
        NeocogError: a package that the format needs is missing.
    """
    format_ = _format(path, to)
    if format_ == "hub":
        check_free(path, overwrite)
    else:
        check_replaceable(path, overwrite)
    if format_ in PROGRAMS:
        _writer_of(format_)
    return format_


def _writer_of(format_: str) -> ModuleType:
    """The module that runs a format's programs, which needs an extra and is slow to import."""
    name, packages, extra = {
        "onnx": ("formats.onnx.writing.session", "onnx and onnxruntime", "onnx"),
        "torch-export": ("torch_engine.exported_program", "PyTorch", "torch"),
    }[format_]
    return module_of_extra(f"neocog.{name}", f"The format {format_}", packages, extra)


def _format(path: Path, to: str | None) -> str:
    suffix = path.suffix.lower()
    if to is not None:
        choice("to", to, FORMATS)
        if to == "hub":
            return to
        if suffix not in SUFFIXES[to]:
            raise FormatError(f"{path}: the name must end in {' or '.join(SUFFIXES[to])} for {to}.")
        return to
    for name, suffixes in SUFFIXES.items():
        if suffix in suffixes:
            return name
    known = ", ".join(suffix for suffixes in SUFFIXES.values() for suffix in suffixes)
    raise FormatError(f"{path}: the name must end in one of {known}.")


def _check_data(network: Network, data: Data) -> None:
    if (why := mismatch(network, data, "The network")) is not None:
        raise DataError(why)


def _onnx(
    network: Network, path: Path, pictures: bool, softmax: bool, int8: bool, data: Data | None
) -> tuple[bytes, Export]:
    # Imported here because they are an extra.
    from neocog.formats.onnx.writing.int8 import quantize
    from neocog.formats.onnx.writing.session import OnnxSession, runtime
    from neocog.formats.onnx.writing.writer import OPSET, make_onnx

    if int8 and (data is None or not len(data.train)):
        raise DataError(
            "int8 takes its ranges from pictures of the training: name the data, as in "
            "data=neocog.load_data('cifar10') (--data cifar10)."
        )
    model = make_onnx(network.parts(), pictures=pictures, softmax=softmax)
    differences = _differences(network, OnnxSession(model).run, pictures, data, runtime())
    quantized = None
    if int8 and data is not None:
        some = mixed(data.train, _CALIBRATED).images
        model = quantize(model, _inputs(network, some, pictures))
        quantized = _cost(network, OnnxSession(model).run, pictures, data, len(some))
    content = model.SerializeToString(deterministic=True)
    said = *_signature(network, pictures, softmax), f"{runtime()}, opset {OPSET}"
    return content, Export(path, "onnx", len(content), *said, differences, quantized)


def _torch_program(
    network: Network, path: Path, pictures: bool, softmax: bool, data: Data | None
) -> tuple[bytes, Export]:
    torch = _writer_of("torch-export")
    content, run = torch.exported_program(network.parts(), pictures=pictures, softmax=softmax)
    differences = _differences(network, run, pictures, data, torch.runtime())
    said = *_signature(network, pictures, softmax), torch.runtime()
    return content, Export(path, "torch-export", len(content), *said, differences)


def _signature(network: Network, pictures: bool, softmax: bool) -> tuple[str, str]:
    """What a program takes and gives."""
    channels, height, width = network.input_shape
    takes = (
        f"images: uint8 [batch, {height}, {width}, {channels}]"
        if pictures
        else f"input: float32 [batch, {channels}, {height}, {width}]"
    )
    gives = "probabilities" if gives_probabilities(network.loss, softmax) else "scores"
    return takes, f"{gives}: float32 [batch, {network.output_shape[0]}]"


def _inputs(network: Network, images: NDArray[np.uint8], pictures: bool) -> NDArray[Any]:
    """What a program takes, for pictures uint8 [n, height, width, channels]."""
    if pictures:
        return np.ascontiguousarray(images)
    look = network.preprocessing
    x = images * np.array(look.scale, np.float32) + np.array(look.shift, np.float32)
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2), np.float32)


# Beside neocog


def _differences(
    network: Network, run: Run, pictures: bool, data: Data | None, runtime: str
) -> tuple[Difference, ...]:
    """Compare a program with the network, on noise and on pictures of the data, if there are any.

    Raises:
        NeocogError: they are further apart than rounding explains.
    """
    channels, height, width = network.input_shape
    shape = (_COMPARED, height, width, channels)
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    compared = {"random pictures": noise}
    if data is not None:
        _part, held_out = _judged(data)
        compared[f"pictures of {data.name}"] = mixed(held_out, _COMPARED).images
    return tuple(
        _difference(network, run(_inputs(network, images, pictures)), images, name, runtime)
        for name, images in compared.items()
    )


def _difference(
    network: Network,
    found: Mapping[str, NDArray[np.float32]],
    images: NDArray[np.uint8],
    name: str,
    runtime: str,
) -> Difference:
    scores = probabilities = None
    if "scores" in found:
        wanted = network.predict_scores(images)
        largest = float(np.abs(wanted).max()) or 1.0
        scores = float(np.abs(found["scores"] - wanted).max()) / largest
    if "probabilities" in found:
        apart = np.abs(found["probabilities"] - network.predict_proba(images))
        probabilities = float(apart.max())
    # Also raised where something is not a number.
    if not all(one <= _MOST for one in (scores, probabilities) if one is not None):
        raise NeocogError(
            f"On {name} {runtime} gives other results than neocog: scores differ by {scores} of "
            f"the largest, probabilities by {probabilities}. Nothing was written. Evaluate the "
            "network; if it is right, please report this."
        )
    return Difference(name, len(images), scores, probabilities)


def _judged(data: Data) -> tuple[str, Dataset]:
    """The part of the data that results are judged on, with its name."""
    if len(data.validation):
        return "validation", data.validation
    return ("test", data.test) if len(data.test) else ("train", data.train)


def _cost(network: Network, run: Run, pictures: bool, data: Data, calibrated: int) -> Quantized:
    """What a quantized network loses."""
    part, images = _judged(data)
    before, after = [], []
    for first in range(0, len(images), _BATCH):
        some = images.images[first : first + _BATCH]
        before.append(network.predict_scores(some).argmax(axis=1))
        after.append(run(_inputs(network, some, pictures))["scores"].argmax(axis=1))
    answers, others = np.concatenate(before), np.concatenate(after)
    right = float((answers == images.labels).mean()), float((others == images.labels).mean())
    return Quantized(calibrated, part, len(images), *right, float((answers == others).mean()))
