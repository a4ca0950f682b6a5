"""Evaluates networks: how accurate they are on new images, and how well calibrated.

`evaluating` predicts every image and returns an `Evaluation`; `calibration` fits the temperature
that makes a network's probabilities match its accuracy. The other modules: `measures` (intervals,
precision, recall, F1), `reliability` (calibration error), `threshold` (answering only if the
network is confident), `mistakes`, `views` (test-time augmentation), `text` (results for people),
and for several labels an image, and numbers, `target_measures`, `target_mistakes`, `target_text`.
"""

from neocog.evaluation.calibration import (
    Calibration,
    calibrate,
    fit_temperature,
    images_to_calibrate,
)
from neocog.evaluation.evaluating import (
    AnyEvaluation,
    evaluate,
    evaluate_classes,
    target_evaluation,
)
from neocog.evaluation.measures import ClassScore, wilson_interval
from neocog.evaluation.mistakes import Mistake, write_mistakes
from neocog.evaluation.reliability import Bin, Reliability
from neocog.evaluation.result import Evaluation
from neocog.evaluation.target_measures import LabelsEvaluation, NumbersEvaluation
from neocog.evaluation.target_mistakes import write_target_mistakes
from neocog.evaluation.target_text import result_line, result_summary
from neocog.evaluation.text import accuracy_line, summary
from neocog.evaluation.threshold import Answered
from neocog.evaluation.views import VIEWS, check_views, mean_scores, predict_proba

__all__ = [
    "VIEWS",
    "Answered",
    "AnyEvaluation",
    "Bin",
    "Calibration",
    "ClassScore",
    "Evaluation",
    "LabelsEvaluation",
    "Mistake",
    "NumbersEvaluation",
    "Reliability",
    "accuracy_line",
    "calibrate",
    "check_views",
    "evaluate",
    "evaluate_classes",
    "fit_temperature",
    "images_to_calibrate",
    "mean_scores",
    "predict_proba",
    "result_line",
    "result_summary",
    "summary",
    "target_evaluation",
    "wilson_interval",
    "write_mistakes",
    "write_target_mistakes",
]
