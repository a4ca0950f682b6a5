"""The update kernels alone against `neocog.reference` and `torch.optim`, both in float64."""

from dataclasses import dataclass

import numpy as np
import pytest
from cases import double, generator, in_parts, real, sizes
from hypothesis import given
from hypothesis import strategies as st
from kernel_caller import (
    Buffer,
    assert_within,
    call,
    flat,
    rounding,
    step,
)

from neocog.kernels.compiler.spec import kind_of
from neocog.kernels.optimizer.update import (
    RATES,
    Update,
    adagrad_update,
    adam_update,
    kinds,
    rmsprop_update,
    sgd_update,
)

try:  # nothing here is skipped without it: the formulas are written out below
    import torch
except ImportError:
    torch = None

ITEM, ITEMS = 48, 5
FLAGS = ("nesterov", "decay", "decoupled", "clipped")


def state(rng, scale=1.0):
    return flat(real(rng, ITEMS * ITEM) * scale)


def states_of(kernel):
    """The names of a kernel's operands that are arrays of its state."""
    return [name for name in kernel.operands if name in ("m", "v", "b")]


@pytest.mark.parametrize("kernel", [sgd_update, adam_update, rmsprop_update, adagrad_update])
@sizes(10)
@given(vectors=st.integers(1, 9), middle=st.integers(1, 4), flags=st.sets(st.sampled_from(FLAGS)))
def test_an_update_touches_only_its_items(kernel, vectors, middle, flags):
    """All items but the first and the last, in two calls; those stay as they are."""
    item, items = 16 * vectors, middle + 2
    rng = generator(kernel.__name__, vectors, middle)
    w, g = flat(real(rng, items * item)), flat(real(rng, items * item))
    kept = {name: flat(np.abs(real(rng, items * item))) for name in states_of(kernel)}
    settings_ = flat([0.1, 0.01, 0.9, 0.9, 1e-3, 0.0, 0.0, 0.0], np.float64)
    rates = flat([1.0, *[np.nan] * (RATES - 1)], np.float64)
    of = {"w": w, "g": g, "settings": settings_, "rates": rates, "step": step(1), **kept}
    changing = [w, *(kept[name] for name in states_of(kernel)[:1])]
    before = [buffer.items.copy() for buffer in changing]
    spec = Update(item, **dict.fromkeys(flags, True))
    for first, count in in_parts(middle):
        call(kernel, spec, count=count, first=1 + first, clip=flat([0.5], np.float64), **of)
    for buffer, old in zip(changing, before, strict=True):
        for end in (slice(0, item), slice(-item, None)):
            np.testing.assert_array_equal(buffer.items[0, end], old[0, end])
        # A small gradient may not change a large number.
        assert (buffer.items[0, item:-item] != old[0, item:-item]).mean() > 0.5


@given(flags=st.sets(st.sampled_from(["momentum", *FLAGS])), item=st.integers(1, 999))
def test_no_option_makes_another_kind(flags, item):
    spec = Update(item, **dict.fromkeys(flags, True))
    listed = {(kernel, kind_of(spec)) for kernel, spec in kinds()}
    for kernel in (sgd_update, adam_update, rmsprop_update, adagrad_update):
        assert (kernel, kind_of(spec)) in listed


# Twenty steps beside `torch.optim` in float64. Every error is passed on from step to step: a name
# that ends in `_off` is the most by which the kernel's number may be off.

STEPS = 20
MIDDLE = slice(ITEM, -ITEM)


class TorchOptimizer:
    """One of PyTorch's, in float64."""

    def __init__(self, w, kind, lr, arguments):
        self._w = torch.nn.Parameter(torch.tensor(w))
        self._optimizer = getattr(torch.optim, kind)([self._w], lr=lr, **arguments)

    def step(self, gradient, lr, momentum):
        group = self._optimizer.param_groups[0]
        group["lr"] = lr
        if "momentum" in group:
            group["momentum"] = momentum
        if "betas" in group:
            group["betas"] = (momentum, group["betas"][1])
        self._w.grad = torch.tensor(gradient)
        self._optimizer.step()
        return self._w.detach().numpy()


@dataclass
class Moving:
    """One parameter on its way, exactly and with the most that float32 may be off."""

    w: np.ndarray
    w_off: np.ndarray
    states: list
    offs: list


