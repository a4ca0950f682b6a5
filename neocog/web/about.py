"""What does not change while a network is explored, with the largest numbers that may be set."""

from typing import Any

from neocog.data import Data
from neocog.network import Network

__all__ = ["MOST_BATCH", "MOST_RATE", "MOST_WEIGHT", "about", "largest_batch"]

#: Images that a batch may have.
MOST_BATCH = 1024
#: The largest learning rate.
MOST_RATE = 1e6
#: The largest magnitude of a weight: of larger ones float32 could not hold the products.
MOST_WEIGHT = 1e18


def largest_batch(data: Data | None) -> int:
    """Images that a batch of these data may have."""
    return MOST_BATCH if data is None else min(MOST_BATCH, len(data.train))


def about(network: Network, data: Data | None, name: str) -> dict[str, Any]:
    """What does not change, as plain data; see `neocog.web`."""
    found = None
    if data is not None:
        # What was held out is called test images, whichever part it is.
        held_out = len(data.held_out[1])
        found = {"name": data.name, "train": len(data.train), "test": held_out}
    limits = {"batch_size": largest_batch(data), "rate": MOST_RATE, "weight": MOST_WEIGHT}
    return {
        "name": name,
        "input_shape": list(network.input_shape),
        "classes": list(network.classes or map(str, range(network.output_shape[0]))),
        "parameters": {k: list(v) for k, v in network.parameter_shapes.items()},
        "data": found,
        "limits": limits,
    }
