"""Functions that only limit their argument, which kernels compute of their results for nothing."""

from math import inf

__all__ = ["LIMITS"]

#: The least and the largest result.
LIMITS = {"identity": (-inf, inf), "relu": (0.0, inf), "relu6": (0.0, 6.0)}
