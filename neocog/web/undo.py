"""What resets took away, to return to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.web.curve import Point
from neocog.web.training import Snapshot

__all__ = ["Change", "Saved", "UndoHistory"]

# How many are kept; fewer if they take more than so many bytes, but always the latest.
_MOST = 8
_MOST_BYTES = 2**29

#: A changed weight: parameter, place, and what was there before.
Change = tuple[str, tuple[int, ...], np.float32]


@dataclass(frozen=True)
class Saved:
    """The state of an explorer before a reset.

    Attributes:
        parameters: of the network.
        training: its state; None without data.
        points: of its curve.
        changes: of weights that could be undone.
    """

    parameters: Mapping[str, NDArray[Any]]
    training: Snapshot | None
    points: tuple[Point, ...]
    changes: tuple[Change, ...]

    @property
    def is_lost(self) -> bool:
        """Whether a reset takes away something that cannot be made again from a seed."""
        return bool(self.changes) or (self.training is not None and self.training.steps > 0)

    @property
    def size(self) -> int:
        """Its size in memory, in bytes."""
        if self.training is not None:
            return self.training.size
        return sum(array.nbytes for array in self.parameters.values())

    def state(self) -> dict[str, int]:
        """As plain data for pages."""
        steps = 0 if self.training is None else self.training.steps
        return {"steps": steps, "changes": len(self.changes)}


class UndoHistory:
    """The states before the latest resets, the latest last."""

    def __init__(self) -> None:
        self._saved: list[Saved] = []

    @property
    def latest(self) -> Saved | None:
        """The state that an undo returns to; None if there is none."""
        return self._saved[-1] if self._saved else None

    def put(self, saved: Saved) -> None:
        """Keep a state, unless it can be made again from a seed."""
        if saved.is_lost:
            self._saved.append(saved)
        self._trim()

    def swap(self, saved: Saved) -> Saved:
        """Take the latest state, and keep this one as the oldest: further swaps return each."""
        found = self._saved.pop()
        if saved.is_lost:
            self._saved.insert(0, saved)
        return found

    def _trim(self) -> None:
        while len(self._saved) > 1 and (
            len(self._saved) > _MOST or sum(each.size for each in self._saved) > _MOST_BYTES
        ):
            del self._saved[0]
