"""What resets took away: networks that had learned something, to go back to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.web.curve import Point
from neocog.web.training import Snapshot

__all__ = ["Change", "Saved", "UndoHistory"]

# How many are kept; fewer where they take more bytes than that, but always the latest.
_MOST = 8
_MOST_BYTES = 2**29

#: A changed weight: parameter, place, and what was there before.
Change = tuple[str, tuple[int, ...], np.float32]


@dataclass(frozen=True)
class Saved:
    """A network from one reset to the next.

    Attributes:
        parameters: as they were last.
        training: how far it had come; None without data.
        points: of its curve.
        changes: of weights, that could be taken back.
    """

    parameters: Mapping[str, NDArray[Any]]
    training: Snapshot | None
    points: tuple[Point, ...]
    changes: tuple[Change, ...]

    @property
    def is_lost(self) -> bool:
        """Whether a reset would take away anything that no seed brings back."""
        return bool(self.changes) or (self.training is not None and self.training.steps > 0)

    @property
    def size(self) -> int:
        """Bytes that it takes, about."""
        if self.training is not None:
            return self.training.size
        return sum(array.nbytes for array in self.parameters.values())

    def state(self) -> dict[str, int]:
        """What it is, as plain data."""
        steps = 0 if self.training is None else self.training.steps
        return {"steps": steps, "changes": len(self.changes)}


class UndoHistory:
    """What the latest resets took away, the latest last."""

    def __init__(self) -> None:
        self._saved: list[Saved] = []

    @property
    def latest(self) -> Saved | None:
        """Which comes back next."""
        return self._saved[-1] if self._saved else None

    def put(self, saved: Saved) -> None:
        """Keep one; those of no use, such as new weights without a step, are not."""
        if saved.is_lost:
            self._saved.append(saved)
        self._trim()

    def swap(self, saved: Saved) -> Saved:
        """The latest, and this one is kept behind all others: swapping on brings back each."""
        found = self._saved.pop()
        if saved.is_lost:
            self._saved.insert(0, saved)
        return found

    def _trim(self) -> None:
        while len(self._saved) > 1 and (
            len(self._saved) > _MOST or sum(each.size for each in self._saved) > _MOST_BYTES
        ):
            del self._saved[0]
