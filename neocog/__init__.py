"""Convolutional networks for images that train in seconds on a CPU, and that you can see through.

    import neocog

    data = neocog.load_data("shapes")
    net = neocog.models.simple_cnn()
    neocog.fit(net, data.train, epochs=5)
    neocog.evaluate(net, data.test).accuracy

Names are imported when first used, so that ``import neocog`` waits for neither Numba nor NumPy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neocog import models, reference
    from neocog.data import Data, Dataset, load_data
    from neocog.errors import (
        ArchitectureError,
        DataError,
        FormatError,
        NeocogError,
        TrainingDivergedError,
    )
    from neocog.evaluation import Evaluation, evaluate
    from neocog.formats import load, save
    from neocog.layers import Conv2d, Flatten, Layer, Linear, MaxPool2d, ReLU
    from neocog.network import Network
    from neocog.preprocessing import Preprocessing
    from neocog.training.fit import Watcher, fit
    from neocog.training.history import History
    from neocog.training.optimizers import SGD, Adam

__version__ = "0.1.0"

_HOMES = {
    "Adam": "training",
    "ArchitectureError": "errors",
    "Conv2d": "layers",
    "Data": "data",
    "DataError": "errors",
    "Dataset": "data",
    "Evaluation": "evaluation",
    "Flatten": "layers",
    "FormatError": "errors",
    "History": "training",
    "Layer": "layers",
    "Linear": "layers",
    "MaxPool2d": "layers",
    "NeocogError": "errors",
    "Network": "network",
    "Preprocessing": "preprocessing",
    "ReLU": "layers",
    "SGD": "training",
    "TrainingDivergedError": "errors",
    "Watcher": "training",
    "evaluate": "evaluation",
    "fit": "training",
    "load": "formats",
    "load_data": "data",
    "models": "",
    "reference": "",
    "save": "formats",
}

__all__ = [
    "SGD",
    "Adam",
    "ArchitectureError",
    "Conv2d",
    "Data",
    "DataError",
    "Dataset",
    "Evaluation",
    "Flatten",
    "FormatError",
    "History",
    "Layer",
    "Linear",
    "MaxPool2d",
    "NeocogError",
    "Network",
    "Preprocessing",
    "ReLU",
    "TrainingDivergedError",
    "Watcher",
    "evaluate",
    "fit",
    "load",
    "load_data",
    "models",
    "reference",
    "save",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'neocog' has no attribute {name!r}")
    home = _HOMES[name]
    module = import_module(f"neocog.{home or name}")
    value = getattr(module, name) if home else module
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
