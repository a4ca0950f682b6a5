"""Learning-rate schedules; `neocog.training.rates` computes the rate of each step.

The names and numbers are those of `torch.optim.lr_scheduler`. A factor of 1 is the optimizer's own
rate (for one-cycle: `max_lr`). A length is a whole number of steps, or a fraction of the run such
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

# Longer than any run.
_MOST_STEPS = 10**12
# The largest ratio between two rates of a cycle; its inverse is the smallest.
_LARGEST_FACTOR = 1e30
_FACTOR = {"low": 0, "wanted": "a number, at least 0"}
_CYCLE = {"low": 1 / _LARGEST_FACTOR, "high": _LARGEST_FACTOR, "wanted": "a positive number"}
_MOMENTUM = {"low": 0, "below": 1, "wanted": "at least 0 and below 1"}


def _length(name: str, value: object) -> float:
    """A length: an int if it is in steps, else a float."""
    steps, part = as_whole(value), as_real(value)
    if steps is not None and 1 <= steps <= _MOST_STEPS:
        return steps
    if steps is None and part is not None and 0 < part <= 1:
        return part
    wanted = "a whole number of steps, or a part of the run above 0 and at most 1.0"
    raise refuse(name, value, wanted)


class Schedule(OneOf):
    """How the learning rate, and for some schedules the momentum, changes during a run."""

    @classmethod
    def prefix(cls) -> str:
        """See `OneOf`."""
        return f"{cls.type_name}: "

    @property
    def moves_momentum(self) -> bool:
        """Whether the schedule changes the optimizer's momentum, too."""
        return False


@dataclass(frozen=True)
class Constant(Schedule, name="constant"):
    """The optimizer's own learning rate at every step."""


@dataclass(frozen=True)
class Step(Schedule, name="step"):
    """Multiply the rate by `gamma` every `every` steps, as `StepLR`."""

    every: float = setting(0.3, check=_length, help="steps, or fraction of the run, between drops")
    gamma: float = setting(0.1, help="factor of the rate at a drop", **_FACTOR)


@dataclass(frozen=True)
class Cosine(Schedule, name="cosine"):
    """Half a cosine wave from 1 to `end` over the whole run, as `CosineAnnealingLR`."""

    end: float = setting(0.0, help="factor of the rate at the end", **_FACTOR)


@dataclass(frozen=True)
class Linear(Schedule, name="linear"):
    """From `start` to `end` over `length`, then constant at `end`, as `LinearLR`."""

    start: float = setting(1.0, help="factor of the rate at the start", **_FACTOR)
    end: float = setting(0.0, help="factor of the rate at the end", **_FACTOR)
    length: float = setting(1.0, check=_length, help="length in steps, or as part of the run")


@dataclass(frozen=True)
class OneCycle(Schedule, name="one-cycle"):
    """Up from 1 / div_factor to 1, then down to far below the initial rate, as `OneCycleLR`.

    The momentum moves the other way, between `max_momentum` and `base_momentum`. L. N. Smith and
    N. Topin, "Super-convergence", 2017.
    """

    warmup: float = setting(
        0.3,
        low=0,
        high=1,
        wanted="a part of the run from 0 to 1",
        help="fraction of the run in which the rate rises (PyTorch's pct_start)",
    )
    div_factor: float = setting(25.0, help="largest rate divided by the initial rate", **_CYCLE)
    final_div_factor: float = setting(1e4, help="initial rate divided by the final rate", **_CYCLE)
    anneal: str = setting("cos", choices=("cos", "linear"), help="shape of the rise and the fall")
    three_phase: bool = setting(
        False, help="fall to the initial rate as fast as it rose, then to the final rate"
    )
    cycle_momentum: bool = setting(True, help="change the momentum, too")
    base_momentum: float = setting(0.85, help="momentum at the largest rate", **_MOMENTUM)
    max_momentum: float = setting(0.95, help="momentum at the start and the end", **_MOMENTUM)

    @property
    def moves_momentum(self) -> bool:
        """Whether the schedule changes the momentum, too."""
        return self.cycle_momentum


@dataclass(frozen=True)
class Warmup(Schedule, name="warm-up"):
    """From `start` to 1 over `length`, then another schedule over the rest of the run.

    As a `SequentialLR` of a `LinearLR` and the other schedule. airbench94's triangle is
    ``Warmup(0.23, 0.2, Linear(1.0, 0.07))``.
    """

    length: float = setting(0.05, check=_length, help="length in steps, or as part of the run")
    start: float = setting(0.1, help="factor of the rate at the start", **_FACTOR)
    then: Schedule = setting(default_factory=Constant, help="schedule after the warm-up")

    def check_together(self) -> None:
        """`then` must be another schedule."""
        if isinstance(self.then, Warmup):
            raise refuse("Warmup: then", self.then, "another schedule than Warmup")

    @property
    def moves_momentum(self) -> bool:
        """Whether the schedule after the warm-up changes the momentum."""
        return self.then.moves_momentum


#: Every schedule by name.
SCHEDULES = Schedule.kinds
