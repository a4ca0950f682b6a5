"""What the sentences of views measure in a layer's maps."""

import numpy as np
from numpy.typing import NDArray

from neocog.explanation.page.numbers import number

__all__ = ["largest", "place_of_largest", "value_range"]

Floats = NDArray[np.float32]


def place_of_largest(maps: Floats) -> tuple[int, ...]:
    """Where the number of the largest magnitude is: (channel, row, column)."""
    return tuple(int(n) for n in np.unravel_index(int(np.abs(maps).argmax()), maps.shape))


def largest(maps: Floats) -> str:
    """The number of the largest magnitude, with its sign."""
    return number(float(maps[place_of_largest(maps)]))


def value_range(values: Floats) -> str:
    """``from −1.5 to 2``."""
    return f"from {number(values.min())} to {number(values.max())}"
