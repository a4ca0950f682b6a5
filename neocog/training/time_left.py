"""How long a training still takes, by the clock on the wall.

Steps are most of it, and what comes at the end of an epoch is the rest: validation and saving,
which may take as long. Both are measured, so that an estimate is right within an epoch too.
"""

from collections.abc import Callable
from time import monotonic

from neocog.training.run_length import RunLength

__all__ = ["TimeLeft"]


class TimeLeft:
    """Estimates the seconds to the end of a training.

    Args:
        length: of the training.
        clock: gives seconds.
    """

    def __init__(self, length: RunLength, clock: Callable[[], float] = monotonic) -> None:
        self._length = length
        self._clock = clock
        self._latest: tuple[int, float] | None = None  # batches done, and when
        self._batches, self._stepping = 0, 0.0
        self._ends: dict[int, float] = {}

    def progress(self, epoch: int, batch: int) -> float | None:
        """Seconds left where so many batches of an epoch are done; None until that is known."""
        now, done = self._clock(), self._done(epoch, batch)
        if self._latest is not None and done > self._latest[0]:
            self._batches += done - self._latest[0]
            self._stepping += now - self._latest[1]
        if self._latest is None or done > self._latest[0]:
            self._latest = done, now
        return self._left(epoch, batch, epoch - 1)

    def epoch_done(self, epoch: int) -> float | None:
        """Seconds left where an epoch has ended, and what comes at its end is done."""
        now = self._clock()
        if self._latest is not None:
            self._ends[epoch] = now - self._latest[1]
            self._latest = self._latest[0], now
        return self._left(epoch, self._length.batches(epoch), epoch)

    def _done(self, epoch: int, batch: int) -> int:
        return (epoch - 1) * self._length.whole + batch

    def _left(self, epoch: int, batch: int, ended: int) -> float | None:
        if not self._batches:
            return None
        step = self._stepping / self._batches
        end = sum(self._ends.values()) / max(1, len(self._ends))
        steps_left = self._length.total - self._done(epoch, batch)
        return steps_left * step + (self._length.epochs - ended) * end
