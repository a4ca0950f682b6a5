"""Optimizers: one step for one parameter, named as in ``torch.optim``.

Each takes the parameter p, its gradient g and its state, and returns the new ones. All state starts
as zeros. With `weight_decay` λ the gradient is g + λ · p unless stated otherwise. `step` is 1 for
the first step.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["adagrad_step", "adam_step", "adamw_step", "rmsprop_step", "sgd_step"]

Array = NDArray[Any]


def sgd_step(
    parameter: Array,
    gradient: Array,
    velocity: Array,
    lr: float,
    momentum: float = 0.0,
    *,
    weight_decay: float = 0.0,
    nesterov: bool = False,
) -> tuple[Array, Array]:
    """Momentum: v ← μ v + g, v from 0, then p ← p − lr · v. Returns (p, v).

    The form of ``torch.optim.SGD``: the rate is not part of the velocity. Without momentum it is
    p ← p − lr · g, a step against the gradient. With `nesterov` p ← p − lr · (g + μ v).
    """
    gradient = gradient + weight_decay * parameter
    velocity = momentum * velocity + gradient
    direction = gradient + momentum * velocity if nesterov else velocity
    return parameter - lr * direction, velocity


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
    *,
    weight_decay: float = 0.0,
) -> tuple[Array, Array, Array]:
    """A step size for every number, from running means of g and g². Returns (p, m, v).

    m ← β₁ m + (1 − β₁) g and v ← β₂ v + (1 − β₂) g², both from 0; then, with m̂ = m / (1 − β₁ᵗ)
    and v̂ = v / (1 − β₂ᵗ), p ← p − lr · m̂ / (√v̂ + ε). `step` is t, 1 for the first step.
    Kingma & Ba, "Adam" (2014), algorithm 1; ``torch.optim.Adam``.
    """
    gradient = gradient + weight_decay * parameter
    m = beta1 * m + (1 - beta1) * gradient
    v = beta2 * v + (1 - beta2) * gradient**2
    m_hat, v_hat = m / (1 - beta1**step), v / (1 - beta2**step)
    return parameter - lr * m_hat / (np.sqrt(v_hat) + eps), m, v


def adamw_step(
    parameter: Array,
    gradient: Array,
    m: Array,
    v: Array,
    step: int,
    lr: float = 0.001,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    *,
    weight_decay: float = 0.01,
) -> tuple[Array, Array, Array]:
    """p ← (1 − lr · λ) · p, then the step of `adam_step` with g alone. Returns (p, m, v).

    I. Loshchilov and F. Hutter, "Decoupled weight decay regularization" (2019).
    """
    decayed = (1 - lr * weight_decay) * parameter
    return adam_step(decayed, gradient, m, v, step, lr, beta1, beta2, eps)


def rmsprop_step(
    parameter: Array,
    gradient: Array,
    v: Array,
    velocity: Array,
    lr: float = 0.01,
    alpha: float = 0.99,
    eps: float = 1e-8,
    momentum: float = 0.0,
    *,
    weight_decay: float = 0.0,
) -> tuple[Array, Array, Array]:
    """v ← α v + (1 − α) g², b ← μ b + g / (√v + ε), p ← p − lr · b. Returns (p, v, b).

    `velocity` is b; without momentum it is g / (√v + ε) itself. G. Hinton's lecture 6 on neural
    networks (2012); ``torch.optim.RMSprop``, not centered.
    """
    gradient = gradient + weight_decay * parameter
    v = alpha * v + (1 - alpha) * gradient**2
    velocity = momentum * velocity + gradient / (np.sqrt(v) + eps)
    return parameter - lr * velocity, v, velocity


def adagrad_step(
    parameter: Array,
    gradient: Array,
    total: Array,
    step: int,
    lr: float = 0.01,
    lr_decay: float = 0.0,
    eps: float = 1e-10,
    *,
    weight_decay: float = 0.0,
) -> tuple[Array, Array]:
    """s ← s + g², p ← p − lr / (1 + (t − 1) · lr_decay) · g / (√s + ε). Returns (p, s).

    `total` is s, `step` t. J. Duchi, E. Hazan and Y. Singer, "Adaptive subgradient methods" (2011).
    """
    gradient = gradient + weight_decay * parameter
    total = total + gradient**2
    rate = lr / (1 + (step - 1) * lr_decay)
    return parameter - rate * gradient / (np.sqrt(total) + eps), total
