"""Teaching a network: `fit`, what it may be asked for, recipes, and what is written down."""

from neocog.settings import schedules
from neocog.settings.augmentation import Augmentation
from neocog.settings.averaging import EMA, Averaging, Lookahead
from neocog.settings.optimizers import SGD, Adagrad, Adam, AdamW, Group, Muon, Optimizer, RMSprop
from neocog.settings.schedules import Schedule
from neocog.training.callback import Callback
from neocog.training.fit import fit
from neocog.training.history import History

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
