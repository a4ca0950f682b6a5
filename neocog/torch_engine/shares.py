"""Which images of each batch one of several processes takes.

Of a batch of n images, rank r of N takes ⌊n / N⌋ that follow one another, and the first n mod N
ranks one more. So the parts, rank after rank, are the batch, and rank 0's is never empty.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Share"]


@dataclass(frozen=True)
class Share:
    """The part that a process takes of each batch.

    Attributes:
        rank: of the process, from 0.
        of: processes.
    """

    rank: int = 0
    of: int = 1

    def part(self, images: int) -> slice:
        """The positions that it takes in a batch of so many images."""
        each, more = divmod(images, self.of)
        begin = self.rank * each + min(self.rank, more)
        return slice(begin, begin + each + (self.rank < more))

    def size(self, images: int) -> int:
        """How many images it takes of so many."""
        part = self.part(images)
        return int(part.stop - part.start)

    def order(self, order: NDArray[np.int64], batch_size: int) -> NDArray[np.int64]:
        """Its images in an epoch's order of batches: a part of each, one after another."""
        if self.of == 1:
            return order
        whole = len(order) // batch_size * batch_size
        batches = order[:whole].reshape(-1, batch_size)[:, self.part(batch_size)]
        last = order[whole:]
        return np.concatenate([batches.ravel(), last[self.part(len(last))]])
