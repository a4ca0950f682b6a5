"""From a graph to a program that runs: lower, schedule, place, compile."""

from neocog.engine.compilation import announced
from neocog.engine.cores import available_threads, useful_threads
from neocog.engine.predictor import Predictor
from neocog.engine.trainer import Trainer
from neocog.kernels.simd import LANES

#: Floats in a vector of this processor.
VECTOR_FLOATS = LANES

__all__ = [
    "VECTOR_FLOATS",
    "Predictor",
    "Trainer",
    "announced",
    "available_threads",
    "useful_threads",
]
