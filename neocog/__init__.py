"""Convolutional networks for images that train in seconds on a CPU, and that explain themselves.

    import neocog

    data = neocog.load_data("shapes")
    net = neocog.models.simple_cnn()
    neocog.fit(net, data.train, epochs=5)
    neocog.evaluate(net, data.test).accuracy

Names are imported when first used, so that ``import neocog`` waits for neither Numba nor NumPy.
"""

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from neocog.version import __version__ as __version__

# Every public name and its module. Type checkers read this, and so does `_homes`.
if TYPE_CHECKING:
    from neocog import models as models
    from neocog import reference as reference
    from neocog.classifier import ImageClassifier as ImageClassifier
    from neocog.curation.embedding import Embedding as Embedding
    from neocog.curation.embedding import embed as embed
    from neocog.curation.similarity import SimilarPictures as SimilarPictures
    from neocog.curation.similarity import similar as similar
    from neocog.curation.suggesting import suggest as suggest
    from neocog.curation.suggestions import Suggestions as Suggestions
    from neocog.data import Data as Data
    from neocog.data import Dataset as Dataset
    from neocog.data import load_data as load_data
    from neocog.data.check import check_data as check_data
    from neocog.errors import ArchitectureError as ArchitectureError
    from neocog.errors import DataError as DataError
    from neocog.errors import FormatError as FormatError
    from neocog.errors import NeocogError as NeocogError
    from neocog.errors import TrainingDivergedError as TrainingDivergedError
    from neocog.evaluation import Calibration as Calibration
    from neocog.evaluation import Evaluation as Evaluation
    from neocog.evaluation import LabelsEvaluation as LabelsEvaluation
    from neocog.evaluation import NumbersEvaluation as NumbersEvaluation
    from neocog.evaluation import calibrate as calibrate
    from neocog.evaluation import evaluate as evaluate
    from neocog.evaluation import predict_proba as predict_proba
    from neocog.explanation import Explanation as Explanation
    from neocog.explanation import explain as explain
    from neocog.exporting import export as export
    from neocog.layers import ELU as ELU
    from neocog.layers import GELU as GELU
    from neocog.layers import AdaptiveAvgPool2d as AdaptiveAvgPool2d
    from neocog.layers import AdaptiveMaxPool2d as AdaptiveMaxPool2d
    from neocog.layers import Add as Add
    from neocog.layers import AvgPool2d as AvgPool2d
    from neocog.layers import BatchNorm2d as BatchNorm2d
    from neocog.layers import ChannelShuffle as ChannelShuffle
    from neocog.layers import CircularPad2d as CircularPad2d
    from neocog.layers import Concat as Concat
    from neocog.layers import Conv2d as Conv2d
    from neocog.layers import Dropout as Dropout
    from neocog.layers import Flatten as Flatten
    from neocog.layers import GroupNorm as GroupNorm
    from neocog.layers import Hardsigmoid as Hardsigmoid
    from neocog.layers import Hardswish as Hardswish
    from neocog.layers import Layer as Layer
    from neocog.layers import LayerNorm2d as LayerNorm2d
    from neocog.layers import LeakyReLU as LeakyReLU
    from neocog.layers import Linear as Linear
    from neocog.layers import MaxPool2d as MaxPool2d
    from neocog.layers import Mish as Mish
    from neocog.layers import Multiply as Multiply
    from neocog.layers import Node as Node
    from neocog.layers import PReLU as PReLU
    from neocog.layers import ReflectionPad2d as ReflectionPad2d
    from neocog.layers import ReLU as ReLU
    from neocog.layers import ReLU6 as ReLU6
    from neocog.layers import ReplicationPad2d as ReplicationPad2d
    from neocog.layers import Residual as Residual
    from neocog.layers import Scale as Scale
    from neocog.layers import Sequential as Sequential
    from neocog.layers import Sigmoid as Sigmoid
    from neocog.layers import SiLU as SiLU
    from neocog.layers import Slice as Slice
    from neocog.layers import Softplus as Softplus
    from neocog.layers import Tanh as Tanh
    from neocog.layers import Upsample as Upsample
    from neocog.layers import ZeroPad2d as ZeroPad2d
    from neocog.network import Network as Network
    from neocog.network_files import load as load
    from neocog.network_files import save as save
    from neocog.preprocessing import Preprocessing as Preprocessing
    from neocog.preprocessing import Resize as Resize
    from neocog.pretrained import load_pretrained as load_pretrained
    from neocog.report import write_report as write_report
    from neocog.settings import schedules as schedules
    from neocog.settings.augmentation import Augmentation as Augmentation
    from neocog.settings.averaging import EMA as EMA
    from neocog.settings.averaging import Lookahead as Lookahead
    from neocog.settings.optimizers import SGD as SGD
    from neocog.settings.optimizers import Adagrad as Adagrad
    from neocog.settings.optimizers import Adam as Adam
    from neocog.settings.optimizers import AdamW as AdamW
    from neocog.settings.optimizers import Group as Group
    from neocog.settings.optimizers import Muon as Muon
    from neocog.settings.optimizers import RMSprop as RMSprop
    from neocog.settings.recipe import Recipe as Recipe
    from neocog.settings.training import TrainingSettings as TrainingSettings
    from neocog.summary import Cost as Cost
    from neocog.summary import cost as cost
    from neocog.torch_modules import from_torch as from_torch
    from neocog.training.callback import Callback as Callback
    from neocog.training.fit import fit as fit
    from neocog.training.history import History as History
    from neocog.training.lr_finder import LrCurve as LrCurve
    from neocog.training.lr_finder import find_lr as find_lr
    from neocog.training.run import TrainingRun as TrainingRun
    from neocog.transfer.fine_tuning import FineTuned as FineTuned
    from neocog.transfer.fine_tuning import fine_tune as fine_tune
    from neocog.tuning.tune import tune as tune


@cache
def _homes() -> dict[str, str]:
    """The module of each public name, from the imports above."""
    import ast  # as slow as everything else here, and not needed for the command line's help

    with open(__file__, encoding="utf-8") as file:  # noqa: PTH123  (pathlib takes longer still)
        source = ast.parse(file.read())
    (listed,) = (node for node in source.body if isinstance(node, ast.If))
    return {
        alias.name: str(node.module)
        for node in listed.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def __getattr__(name: str) -> Any:
    if name == "__all__":
        # `from neocog import *` is to need no extra.
        return sorted(_homes().keys() - {"ImageClassifier", "tune"})
    if name.startswith("__") or name not in _homes():
        raise AttributeError(f"module 'neocog' has no attribute {name!r}")
    home = _homes()[name]
    value = (
        import_module(f"neocog.{name}") if home == "neocog" else getattr(import_module(home), name)
    )
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(_homes()))
