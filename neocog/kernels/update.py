"""The optimisers' steps, element by element, against the gradient.

    SGD with momentum       v ← μ v + g,   w ← w − η v
    Adam                    m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²
                            w ← w − η / (1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ε)

As `torch.optim` has them (`neocog.reference.sgd_step`, `adam_step`); D. P. Kingma and J. Ba, 2014.
"""

from dataclasses import dataclass
from math import sqrt

from neocog.kernels.compiling import kernel
from neocog.kernels.simd import (
    DOUBLES,
    FLOATS,
    LANES,
    LONGS,
    advance,
    block,
    float32,
    nothing,
    pointer,
)

__all__ = ["Update", "adam_step", "sgd_step"]


@dataclass(frozen=True)
class Update:
    """A parameter whose items are so many floats, a whole number of vectors."""

    item: int


@block(nothing)
def sgd(e, s, rate, momentum, w, g, v):
    """One vector of SGD with momentum."""
    velocity = e.fma(e.splat(momentum), e.load(v), e.load(g))
    e.store(velocity, v)
    e.store(e.fma(e.splat(rate), velocity, e.load(w)), w)


@kernel
def sgd_step(s, operands, first, count):
    """Items first … first + count. Operands: w, g, settings (η, μ), v."""
    w = pointer(operands, 0, FLOATS)
    g = pointer(operands, 1, FLOATS)
    settings = pointer(operands, 2, DOUBLES)
    v = pointer(operands, 3, FLOATS)
    rate, momentum = float32(-settings[0]), float32(settings[1])
    for at in range(first * s.item, (first + count) * s.item, LANES):
        sgd(s, rate, momentum, advance(w, at), advance(g, at), advance(v, at))


@block(nothing)
def adam(e, s, rate, add1, keep2, add2, correction, epsilon, w, g, m, v):
    """One vector of Adam; `rate` is −η / (1 − β₁ᵗ), `add1` 1 − β₁, `correction` 1 / √(1 − β₂ᵗ)."""
    slope, mean, square = e.load(g), e.load(m), e.load(v)
    mean = e.fma(e.splat(add1), e.sub(slope, mean), mean)
    square = e.fma(e.splat(add2), e.mul(slope, slope), e.mul(e.splat(keep2), square))
    e.store(mean, m)
    e.store(square, v)
    root = e.fma(e.sqrt(square), e.splat(correction), e.splat(epsilon))
    e.store(e.fma(e.splat(rate), e.div(mean, root), e.load(w)), w)


@kernel
def adam_step(s, operands, first, count):
    """Items first … first + count. Operands: w, g, settings (η, β₁, β₂, ε), m, v, the step."""
    w = pointer(operands, 0, FLOATS)
    g = pointer(operands, 1, FLOATS)
    settings = pointer(operands, 2, DOUBLES)
    m = pointer(operands, 3, FLOATS)
    v = pointer(operands, 4, FLOATS)
    t = pointer(operands, 5, LONGS)[2] + 1
    keep1, keep2 = settings[1], settings[2]
    rate = float32(-settings[0] / (1.0 - keep1**t))
    correction = float32(1.0 / sqrt(1.0 - keep2**t))
    epsilon = float32(settings[3])
    for at in range(first * s.item, (first + count) * s.item, LANES):
        adam(
            s,
            rate,
            float32(1.0 - keep1),
            float32(keep2),
            float32(1.0 - keep2),
            correction,
            epsilon,
            advance(w, at),
            advance(g, at),
            advance(m, at),
            advance(v, at),
        )
