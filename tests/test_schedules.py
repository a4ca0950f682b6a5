"""Schedules beside `torch.optim.lr_scheduler`, step by step; averages; both as plain data."""

import json
import math
from fractions import Fraction

import numpy as np
import pytest

from neocog.errors import NeocogError
from neocog.settings.averaging import AVERAGES, EMA, Averaging, Lookahead
from neocog.settings.codec import from_plain, to_plain
from neocog.settings.schedules import (
    SCHEDULES,
    Constant,
    Cosine,
    Linear,
    OneCycle,
    Schedule,
    Step,
    Warmup,
)
from neocog.training.rates import decays, rates_of_run
from neocog.training.rounding import round_down, round_up
from neocog.training.run_length import RunLength

LR = 0.4


def rates(schedule, first, count, total):
    return rates_of_run(schedule, None, first, count, total)


def theirs(make, total, lr=LR):
    """PyTorch's rates and momenta of each step; skipped without PyTorch."""
    torch = pytest.importorskip("torch")
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=lr, momentum=0.9)
    scheduler = make(torch.optim.lr_scheduler, optimizer)
    found = []
    for _ in range(total):
        group = optimizer.param_groups[0]
        found.append((group["lr"], group["momentum"]))
        optimizer.step()
        scheduler.step()
    return np.array(found)


