"""Schedules: how the learning rate goes over a run; `neocog.training.rates` computes them.

The names and numbers are those of `torch.optim.lr_scheduler`, with the factor 1 for the optimizer's
own rate (for one-cycle: `max_lr`). Lengths are whole numbers of steps, or a part of the run, such
as 0.2.
"""

from dataclasses import dataclass

from neocog.settings.setting import OneOf, setting
from neocog.validation import as_real, as_whole, refuse

__all__ = [
    "SCHEDULES",
    "Constant",
    "Cosine",
    "Linear",
    "OneCycle",
    "Schedule",
    "Step",
    "Warmup",
]

# No run is longer.
_MOST_STEPS = 10**12
# Between the rates of a cycle; its inverse is the least.
_LARGEST_FACTOR = 1e30
_FACTOR = {"low": 0, "wanted": "a number, at least 0"}
_CYCLE = {"low": 1 / _LARGEST_FACTOR, "high": _LARGEST_FACTOR, "wanted": "a positive number"}
_MOMENTUM = {"low": 0, "below": 1, "wanted": "at least 0 and below 1"}


def _length(name: str, value: object) -> float:
    """An int, if it is in steps, or else a float."""
    steps, part = as_whole(value), as_real(value)
    if steps is not None and 1 <= steps <= _MOST_STEPS:
        return steps
    if steps is None and part is not None and 0 < part <= 1:
        return part
    wanted = "a whole number of steps, or a part of the run above 0 and at most 1.0"
    raise refuse(name, value, wanted)


class Schedule(OneOf):
    """How the learning rate goes, and with some the momentum."""

    @classmethod
    def prefix(cls) -> str:
        """See `OneOf`."""
        return f"{cls.type_name}: "

    @property
    def moves_momentum(self) -> bool:
        """Whether it moves the optimizer's momentum, too."""
        return False


@dataclass(frozen=True)
class Constant(Schedule, name="constant"):
    """The optimizer's own rate, always."""


@dataclass(frozen=True)
class Step(Schedule, name="step"):
    """`gamma` times the rate after `every` steps, again and again, as `StepLR`."""

    every: float = setting(0.3, check=_length, help="steps, or part of the run, between two drops")
    gamma: float = setting(0.1, help="what a drop multiplies the rate by", **_FACTOR)


@dataclass(frozen=True)
class Cosine(Schedule, name="cosine"):
    """Half a wave of a cosine from 1 to `end` over the whole run, as `CosineAnnealingLR`."""

    end: float = setting(0.0, help="the last factor", **_FACTOR)


@dataclass(frozen=True)
class Linear(Schedule, name="linear"):
    """From `start` to `end` over `length`, and from there on `end`, as `LinearLR`."""

    start: float = setting(1.0, help="the first factor", **_FACTOR)
    end: float = setting(0.0, help="the last factor", **_FACTOR)
    length: float = setting(1.0, check=_length, help="steps, or part of the run, that it takes")


@dataclass(frozen=True)
class OneCycle(Schedule, name="one-cycle"):
    """Up from 1 / div_factor to 1, and down to far below where it began, as `OneCycleLR`.

    The momentum goes the other way, between `max_momentum` and `base_momentum`. L. N. Smith and
    N. Topin, "Super-convergence", 2017.
    """

    warmup: float = setting(
        0.3,
        low=0,
        high=1,
        wanted="a part of the run from 0 to 1",
        help="the part of the run that goes up, PyTorch's pct_start",
    )
    div_factor: float = setting(25.0, help="how many times smaller the first rate is", **_CYCLE)
    final_div_factor: float = setting(
        1e4, help="how many times smaller than the first the last rate is", **_CYCLE
    )
    anneal: str = setting("cos", choices=("cos", "linear"), help="the form of both ways")
    three_phase: bool = setting(
        False, help="whether it comes down to the first rate as fast as up, before the last phase"
    )
    cycle_momentum: bool = setting(True, help="whether the momentum moves")
    base_momentum: float = setting(0.85, help="the momentum at the largest rate", **_MOMENTUM)
    max_momentum: float = setting(0.95, help="the momentum at both ends", **_MOMENTUM)

    @property
    def moves_momentum(self) -> bool:
        """Whether it moves the momentum, too."""
        return self.cycle_momentum


@dataclass(frozen=True)
class Warmup(Schedule, name="warm-up"):
    """From `start` to 1 over `length`, then another schedule over the rest of the run.

    As a `SequentialLR` of a `LinearLR` and the other. airbench94's triangle is
    ``Warmup(0.23, 0.2, Linear(1.0, 0.07))``.
    """

    length: float = setting(0.05, check=_length, help="steps, or part of the run, that it takes")
    start: float = setting(0.1, help="the first factor", **_FACTOR)
    then: Schedule = setting(default_factory=Constant, help="the schedule behind it")

    @property
    def moves_momentum(self) -> bool:
        """Whether the schedule behind it does."""
        return self.then.moves_momentum


#: Every schedule by name.
SCHEDULES = Schedule.kinds
