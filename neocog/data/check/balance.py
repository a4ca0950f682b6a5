"""How evenly pictures are shared by the classes."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["TINY", "UNEVEN", "Balance", "find_balance"]

#: A class of fewer pictures to train on is tiny.
TINY = 20
#: From this ratio of the largest class to the smallest on, it matters.
UNEVEN = 3.0


@dataclass(frozen=True)
class Balance:
    """Of the pictures to train on, if nothing else is said.

    Attributes:
        counts: pictures of each part and class: ``counts[part][class]``.
        largest: the largest class and its number of pictures.
        smallest: the smallest that has any, and its number of pictures.
        empty: classes without pictures to train on.
        tiny: classes of fewer than `TINY` pictures.
        missing: by part, the classes that are trained on and that it has no pictures of.
        majority: the share of the largest class, 0 to 1: how often somebody is right who always
            says that one.
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
        """How many times as many pictures the largest class has as the smallest."""
        return self.largest[1] / self.smallest[1]

    @property
    def uneven(self) -> bool:
        """Whether it would matter to balance the classes."""
        return self.ratio >= UNEVEN


def find_balance(
    parts: tuple[str, ...],
    part: NDArray[np.uint8],
    labels: NDArray[np.int64],
    classes: tuple[str, ...],
) -> Balance:
    """Count.

    Args:
        parts: their names; the first is what is trained on.
        part: uint8 [n], the number of each picture's part.
        labels: int64 [n].
        classes: their names.
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
