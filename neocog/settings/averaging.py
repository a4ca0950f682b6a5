"""Averages of the weights during training; `neocog.training.rates` computes their decay per step.

    EMA             a ← a + (1 − d)(w − a)                     every step
    lookahead       a ← a + (1 − d)(w − a),   w ← a            every few steps

EMA's average starts as the weights after the first step, as in
`torch.optim.swa_utils.AveragedModel`; lookahead's average starts as the initial weights.
"""

from dataclasses import dataclass
from typing import ClassVar

from neocog.settings.setting import OneOf, setting

__all__ = ["AVERAGES", "EMA", "Averaging", "Lookahead"]

# Longer than any run.
_MOST_STEPS = 10**12
_PART = {"low": 0, "below": 1, "wanted": "at least 0 and below 1"}


class Averaging(OneOf):
    """How weights are averaged."""

    #: "average" leaves the weights as they are; "lookahead" sets them to their average.
    kind: ClassVar[str]


@dataclass(frozen=True)
class EMA(Averaging, name="ema"):
    """An exponential moving average of the weights, which is what is evaluated and saved."""

    decay: float = setting(0.999, help="fraction of the average that is kept at a step", **_PART)

    kind: ClassVar[str] = "average"


@dataclass(frozen=True)
class Lookahead(Averaging, name="lookahead"):
    """Lookahead: every few steps the weights are set to their average and training goes on from it.

    After n of N steps d = decay^every · (n / N)^power, so the average moves fast at first and
    slowly at the end. The final weights are the average. The defaults are those of K. Jordan's
    airbench94.
    """

    every: int = setting(5, low=1, high=_MOST_STEPS, help="steps between updates of the average")
    decay: float = setting(0.95, help="fraction of the average that is kept at a step", **_PART)
    power: float = setting(
        3.0,
        low=0,
        high=1000,
        wanted="a number, at least 0",
        help="exponent with which the decay grows over the run",
    )

    kind: ClassVar[str] = "lookahead"


#: Every average by name.
AVERAGES = Averaging.kinds
