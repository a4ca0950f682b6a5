"""Teaching a network: `fit`, what it may be asked for, recipes, and what is written down."""

from neocog.training import schedules
from neocog.training.augmentation import Augmentation
from neocog.training.averaging import EMA, Averaging, Lookahead
from neocog.training.callback import Callback
from neocog.training.fit import fit
from neocog.training.history import History
from neocog.training.optimizers import SGD, Adagrad, Adam, AdamW, Group, Muon, Optimizer, RMSprop
from neocog.training.schedules import Schedule

__all__ = [
    "EMA",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Augmentation",
    "Averaging",
    "Callback",
    "Group",
    "History",
    "Lookahead",
    "Muon",
    "Optimizer",
    "RMSprop",
    "Schedule",
    "fit",
    "schedules",
]
