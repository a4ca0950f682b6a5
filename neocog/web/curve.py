"""The training curve, in a bounded number of points."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Curve", "Point"]


@dataclass(frozen=True)
class Point:
    """Some consecutive steps.

    Attributes:
        steps: all steps taken until the end of these.
        count: how many steps these are.
        loss: their mean loss.
        accuracy: measured after them, 0 to 1; None if it was not measured.
        images_per_second: their training speed.
    """

    steps: int
    count: int
    loss: float
    accuracy: float | None
    images_per_second: float

    def to_list(self) -> list[float | None]:
        """As [steps, loss, accuracy, images a second]."""
        return [self.steps, self.loss, self.accuracy, self.images_per_second]


class Curve:
    """Points in the order of their steps. If there are too many, pairs of neighbors are merged.

    Args:
        most: points to keep.

    Attributes:
        points: so far.
        number: changes when points change that a page may have already.
    """

    def __init__(self, most: int = 2000) -> None:
        self._most = most
        self.points: list[Point] = []
        self.number = 0

    def add(self, point: Point) -> None:
        """Append a point."""
        self.points.append(point)
        if len(self.points) > self._most:
            pairs = zip(self.points[::2], self.points[1::2], strict=False)
            rest = self.points[len(self.points) // 2 * 2 :]
            self.points = [_joined(a, b) for a, b in pairs] + rest
            self.number += 1

    def cut(self, steps: int) -> None:
        """Remove the points after so many steps."""
        kept = [point for point in self.points if point.steps <= steps]
        if len(kept) < len(self.points):
            self.points = kept
            self.number += 1

    def restart(self, points: Sequence[Point] = ()) -> None:
        """Replace all points."""
        self.points = list(points)
        self.number += 1

    def head(self) -> dict[str, Any]:
        """What events say of it: enough to append a point, or to notice that some are missing."""
        last = self.points[-1].to_list() if self.points else None
        return {"number": self.number, "count": len(self.points), "last": last}

    def to_dict(self) -> dict[str, Any]:
        """The whole curve as plain data."""
        return {**self.head(), "points": [point.to_list() for point in self.points]}


def _joined(a: Point, b: Point) -> Point:
    count = a.count + b.count
    return Point(
        b.steps,
        count,
        (a.loss * a.count + b.loss * b.count) / count,
        a.accuracy if b.accuracy is None else b.accuracy,
        (a.images_per_second * a.count + b.images_per_second * b.count) / count,
    )
