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
    from neocog.classifier import ImageClassifier as ImageClassifier
    from neocog.data import Data, Dataset, load_data
    from neocog.data.check import check_data
    from neocog.errors import (
        ArchitectureError,
        DataError,
        FormatError,
        NeocogError,
        TrainingDivergedError,
    )
    from neocog.evaluation import Calibration, Evaluation, calibrate, evaluate, predict_proba
    from neocog.explanation import Explanation, explain
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
    from neocog.preprocessing import Preprocessing, Resize
    from neocog.report import write_report
    from neocog.settings import schedules
    from neocog.settings.augmentation import Augmentation
    from neocog.settings.optimizers import SGD, Adagrad, Adam, AdamW, Group, Muon, RMSprop
    from neocog.summary import Cost, cost
    from neocog.training.callback import Callback
    from neocog.training.fit import fit
    from neocog.training.history import History

__version__ = "0.1.0"

_HOMES = {
    "Adagrad": "settings.optimizers",
    "Adam": "settings.optimizers",
    "AdamW": "settings.optimizers",
    "AdaptiveAvgPool2d": "layers",
    "AdaptiveMaxPool2d": "layers",
    "ArchitectureError": "errors",
    "Augmentation": "settings.augmentation",
    "AvgPool2d": "layers",
    "BatchNorm2d": "layers",
    "Calibration": "evaluation",
    "Conv2d": "layers",
    "Cost": "summary",
    "Data": "data",
    "DataError": "errors",
    "Dataset": "data",
    "Dropout": "layers",
    "EMA": "settings.averaging",
    "Evaluation": "evaluation",
    "Explanation": "explanation",
    "Flatten": "layers",
    "FormatError": "errors",
    "GELU": "layers",
    "Group": "settings.optimizers",
    "History": "training",
    "ImageClassifier": "classifier",
    "Layer": "layers",
    "LeakyReLU": "layers",
    "Linear": "layers",
    "Lookahead": "settings.averaging",
    "MaxPool2d": "layers",
    "Muon": "settings.optimizers",
    "NeocogError": "errors",
    "Network": "network",
    "Preprocessing": "preprocessing",
    "RMSprop": "settings.optimizers",
    "ReLU": "layers",
    "Recipe": "settings.recipe",
    "Residual": "layers",
    "Resize": "preprocessing",
    "SGD": "settings.optimizers",
    "Scale": "layers",
    "Sequential": "layers",
    "SiLU": "layers",
    "Sigmoid": "layers",
    "Tanh": "layers",
    "TrainingDivergedError": "errors",
    "Callback": "training",
    "calibrate": "evaluation",
    "check_data": "data.check",
    "cost": "summary",
    "evaluate": "evaluation",
    "explain": "explanation",
    "fit": "training",
    "load": "formats",
    "load_data": "data",
    "models": "",
    "predict_proba": "evaluation",
    "reference": "",
    "save": "formats",
    "schedules": "settings",
    "write_report": "report",
}

__all__ = [
    "EMA",
    "GELU",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "AdaptiveAvgPool2d",
    "AdaptiveMaxPool2d",
    "ArchitectureError",
    "Augmentation",
    "AvgPool2d",
    "BatchNorm2d",
    "Calibration",
    "Callback",
    "Conv2d",
    "Cost",
    "Data",
    "DataError",
    "Dataset",
    "Dropout",
    "Evaluation",
    "Explanation",
    "Flatten",
    "FormatError",
    "Group",
    "History",
    "Layer",
    "LeakyReLU",
    "Linear",
    "Lookahead",
    "MaxPool2d",
    "Muon",
    "NeocogError",
    "Network",
    "Preprocessing",
    "RMSprop",
    "ReLU",
    "Recipe",
    "Residual",
    "Resize",
    "Scale",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Tanh",
    "TrainingDivergedError",
    "calibrate",
    "check_data",
    "cost",
    "evaluate",
    "explain",
    "fit",
    "load",
    "load_data",
    "models",
    "predict_proba",
    "reference",
    "save",
    "schedules",
    "write_report",
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