def gradient_of(moving, g, clip, decay):
    """The gradient after clipping and L2, and how far off it may be."""
    slope = clip * g + decay * moving.w
    off = rounding(4, np.abs(clip * g) + np.abs(decay * moving.w)) + decay * moving.w_off
    return slope, off


def move(moving, direction, off, rate, left=1.0):
    """w ← left · w − rate · direction, in as many roundings as any kernel takes."""
    new = left * moving.w - rate * direction
    size = np.abs(moving.w) + rate * np.abs(direction)
    moving.w_off = moving.w_off + 1.001 * rate * off + rounding(6, size)
    moving.w = new


def quotient_off(top, top_off, square, square_off, factor, eps):
    """How far off top / (factor · √square + ε) may be."""
    root = factor * np.sqrt(square) + eps
    with np.errstate(divide="ignore", invalid="ignore"):
        slack = np.fmin(np.sqrt(square_off), square_off / np.sqrt(square))
    root_off = factor * slack + rounding(4, root)
    assert (root_off < root).all()
    value = np.abs(top) / root
    return (top_off + value * root_off) / (root - root_off) + rounding(3, value)


def sgd_off(moving, g, g_off, rate, momentum, s, settings_, t):
    direction, off = g, g_off
    if s.momentum:
        [v], [v_off] = moving.states, moving.offs
        new = momentum * v + g
        v_off = momentum * v_off + g_off + rounding(3, np.abs(momentum * v) + np.abs(g))
        moving.states, moving.offs = [new], [v_off]
        direction, off = new, v_off
        if s.nesterov:
            direction = g + momentum * new
            off = g_off + momentum * v_off + rounding(3, np.abs(g) + np.abs(momentum * new))
    move(moving, direction, off, rate)


def adam_off(moving, g, g_off, rate, momentum, s, settings_, t):
    decay, beta2, eps = settings_[1], settings_[3], settings_[4]
    (m, v), (m_off, v_off) = moving.states, moving.offs
    m_new = momentum * m + (1 - momentum) * g
    v_new = beta2 * v + (1 - beta2) * g**2
    # A β rounded to float32 is off by u, which is what its 1 − β is off by, too.
    m_off = momentum * m_off + (1 - momentum) * g_off + rounding(4, np.abs(m) + np.abs(g - m))
    v_off = beta2 * v_off + (1 - beta2) * (2 * np.abs(g) + g_off) * g_off
    v_off = v_off + rounding(4, v + g**2)
    moving.states, moving.offs = [m_new, v_new], [m_off, v_off]
    factor = 1 / np.sqrt(1 - beta2**t)
    off = quotient_off(m_new, m_off, v_new, v_off, factor, eps)
    direction = m_new / (factor * np.sqrt(v_new) + eps)
    left = 1 - rate * decay if s.decoupled else 1.0
    move(moving, direction, off, rate / (1 - momentum**t), left)


def rmsprop_off(moving, g, g_off, rate, momentum, s, settings_, t):
    alpha, eps = settings_[3], settings_[4]
    (v, *rest), (v_off, *rest_off) = moving.states, moving.offs
    new = alpha * v + (1 - alpha) * g**2
    v_off = alpha * v_off + (1 - alpha) * (2 * np.abs(g) + g_off) * g_off
    v_off = v_off + rounding(4, v + g**2)
    direction = g / (np.sqrt(new) + eps)
    off = quotient_off(g, g_off, new, v_off, 1.0, eps)
    moving.states, moving.offs = [new], [v_off]
    if s.momentum:
        [b], [b_off] = rest, rest_off
        off = momentum * b_off + off + rounding(3, np.abs(momentum * b) + np.abs(direction))
        direction = momentum * b + direction
        moving.states, moving.offs = [new, direction], [v_off, off]
    move(moving, direction, off, rate)


def adagrad_off(moving, g, g_off, rate, momentum, s, settings_, t):
    delta, eps = settings_[2], settings_[3]
    [v], [v_off] = moving.states, moving.offs
    new = v + g**2
    v_off = v_off + (2 * np.abs(g) + g_off) * g_off + rounding(2, new)
    moving.states, moving.offs = [new], [v_off]
    off = quotient_off(g, g_off, new, v_off, 1.0, eps)
    move(moving, g / (np.sqrt(new) + eps), off, rate / (1 + (t - 1) * delta))


