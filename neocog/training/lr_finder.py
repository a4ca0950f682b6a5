"""A learning-rate range test: which rate to train with, found by a short trial of many.

From the network's first weights, each step has a rate that is larger than the one before by the
same factor. The loss first stays, then falls, and in the end grows without bounds; the rate to take
lies where it falls. L. N. Smith, "Cyclical learning rates for training neural networks", 2015.
"""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.data.images import Dataset
from neocog.errors import NeocogError, TrainingDivergedError
from neocog.network import Network, check_network
from neocog.settings.optimizers import SGD, Muon
from neocog.settings.override import override
from neocog.settings.schedules import Constant
from neocog.settings.training import TrainingSettings
from neocog.training.run import TrainingRun
from neocog.validation import instance

__all__ = ["LrCurve", "find_lr", "smoothed", "with_lr"]

Reals = NDArray[np.float64]

# Steps of a test, the weight of the past in the smoothed loss, and how many times the least loss
# ends the test.
_STEPS, _BETA, _DIVERGED = 150, 0.95, 4.0
# The loss that is the least so far counts from this step on: those before are too noisy.
_FEWEST = 10
# Rates that are tried. A step of SGD is as large as the gradient, one of the others about the rate.
_LEAST, _MOST_SGD, _MOST_OTHERS = 1e-6, 10.0, 1.0


@dataclass(frozen=True, eq=False)
class LrCurve:
    """What a learning-rate range test has measured.

    Attributes:
        rates: of each step, float64 [n], growing.
        losses: the mean loss of each step's images before it, float64 [n].
        suggestion: the rate to train with.
        reason: how the suggestion was made, in words.
        diverged: whether the loss became too large, or not finite, at the end.
    """

    rates: Reals
    losses: Reals
    suggestion: float
    reason: str
    diverged: bool

    @property
    def smoothed(self) -> Reals:
        """The losses as the suggestion sees them; see `smoothed`."""
        return smoothed(self.losses)

    def to_csv(self) -> str:
        """A table with the columns lr, loss and smoothed_loss."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["lr", "loss", "smoothed_loss"])
        for row in zip(self.rates, self.losses, self.smoothed, strict=True):
            writer.writerow([f"{number:.9g}" for number in row])
        return text.getvalue()

    def __repr__(self) -> str:
        return (
            f"<LrCurve of {len(self.rates)} rates from {self.rates[0]:.2g} to "
            f"{self.rates[-1]:.2g}: suggestion={self.suggestion:.3g}, {self.reason}>"
        )


def smoothed(losses: Sequence[float] | Reals) -> Reals:
    """The running mean of losses with weights that decay by 0.95 a step, from the first on.

    m ← β m + (1 − β) loss, divided by 1 − βᵗ after t losses, as the first m is 0.
    """
    mean, result = 0.0, np.empty(len(losses))
    for index, loss in enumerate(losses):
        mean = _BETA * mean + (1 - _BETA) * float(loss)
        result[index] = mean / (1 - _BETA ** (index + 1))
    return result


def find_lr(
    network: Network,
    data: Dataset,
    settings: TrainingSettings | None = None,
    *,
    sample_weights: Sequence[float] | NDArray[Any] | None = None,
    on_compile: Callable[[int], None] | None = None,
    **changes: Any,
) -> LrCurve:
    """Find a learning rate by a short test; the network stays as it is.

    The suggestion is a tenth of the rate where the smoothed loss is least, as the loss is least
    where training is about to become unstable.

    Args:
        network: one number a class at its end; without parameters, those are tried that `fit`
            would give it.
        data: as `fit` takes them.
        settings: of the training that is to come. The test takes its optimizer, batch size,
            augmentation and seed, and leaves out the schedule and averages.
        sample_weights: as `fit` takes them.
        on_compile: told how many kernels are compiled first, if any are.
        **changes: settings in the place of those in `settings`, as `fit` takes them.

    Raises:
        NeocogError: data, a network or settings that cannot be, or no rate makes the loss fall.
    """
    wanted = "a neocog TrainingSettings or Recipe"
    base = instance("settings", settings or TrainingSettings(), TrainingSettings, wanted)
    how = override(base, **changes)
    run = TrainingRun(
        check_network(network).copy(),
        data,
        _of_test(how),
        sample_weights=sample_weights,
        on_compile=on_compile,
    )
    rates = _rates(how)
    losses: list[float] = []
    diverged = False
    for rate in rates:
        if run.epoch_is_done:
            run.next_epoch()
        run.rate = float(rate)
        try:
            losses.append(float(run.step(1).mean()))
        except TrainingDivergedError:
            diverged = True
            break
        if run.interrupted:
            raise KeyboardInterrupt
        if _has_diverged(losses):
            diverged = True
            break
    return _curve(rates[: len(losses)], np.array(losses), diverged)


def with_lr(settings: TrainingSettings, lr: float) -> dict[str, Any]:
    """The changes that give the settings another rate, as a test has tried it.

    Groups of parameters with a rate of their own follow by `override`; so does here what Muon
    leaves to another optimizer, whose rate the test has moved by the same factor.
    """
    optimizer = settings.optimizer
    if not isinstance(optimizer, Muon):
        return {"lr": lr}
    rest = optimizer.rest.lr * (lr / optimizer.lr)
    return {"lr": lr, "optimizer.rest.lr": float(f"{rest:.3g}")}


def _of_test(settings: TrainingSettings) -> TrainingSettings:
    """The settings of the test: a rate for each step, and nothing that goes by the epoch."""
    return replace(
        settings, epochs=_STEPS, schedule=Constant(), averaging=None, freeze_after={}, log_every=1
    )


def _rates(settings: TrainingSettings) -> Reals:
    most = _MOST_SGD if isinstance(settings.optimizer, SGD) else _MOST_OTHERS
    return np.geomspace(_LEAST, most, _STEPS)


def _has_diverged(losses: list[float]) -> bool:
    if len(losses) <= _FEWEST:
        return False
    means = smoothed(losses)
    return bool(means[-1] > _DIVERGED * means[_FEWEST:].min())


def _curve(rates: Reals, losses: Reals, diverged: bool) -> LrCurve:
    if len(losses) <= _FEWEST:
        raise NeocogError(
            f"The loss became NaN or infinite after {len(losses)} steps with learning rates below "
            f"{_LEAST * 10:g}, so no rate can be found. Look at the data and the preprocessing."
        )
    means = smoothed(losses)
    least = int(means[_FEWEST:].argmin()) + _FEWEST
    lr = float(f"{rates[least] / 10:.2g}")
    reason = f"a tenth of {rates[least]:.2g}, where the loss is least"
    return LrCurve(rates, losses, lr, reason, diverged)
