"""From a network to a program that runs: lower, schedule, place, compile."""

from neocog.engine.predictor import predict_probabilities, predict_scores
from neocog.engine.trainer import Trainer

__all__ = ["Trainer", "predict_probabilities", "predict_scores"]