# Kernel, spec, settings (η, λ, …), `torch.optim`'s class with its arguments, what is off, and what
# the states begin with.
WITHOUT = {"momentum": False}
CASES = {
    "SGD": (sgd_update, WITHOUT, (0.1, 0, 0), ("SGD", {}), sgd_off, []),
    "SGD, L2": (
        sgd_update,
        {"momentum": False, "decay": True},
        (0.1, 0.02, 0),
        ("SGD", {"weight_decay": 0.02}),
        sgd_off,
        [],
    ),
    "SGD, momentum": (
        sgd_update,
        {},
        (0.1, 0, 0.9),
        ("SGD", {"momentum": 0.9}),
        sgd_off,
        [0.0],
    ),
    "SGD, Nesterov, L2": (
        sgd_update,
        {"nesterov": True, "decay": True},
        (0.1, 0.02, 0.85),
        ("SGD", {"momentum": 0.85, "nesterov": True, "weight_decay": 0.02}),
        sgd_off,
        [0.0],
    ),
    "Adam": (
        adam_update,
        {},
        (0.01, 0, 0.9, 0.999, 1e-8),
        ("Adam", {}),
        adam_off,
        [0.0, 0.0],
    ),
    "Adam, L2": (
        adam_update,
        {"decay": True},
        (0.01, 0.1, 0.8, 0.99, 1e-6),
        ("Adam", {"weight_decay": 0.1, "betas": (0.8, 0.99), "eps": 1e-6}),
        adam_off,
        [0.0, 0.0],
    ),
    "AdamW": (
        adam_update,
        {"decay": True, "decoupled": True},
        (0.01, 0.1, 0.9, 0.999, 1e-8),
        ("AdamW", {"weight_decay": 0.1}),
        adam_off,
        [0.0, 0.0],
    ),
    "RMSprop": (
        rmsprop_update,
        WITHOUT,
        (0.01, 0, 0, 0.99, 1e-8),
        ("RMSprop", {}),
        rmsprop_off,
        [0.0],
    ),
    "RMSprop, momentum, L2": (
        rmsprop_update,
        {"decay": True},
        (0.01, 0.1, 0.9, 0.9, 1e-3),
        ("RMSprop", {"momentum": 0.9, "alpha": 0.9, "eps": 1e-3, "weight_decay": 0.1}),
        rmsprop_off,
        [0.0, 0.0],
    ),
    "Adagrad": (
        adagrad_update,
        WITHOUT,
        (0.01, 0, 0, 1e-10),
        ("Adagrad", {}),
        adagrad_off,
        [0.0],
    ),
    "Adagrad, L2": (
        adagrad_update,
        {"momentum": False, "decay": True},
        (0.1, 0.1, 0.05, 1e-10),
        ("Adagrad", {"lr_decay": 0.05, "weight_decay": 0.1, "initial_accumulator_value": 0.5}),
        adagrad_off,
        [0.5],
    ),
}


def run_middle(kernel, s, **operands):
    """Items 1 … 4 of five, in two calls."""
    call(kernel, s, first=1, **operands)
    call(kernel, s, count=2, first=2, **operands)


