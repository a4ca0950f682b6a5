"""Functions that only limit their argument, which kernels compute of their results for nothing."""

from math import inf

__all__ = ["LIMITS", "Limited"]

#: The least and the largest result.
LIMITS = {"identity": (-inf, inf), "relu": (0.0, inf), "relu6": (0.0, 6.0)}


class Limited:
    """What specs have in common whose results a function limits.

    Attributes:
        function: its name.
    """

    function: str

    @property
    def limits(self) -> tuple[float, float]:
        """The least and the largest result."""
        return LIMITS[self.function]

    @property
    def low(self) -> float:
        """The least result."""
        return self.limits[0]

    @property
    def high(self) -> float:
        """The largest result."""
        return self.limits[1]

    @property
    def is_limited(self) -> bool:
        """Whether results are limited."""
        return self.limits != LIMITS["identity"]
