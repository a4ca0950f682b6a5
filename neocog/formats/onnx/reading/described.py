"""Networks that neocog exported, whose layers are in the metadata."""

import numpy as np
from numpy.typing import NDArray

from neocog.errors import FormatError
from neocog.formats.model_file import described_in, network_described
from neocog.formats.onnx.fingerprint import DESCRIPTION, FINGERPRINT, fingerprint
from neocog.formats.onnx.reading.messages import Model
from neocog.formats.onnx.reading.safety import check_state
from neocog.formats.parts import ModelParts
from neocog.layers import state_dtype

__all__ = ["described", "state_of"]


def described(model: Model, length: int) -> ModelParts | None:
    """The network that the metadata describe, without its weights.

    Args:
        model: the file.
        length: of the file, in bytes.

    Returns:
        None if nothing is described, or if another program has changed the graph since.

    Raises:
        FormatError, ArchitectureError: the description is damaged.
    """
    text, mark = model.metadata.get(DESCRIPTION), model.metadata.get(FINGERPRINT)
    if text is None or mark is None:
        return None
    parts = network_described(described_in(text))
    if fingerprint(model, parts.graph.state_shapes) != mark:
        return None
    check_state(parts.graph, length)
    for name, shape in parts.graph.state_shapes.items():
        if state_dtype(name) == np.float32:
            tensor = model.tensors.get(name)
            if tensor is None or tensor.shape != shape or tensor.dtype != np.float32:
                raise FormatError(f"{name} should be float32 of the shape {shape}.")
    return parts


def state_of(
    model: Model, parts: ModelParts, counts: dict[str, int]
) -> dict[str, NDArray[np.generic]]:
    """The weights of a network that is `described`.

    Args:
        model: the file.
        parts: of the network.
        counts: of batches, which are in the metadata, as no operator has them.
    """
    return {
        name: np.array(counts.get(name, 0), np.int64)
        if state_dtype(name) == np.int64
        else np.array(model.tensors[name].array())
        for name in parts.graph.state_shapes
    }
