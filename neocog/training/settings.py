"""What `fit` is asked for, checked before anything is loaded, written or compiled."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neocog.errors import NeocogError
from neocog.limits import MOST_THREADS
from neocog.training.augmentation import Augmentation
from neocog.training.averaging import Averaging
from neocog.training.balance import BALANCES
from neocog.training.optimizers import Optimizer
from neocog.training.schedules import Schedule
from neocog.validation import as_whole, choice, real, refuse, shown, whole

__all__ = [
    "Checked",
    "check_balance",
    "check_class_weights",
    "check_freezing",
    "check_parts",
    "check_sample_weights",
    "check_settings",
    "check_threads",
]

_MOST = 1_000_000
_MOST_LOGGED = 1_000_000_000


class Checked(NamedTuple):
    """The numbers of a training as Python's own."""

    epochs: float
    batch_size: int
    threads: int | None
    log_every: int
    label_smoothing: float
    clip_norm: float | None
    accumulate: int


def check_settings(
    epochs: float,
    batch_size: int,
    threads: int | None,
    log_every: int,
    *,
    label_smoothing: float = 0.0,
    clip_norm: float | None = None,
    accumulate: int = 1,
) -> Checked:
    """The numbers that `fit` takes; raises `NeocogError` for those that it would not take."""
    wanted = f"a number above 0, at most {_MOST}, such as 5 or 9.5"
    length = real("epochs", epochs, above=0, most=_MOST, wanted=wanted)
    whole_epochs = as_whole(epochs)
    batch_size = whole("batch_size", batch_size, 1, _MOST)
    log_every = whole("log_every", log_every, 1, _MOST_LOGGED)
    threads = check_threads(threads)
    wanted = "a number from 0 to 1, such as 0.1"
    label_smoothing = real("label_smoothing", label_smoothing, 0, 1, wanted=wanted)
    if clip_norm is not None:
        wanted = "a positive number, such as 1.0, or None"
        clip_norm = real("clip_norm", clip_norm, above=0, wanted=wanted)
    return Checked(
        length if whole_epochs is None else whole_epochs,
        batch_size,
        threads,
        log_every,
        label_smoothing,
        clip_norm,
        whole("accumulate", accumulate, 1, _MOST),
    )


def check_threads(threads: int | None) -> int | None:
    """The number of workers, None for as many as can run at once; raises `NeocogError`."""
    return None if threads is None else whole("threads", threads, 1, MOST_THREADS)


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
            raise refuse(name, value, f"a neocog.{such} or its like")


def check_balance(balance: str | None, class_weights: object = None) -> None:
    """Raise `NeocogError` unless it is None or one of `BALANCES`, and goes with the weights."""
    if balance is None:
        return
    choice("balance", balance, BALANCES, wanted=f"None or one of {', '.join(map(repr, BALANCES))}")
    if balance == "weight" and class_weights is not None:
        raise NeocogError(
            'balance (="weight") makes class_weights of its own: give one or the other.'
        )


def check_class_weights(
    weights: Sequence[float] | NDArray[Any] | None, classes: int
) -> NDArray[np.float32] | None:
    """The weights of the classes as float32 [classes]; raises `NeocogError` if they are not."""
    if weights is None:
        return None
    found = _float32("class_weights", weights)
    if found.shape != (classes,):
        raise NeocogError(
            f"class_weights must be {classes} numbers, one for each class, not of the shape "
            f"{found.shape}."
        )
    if not np.isfinite(found).all() or not (found > 0).all():
        raise NeocogError(f"class_weights (={found.tolist()}) must be positive numbers.")
    return found


def check_sample_weights(
    weights: Sequence[float] | NDArray[Any] | None, images: int
) -> NDArray[np.float32] | None:
    """The weights of the images as float32 [images]; raises `NeocogError` if they are not."""
    if weights is None:
        return None
    found = _float32("sample_weights", weights)
    if found.shape != (images,):
        raise NeocogError(
            f"sample_weights must be {images} numbers, one for each image, not of the shape "
            f"{found.shape}."
        )
    wrong = np.flatnonzero(~(np.isfinite(found) & (found >= 0)))
    if len(wrong):
        raise refuse(f"sample_weights[{wrong[0]}]", float(found[wrong[0]]), "a number from 0")
    if images and not found.any():
        raise NeocogError("sample_weights are all 0: at least one image must count.")
    return found


def _float32(name: str, weights: Any) -> NDArray[np.float32]:
    try:
        given = np.asarray(weights)
    except (TypeError, ValueError, RuntimeError):  # RuntimeError: PyTorch's
        given = np.array(None)
    if given.dtype.kind not in "fiu":
        raise refuse(name, weights, "numbers")
    with np.errstate(over="ignore"):
        return np.array(given, np.float32)


def check_freezing(
    freeze_after: Mapping[str, int] | None, parameters: Mapping[str, Any] | None = None
) -> dict[str, int]:
    """Numbers of epochs by patterns for parameters' names; raises `NeocogError` for anything else.

    Without `parameters` it is not known yet whether there are such.
    """
    if freeze_after is None:
        return {}
    if not isinstance(freeze_after, Mapping):
        raise NeocogError(
            f"freeze_after (={shown(freeze_after)}) must give epochs by names of parameters, as in "
            "{'conv1.bias': 3}."
        )
    found = {}
    for pattern, epochs in freeze_after.items():
        found[str(pattern)] = whole(f"freeze_after[{shown(pattern)}]", epochs, 1, _MOST)
        if parameters is None:
            continue
        if not isinstance(pattern, str) or not any(fnmatchcase(n, pattern) for n in parameters):
            raise NeocogError(
                f"freeze_after: no parameter is called {shown(pattern)}. There are: "
                f"{', '.join(parameters)}."
            )
    return found
