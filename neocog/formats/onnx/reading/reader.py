"""Reads ``.onnx`` files: networks of the layers that neocog has, as any exporter writes them.

The file is read as plain values within limits (`messages`, `wire`, `safety`), groups of operators
are recognized as layers (`patterns`), and each remaining operator becomes a layer by its rule
(`operator_rules`). Nothing of the file is ever run, and nothing but neocog is needed.
"""

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from neocog.errors import ArchitectureError, FormatError, NeocogError, printable
from neocog.files import open_regular
from neocog.formats.json_text import json_value
from neocog.formats.model_file import check_shapes
from neocog.formats.onnx.reading.content import Content
from neocog.formats.onnx.reading.described import described, state_of
from neocog.formats.onnx.reading.importing import Importing
from neocog.formats.onnx.reading.messages import Model, Operation, Value, parse
from neocog.formats.onnx.reading.operator_rules import check_known, evaluate
from neocog.formats.onnx.reading.patterns import simplified
from neocog.formats.onnx.reading.safety import MOST_BYTES, check_state
from neocog.formats.onnx.reading.signals import PIXELS, PLAIN, Pending, Picture, Signal
from neocog.formats.onnx.reading.tensors import FLOAT, UINT8
from neocog.formats.parts import ModelParts
from neocog.layers import Graph, Scale, Sigmoid, image_shape
from neocog.layers.graph import IMAGE
from neocog.limits import readable, require_memory
from neocog.preprocessing import Preprocessing, Resize

__all__ = ["Import", "read_onnx"]

# If a file leaves the number of images open: a prime, so that no other axis is mistaken for it.
_ANY_BATCH = 1_000_003
_UNKNOWN = (
    "does not say how its images are to be normalized: taken as (pixel / 255 − 0.5) / 0.5. If its "
    "training did otherwise, set network.preprocessing."
)
_NORMALIZES = "normalizes its images itself: its input is taken as pixels from 0 to {most}."


@dataclass(frozen=True)
class Import:
    """What was read from a file.

    Attributes:
        parts: of the network.
        assumption: what had to be assumed about its images, as the end of a sentence; None if
            nothing.
    """

    parts: ModelParts
    assumption: str | None = None


def read_onnx(path: str | Path, *, weights: bool = True) -> Import:
    """Read a network from a ``.onnx`` file.

    Batch normalization that an exporter folded into a convolution stays folded. Probabilities at
    the end are taken off; a network gives scores.

    Args:
        path: the file.
        weights: whether the network's arrays are wanted; else its state is empty.

    Raises:
        FormatError: the file is missing, damaged, beyond the limits, or has something that no layer
            is; the message has the node, its operator, and what is the matter.
        NeocogError: there is not enough memory.
    """
    try:
        with open_regular(path) as file:
            content = Content(file)
            if content.length > MOST_BYTES:
                raise FormatError(
                    f"it has {readable(content.length)}; an ONNX file has at most 2 GiB."
                )
            model = parse(content)
            # The tensors, and the network's own copies of them, twice.
            require_memory(3 * content.length, "Reading this network", "Close other programs.")
            return _imported(model, content.length, weights)
    except (FormatError, ArchitectureError) as error:
        raise FormatError(f"{path}: {printable(str(error), 1000)}") from None
    except NeocogError as error:
        raise NeocogError(f"{path}: {error}") from None
    except OSError as error:
        raise FormatError(f"{path}: {error.strerror or error}.") from None


def _imported(model: Model, length: int, weights: bool) -> Import:
    said = _Said.of(model.metadata)
    ours = described(model, length)
    if ours is not None:
        state = state_of(model, ours, said.counts) if weights else {}
        return Import(replace(ours, state=state))
    operations = simplified(model)
    check_known(operations)
    image = _image(model)
    if len(model.outputs) != 1:
        raise FormatError(f"it has {len(model.outputs)} outputs; a network has one, the scores.")
    order = PIXELS if _begins_with_pixels(operations, image.name) else PLAIN
    batch, *sizes = image.shape
    c, h, w = (sizes[2], *sizes[:2]) if order == PIXELS else sizes
    if None in sizes:
        raise FormatError(
            f"its input {image.name!r} has no fixed size of images. Export it for one size."
        )
    shape = image_shape((c, h, w))
    uses = Counter(name for one in operations for name in one.inputs)
    known = said.preprocessing if image.kind == UINT8 else None
    look = None if known is None else (known.scale, known.shift)
    importing = Importing(shape, batch or _ANY_BATCH, uses, model.tensors, look)
    picture = Picture(shape, order, np.ones(shape[0]), np.zeros(shape[0]), image.kind == FLOAT)
    prepared = image.kind == FLOAT and said.preprocessing is not None
    importing.values[image.name] = Signal(IMAGE, shape, order) if prepared else picture
    for operation in operations:
        evaluate(importing, operation)
    graph = _graph(importing, model, said, length)
    state = importing.arrays(graph) if weights else {}
    for name, count in said.counts.items():
        if name in state:
            state[name][...] = count
    preprocessing, assumption = _preprocessing(importing, image, said)
    parts = ModelParts(
        graph, state, preprocessing, said.classes, said.temperature, said.threshold, loss=said.loss
    )
    return Import(parts, assumption)


