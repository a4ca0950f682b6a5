"""Numbers as the page's sentences write them."""

import math

__all__ = ["by", "counted", "number", "one_or_both"]

# The relative precision of float32: two numbers that are closer are the same float32.
_ROUNDING = 2.0**-24


def number(value: float) -> str:
    """A short decimal in full, any other number with three significant digits.

    Negative numbers have a true minus sign, very large and small ones a power of ten.
    """
    text = f"{value:.5g}"
    if not math.isclose(float(text), value, rel_tol=_ROUNDING):
        text = f"{value:.3g}"
    if "e" in text:
        mantissa, _, power = text.partition("e")
        raised = str(int(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        ten = f"10{raised}"
        text = mantissa.replace("1", ten) if mantissa in ("1", "-1") else f"{mantissa}·{ten}"
    return text.replace("-", "−")


def counted(count: int, noun: str) -> str:
    """A count with its noun: ``1 channel``, ``1,024 channels``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def by(pair: tuple[int, ...]) -> str:
    """Two sizes: ``3 × 2``."""
    return f"{pair[0]} × {pair[1]}"


def one_or_both(pair: tuple[int, ...]) -> str:
    """Two sizes, or one if they are equal: ``3 × 2``, ``3``."""
    return str(pair[0]) if pair[0] == pair[1] else by(pair)
