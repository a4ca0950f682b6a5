"""The random numbers of `neocog.kernels.random`, in NumPy: functions of a seed and counters.

What neocog's kernels draw in a step, PyTorch is given, too, so that both engines drop the same
elements and mix the same labels, and a run that goes on needs no state of a random generator.
"""

from math import cos, log, pi, sqrt

import numpy as np
from numpy.typing import NDArray

__all__ = ["drawn_mixing", "random_bits", "uniform"]

Bits = NDArray[np.uint64]

_G = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
# Purposes of a batch's random numbers, as in `neocog.kernels.input.mixup`.
_ROTATION, _FIRST_GAMMA, _SECOND_GAMMA = 0, 1, 2


def _mix(z: Bits) -> Bits:
    z = (z ^ (z >> np.uint64(30))) * _FIRST
    z = (z ^ (z >> np.uint64(27))) * _SECOND
    return z ^ (z >> np.uint64(31))


def _bits(number: int | Bits | NDArray[np.int64]) -> Bits:
    """As uint64 of at least one dimension, whose arithmetic is modulo 2⁶⁴ without a warning."""
    if isinstance(number, int):
        return np.array([number & 0xFFFFFFFFFFFFFFFF], np.uint64)
    return np.atleast_1d(number).astype(np.uint64)


def random_bits(seed: int | Bits, a: int | NDArray[np.int64], b: int) -> Bits:
    """64 random bits as a function of three integers, uint64 [n] for arrays of n."""
    z = _mix(_bits(seed) + _G)
    z = _mix(z + _G * (_bits(a) + np.uint64(1)))
    return _mix(z + _G * (_bits(b) + np.uint64(1)))


def uniform(seed: int | Bits, a: int, b: int) -> float:
    """A random number, 0 ≤ u < 1, as a function of three integers."""
    return float(random_bits(seed, a, b)[0] >> np.uint64(11)) * 2.0**-53


def drawn_mixing(alpha: float, seed: int, epoch: int, begin: int, images: int) -> tuple[float, int]:
    """λ and r of a batch in mixup; see `neocog.kernels.input.mixup`.

    Args:
        alpha: α of the distribution Beta(α, α) of λ.
        seed: of the augmentation.
        epoch: begun so far.
        begin: the position of the batch's first image in the epoch's order.
        images: in the batch.
    """
    key = random_bits(seed, epoch, -1 - begin)
    rotation = 1 + int(uniform(key, _ROTATION, 0) * (images - 1)) if images > 1 else 0
    difference = _log_gamma(alpha, key, _SECOND_GAMMA) - _log_gamma(alpha, key, _FIRST_GAMMA)
    with np.errstate(over="ignore"):
        return float(1.0 / (1.0 + np.exp(np.float64(difference)))), rotation


def _log_gamma(alpha: float, key: Bits, purpose: int) -> float:
    d = alpha + 1.0 - 1.0 / 3.0
    c = 1.0 / sqrt(9.0 * d)
    boost = log(1.0 - uniform(key, purpose, 0)) / alpha
    at = 1
    while True:
        radius = sqrt(-2.0 * log(1.0 - uniform(key, purpose, at)))
        normal = radius * cos(2.0 * pi * uniform(key, purpose, at + 1))
        u = 1.0 - uniform(key, purpose, at + 2)
        at += 3
        v = 1.0 + c * normal
        if v > 0.0:
            log_v = 3.0 * log(v)
            if log(u) < 0.5 * normal * normal + d - d * v * v * v + d * log_v:
                return log(d) + log_v + boost