def _image(model: Model) -> Value:
    """The one input that has no value in the file."""
    found = [one for one in model.inputs if one.name not in model.tensors]
    if len(found) != 1:
        names = printable(", ".join(one.name for one in found))
        raise FormatError(f"it has {len(found)} inputs ({names}); a network has one, the images.")
    (image,) = found
    if image.kind not in (FLOAT, UINT8):
        raise FormatError(
            f"its input {image.name!r} has the type {image.kind} of ONNX; float32 (1) and uint8 "
            "(2) are read."
        )
    if len(image.shape) != 4:
        raise FormatError(f"its input {image.name!r} has {len(image.shape)} axes; images have 4.")
    return image


def _begins_with_pixels(operations: tuple[Operation, ...], name: str) -> bool:
    """Whether the first thing that reorders the image's axes brings its channels to the front."""
    readers: dict[str, list[Operation]] = {}
    for one in operations:
        for source in set(one.inputs):
            readers.setdefault(source, []).append(one)
    while len(readers.get(name, ())) == 1:
        (one,) = readers[name]
        if one.operator == "Transpose":
            return one.attributes.get("perm") == (0, 3, 1, 2)
        if one.operator not in ("Cast", "Identity", "Add", "Sub", "Mul", "Div"):
            return False
        name = one.outputs[0]
    return False


def _graph(importing: Importing, model: Model, said: "_Said", length: int) -> Graph:
    """The graph of the layers that the result depends on, within the limits."""
    result = importing.values.get(model.outputs[0].name)
    if isinstance(result, Pending) and result.kind == "softmax":
        result = result.source
    if not isinstance(result, Signal) or result.order != PLAIN:
        raise FormatError("its result is not the output of a layer.")
    graph = importing.finished(_scores(importing, result, said))
    check_shapes(graph)
    check_state(graph, length)
    return graph


def _scores(importing: Importing, result: Signal, said: "_Said") -> Signal:
    """The scores behind what neocog's exports put at their end: a temperature, and σ."""
    last = importing.node(result.layer)
    binary = said.probabilities and said.loss == "binary-cross-entropy"
    if last is not None and binary and isinstance(last.layer, Sigmoid):
        result = importing.signal(last.inputs[0])
        last = importing.node(result.layer)
    if last is not None and said.probabilities and said.temperature != 1:
        if not isinstance(last.layer, Scale) or not np.isclose(
            last.layer.factor * said.temperature, 1, rtol=1e-5
        ):
            raise FormatError("its temperature is not the one that its metadata have.")
        return importing.signal(last.inputs[0])
    return result


def _preprocessing(
    importing: Importing, image: Value, said: "_Said"
) -> tuple[Preprocessing, str | None]:
    """What is done with pixels, and what had to be assumed for it."""
    channels = importing.image[0]
    given = said.preprocessing
    if given is not None and len(given.mean) != channels:
        raise FormatError(f"its metadata are for {len(given.mean)} channels, not {channels}.")
    if importing.preprocessing is None:  # floats, which are prepared already
        return given or Preprocessing((0.5,) * channels, (0.5,) * channels), None
    scale, shift = (np.array(row) for row in importing.preprocessing)
    if image.kind == FLOAT and (scale == 1).all() and not shift.any():
        return Preprocessing((0.5,) * channels, (0.5,) * channels), _UNKNOWN
    if (scale <= 0).any():
        raise FormatError("it multiplies its images by numbers that are not above 0.")
    assumption = None
    most = 255.0
    if image.kind == FLOAT:
        most = 255.0 if scale.max() < 0.5 else 1.0
        assumption = _NORMALIZES.format(most=f"{most:g}")
    std = 1 / (most * scale)
    found = Preprocessing(tuple((-shift * std).tolist()), tuple(std.tolist()))
    if given is None:
        return found, assumption
    if not all(
        np.allclose(getattr(given, name), getattr(found, name), rtol=1e-4, atol=1e-5)
        for name in ("mean", "std")
    ):
        raise FormatError("its metadata have another preprocessing than its graph.")
    return given, None


@dataclass(frozen=True)
class _Said:
    """What neocog's exports say in their metadata."""

    preprocessing: Preprocessing | None
    classes: tuple[str, ...] | None
    temperature: float
    threshold: float | None
    loss: str
    probabilities: bool
    counts: dict[str, int]

    @classmethod
    def of(cls, metadata: dict[str, str]) -> "_Said":
        """Read the entries; raises `FormatError` or `ArchitectureError` if they are not ours."""
        ours = _entry(metadata, "neocog", dict) or {}
        look = _entry(metadata, "preprocessing", dict)
        classes = _entry(metadata, "classes", list)
        if classes is not None and not all(isinstance(name, str) for name in classes):
            raise FormatError("the classes in its metadata are no texts.")
        preprocessing = None
        if look is not None:
            resize = look.get("resize", {})
            preprocessing = Preprocessing(
                look.get("mean", ()), look.get("std", ()), Resize.from_dict(resize)
            )
        counts = ours.get("counts")
        counts = counts if isinstance(counts, dict) else {}
        return cls(
            preprocessing,
            None if classes is None else tuple(classes),
            ours.get("temperature", 1.0),
            ours.get("threshold"),
            ours.get("loss", "cross-entropy"),
            ours.get("outputs") == "probabilities",
            {k: v for k, v in counts.items() if type(v) is int and 0 <= v < 2**63},
        )


def _entry(metadata: dict[str, str], name: str, kind: type[Any]) -> Any:
    """An entry of the metadata from its JSON; None if there is none."""
    text = metadata.get(f"neocog.{name}", metadata.get(name))
    if text is None or ("neocog" not in metadata and f"neocog.{name}" not in metadata):
        return None  # not ours
    value = json_value(text, f"metadata's {name!r}")
    if not isinstance(value, kind):
        raise FormatError(f"its metadata's {name!r} is damaged.")
    return value
