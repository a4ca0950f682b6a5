"""A hash of what an ONNX graph computes, by which its description in the metadata is trusted.

neocog's exports say which layers they are made of, so that they come back as they were: windows of
an adaptive pooling as such, dropout, a padding mode. If another program has changed the graph
since, the hash differs, and the graph is read like any other.
"""

import hashlib
from collections.abc import Container
from typing import Any

from neocog.formats.onnx.reading.messages import Model
from neocog.formats.onnx.reading.tensors import Tensor

__all__ = ["DESCRIPTION", "FINGERPRINT", "fingerprint"]

#: The entries of the metadata that have them.
DESCRIPTION, FINGERPRINT = "neocog.network", "neocog.fingerprint"


# Of the constants of a graph that neocog wrote: the matrices and places of adaptive pooling.
_MOST_BYTES = 2**22


def fingerprint(model: Model, weights: Container[str]) -> str | None:
    """The SHA-256 of inputs, outputs, nodes, and constants; None if those are too many for ours.

    Args:
        model: the graph, with or without its weights.
        weights: names of the tensors that may change.
    """
    constants = [one for one in model.tensors.values() if one.name not in weights]
    values = (value for one in model.operations for value in one.attributes.values())
    given = [*constants, *(value for value in values if isinstance(value, Tensor))]
    if sum(one.size * one.dtype.itemsize for one in given) > _MOST_BYTES:
        return None
    parts = [
        *((one.name, one.kind, one.shape) for one in (*model.inputs, *model.outputs)),
        *((n.operator, n.inputs, n.outputs, _plain(n.attributes)) for n in model.operations),
        *map(_plain, constants),
    ]
    return hashlib.sha256("\n".join(map(repr, parts)).encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.name, value.shape, value.dtype.name, value.array().tobytes().hex()
    if isinstance(value, dict):
        return sorted((name, _plain(one)) for name, one in value.items())
    return value
