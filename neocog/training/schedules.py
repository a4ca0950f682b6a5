"""How the learning rate goes over a run: a factor for every step, and for some a momentum.

A schedule is a pure function of the step and of how many there are. With t the step from 0 and T
the steps of the whole run:

    constant        1
    step            γ^⌊t / every⌋                                   `StepLR`
    cosine          end + (1 − end)(1 + cos(π t / T)) / 2           `CosineAnnealingLR`
    linear          start + (end − start) · min(t / length, 1)      `LinearLR`
    one-cycle       up to the whole rate, then down to nearly none  `OneCycleLR`
    warm-up         linear from start to 1, then another schedule   `SequentialLR`

The numbers are those of `torch.optim.lr_scheduler`, with the factor 1 for the optimizer's own rate
(for one-cycle: `max_lr`). Lengths are whole numbers of steps, or a part of the run, such as 0.2.
"""

from dataclasses import dataclass, field
from functools import partial
from math import pi
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.training.plain import build, describe
from neocog.training.rounding import round_down
from neocog.validation import as_real, as_whole, choice, flag, real, refuse, settle

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

Doubles = NDArray[np.float64]

# No run is longer.
_MOST_STEPS = 10**12
# Between the rates of a cycle; its inverse is the least.
_LARGEST_FACTOR = 1e30


class Schedule:
    """What every schedule has; each is a frozen dataclass."""

    @property
    def moves_momentum(self) -> bool:
        """Whether it moves the optimizer's momentum, too."""
        return False

    def factors(self, steps: Doubles, total: int) -> Doubles:
        """What the learning rate is multiplied by at each of some steps of `total`."""
        raise NotImplementedError

    def momenta(self, steps: Doubles, total: int) -> Doubles:
        """The momentum at each of some steps; NaN for the optimizer's own."""
        return np.full(len(steps), np.nan)

    def rates(self, first: int, count: int, total: int) -> Doubles:
        """The table that updates read, [count, 4], for steps first … first + count of `total`.

        Columns: factor, momentum, an average's decay (NaN: `neocog.training.averaging` says), NaN.
        """
        steps = np.arange(first, first + count, dtype=np.float64)
        table = np.full((count, 4), np.nan)
        with np.errstate(over="ignore"):  # an infinite rate is for the training to refuse
            table[:, 0] = self.factors(steps, total)
        table[:, 1] = self.momenta(steps, total)
        return table

    def to_dict(self) -> dict[str, Any]:
        """The schedule as plain data; `from_dict` is the way back."""
        return dict(describe(self, SCHEDULES))

    @staticmethod
    def from_dict(description: object) -> "Schedule":
        """The schedule of a description such as ``{"type": "one-cycle", "warmup": 0.2}``."""
        schedule: Schedule = build(description, SCHEDULES, "schedule")
        return schedule


def _settle_factor(owner: object, called: str, *settings: str) -> None:
    settle(owner, real, *settings, called=called, least=0, wanted="a number, at least 0")


def _settle_length(owner: object, called: str, setting: str) -> None:
    settle(owner, _length, setting, called=called)


def _length(name: str, value: object) -> float:
    """An int, if it is in steps, or else a float."""
    steps, part = as_whole(value), as_real(value)
    if steps is not None and 1 <= steps <= _MOST_STEPS:
        return steps
    if steps is None and part is not None and 0 < part <= 1:
        return part
    wanted = "a whole number of steps, or a part of the run above 0 and at most 1.0"
    raise refuse(name, value, wanted)


def _steps(length: float, total: int) -> int:
    """A length in steps."""
    return length if isinstance(length, int) else max(1, round_down(length, total))


@dataclass(frozen=True)
class Constant(Schedule):
    """The optimizer's own rate, always."""

    def factors(self, steps: Doubles, total: int) -> Doubles:
        """See `Schedule`."""
        return np.ones(len(steps))


