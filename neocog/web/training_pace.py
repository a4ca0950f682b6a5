"""Training in short ticks, between which requests are answered, with its curve."""

import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from neocog.data.images import Dataset, mixed
from neocog.losses import gives_numbers, has_targets
from neocog.network import Network
from neocog.summary import cost
from neocog.web.curve import Curve, Point
from neocog.web.training import Training

__all__ = ["TrainingPace", "first_images"]

# Seconds of training in one tick; the Python between two ticks takes less than 1 % of that.
_TICK = 0.05
_MOST_STEPS = 10_000
# Seconds between two points of the curve, and between two measurements of the accuracy.
_POINT = 0.25
_TEST = 1.0
# Images that the accuracy is measured on; fewer where predicting them would take over a second.
_TESTED = 1000
_LEAST_TESTED = 100
_MULTIPLY_ADDS = 1e11


class TrainingPace:
    """Whether training runs, how many steps a tick has, and the training curve.

    Args:
        network: that is trained.
        training: takes the steps.
        test: held-out images that the accuracy is measured on.
        threads: that predict them.
        clock: returns the time in seconds.
    """

    def __init__(
        self,
        network: Network,
        training: Training,
        test: Dataset,
        threads: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._network = network
        self._training = training
        self._test = test
        self._threads = threads
        self._clock = clock
        self.curve = Curve()
        self.is_on = False
        #: The time of the latest start.
        self.since = clock()
        self._steps_a_tick = 1
        self._test_at = 0.0
        self._begin_point()

    def start(self) -> None:
        """Make `tick` train."""
        if not self.is_on:
            self.is_on = True
            self.since = self._clock()
            self._steps_a_tick = 1
            self._test_at = 0.0
            self._begin_point()

    def stop(self) -> None:
        """Make `tick` train no more; call `Training.settle` before."""
        if self.is_on:
            self.is_on = False
            self._end_point(None)

    def give_up(self) -> None:
        """Stop after training has failed, and cut the curve where training returned to."""
        self.is_on = False
        self.curve.cut(self._training.steps)
        self._begin_point()

    def restart(self, points: Sequence[Point] = ()) -> None:
        """Stop, and continue the curve after these points."""
        self.is_on = False
        self.curve.restart(points)
        self._begin_point()

    def step(self) -> float:
        """Take one step and settle it; returns its loss."""
        losses = self._take(1)
        self._training.settle()
        self._end_point(None)
        return float(losses[-1])

    def tick(self) -> bool:
        """Train for one tick; returns whether there is news for pages."""
        began = self._clock()
        self._take(self._steps_a_tick)
        now = self._clock()
        if now - began < _TICK / 2:
            self._steps_a_tick = min(_MOST_STEPS, 2 * self._steps_a_tick)
        elif now - began > 2 * _TICK:
            self._steps_a_tick = max(1, self._steps_a_tick // 2)
        if now >= self._test_at:
            self._training.settle()
            self._end_point(self._accuracy())
            ended = self._clock()
            # Measuring takes a tenth of the time at most.
            self._test_at = ended + max(_TEST, 9 * (ended - now))
            return True
        if now - self._told >= _POINT:
            self._end_point(None)
            return True
        return False

    def _take(self, count: int) -> NDArray[np.float64]:
        self._training.ready()  # it may compile, which is not training time
        began = self._clock()
        losses = self._training.take(count)
        self._seconds += self._clock() - began
        self._losses.append(losses)
        return losses

    def _accuracy(self) -> float | None:
        """The part of the classes, or of all labels, that are right; None of numbers."""
        labels, network = self._test.labels, self._network
        if len(labels) == 0 or gives_numbers(network.loss):
            return None
        several = has_targets(network.loss)  # which have the network's own threshold
        found = network.predict(
            self._test.images, threshold=None if several else 0, threads=self._threads
        )
        labels = labels >= 0.5 if several else labels
        return float((found == labels).mean())

    def _begin_point(self) -> None:
        self._losses: list[NDArray[np.float64]] = []
        self._seconds = 0.0
        self._told = self._clock()

    def _end_point(self, accuracy: float | None) -> None:
        """Add a point for the steps since the previous one, if there are any."""
        losses = np.concatenate([np.zeros(0), *self._losses])
        if len(losses):
            speed = len(losses) * self._training.batch_size / max(1e-9, self._seconds)
            mean = float(losses.mean())
            self.curve.add(Point(self._training.steps, len(losses), mean, accuracy, speed))
        self._begin_point()


def first_images(network: Network, test: Dataset) -> Dataset:
    """The images that the accuracy is measured on, always the same; fewer for a large network."""
    work = max(1, cost(network).multiply_adds)
    return mixed(test, int(np.clip(_MULTIPLY_ADDS / work, _LEAST_TESTED, _TESTED)))
