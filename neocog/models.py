"""Networks by name."""

import difflib
from collections.abc import Callable

from neocog.errors import ArchitectureError
from neocog.layers import Conv2d, Flatten, Linear, MaxPool2d, ReLU
from neocog.network import Network

__all__ = ["MODELS", "make", "name_of", "simple_cnn"]


def simple_cnn(classes: int = 10) -> Network:
    """The note's network for RGB images of 32 × 32: one convolution, pooling, one linear layer."""
    return Network(
        input_shape=(3, 32, 32),
        conv1=Conv2d(3, 16, 3, padding=1),
        relu=ReLU(),
        pool=MaxPool2d(2),
        flatten=Flatten(),
        fc=Linear(16 * 16 * 16, classes),
    )


#: The networks that the command line knows, by name.
MODELS: dict[str, Callable[..., Network]] = {"simple-cnn": simple_cnn}


def make(name: str, classes: int = 10) -> Network:
    """The network called `name`, with so many outputs; an unknown name says the near ones."""
    if name not in MODELS:
        near = difflib.get_close_matches(name.replace("_", "-").lower(), MODELS, n=1, cutoff=0.4)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ArchitectureError(f"No model is called {name!r}.{hint} Known: {', '.join(MODELS)}.")
    return MODELS[name](classes)


def name_of(network: Network) -> str | None:
    """The name of the model that has this network's layers, if one has."""
    outputs = network.output_shape[-1]
    return next((n for n in MODELS if make(n, outputs).layers == network.layers), None)
