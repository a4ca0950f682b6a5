"""How many pixels make up one of a smaller image; see `resample`."""

from math import ceil

__all__ = ["most_taps"]


def most_taps(side: int, wanted: int) -> int:
    """The most pixels that make up a new one, where at most `side` become `wanted`."""
    return 2 * ceil(max(side / wanted, 1.0)) + 1
