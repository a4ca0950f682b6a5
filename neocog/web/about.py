"""What does not change while a network is explored, and the largest values that can be set."""

from typing import Any

from neocog.answers import class_labels
from neocog.data import Data
from neocog.losses import OUTPUT_OF
from neocog.network import Network

__all__ = ["MOST_BATCH", "MOST_RATE", "MOST_WEIGHT", "about", "largest_batch"]

#: The largest batch size.
MOST_BATCH = 1024
#: The largest learning rate.
MOST_RATE = 1e6
#: The largest magnitude of a weight. The product of two larger ones would overflow float32.
MOST_WEIGHT = 1e18


def largest_batch(data: Data | None) -> int:
    """The largest batch size for these data."""
    return MOST_BATCH if data is None else min(MOST_BATCH, len(data.train))


def about(network: Network, data: Data | None, name: str) -> dict[str, Any]:
    """What does not change, as plain data; see `neocog.web`."""
    of_data = None
    if data is not None:
        part, images = data.held_out
        counts = {"train": len(data.train), "held_out": len(images)}
        of_data = {"name": data.name, **counts, "part": part}
    limits = {"batch_size": largest_batch(data), "rate": MOST_RATE, "weight": MOST_WEIGHT}
    return {
        "name": name,
        "input_shape": list(network.input_shape),
        "resize": network.preprocessing.resize.mode,
        "kind": OUTPUT_OF[network.loss],
        "classes": list(class_labels(network)),
        "parameters": {k: list(v) for k, v in network.parameter_shapes.items()},
        "data": of_data,
        "limits": limits,
    }
