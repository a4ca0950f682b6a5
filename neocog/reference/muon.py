"""Muon: momentum whose matrix is made nearly orthogonal.

K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024); the script
``airbench94_muon.py``, which also normalizes every weight.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["muon_step", "newton_schulz"]

Array = NDArray[Any]

# Coefficients of the quintic a·s + b·s³ + c·s⁵ that drives every singular value s in (0, 1] toward
# 1; they have the largest slope at 0 for which the values end between about 0.7 and 1.2.
_A, _B, _C = 3.4445, -4.7750, 2.0315


def newton_schulz(g: Array, iterations: int = 5, eps: float = 1e-7) -> Array:
    """About U Vᵀ for a matrix g = U Σ Vᵀ: singular values become about 1, singular vectors stay.

    X₀ = g / (‖g‖ + ε) with the Frobenius norm, then `iterations` times
    X ← a X + b (X Xᵀ) X + c (X Xᵀ)² X. It is done on the transpose if that has fewer rows, which
    only saves work.
    """
    wide = g if g.shape[0] <= g.shape[1] else g.T
    x: Array = wide / (np.sqrt((wide * wide).sum()) + eps)
    for _ in range(iterations):
        squares = x @ x.T
        x = _A * x + (_B * squares + _C * squares @ squares) @ x
    return x if g.shape[0] <= g.shape[1] else x.T


def muon_step(
    parameter: Array,
    gradient: Array,
    velocity: Array,
    lr: float,
    momentum: float = 0.95,
    *,
    nesterov: bool = True,
    iterations: int = 5,
    weight_decay: float = 0.0,
    renormalize: bool = False,
) -> tuple[Array, Array]:
    """v ← μ v + g, p ← (1 − lr · λ) · p − lr · newton_schulz(g + μ v). Returns (p, v).

    Without `nesterov` it is newton_schulz(v). Weights [out, …] with any further dimensions are
    treated as matrices [out, in · kh · kw]. λ is `weight_decay`. With `renormalize` p is first
    scaled to √out / ‖p‖ · p, as in airbench.
    """
    velocity = momentum * velocity + gradient
    direction = gradient + momentum * velocity if nesterov else velocity
    if renormalize:
        parameter = parameter * (len(parameter) ** 0.5 / np.sqrt((parameter * parameter).sum()))
    update = newton_schulz(direction.reshape(len(direction), -1), iterations)
    decayed = (1 - lr * weight_decay) * parameter
    return decayed - lr * update.reshape(parameter.shape), velocity
