"""Teaching a network: `fit`, the optimisers, and what is written down on the way."""

from neocog.training.fit import Watcher, fit
from neocog.training.history import History
from neocog.training.optimizers import SGD, Adam

__all__ = ["SGD", "Adam", "History", "Watcher", "fit"]
