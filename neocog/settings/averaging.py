"""Averages of the weights over a run; `neocog.training.rates` has their decays at every step.

    EMA             a ← a + (1 − d)(w − a)                     every step
    lookahead       a ← a + (1 − d)(w − a),   w ← a            every few steps

At the first step EMA's average is the weights, as in `torch.optim.swa_utils.AveragedModel`;
lookahead's is what the network began with.
"""

from dataclasses import dataclass
from typing import ClassVar

from neocog.settings.setting import OneOf, setting

__all__ = ["AVERAGES", "EMA", "Averaging", "Lookahead"]

# No run is longer.
_MOST_STEPS = 10**12
_PART = {"low": 0, "below": 1, "wanted": "at least 0 and below 1"}


class Averaging(OneOf):
    """How weights are averaged."""

    #: "average" where the weights stay as they are, "lookahead" where they become their average.
    kind: ClassVar[str]


@dataclass(frozen=True)
class EMA(Averaging, name="ema"):
    """An exponential moving average, which is what is evaluated and saved."""

    decay: float = setting(0.999, help="the part of the average that stays in a step", **_PART)

    kind: ClassVar[str] = "average"


@dataclass(frozen=True)
class Lookahead(Averaging, name="lookahead"):
    """Every few steps a part of the way back to the average, which the weights then go on from.

    After n of N steps d = decay^every · (n / N)^power: fast at first, steady at the end. At the
    very end the weights are their average. As in K. Jordan's airbench94, whose numbers these are.
    """

    every: int = setting(5, low=1, high=_MOST_STEPS, help="steps between two returns")
    decay: float = setting(0.95, help="the part of the average that stays in a step", **_PART)
    power: float = setting(
        3.0, low=0, high=1000, wanted="a number, at least 0", help="how late the average is steady"
    )

    kind: ClassVar[str] = "lookahead"


#: Every average by name.
AVERAGES = Averaging.kinds
