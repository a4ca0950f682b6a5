"""How evenly pictures are distributed over the classes."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["TINY", "UNEVEN", "Balance", "find_balance"]

#: A class with fewer training pictures is tiny.
TINY = 20
#: The ratio of the largest class to the smallest from which on classes are uneven.
UNEVEN = 3.0


@dataclass(frozen=True)
class Balance:
    """Numbers of pictures per class; of training pictures, unless stated otherwise.

    Attributes:
        counts: pictures of each part and class: ``counts[part][class]``.
        largest: the largest class and its number of pictures.
        smallest: the smallest class that is not empty, and its number of pictures.
        empty: classes without training pictures.
        tiny: classes of fewer than `TINY` pictures.
        missing: for each part, the classes that are trained on but not in the part.
        majority: share of the largest class, 0 to 1: the accuracy of always predicting it.
    """

    counts: Mapping[str, Mapping[str, int]]
    largest: tuple[str, int]
    smallest: tuple[str, int]
    empty: tuple[str, ...]
    tiny: tuple[str, ...]
    missing: Mapping[str, tuple[str, ...]]
    majority: float

    @property
    def ratio(self) -> float:
        """Size of the largest class divided by that of the smallest."""
        return self.largest[1] / self.smallest[1]

    @property
    def uneven(self) -> bool:
        """Whether the classes are uneven enough that balancing them would matter."""
        return self.ratio >= UNEVEN


def find_balance(
    parts: tuple[str, ...],
    part: NDArray[np.uint8],
    labels: NDArray[np.int64],
    classes: tuple[str, ...],
) -> Balance:
    """Count the pictures of each part and class.

    Args:
        parts: names of the parts; the first is the training part.
        part: uint8 [n], the part of each picture.
        labels: int64 [n].
        classes: names of the classes.
    """
    table = np.zeros((len(parts), len(classes)), np.int64)
    np.add.at(table, (part, labels), 1)
    counts = [
        {name: int(n) for name, n in zip(classes, row, strict=True)} for row in table.tolist()
    ]
    trained = {name: n for name, n in counts[0].items() if n}
    ordered = sorted(trained.items(), key=lambda one: one[1])
    smallest, largest = (ordered[0], ordered[-1]) if ordered else (("", 1), ("", 1))
    return Balance(
        counts=dict(zip(parts, counts, strict=True)),
        largest=largest,
        smallest=smallest,
        empty=tuple(name for name, n in counts[0].items() if not n),
        tiny=tuple(name for name, n in trained.items() if n < TINY),
        missing={
            name: lost
            for name, row in zip(parts[1:], counts[1:], strict=True)
            if (lost := tuple(one for one in trained if not row[one]))
        },
        majority=largest[1] / max(1, sum(trained.values())),
    )
