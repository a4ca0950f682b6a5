"""Averages of weights over the steps of training."""

from typing import Any

from numpy.typing import NDArray

__all__ = ["ema_step", "lookahead_step"]

Array = NDArray[Any]


def ema_step(average: Array, parameter: Array, decay: float) -> Array:
    """A ← decay · A + (1 − decay) · p, A from the first p: the exponential moving average."""
    return decay * average + (1 - decay) * parameter


def lookahead_step(slow: Array, fast: Array, alpha: float) -> tuple[Array, Array]:
    """s ← s + α · (f − s), then f ← s, done once every few steps of f. Returns (s, f).

    M. Zhang et al., "Lookahead optimizer: k steps forward, 1 step back" (2019).
    """
    slow = slow + alpha * (fast - slow)
    return slow, slow.copy()
