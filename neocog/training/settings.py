"""What `fit` is asked for, checked before anything is loaded, written or compiled."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.errors import NeocogError
from neocog.training.augmentation import Augmentation
from neocog.training.averaging import Averaging
from neocog.training.optimizers import Optimizer
from neocog.training.plain import number
from neocog.training.schedules import Schedule

__all__ = [
    "check_class_weights",
    "check_freezing",
    "check_parts",
    "check_settings",
    "check_threads",
]

_MOST = 1_000_000
_MOST_LOGGED = 1_000_000_000
_MOST_THREADS = 256


def check_settings(
    epochs: float,
    batch_size: int,
    threads: int | None,
    log_every: int,
    *,
    label_smoothing: float = 0.0,
    clip_norm: float | None = None,
    accumulate: int = 1,
) -> None:
    """Raise `NeocogError` for numbers that `fit` would not take."""
    if not number(epochs) or not 0 < epochs <= _MOST:
        raise NeocogError(
            f"epochs (={epochs!r}) must be a number above 0, at most {_MOST}, such as 5 or 9.5."
        )
    _check_whole("batch_size", batch_size, _MOST)
    _check_whole("log_every", log_every, _MOST_LOGGED)
    check_threads(threads)
    if not number(label_smoothing) or not 0 <= label_smoothing <= 1:
        raise NeocogError(
            f"label_smoothing (={label_smoothing!r}) must be a number from 0 to 1, such as 0.1."
        )
    if clip_norm is not None and not (number(clip_norm) and clip_norm > 0):
        raise NeocogError(
            f"clip_norm (={clip_norm!r}) must be a positive number, such as 1.0, or None."
        )
    _check_whole("accumulate", accumulate, _MOST)


def check_threads(threads: int | None) -> None:
    """Raise `NeocogError` for a number of workers that cannot be; None means every core."""
    if threads is not None:
        _check_whole("threads", threads, _MOST_THREADS)


def _check_whole(name: str, value: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise NeocogError(f"{name} (={value!r}) must be a whole number from 1 to {most}.")


def check_parts(
    optimizer: object, schedule: object, averaging: object, augmentation: object
) -> None:
    """Raise `NeocogError` unless each is of its kind, or None."""
    for name, value, kind, such in (
        ("optimizer", optimizer, Optimizer, "SGD(0.001, momentum=0.9)"),
        ("schedule", schedule, Schedule, "schedules.Cosine()"),
        ("averaging", averaging, Averaging, "EMA(0.999)"),
        ("augmentation", augmentation, Augmentation, 'Augmentation(flip="random")'),
    ):
        if value is not None and not isinstance(value, kind):
            raise NeocogError(f"{name} (={value!r:.50}) must be a neocog.{such} or its like.")


def check_class_weights(
    weights: Sequence[float] | NDArray[Any] | None, classes: int
) -> NDArray[np.float32] | None:
    """The weights of the classes as float32 [classes]; raises `NeocogError` if they are not."""
    if weights is None:
        return None
    try:
        found = np.array(weights, np.float32)
    except (TypeError, ValueError):
        raise NeocogError(f"class_weights (={weights!r:.50}) must be numbers.") from None
    if found.shape != (classes,):
        raise NeocogError(
            f"class_weights must be {classes} numbers, one for each class, not of the shape "
            f"{found.shape}."
        )
    if not np.isfinite(found).all() or not (found > 0).all():
        raise NeocogError(f"class_weights (={found.tolist()}) must be positive numbers.")
    return found


def check_freezing(freeze_after: Mapping[str, int] | None, parameters: Mapping[str, Any]) -> None:
    """Raise `NeocogError` unless patterns for parameters' names are given numbers of epochs."""
    if freeze_after is None:
        return
    if not isinstance(freeze_after, Mapping):
        raise NeocogError(
            f"freeze_after (={freeze_after!r:.50}) must give epochs by names of parameters, as in "
            "{'conv1.bias': 3}."
        )
    for pattern, epochs in freeze_after.items():
        _check_whole(f"freeze_after[{pattern!r}]", epochs, _MOST)
        if not any(fnmatchcase(name, pattern) for name in parameters):
            raise NeocogError(
                f"freeze_after: no parameter is called {pattern!r}. There are: "
                f"{', '.join(parameters)}."
            )
