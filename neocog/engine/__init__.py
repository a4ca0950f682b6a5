"""From a graph to a program that runs: lower, schedule, place, compile."""

from neocog.engine.compilation import announced
from neocog.engine.cores import available_threads, useful_threads
from neocog.engine.predictor import Predictor
from neocog.engine.trainer import Trainer
from neocog.engine.warming import compile_all_kinds
from neocog.kernels.codegen.vector_types import LANES

#: Float32 lanes of this processor's vectors.
VECTOR_FLOATS = LANES

__all__ = [
    "VECTOR_FLOATS",
    "Predictor",
    "Trainer",
    "announced",
    "available_threads",
    "compile_all_kinds",
    "useful_threads",
]
