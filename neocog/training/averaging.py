"""Averages of the weights over a run; the arithmetic is `neocog.kernels.averaging`'s.

    EMA             a ← a + (1 − d)(w − a)                     every step
    lookahead       a ← a + (1 − d)(w − a),   w ← a            every few steps

At the first step EMA's average is the weights, as in `torch.optim.swa_utils.AveragedModel`;
lookahead's is what the network began with.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from neocog.training.plain import build, describe
from neocog.training.schedules import Schedule
from neocog.validation import real, settle, whole

__all__ = ["AVERAGES", "EMA", "Averaging", "Lookahead", "rates_of_run"]

Doubles = NDArray[np.float64]

# No run is longer.
_MOST_STEPS = 10**12


class Averaging:
    """What every average has; each is a frozen dataclass."""

    #: "average" where the weights stay as they are, "lookahead" where they become their average.
    kind: ClassVar[str]

    def decays(self, first: int, count: int, total: int) -> Doubles:
        """d at steps first … first + count of `total`; NaN where nothing is averaged."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """The average as plain data; `from_dict` is the way back."""
        return dict(describe(self, AVERAGES))

    @staticmethod
    def from_dict(description: object) -> "Averaging":
        """The average of a description such as ``{"type": "ema", "decay": 0.999}``."""
        averaging: Averaging = build(description, AVERAGES, "average")
        return averaging


def _settle_part(owner: object, setting: str) -> None:
    settle(owner, real, setting, least=0, below=1, wanted="at least 0 and below 1")


@dataclass(frozen=True)
class EMA(Averaging):
    """An exponential moving average, which is what is evaluated and saved."""

    decay: float = 0.999

    kind: ClassVar[str] = "average"

    def __post_init__(self) -> None:
        _settle_part(self, "decay")

    def decays(self, first: int, count: int, total: int) -> Doubles:
        """See `Averaging`."""
        steps = np.arange(first, first + count)
        return np.where(steps == 0, 0.0, self.decay)


@dataclass(frozen=True)
class Lookahead(Averaging):
    """Every few steps a part of the way back to the average, which the weights then go on from.

    After n of N steps d = decay^every · (n / N)^power: fast at first, steady at the end. At the
    very end the weights are their average. As in K. Jordan's airbench94, whose numbers these are.
    """

    every: int = 5
    decay: float = 0.95
    power: float = 3.0

    kind: ClassVar[str] = "lookahead"

    def __post_init__(self) -> None:
        settle(self, whole, "every", least=1, most=_MOST_STEPS)
        _settle_part(self, "decay")
        settle(self, real, "power", least=0, most=1000, wanted="a number, at least 0")

    def decays(self, first: int, count: int, total: int) -> Doubles:
        """See `Averaging`."""
        done = np.arange(first + 1, first + count + 1)
        decays = self.decay**self.every * (done / total) ** self.power
        decays[done % self.every != 0] = np.nan
        decays[(done == total) & np.isnan(decays)] = 1.0
        return decays


#: Every average by name. Recipes are built from these and from nothing else.
AVERAGES: dict[str, type[Averaging]] = {"ema": EMA, "lookahead": Lookahead}


def rates_of_run(
    schedule: Schedule, averaging: Averaging | None, first: int, count: int, total: int
) -> Doubles:
    """The table that updates and averages read, [count, 4]; see `Schedule.rates`.

    Args:
        schedule: of the learning rate.
        averaging: of the weights, if any.
        first: steps of the training before the table's first row.
        count: rows.
        total: steps of the whole training.
    """
    table = schedule.rates(first, count, total)
    if averaging is not None:
        table[:, 2] = averaging.decays(first, count, total)
    return table
