"""Parts of a run in whole steps: a fraction that a person writes, times a number of steps.

    down    ⌊f · n⌋        up    ⌈f · n⌉

for the fraction that is meant. What arrives is the nearest float64, and its product is rounded once
more: 0.29 · 100 comes out as 28.999999999999996 and 0.1 · 30 as 3.0000000000000004. Each of the two
roundings moves the product p by at most p · 2⁻⁵³, so a whole number within p · 2⁻⁵² of it is what
was meant, or cannot be told from it. A fraction a / b whose product is not whole is at least 1 / b
away from one, which is further for every b below 2⁵² / p.
"""

from math import ceil, floor

__all__ = ["round_down", "round_up"]

_ROUNDING = 2.0**-52


def round_down(fraction: float, count: int) -> int:
    """⌊fraction · count⌋."""
    product = fraction * count
    return _whole(product) or floor(product)


def round_up(fraction: float, count: int) -> int:
    """⌈fraction · count⌉."""
    product = fraction * count
    return _whole(product) or ceil(product)


def _whole(product: float) -> int:
    """The whole number that a product is but for rounding; 0 if it is none."""
    nearest = round(product)
    return nearest if abs(product - nearest) <= _ROUNDING * product else 0
