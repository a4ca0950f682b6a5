"""From a network to a program that runs: lower, schedule, place, compile."""

from neocog.engine.predictor import available_threads, predict_probabilities, predict_scores
from neocog.engine.trainer import Trainer

__all__ = ["Trainer", "available_threads", "predict_probabilities", "predict_scores"]
