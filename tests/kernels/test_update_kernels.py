"""The update kernels alone against `neocog.reference` in float64; see `cases`."""

import numpy as np
import pytest
from cases import double, generator, real
from kernel_caller import (
    TINY,
    assert_within,
    call,
    flat,
    rounding,
    step,
)

from neocog import reference
from neocog.kernels.update import Update, adam_step, sgd_step

ITEM, ITEMS = 48, 5


def state(rng, scale=1.0):
    return flat(real(rng, ITEMS * ITEM) * scale)


def run_update(kernel, operands):
    """Items 1 … 4 of five, in two calls; the first and the last must stay."""
    before = [o.items.copy() for o in operands]
    call(kernel, Update(ITEM), operands, 1, first=1)
    call(kernel, Update(ITEM), operands, 2, first=2)
    for buffer, old in zip(operands, before, strict=True):
        if buffer.items.dtype == np.float32:
            for end in (slice(0, ITEM), slice(-ITEM, None)):
                np.testing.assert_array_equal(buffer.items[0, end], old[0, end])
    middle = slice(ITEM, -ITEM)
    return [double(old[0, middle]) for old in before if old.dtype == np.float32]


@pytest.mark.parametrize(("lr", "momentum"), [(0.001, 0.9), (0.3, 0.0), (7.0, 0.99)])
def test_sgd_step(lr, momentum):
    rng = generator(lr, momentum)
    operands = w, _g, _settings, v = (
        state(rng),
        state(rng),
        flat([lr, momentum], np.float64),
        state(rng),
    )
    old_w, old_g, old_v = run_update(sgd_step, operands)
    new_w, new_v = reference.sgd_step(old_w, old_g, old_v, lr, momentum)
    middle = slice(ITEM, -ITEM)
    # μ is rounded, the product may be, and so is the sum.
    v_bound = rounding(3, np.abs(momentum * old_v) + np.abs(old_g))
    assert_within(v.items[0, middle], new_v, v_bound)
    w_bound = rounding(3, np.abs(old_w) + lr * np.abs(new_v)) + 1.001 * lr * v_bound
    assert_within(w.items[0, middle], new_w, w_bound)


@pytest.mark.parametrize("taken", [0, 1, 1000])
@pytest.mark.parametrize("settings_", [(0.001, 0.9, 0.999, 1e-8), (0.1, 0.5, 0.5, 1e-3)])
def test_adam_step(taken, settings_):
    lr, beta1, beta2, eps = settings_
    rng = generator(taken, settings_)
    w, g, m = state(rng), state(rng), state(rng)
    v = flat(np.abs(real(rng, ITEMS * ITEM)))
    if taken == 0:
        m.items[:], v.items[:] = 0, 0
    operands = w, g, flat(settings_, np.float64), m, v, step(1, taken=taken)
    old_w, old_g, old_m, old_v = run_update(adam_step, operands)
    new_w, new_m, new_v = reference.adam_step(
        old_w, old_g, old_m, old_v, taken + 1, lr, beta1, beta2, eps
    )
    middle = slice(ITEM, -ITEM)
    # A β rounded to float32 is off by u, which is what its 1 − β is off by, too.
    m_bound = rounding(4, np.abs(old_m) + np.abs(old_g - old_m))
    v_bound = rounding(4, old_v + old_g**2)
    assert_within(m.items[0, middle], new_m, m_bound)
    assert_within(v.items[0, middle], new_v, v_bound)
    m_hat, v_hat = new_m / (1 - beta1 ** (taken + 1)), new_v / (1 - beta2 ** (taken + 1))
    root = np.sqrt(v_hat) + eps
    part_v = v_bound / np.maximum(new_v, TINY) / 2
    part = rounding(8, 1.0) + part_v
    moved = lr * (np.abs(m_hat) * part + m_bound / (1 - beta1 ** (taken + 1))) / root
    assert_within(
        w.items[0, middle], new_w, 1.01 * moved + rounding(2, np.abs(new_w) + np.abs(old_w))
    )
