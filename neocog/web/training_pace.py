"""Training that runs: in ticks, between which one can look, with a curve of how it goes."""

import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from neocog.data.images import Dataset, mixed
from neocog.network import Network
from neocog.summary import cost
from neocog.web.curve import Curve, Point
from neocog.web.training import Training

__all__ = ["TrainingPace", "first_images"]

# Seconds of steps in one tick: Python between two takes well under a hundredth of it.
_TICK = 0.05
_MOST_STEPS = 10_000
# Seconds between two points of the curve, and between two looks at the test images.
_POINT = 0.25
_TEST = 1.0
# Test images whose accuracy is shown, at most; fewer where they would take over a second or so.
_TESTED = 1000
_LEAST_TESTED = 100
_MULTIPLY_ADDS = 1e11


class TrainingPace:
    """Whether training runs, how far it goes at a time, and what is known of it.

    Args:
        network: that is trained.
        training: its steps.
        test: images whose accuracy is measured, all of them each time.
        threads: workers that do so.
        clock: gives seconds.
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
        #: When it was started last.
        self.since = clock()
        self._steps_a_tick = 1
        self._test_at = 0.0
        self._begin_point()

    def start(self) -> None:
        """Let `tick` train."""
        if not self.is_on:
            self.is_on = True
            self.since = self._clock()
            self._steps_a_tick = 1
            self._test_at = 0.0
            self._begin_point()

    def stop(self) -> None:
        """Let `tick` train no more; the training is to be settled before."""
        if self.is_on:
            self.is_on = False
            self._end_point(None)

    def give_up(self) -> None:
        """Stop where training failed and went back; the curve does so, too."""
        self.is_on = False
        self.curve.cut(self._training.steps)
        self._begin_point()

    def restart(self, points: Sequence[Point] = ()) -> None:
        """Begin anew, or where a curve of these points ended."""
        self.is_on = False
        self.curve.restart(points)
        self._begin_point()

    def step(self) -> float:
        """Take one step, and let the network have it; gives its loss."""
        losses = self._take(1)
        self._training.settle()
        self._end_point(None)
        return float(losses[-1])

    def tick(self) -> bool:
        """Train for a moment; gives whether there is anything new to tell."""
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
            # A tenth of the time at most.
            self._test_at = ended + max(_TEST, 9 * (ended - now))
            return True
        if now - self._told >= _POINT:
            self._end_point(None)
            return True
        return False

    def _take(self, count: int) -> NDArray[np.float64]:
        self._training.ready()  # perhaps compiled, which is no training
        began = self._clock()
        losses = self._training.take(count)
        self._seconds += self._clock() - began
        self._losses.append(losses)
        return losses

    def _accuracy(self) -> float | None:
        if len(self._test) == 0:
            return None
        found = self._network.predict(self._test.images, threads=self._threads)
        return float((found == self._test.labels).mean())

    def _begin_point(self) -> None:
        self._losses: list[NDArray[np.float64]] = []
        self._seconds = 0.0
        self._told = self._clock()

    def _end_point(self, accuracy: float | None) -> None:
        """Make a point of the steps since the last one, if there are any."""
        losses = np.concatenate([np.zeros(0), *self._losses])
        if len(losses):
            speed = len(losses) * self._training.batch_size / max(1e-9, self._seconds)
            mean = float(losses.mean())
            self.curve.add(Point(self._training.steps, len(losses), mean, accuracy, speed))
        self._begin_point()


def first_images(network: Network, test: Dataset) -> Dataset:
    """The test images whose accuracy is shown: always the same, and fewer of a large network."""
    work = max(1, cost(network).multiply_adds)
    return mixed(test, int(np.clip(_MULTIPLY_ADDS / work, _LEAST_TESTED, _TESTED)))
