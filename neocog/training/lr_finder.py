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

__all__ = ["LrCurve", "find_lr", "smooth", "with_lr"]

Reals = NDArray[np.float64]

# Steps of a test: so many images, but not fewer or more steps. Losses of small batches are noisy.
_IMAGES, _FEWEST_STEPS, _MOST_STEPS = 4800, 150, 600
# The loss is averaged over this part of the steps, and the first ones do not count as the least.
_WINDOW, _FIRST = 1 / 40, 1 / 20
# So many times the least loss end the test.
_DIVERGED = 4.0
# Below the least loss, and below the end, by these factors lies a good rate.
_BELOW_LEAST, _BELOW_END = 10.0, 30.0
# Rates that are tried. A step of SGD is as large as the gradient, one of the others about the rate.
_LEAST, _MOST_SGD, _MOST_OTHERS = 1e-5, 10.0, 1.0


@dataclass(frozen=True, eq=False)
class LrCurve:
    """What a learning-rate range test has measured.

    Attributes:
        rates: of each step, float64 [n], growing.
        losses: the mean loss of each step's images before it, float64 [n].
        smoothed: their running mean, which the suggestion goes by, float64 [n].
        suggestion: the rate to train with.
        reason: how the suggestion was made, in words.
    """

    rates: Reals
    losses: Reals
    smoothed: Reals
    suggestion: float
    reason: str

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


def smooth(losses: Sequence[float] | Reals, window: float) -> Reals:
    """The running mean of losses over about `window` of them, float64 [n].

    m ← β m + (1 − β) loss with β = 1 − 1 / window, divided by 1 − βᵗ after t losses, as m is 0 at
    first.
    """
    beta = 1 - 1 / window
    mean, result = 0.0, np.empty(len(losses))
    for index, loss in enumerate(losses):
        mean = beta * mean + (1 - beta) * float(loss)
        result[index] = mean / (1 - beta ** (index + 1))
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

    The rate grows by the same factor with every step, until the loss is 4 times the least one or
    not finite. The suggestion is a tenth of the rate where the smoothed loss is least; where the
    test ended before its largest rate, the geometric mean of that and of a thirtieth of the rate
    where it ended.

    Compared were the rates that make the loss of one short epoch least with: the rate of the least
    loss by 10, the steepest descent, fastai's valley, the rate of the end by 30, and means of them.
    The networks were the note's (batches of 4) and resnet8 (of 64 and 128) on CIFAR-10, and the
    note's on "shapes", each with SGD (momentum 0.9) and AdamW. Without batch normalization the
    steepest descent lies where training just becomes unstable, ten times too high; the least loss
    by 10 is lost in noise where batches are small; the end by 30 was within a factor of 3 of the
    best or above it, and the mean within that factor on both sides. With batch normalization no
    rate made the loss grow fourfold, and the least loss by 10 was near the best rate.

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
    settings = TrainingSettings() if settings is None else settings
    base = instance("settings", settings, TrainingSettings, wanted)
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
        means = smooth(losses, _WINDOW * len(rates))
        first = int(_FIRST * len(rates))
        if len(means) > first and means[-1] > _DIVERGED * means[first:].min():
            diverged = True
            break
    return _curve(rates, np.array(losses), diverged)


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
        settings, epochs=_MOST_STEPS, schedule=Constant(), averaging=None, freeze_after={}
    )


def _rates(settings: TrainingSettings) -> Reals:
    steps = min(max(_IMAGES // settings.batch_size, _FEWEST_STEPS), _MOST_STEPS)
    most = _MOST_SGD if isinstance(settings.optimizer, SGD) else _MOST_OTHERS
    return np.geomspace(_LEAST, most, steps)


def _curve(rates: Reals, losses: Reals, diverged: bool) -> LrCurve:
    """What the losses say; the last of them may be the first that was too large."""
    count, first = len(losses), int(_FIRST * len(rates))
    if count <= first:
        raise NeocogError(
            f"The loss became NaN or infinite at a learning rate of {rates[count]:.2g} already, so "
            "none can be found. Look at the data, the preprocessing and the first weights."
        )
    smoothed = smooth(losses, _WINDOW * len(rates))
    least = rates[int(smoothed[first:].argmin()) + first]
    lr, reason = least / _BELOW_LEAST, f"a tenth of {least:.2g}, where the loss was least"
    if diverged:
        end = rates[min(count, len(rates) - 1)]
        lr = (lr * end / _BELOW_END) ** 0.5
        reason = f"mean of {least:.2g} / 10 (least loss) and {end:.2g} / 30 (end)"
    return LrCurve(rates[:count], losses, smoothed, float(f"{lr:.2g}"), reason)
