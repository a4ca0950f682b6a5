"""How training went so far, in a bounded number of points."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Curve", "Point"]


@dataclass(frozen=True)
class Point:
    """Some steps.

    Attributes:
        steps: taken in all, at their end.
        count: how many these are.
        loss: their mean.
        accuracy: measured at their end, 0 to 1; None if it was not.
        images_per_second: while they were trained.
    """

    steps: int
    count: int
    loss: float
    accuracy: float | None
    images_per_second: float

    def to_list(self) -> list[float | None]:
        """Steps, loss, accuracy, images a second."""
        return [self.steps, self.loss, self.accuracy, self.images_per_second]


class Curve:
    """Points in the order of their steps; where there are too many, two neighbors become one.

    `number` changes whenever points already given out are no longer right.
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
        """Take away the points beyond so many steps."""
        kept = [point for point in self.points if point.steps <= steps]
        if len(kept) < len(self.points):
            self.points = kept
            self.number += 1

    def restart(self, points: Sequence[Point] = ()) -> None:
        """Have these points and no others."""
        self.points = list(points)
        self.number += 1

    def head(self) -> dict[str, Any]:
        """What an event says of it: enough to append one point, or to see that some are missing."""
        last = self.points[-1].to_list() if self.points else None
        return {"number": self.number, "count": len(self.points), "last": last}

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain data."""
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
