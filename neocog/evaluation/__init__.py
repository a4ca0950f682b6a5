"""How good a network is on images it has not seen, and how far its probabilities can be trusted.

`evaluating` predicts every image and gives an `Evaluation`; `calibration` fits the temperature by
which a network's probabilities become right on average. A concept a file: `measures` (intervals,
precision, recall, F1), `reliability` (the calibration error), `threshold` (answering only where the
network is sure), `mistakes`, `views` (test-time augmentation), `text` (all of it for people).
"""

from neocog.evaluation.calibration import (
    Calibration,
    calibrate,
    fit_temperature,
    images_to_calibrate,
)
from neocog.evaluation.evaluating import evaluate
from neocog.evaluation.measures import ClassScore, wilson_interval
from neocog.evaluation.mistakes import Mistake, write_mistakes
from neocog.evaluation.reliability import Bin, Reliability
from neocog.evaluation.result import Evaluation
from neocog.evaluation.text import accuracy_line, summary
from neocog.evaluation.threshold import Answered
from neocog.evaluation.views import VIEWS, check_views, mean_scores, predict_proba

__all__ = [
    "VIEWS",
    "Answered",
    "Bin",
    "Calibration",
    "ClassScore",
    "Evaluation",
    "Mistake",
    "Reliability",
    "accuracy_line",
    "calibrate",
    "check_views",
    "evaluate",
    "fit_temperature",
    "images_to_calibrate",
    "mean_scores",
    "predict_proba",
    "summary",
    "wilson_interval",
    "write_mistakes",
]
