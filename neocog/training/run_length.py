"""How long a run is: in epochs, in batches, and in steps of the optimizer.

An epoch of n images in batches of b has ⌈n / b⌉ batches, and a run of E epochs ⌈E · ⌈n / b⌉⌉: a
fraction of an epoch ends it early. `accumulate` batches are a step of the optimizer, and so are
fewer at an epoch's end.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neocog.settings.training import TrainingSettings
from neocog.training.rates import rates_of_run
from neocog.training.rounding import round_up

__all__ = ["RunLength"]


@dataclass(frozen=True)
class RunLength:
    """A run over so many images.

    Args:
        images: in the data.
        batch_size: images a batch.
        length: epochs, also a fraction.
        accumulate: batches a step of the optimizer.
    """

    images: int
    batch_size: int
    length: float
    accumulate: int = 1

    @property
    def whole(self) -> int:
        """Batches of a whole epoch."""
        return -(-self.images // self.batch_size)

    @property
    def total(self) -> int:
        """Batches of the run."""
        return max(1, round_up(self.length, self.whole))

    @property
    def epochs(self) -> int:
        """Epochs that are begun."""
        return -(-self.total // self.whole)

    def batches(self, epoch: int) -> int:
        """Batches of an epoch, which are counted from 1."""
        return min(self.whole, self.total - (epoch - 1) * self.whole)

    def order(self, epoch: int, order: NDArray[np.int64]) -> NDArray[np.int64]:
        """The part of an epoch's order of images that is shown."""
        return order[: self.batches(epoch) * self.batch_size]

    def steps(self, epoch: int) -> int:
        """Steps of the optimizer in an epoch."""
        return -(-self.batches(epoch) // self.accumulate)

    def rates(self, epoch: int, settings: TrainingSettings) -> NDArray[np.float64]:
        """The rates of each batch of an epoch, float64 [batches, 4]; see `rates_of_run`."""
        before = (epoch - 1) * self.steps(1)
        total = (self.epochs - 1) * self.steps(1) + self.steps(self.epochs)
        schedule, averaging = settings.schedule, settings.averaging
        table = rates_of_run(schedule, averaging, before, self.steps(epoch), total)
        return np.repeat(table, self.accumulate, axis=0)[: self.batches(epoch)]
