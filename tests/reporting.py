"""Evaluations and pictures for tests of reports."""

import numpy as np

from neocog.evaluation import Evaluation

HOSTILE = "</script><img src=x onerror=alert(1)>\x1b[2J\u202e"
MEGABYTE = 1_000_000


def evaluation(labels, predicted, confidence, classes=3, names=None):
    labels, predicted = np.array(labels), np.array(predicted)
    confidence = np.array(confidence, np.float64)
    of_label = np.where(labels == predicted, confidence, 1 - confidence)
    return Evaluation(
        loss=float(-np.log(np.maximum(of_label, 1e-9)).mean()),
        classes=tuple(f"class {k}" for k in range(classes)),
        labels=labels,
        predicted=predicted,
        confidence=confidence,
        ranks=(labels != predicted).astype(np.int64),
        label_probability=of_label,
        seconds=0.1,
        names=names,
    )


def random_evaluation(count, classes, names=None, seed=0):
    rng = np.random.default_rng(seed)
    labels, predicted = rng.integers(0, classes, (2, count))
    return evaluation(labels, predicted, rng.uniform(0.2, 1, count), classes, names)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
