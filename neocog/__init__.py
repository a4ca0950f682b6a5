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
    from neocog.layers import (
        GELU,
        AdaptiveAvgPool2d,
        AdaptiveMaxPool2d,
        AvgPool2d,
        BatchNorm2d,
        Conv2d,
        Dropout,
        Flatten,
        Layer,
        LeakyReLU,
        Linear,
        MaxPool2d,
        ReLU,
        Residual,
        Scale,
        Sequential,
        Sigmoid,
        SiLU,
        Tanh,
    )
    from neocog.network import Network
    from neocog.preprocessing import Preprocessing
    from neocog.summary import Cost, cost
    from neocog.training.fit import Watcher, fit
    from neocog.training.history import History
    from neocog.training.optimizers import SGD, Adam

__version__ = "0.1.0"

_HOMES = {
    "Adam": "training",
    "AdaptiveAvgPool2d": "layers",
    "AdaptiveMaxPool2d": "layers",
    "ArchitectureError": "errors",
    "AvgPool2d": "layers",
    "BatchNorm2d": "layers",
    "Conv2d": "layers",
    "Cost": "summary",
    "Data": "data",
    "DataError": "errors",
    "Dataset": "data",
    "Dropout": "layers",
    "Evaluation": "evaluation",
    "Flatten": "layers",
    "FormatError": "errors",
    "GELU": "layers",
    "History": "training",
    "Layer": "layers",
    "LeakyReLU": "layers",
    "Linear": "layers",
    "MaxPool2d": "layers",
    "NeocogError": "errors",
    "Network": "network",
    "Preprocessing": "preprocessing",
    "ReLU": "layers",
    "Residual": "layers",
    "SGD": "training",
    "Scale": "layers",
    "Sequential": "layers",
    "SiLU": "layers",
    "Sigmoid": "layers",
    "Tanh": "layers",
    "TrainingDivergedError": "errors",
    "Watcher": "training",
    "cost": "summary",
    "evaluate": "evaluation",
    "fit": "training",
    "load": "formats",
    "load_data": "data",
    "models": "",
    "reference": "",
    "save": "formats",
}

__all__ = [
    "GELU",
    "SGD",
    "Adam",
    "AdaptiveAvgPool2d",
    "AdaptiveMaxPool2d",
    "ArchitectureError",
    "AvgPool2d",
    "BatchNorm2d",
    "Conv2d",
    "Cost",
    "Data",
    "DataError",
    "Dataset",
    "Dropout",
    "Evaluation",
    "Flatten",
    "FormatError",
    "History",
    "Layer",
    "LeakyReLU",
    "Linear",
    "MaxPool2d",
    "NeocogError",
    "Network",
    "Preprocessing",
    "ReLU",
    "Residual",
    "Scale",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Tanh",
    "TrainingDivergedError",
    "Watcher",
    "cost",
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
