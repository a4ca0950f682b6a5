"""What a step of a run computes with: the learning rate's factor, the momentum, an average's decay.

A schedule is a pure function of the step and of how many there are. With t the step from 0 and T
the steps of the whole run:

    constant        1
    step            γ^⌊t / every⌋                                   `StepLR`
    cosine          end + (1 − end)(1 + cos(π t / T)) / 2           `CosineAnnealingLR`
    linear          start + (end − start) · min(t / length, 1)      `LinearLR`
    one-cycle       up to the whole rate, then down to nearly none  `OneCycleLR`

The numbers are those of `torch.optim.lr_scheduler`; the settings are in `neocog.settings`.
"""

from functools import singledispatch
from math import pi

import numpy as np
from numpy.typing import NDArray

from neocog.settings.averaging import EMA, Averaging, Lookahead
from neocog.settings.schedules import (
    Constant,
    Cosine,
    Linear,
    OneCycle,
    Schedule,
    Step,
    Warmup,
)
from neocog.training.rounding import round_down

__all__ = ["decays", "factors", "momenta", "rates_of_run", "rates_with"]

Doubles = NDArray[np.float64]


def rates_of_run(
    schedule: Schedule, averaging: Averaging | None, first: int, count: int, total: int
) -> Doubles:
    """The table that updates and averages read, float64 [count, 4].

    Columns: the factor of the learning rates, the momentum or NaN for the optimizer's own, the
    average's decay or NaN where nothing is averaged, NaN.

    Args:
        schedule: of the learning rate.
        averaging: of the weights, if any.
        first: steps of the training before the table's first row.
        count: rows.
        total: steps of the whole training.
    """
    steps = np.arange(first, first + count, dtype=np.float64)
    table = np.full((count, 4), np.nan)
    with np.errstate(over="ignore"):  # an infinite rate is for the training to refuse
        table[:, 0] = factors(schedule, steps, total)
    table[:, 1] = momenta(schedule, steps, total)
    if averaging is not None:
        table[:, 2] = decays(averaging, first, count, total)
    return table


def rates_with(rates: Doubles, factor: float | None, momentum: float | None) -> Doubles:
    """Rates with another factor of the learning rate, and another momentum, where one is given."""
    if factor is None and momentum is None:
        return rates
    rates = rates.copy()
    if factor is not None:
        rates[:, 0] = factor
    if momentum is not None:
        rates[:, 1] = momentum
    return rates


@singledispatch
def factors(schedule: Schedule, steps: Doubles, total: int) -> Doubles:
    """What the learning rate is multiplied by at each of some steps of `total`."""
    raise NotImplementedError(type(schedule))


@singledispatch
def momenta(schedule: Schedule, steps: Doubles, total: int) -> Doubles:
    """The momentum at each of some steps; NaN for the optimizer's own."""
    return np.full(len(steps), np.nan)


@singledispatch
def decays(averaging: Averaging, first: int, count: int, total: int) -> Doubles:
    """An average's d at steps first … first + count of `total`; NaN where nothing is averaged."""
    raise NotImplementedError(type(averaging))


def _steps(length: float, total: int) -> int:
    """A length in steps."""
    return length if isinstance(length, int) else max(1, round_down(length, total))


@factors.register
def _(schedule: Constant, steps: Doubles, total: int) -> Doubles:
    return np.ones(len(steps))


@factors.register
def _(schedule: Step, steps: Doubles, total: int) -> Doubles:
    return np.power(float(schedule.gamma), steps // _steps(schedule.every, total))


@factors.register
def _(schedule: Cosine, steps: Doubles, total: int) -> Doubles:
    return schedule.end + (1 - schedule.end) * (1 + np.cos(pi * steps / total)) / 2


@factors.register
def _(schedule: Linear, steps: Doubles, total: int) -> Doubles:
    done = np.minimum(steps / _steps(schedule.length, total), 1.0)
    return schedule.start + (schedule.end - schedule.start) * done


# One-cycle


@factors.register
def _(schedule: OneCycle, steps: Doubles, total: int) -> Doubles:
    low = 1 / schedule.div_factor
    return _cycle(schedule, steps, total, low, 1.0, low / schedule.final_div_factor)


@momenta.register
def _(schedule: OneCycle, steps: Doubles, total: int) -> Doubles:
    if not schedule.cycle_momentum:
        return np.full(len(steps), np.nan)
    low, high = schedule.base_momentum, schedule.max_momentum
    return _cycle(schedule, steps, total, high, low, high)


def _cycle(
    schedule: OneCycle, steps: Doubles, total: int, low: float, high: float, last: float
) -> Doubles:
    """From low to high and back; `last` is where it ends."""
    up = schedule.warmup * total - 1
    phases = [(up, low, high), (float(total - 1), high, last)]
    if schedule.three_phase:
        phases[1:] = [(2 * up, high, low), (float(total - 1), low, last)]
    result = np.empty(len(steps))
    begin, left = 0.0, np.full(len(steps), True)
    for at, (end, first, then) in enumerate(phases):
        here = left & ((steps <= end) | (at == len(phases) - 1))
        # A phase of a single step is at its end.
        part = (steps - begin) / (end - begin) if end != begin else np.ones(len(steps))
        if schedule.anneal == "cos":
            values = then + (first - then) / 2 * (np.cos(pi * part) + 1)
        else:
            values = (then - first) * part + first
        result[here] = values[here]
        begin, left = end, left & ~here
    return result


# Warm-up


@factors.register
def _(schedule: Warmup, steps: Doubles, total: int) -> Doubles:
    length = _steps(schedule.length, total)
    result: Doubles = schedule.start + (1 - schedule.start) * steps / length
    late = steps >= length
    result[late] = factors(schedule.then, steps[late] - length, max(1, total - length))
    return result


@momenta.register
def _(schedule: Warmup, steps: Doubles, total: int) -> Doubles:
    length = _steps(schedule.length, total)
    result = np.full(len(steps), np.nan)
    late = steps >= length
    result[late] = momenta(schedule.then, steps[late] - length, max(1, total - length))
    return result


# Averages


@decays.register
def _(averaging: EMA, first: int, count: int, total: int) -> Doubles:
    steps = np.arange(first, first + count)
    return np.where(steps == 0, 0.0, averaging.decay)


@decays.register
def _(averaging: Lookahead, first: int, count: int, total: int) -> Doubles:
    done = np.arange(first + 1, first + count + 1)
    found = averaging.decay**averaging.every * (done / total) ** averaging.power
    found[done % averaging.every != 0] = np.nan
    found[(done == total) & np.isnan(found)] = 1.0
    return found
