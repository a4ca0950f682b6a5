"""The settings that one epoch of a training computes with."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.layers import Graph
from neocog.losses import WEIGHTS, check_targets, check_weights
from neocog.models.enlarging import enlarging_layers
from neocog.settings.training import TrainingSettings
from neocog.training.balance import balancing_weights
from neocog.training.freezing import check_patterns, frozen_in

__all__ = ["check_settings", "settings_of_epoch"]


def check_settings(
    settings: TrainingSettings,
    parameters: Iterable[str],
    labels: NDArray[Any],
    classes: int,
) -> None:
    """Raise `NeocogError` for settings that do not fit the network or the labels."""
    check_patterns(settings.freeze_after, parameters)
    for name in WEIGHTS:
        if (weights := getattr(settings, name)) is not None:
            check_weights(name, classes, weights)
    check_targets(settings.loss, classes, labels)


def settings_of_epoch(
    settings: TrainingSettings, epoch: int, labels: NDArray[np.int64], graph: Graph
) -> TrainingSettings:
    """The settings as the engine takes them: what is frozen by then, and the classes' weights."""
    fixed = [f"{name}.*" for name in enlarging_layers(graph)]
    frozen = [*fixed, *frozen_in(settings.freeze_after, epoch)]
    optimizer = settings.optimizer.with_frozen(frozen)
    if settings.balance != "weight":
        return replace(settings, optimizer=optimizer)
    weights = tuple(balancing_weights(labels, graph.output_shape[0]).tolist())
    return replace(settings, optimizer=optimizer, balance=None, class_weights=weights)
