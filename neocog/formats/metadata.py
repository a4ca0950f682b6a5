"""What an exported program says beside its graph: some entries, each of them JSON.

They are ``metadata_props`` of an ONNX file and ``extra_files`` of PyTorch's. ``classes`` and
``preprocessing`` are for every reader, and ``neocog`` has the rest of a network.
"""

import json
from collections.abc import Mapping
from typing import Any

from neocog.formats.parts import ModelParts
from neocog.settings.training import LOSSES
from neocog.version import __version__

__all__ = ["METADATA_VERSION", "gives_probabilities", "metadata_of"]

#: Of the entry ``neocog``.
METADATA_VERSION = 1


def gives_probabilities(loss: str, softmax: bool) -> bool:
    """Whether a program ends in probabilities; after squared error scores are the answer."""
    return softmax and loss != LOSSES[2]


def metadata_of(parts: ModelParts, *, pictures: bool, softmax: bool) -> dict[str, str]:
    """The entries by name.

    ``classes`` is a list of names, or missing; ``preprocessing`` has ``mean``, ``std`` (on the
    scale from 0 to 1) and ``resize``. ``neocog`` has ``version``, ``written_by``, ``inputs``
    (``"pictures"`` if the graph preprocesses them, else ``"floats"``), ``outputs``
    (``"probabilities"`` or ``"scores"``), ``loss``, ``temperature``, ``threshold`` and ``counts``,
    the numbers of batches that PyTorch keeps with batch normalization and no operator uses.

    Args:
        parts: of the network.
        pictures: whether the graph begins with the preprocessing.
        softmax: whether it ends with probabilities, if there are any.
    """
    look = parts.preprocessing
    counts = {
        name: int(value)
        for name, value in parts.state.items()
        if name.endswith(".num_batches_tracked")
    }
    entries: dict[str, Any] = {
        "preprocessing": {"mean": look.mean, "std": look.std, "resize": look.resize.to_dict()},
        "neocog": {
            "version": METADATA_VERSION,
            "written_by": __version__,
            "inputs": "pictures" if pictures else "floats",
            "outputs": "probabilities" if gives_probabilities(parts.loss, softmax) else "scores",
            "loss": parts.loss,
            "temperature": parts.temperature,
            "threshold": parts.threshold,
            "counts": counts,
        },
    }
    if parts.classes is not None:
        entries["classes"] = parts.classes
    return _as_texts(entries)


def _as_texts(entries: Mapping[str, Any]) -> dict[str, str]:
    return {name: json.dumps(entries[name], ensure_ascii=False) for name in sorted(entries)}