@dataclass(frozen=True)
class Step(Schedule):
    """`gamma` times the rate after `every` steps, again and again, as `StepLR`."""

    every: float = 0.3
    gamma: float = 0.1

    def __post_init__(self) -> None:
        _settle_length(self, "step", "every")
        _settle_factor(self, "step", "gamma")

    def factors(self, steps: Doubles, total: int) -> Doubles:
        """See `Schedule`."""
        return np.power(float(self.gamma), steps // _steps(self.every, total))


@dataclass(frozen=True)
class Cosine(Schedule):
    """Half a wave of a cosine from 1 to `end` over the whole run, as `CosineAnnealingLR`."""

    end: float = 0.0

    def __post_init__(self) -> None:
        _settle_factor(self, "cosine", "end")

    def factors(self, steps: Doubles, total: int) -> Doubles:
        """See `Schedule`."""
        return self.end + (1 - self.end) * (1 + np.cos(pi * steps / total)) / 2


@dataclass(frozen=True)
class Linear(Schedule):
    """From `start` to `end` over `length`, and from there on `end`, as `LinearLR`."""

    start: float = 1.0
    end: float = 0.0
    length: float = 1.0

    def __post_init__(self) -> None:
        _settle_factor(self, "linear", "start", "end")
        _settle_length(self, "linear", "length")

    def factors(self, steps: Doubles, total: int) -> Doubles:
        """See `Schedule`."""
        done = np.minimum(steps / _steps(self.length, total), 1.0)
        return self.start + (self.end - self.start) * done


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Up from 1 / div_factor to 1, and down to far below where it began, as `OneCycleLR`.

    The momentum goes the other way, between `max_momentum` and `base_momentum`. L. N. Smith and
    N. Topin, "Super-convergence", 2017.

    Args:
        warmup: the part of the run that goes up, PyTorch's ``pct_start``.
        div_factor: the first rate is so many times smaller than the largest.
        final_div_factor: the last rate is so many times smaller than the first.
        anneal: "cos" or "linear", the form of both ways.
        three_phase: come down to the first rate as fast as up, before the last phase.
        cycle_momentum: whether the momentum moves.
        base_momentum: where the rate is the largest.
        max_momentum: at both ends.
    """

    warmup: float = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4
    anneal: str = "cos"
    three_phase: bool = False
    cycle_momentum: bool = True
    base_momentum: float = 0.85
    max_momentum: float = 0.95

    def __post_init__(self) -> None:
        keep = partial(settle, self, called="one-cycle")
        keep(real, "warmup", least=0, most=1, wanted="a part of the run from 0 to 1")
        factors: dict[str, Any] = {"least": 1 / _LARGEST_FACTOR, "most": _LARGEST_FACTOR}
        keep(real, "div_factor", "final_div_factor", wanted="a positive number", **factors)
        keep(choice, "anneal", known=("cos", "linear"))
        keep(flag, "three_phase", "cycle_momentum")
        momenta: dict[str, Any] = {"least": 0, "below": 1, "wanted": "at least 0 and below 1"}
        keep(real, "base_momentum", "max_momentum", **momenta)

    @property
    def moves_momentum(self) -> bool:
        """Whether it moves the momentum, too."""
        return self.cycle_momentum

    def _over(self, steps: Doubles, total: int, low: float, high: float, last: float) -> Doubles:
        """From low to high and back; `last` is where it ends."""
        up = self.warmup * total - 1
        phases = [(up, low, high), (float(total - 1), high, last)]
        if self.three_phase:
            phases[1:] = [(2 * up, high, low), (float(total - 1), low, last)]
        result = np.empty(len(steps))
        begin, left = 0.0, np.full(len(steps), True)
        for at, (end, first, then) in enumerate(phases):
            here = left & ((steps <= end) | (at == len(phases) - 1))
            # A phase of a single step is at its end.
            part = (steps - begin) / (end - begin) if end != begin else np.ones(len(steps))
            if self.anneal == "cos":
                values = then + (first - then) / 2 * (np.cos(pi * part) + 1)
            else:
                values = (then - first) * part + first
            result[here] = values[here]
            begin, left = end, left & ~here
        return result

    def factors(self, steps: Doubles, total: int) -> Doubles:
        """See `Schedule`."""
        low = 1 / self.div_factor
        return self._over(steps, total, low, 1.0, low / self.final_div_factor)

    def momenta(self, steps: Doubles, total: int) -> Doubles:
        """See `Schedule`."""
        if not self.cycle_momentum:
            return super().momenta(steps, total)
        low, high = self.base_momentum, self.max_momentum
        return self._over(steps, total, high, low, high)


@dataclass(frozen=True)
class Warmup(Schedule):
    """From `start` to 1 over `length`, then another schedule over the rest of the run.

    As a `SequentialLR` of a `LinearLR` and the other. airbench94's triangle is
    ``Warmup(0.23, 0.2, Linear(1.0, 0.07))``.
    """

    length: float = 0.05
    start: float = 0.1
    then: Schedule = field(default_factory=Constant)

    def __post_init__(self) -> None:
        _settle_length(self, "warm-up", "length")
        _settle_factor(self, "warm-up", "start")
        if not isinstance(self.then, Schedule):
            raise refuse("warm-up: then", self.then, "a schedule")

    @property
    def moves_momentum(self) -> bool:
        """Whether the schedule behind it does."""
        return self.then.moves_momentum

    def _split(self, steps: Doubles, total: int) -> tuple[Any, Doubles, int, int]:
        length = _steps(self.length, total)
        late = steps >= length
        return late, steps[late] - length, max(1, total - length), length

    def factors(self, steps: Doubles, total: int) -> Doubles:
        """See `Schedule`."""
        late, after, rest, length = self._split(steps, total)
        result = self.start + (1 - self.start) * steps / length
        result[late] = self.then.factors(after, rest)
        return result

    def momenta(self, steps: Doubles, total: int) -> Doubles:
        """See `Schedule`."""
        late, after, rest, _ = self._split(steps, total)
        result = super().momenta(steps, total)
        result[late] = self.then.momenta(after, rest)
        return result


#: Every schedule by name. Recipes are built from these and from nothing else.
SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Constant,
    "step": Step,
    "cosine": Cosine,
    "linear": Linear,
    "one-cycle": OneCycle,
    "warm-up": Warmup,
}
