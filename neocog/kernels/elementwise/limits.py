"""Functions that only limit their argument: y = min(max(x, low), high), where NaN stays NaN."""

from math import inf

__all__ = ["LIMITS"]

#: The least and the largest result of each function.
LIMITS = {"identity": (-inf, inf), "relu": (0.0, inf), "relu6": (0.0, 6.0)}