# Schedule, PyTorch's, with T the steps of the run.
PAIRS = {
    "constant": (Constant(), lambda s, o, T: s.ConstantLR(o, factor=1.0)),
    "step": (Step(7, 0.5), lambda s, o, T: s.StepLR(o, 7, 0.5)),
    "step by part": (Step(0.25), lambda s, o, T: s.StepLR(o, max(1, T // 4))),
    "cosine": (Cosine(), lambda s, o, T: s.CosineAnnealingLR(o, T)),
    "cosine to": (Cosine(0.1), lambda s, o, T: s.CosineAnnealingLR(o, T, LR * 0.1)),
    "linear": (Linear(1.0, 0.0), lambda s, o, T: s.LinearLR(o, 1.0, 0.0, T)),
    "linear, short": (Linear(0.3, 0.9, 5), lambda s, o, T: s.LinearLR(o, 0.3, 0.9, 5)),
    "warm-up": (
        Warmup(4, 0.2, Cosine()),
        lambda s, o, T: s.SequentialLR(
            o, [s.LinearLR(o, 0.2, 1.0, 4), s.CosineAnnealingLR(o, max(1, T - 4))], [4]
        ),
    ),
    "triangle": (
        Warmup(6, 0.2, Linear(1.0, 0.07)),
        lambda s, o, T: s.SequentialLR(
            o, [s.LinearLR(o, 0.2, 1.0, 6), s.LinearLR(o, 1.0, 0.07, max(1, T - 6))], [6]
        ),
    ),
}


@pytest.mark.parametrize("total", [1, 2, 7, 40])
@pytest.mark.parametrize("name", PAIRS)
def test_rates_are_pytorchs(name, total):
    schedule, make = PAIRS[name]
    expected = theirs(lambda s, o: make(s, o, total), total)
    table = rates(schedule, 0, total, total)
    # PyTorch's come from one step to the next, and round each time.
    np.testing.assert_allclose(LR * table[:, 0], expected[:, 0], rtol=1e-11, atol=1e-14)
    assert np.isnan(table[:, 1:]).all()
    assert not schedule.moves_momentum


# Lengths that are a part of the run


def parts():
    """Every n / 100, and other denominators, with lengths of runs that they divide or do not."""
    for of in (2, 3, 7, 10, 49, 64, 97, 100, 128, 1000, 3125):
        for n in range(1, of + 1, max(1, of // 100)):
            for total in (1, 2, 41, 100, of, 3 * of, 12345 * of):
                yield Fraction(n, of), total


def test_parts_of_a_run_are_exact():
    for part, total in parts():
        written = part.numerator / part.denominator
        assert round_down(written, total) == math.floor(part * total), (part, total)
        assert round_up(written, total) == math.ceil(part * total), (part, total)
        whole = max(1, math.ceil(part * total))
        assert RunLength(total, 1, written).total == whole, (part, total)


def test_the_largest_and_smallest_parts():
    assert round_down(0.0, 10) == round_up(0.0, 10) == 0
    assert (round_down(1e-300, 10), round_up(1e-300, 10)) == (0, 1)
    assert round_down(1 / 3, 3 * 10**12) == 10**12
    assert round_up(1e6, 10**9) == 10**15
    assert rates(Step(1e-9), 0, 3, 3)[:, 0].tolist() == pytest.approx([1, 0.1, 0.01])


@pytest.mark.parametrize("total", [100, 97, 300])
@pytest.mark.parametrize("kind", [float, np.float32])
def test_rates_by_hundredths_of_a_run_are_exact(total, kind):
    """The factor of every step by its formula, with whole numbers for the lengths."""
    steps = np.arange(total)
    for n in range(1, 101):
        part, length = kind(n / 100), max(1, n * total // 100)
        expected = 0.5 ** (steps // length)
        np.testing.assert_array_equal(rates(Step(part, 0.5), 0, total, total)[:, 0], expected)
        expected = 0.2 + 0.7 * np.minimum(steps, length) / length
        found = rates(Linear(0.2, 0.9, part), 0, total, total)[:, 0]
        np.testing.assert_allclose(found, expected, rtol=1e-14)
        found = rates(Warmup(part, 0.2, Step(1, 0.5)), 0, total, total)[:, 0]
        expected = 0.5 ** np.maximum(steps - length, 0.0)
        expected[:length] = 0.2 + 0.8 * steps[:length] / length
        np.testing.assert_allclose(found, expected, rtol=1e-14)


@pytest.mark.parametrize("n", [*range(1, 100, 14), 28, 56, 58, 100])
def test_rates_by_hundredths_of_a_run_are_pytorchs(n):
    expected = theirs(lambda s, o: s.StepLR(o, n, 0.5), 100)
    found = LR * rates(Step(n / 100, 0.5), 0, 100, 100)[:, 0]
    np.testing.assert_allclose(found, expected[:, 0], rtol=1e-11)
    expected = theirs(lambda s, o: s.LinearLR(o, 0.3, 0.9, n), 100)
    found = LR * rates(Linear(0.3, 0.9, n / 100), 0, 100, 100)[:, 0]
    np.testing.assert_allclose(found, expected[:, 0], rtol=1e-11)


def test_one_cycle_by_hundredths_of_a_run_is_continuous():
    """Where PyTorch's phases meet it does not matter to which of them a step belongs."""
    for n in range(2, 100):
        one = OneCycle(n / 100, anneal="linear")
        exact = [Fraction(n * 100, 100) - 1, Fraction(99)]
        table = rates(one, 0, 100, 100)[:, 0]
        for step in (n - 2, n - 1, n):
            up = step <= exact[0]
            low, high = Fraction(1, 25), Fraction(1)
            last = low / 10_000
            part = step / exact[0] if up else (step - exact[0]) / (exact[1] - exact[0])
            value = low + (high - low) * part if up else high + (last - high) * part
            assert table[step] == pytest.approx(float(value), rel=1e-12)


@pytest.mark.parametrize("total", [4, 7, 40, 101])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"warmup": 0.0},
        {"warmup": 0.45, "three_phase": True},
        {"anneal": "linear", "div_factor": 10.0, "final_div_factor": 50.0},
        {"cycle_momentum": False},
        {"base_momentum": 0.6, "max_momentum": 0.7},
    ],
)
def test_one_cycle_is_pytorchs(settings, total):
    names = {"warmup": "pct_start", "anneal": "anneal_strategy"}
    arguments = {names.get(key, key): value for key, value in settings.items()}
    expected = theirs(lambda s, o: s.OneCycleLR(o, LR, total_steps=total + 1, **arguments), total)
    schedule = OneCycle(**settings)
    table = rates(schedule, 0, total, total + 1)
    np.testing.assert_allclose(LR * table[:, 0], expected[:, 0], rtol=1e-12, atol=1e-16)
    if settings.get("cycle_momentum", True):
        np.testing.assert_allclose(table[:, 1], expected[:, 1], rtol=1e-12)
        assert schedule.moves_momentum
        assert Warmup(2, then=schedule).moves_momentum
    else:
        assert np.isnan(table[:, 1]).all()
        assert not schedule.moves_momentum


def test_one_cycle_begins_peaks_and_ends():
    """Counted by hand; of a run in which PyTorch divides by zero, too."""
    table = rates(OneCycle(0.25, 10.0, 100.0), 0, 41, 41)
    assert table[0, 0] == pytest.approx(0.1)
    assert table[:, 0].max() == pytest.approx(1.0, abs=0.01)
    assert table[40, 0] == pytest.approx(0.001)
    assert table[0, 1] == pytest.approx(0.95)
    assert table[40, 1] == pytest.approx(0.95)
    assert rates(OneCycle(0.25), 0, 4, 4)[0, 0] == pytest.approx(1.0)
    assert np.isfinite(rates(OneCycle(), 0, 1, 1)[:, :2]).all()


@pytest.mark.parametrize("schedule", [p[0] for p in PAIRS.values()] + [OneCycle(), OneCycle(0.5)])
def test_any_range_of_steps_is_a_part_of_the_whole(schedule):
    whole = rates(schedule, 0, 30, 30)
    parts = [rates(schedule, first, count, 30) for first, count in ((0, 11), (11, 1), (12, 18))]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert whole.dtype == np.float64
    assert whole.flags.c_contiguous
    assert np.isfinite(whole[:, 0]).all()


def test_a_warm_up_that_takes_all_of_the_run():
    np.testing.assert_allclose(rates(Warmup(8, 0.0), 0, 4, 4)[:, 0], [0, 1 / 8, 2 / 8, 3 / 8])
    assert np.isnan(rates(Warmup(3, then=OneCycle()), 0, 3, 9)[:, 1]).all()


@pytest.mark.parametrize("make", [*SCHEDULES.values(), *AVERAGES.values()])
def test_plain_data_and_back(make):
    one = make()
    home = Schedule if isinstance(one, Schedule) else Averaging
    written = json.loads(json.dumps(to_plain(one)))
    assert from_plain(home, written, "part") == one
    assert type(from_plain(home, {"type": written["type"]}, "part")) is make


def test_plain_data_within_plain_data():
    schedule = Warmup(0.23, 0.2, Linear(1.0, 0.07))
    assert to_plain(schedule) == {
        "type": "warm-up",
        "length": 0.23,
        "start": 0.2,
        "then": {"type": "linear", "start": 1.0, "end": 0.07, "length": 1.0},
    }
    assert from_plain(Schedule, to_plain(schedule), "schedule") == schedule


def nested(depth):
    inner = {"type": "constant"}
    for _ in range(depth):
        inner = {"type": "warm-up", "length": 1, "then": inner}
    return inner


@pytest.mark.parametrize(
    ("description", "message"),
    [
        (None, "schedule (=None) must be settings by name."),
        ([], "schedule (=[]) must be settings by name."),
        ({}, "Unknown schedule None. Known: constant, step, "),
        ({"type": "polynomial"}, "Unknown schedule 'polynomial'. Known: constant, step, "),
        ({"type": "cosin"}, "Unknown schedule 'cosin'. Did you mean 'cosine'? Known: constant, "),
        ({"type": ["step"]}, "Unknown schedule ['step']"),
        (
            {"type": "cosine", "begin": 1},
            "Cosine has no setting 'begin'. Did you mean 'end'?",
        ),
        ({"type": "cosine", "end": "x"}, "cosine: end (='x') must be a number, at least 0."),
        ({"type": "cosine", "end": -0.1}, "cosine: end (=-0.1) must be a number, at least 0."),
        ({"type": "step", "every": 0}, "step: every (=0) must be a whole number of steps, or a"),
        ({"type": "step", "every": 1.5}, "step: every (=1.5) must be a whole number of steps, or"),
        ({"type": "step", "every": True}, "step: every (=True) must be a whole number of steps"),
        ({"type": "step", "gamma": math.nan}, "step: gamma (=nan) must be a number, at least 0."),
        ({"type": "linear", "start": math.inf}, "linear: start (=inf) must be a number"),
        (
            {"type": "warm-up", "then": 3},
            "warm-up: then (=3) must be a neocog schedule: constant, step, ",
        ),
        ({"type": "one-cycle", "warmup": 2}, "one-cycle: warmup (=2) must be a part of the run"),
        (
            {"type": "one-cycle", "anneal": "sin"},
            "one-cycle: anneal (='sin') must be one of 'cos', ",
        ),
        ({"type": "one-cycle", "div_factor": 0}, "one-cycle: div_factor (=0) must be a positive"),
        ({"type": "one-cycle", "max_momentum": 1}, "one-cycle: max_momentum (=1) must be at le"),
        ({"type": "one-cycle", "three_phase": 1}, "one-cycle: three_phase (=1) must be true or"),
        (nested(9), "then is nested more than 8 levels deep."),
    ],
)
def test_descriptions_that_are_refused(description, message):
    with pytest.raises(NeocogError) as caught:
        from_plain(Schedule, description, "schedule")
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


# Averages


def test_lookahead_is_airbenchs():
    """Of 12 steps every fifth, d = 0.95⁵ · (n / 12)³, and all of it at the end."""
    found = decays(Lookahead(), 0, 12, 12)
    expected = np.full(12, np.nan)
    expected[4], expected[9] = 0.95**5 * (5 / 12) ** 3, 0.95**5 * (10 / 12) ** 3
    expected[11] = 1.0
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    np.testing.assert_array_equal(decays(Lookahead(), 3, 4, 12), found[3:7])
    # Where the last is one of every five, the weights are their average already.
    assert decays(Lookahead(), 0, 10, 10)[9] == pytest.approx(0.95**5)


def test_a_moving_average_is_pytorchs():
    torch = pytest.importorskip("torch")
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    model = torch.nn.Linear(1, 1, bias=False).double()
    averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    average = 5.0  # whatever stood there
    for decay in decays(EMA(0.9), 0, 10, 10):
        model.weight.data += 1.0
        averaged.update_parameters(model)
        average += (1 - decay) * (model.weight.item() - average)
        assert averaged.module.weight.item() == pytest.approx(average, rel=1e-12)
    np.testing.assert_array_equal(decays(EMA(0.9), 3, 2, 10), [0.9, 0.9])


def test_all_columns_of_a_run():
    table = rates_of_run(OneCycle(), Lookahead(), 3, 4, 20)
    np.testing.assert_array_equal(table[:, :2], rates(OneCycle(), 3, 4, 20)[:, :2])
    np.testing.assert_array_equal(table[:, 2], decays(Lookahead(), 3, 4, 20))
    assert np.isnan(table[:, 3]).all()
    assert np.isnan(rates_of_run(Constant(), None, 0, 4, 4)[:, 1:]).all()


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ({"type": "swa"}, "Unknown average 'swa'. Known: ema, lookahead."),
        ({"type": "ema", "decay": 1}, "EMA: decay (=1) must be at least 0 and below 1."),
        ({"type": "ema", "decay": None}, "EMA: decay (=None) must be at least 0 and below 1."),
        ({"type": "lookahead", "every": 0}, "Lookahead: every (=0) must be a whole number"),
        ({"type": "lookahead", "every": 2.5}, "Lookahead: every (=2.5) must be a whole number"),
        ({"type": "lookahead", "power": -1}, "Lookahead: power (=-1) must be a number, at least"),
    ],
)
def test_averages_that_are_refused(description, message):
    with pytest.raises(NeocogError) as caught:
        from_plain(Averaging, description, "average")
    assert str(caught.value).startswith(message)
