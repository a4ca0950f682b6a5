"""Functions that only limit their argument: y = min(max(x, low), high), where NaN stays NaN."""

from math import inf
from typing import Any

__all__ = ["LIMITS", "limited"]

#: The least and the largest result of each function.
LIMITS = {"identity": (-inf, inf), "relu": (0.0, inf), "relu6": (0.0, 6.0)}


def limited(emit: Any, value: Any, low: Any, high: Any) -> Any:
    """For blocks: a vector within the vectors `low` and `high`; NaN stays NaN."""
    value = emit.at_least(value, low)
    return emit.select(emit.greater(value, high), high, value)