@pytest.mark.parametrize("clipped", [False, True])
@pytest.mark.parametrize("cycled", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_twenty_steps(name, cycled, clipped):
    """`cycled`: rates and momentum from the table, as one-cycle moves them."""
    kernel, flags, settings_, (kind, arguments), off_of, begin = CASES[name]
    s = Update(ITEM, clipped=clipped, **flags)
    rng = generator(name, cycled, clipped)
    lr, own = settings_[0], settings_[2]
    moves_momentum = cycled and own > 0 and kind != "Adagrad"
    factors = rng.uniform(0.1, 1, STEPS) if cycled else np.ones(STEPS)
    momenta = rng.uniform(0.5, 0.95, STEPS) if moves_momentum else np.full(STEPS, np.nan)
    rates = Buffer(STEPS, RATES, np.float64)
    rates.items[:, 0], rates.items[:, 1], rates.items[:, 2:] = factors, momenta, np.nan
    w, g = state(rng), state(rng)
    states = [flat(np.full(ITEMS * ITEM, value)) for value in begin]
    ends = [b.items.copy() for b in (w, *states)]
    settings8 = flat([*settings_, *[np.nan] * (8 - len(settings_))], np.float64)
    theirs = TorchOptimizer(double(w.items[0, MIDDLE]), kind, lr, arguments) if torch else None
    zero = np.zeros(ITEM * (ITEMS - 2))
    moving = Moving(
        double(w.items[0, MIDDLE]), zero, [zero + v for v in begin], [zero for _ in begin]
    )
    for t in range(STEPS):
        g.items[:] = real(rng, ITEMS * ITEM)
        factor = rng.uniform(0.1, 1) if clipped else 1.0
        row = (t + 7) % STEPS  # a run of its own, while the optimizer's steps go on
        words = step(1, taken=t, done=row)
        clip = flat([factor], np.float64) if clipped else None
        kept = dict(zip(states_of(kernel), states, strict=False))
        of = {"w": w, "g": g, "settings": settings8, "rates": rates, "step": words, "clip": clip}
        run_middle(kernel, s, **of, **kept)
        momentum = momenta[row] if moves_momentum else own
        l2 = 0.0 if s.decoupled or not s.decay else settings_[1]
        slope, off = gradient_of(moving, double(g.items[0, MIDDLE]), factor, l2)
        off_of(moving, slope, off, lr * factors[row], momentum, s, settings_, t + 1)
        if theirs is not None:
            # The formulas above are PyTorch's, so that what they say of errors is, too.
            gradient = factor * double(g.items[0, MIDDLE])
            wanted = theirs.step(gradient, lr * factors[row], momentum)
            np.testing.assert_allclose(moving.w, wanted, rtol=1e-11, atol=1e-13)
        assert_within(w.items[0, MIDDLE], moving.w, moving.w_off)
        for buffer, value, state_off in zip(states, moving.states, moving.offs, strict=True):
            assert_within(buffer.items[0, MIDDLE], value, state_off)
    for buffer, old in zip((w, *states), ends, strict=True):
        for end in (slice(0, ITEM), slice(-ITEM, None)):
            np.testing.assert_array_equal(buffer.items[0, end], old[0, end])
    # Small beside the way the parameter went, or it would prove nothing.
    way = np.abs(moving.w - double(ends[0][0, MIDDLE]))
    assert np.median(moving.w_off) < 1e-3 * np.median(way)


def test_numbers_that_are_not_finite_pass():
    """As through the formula; without weight decay an infinite weight is no NaN."""
    rng = generator("wild")
    for kernel in (sgd_update, adam_update, rmsprop_update):
        w, g = state(rng), state(rng)
        kept = {name: flat(np.abs(real(rng, ITEMS * ITEM))) for name in states_of(kernel)}
        g.items[0, ITEM + 3], g.items[0, ITEM + 4], w.items[0, ITEM + 5] = np.nan, np.inf, -np.inf
        rates = flat([1.0, np.nan, np.nan, np.nan], np.float64)
        settings8 = flat([0.1, 0, 0.9, 0.99, 1e-8, 0, 0, 0], np.float64)
        of = {"w": w, "g": g, "settings": settings8, "rates": rates, "step": step(1)}
        run_middle(kernel, Update(ITEM), **of, **kept)
        found = w.items[0, ITEM : ITEM + 8]
        assert np.isnan(found[3])
        # Adam and RMSprop divide infinity by infinity.
        assert found[4] == -np.inf if kernel is sgd_update else np.isnan(found[4])
        assert found[5] == -np.inf
        assert np.isfinite(found[[0, 1, 2, 6, 7]]).all()


@pytest.mark.parametrize("name", CASES)
def test_zeros_stay_zero(name):
    """What only fills a vector has no gradient, and never moves."""
    kernel, flags, settings_, _, _, begin = CASES[name]
    w, g = flat(np.zeros(ITEMS * ITEM)), flat(np.zeros(ITEMS * ITEM))
    states = [flat(np.full(ITEMS * ITEM, value)) for value in begin]
    rates = flat([1.0, np.nan, np.nan, np.nan], np.float64)
    settings8 = flat([*settings_, *[np.nan] * (8 - len(settings_))], np.float64)
    of = {"w": w, "g": g, "settings": settings8, "rates": rates, "step": step(1)}
    kept = dict(zip(states_of(kernel), states, strict=False))
    run_middle(kernel, Update(ITEM, **flags), **of, **kept)
    np.testing.assert_array_equal(w.items, np.zeros_like(w.items))
