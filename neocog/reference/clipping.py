"""Gradient clipping."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["clip_by_norm", "global_norm"]

Array = NDArray[Any]


def global_norm(gradients: Mapping[str, Array]) -> float:
    """√ Σ g² over all numbers of all gradients."""
    return float(np.sqrt(sum((g * g).sum() for g in gradients.values())))


def clip_by_norm(gradients: Mapping[str, Array], most: float) -> dict[str, Array]:
    """g · min(1, most / (norm + 10⁻⁶)), where norm is that of all gradients together.

    As ``torch.nn.utils.clip_grad_norm_``; R. Pascanu et al., "On the difficulty of training
    recurrent neural networks" (2013).
    """
    factor = min(1.0, most / (global_norm(gradients) + 1e-6))
    return {name: factor * g for name, g in gradients.items()}
