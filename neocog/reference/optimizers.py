"""Optimisers: one step for one parameter."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["adam_step", "sgd_step"]

Array = NDArray[Any]


def sgd_step(
    parameter: Array, gradient: Array, velocity: Array, lr: float, momentum: float = 0.0
) -> tuple[Array, Array]:
    """Momentum: v ← μ v + g, v from 0, then p ← p − lr · v. Returns (p, v).

    The form of ``torch.optim.SGD``: the rate stands outside the velocity. Without momentum it is
    p ← p − lr · g, a step against the gradient.
    """
    velocity = momentum * velocity + gradient
    return parameter - lr * velocity, velocity


def adam_step(
    parameter: Array,
    gradient: Array,
    m: Array,
    v: Array,
    step: int,
    lr: float = 0.001,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
) -> tuple[Array, Array, Array]:
    """A rate of its own for every number, from running means of g and g². Returns (p, m, v).

    m ← β₁ m + (1 − β₁) g and v ← β₂ v + (1 − β₂) g², both from 0; then, with m̂ = m / (1 − β₁ᵗ)
    and v̂ = v / (1 − β₂ᵗ), p ← p − lr · m̂ / (√v̂ + ε). `step` is t, 1 for the first step.
    Kingma & Ba, "Adam" (2014), algorithm 1; ``torch.optim.Adam``.
    """
    m = beta1 * m + (1 - beta1) * gradient
    v = beta2 * v + (1 - beta2) * gradient**2
    m_hat, v_hat = m / (1 - beta1**step), v / (1 - beta2**step)
    return parameter - lr * m_hat / (np.sqrt(v_hat) + eps), m, v
