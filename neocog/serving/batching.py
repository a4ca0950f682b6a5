"""Collects pictures of many requests into batches for one thread that computes.

While a batch is computed, which needs no GIL, pictures that come are the next one. Only when
nothing is being computed does a picture wait for others, for at most a stated time.
"""

import asyncio
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from neocog.errors import NeocogError
from neocog.http.refusal import RefusedError, overloaded
from neocog.serving.metrics import Metrics
from neocog.serving.model import Served

__all__ = ["Batching"]

Row = NDArray[np.float32]

# How fast the estimate of a picture's time follows.
_FOLLOWS = 0.2
# Seconds that a batch may take on an idle machine: who comes later waits for all of it, and a
# network that takes so long for a few pictures gains nothing by more of them.
_LONGEST = 0.1


class _Waiting(NamedTuple):
    served: Served
    pixels: NDArray[np.uint8]
    answer: "asyncio.Future[Row]"


class Batching:
    """The batches of a worker.

    Args:
        largest: pictures of a batch, and fewer where they take long.
        pause: seconds that the first picture waits for others while nothing is being computed.
        longest: seconds that a picture may have to wait; see `check`.
        metrics: where batches are counted.
    """

    def __init__(self, largest: int, pause: float, longest: float, metrics: Metrics) -> None:
        self._largest, self._pause, self._longest = largest, pause, longest
        self._metrics = metrics
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="neocog batches")
        self._waiting: deque[_Waiting] = deque()
        self._is_busy = False
        self._computing = 0
        # Seconds that a picture of this model takes, estimated from the batches so far.
        self._served: Served | None = None
        self._each = 0.0

    def check(self, pictures: int) -> None:
        """Raise `RefusedError` where so many more pictures would wait too long."""
        ahead = len(self._waiting) + self._computing
        if ahead and (ahead + pictures) * self._each > self._longest:
            raise overloaded("Too many pictures are waiting.")

    async def predict(self, served: Served, pictures: list[NDArray[np.uint8]]) -> list[Row]:
        """The probabilities of pictures, [classes] each.

        Raises:
            RefusedError: too many are waiting, or the model gives numbers that are not finite.
        """
        self.check(len(pictures))
        loop = asyncio.get_running_loop()
        answers: list[asyncio.Future[Row]] = []
        for pixels in pictures:
            answers.append(loop.create_future())
            self._waiting.append(_Waiting(served, pixels, answers[-1]))
        self._metrics.set("waiting", len(self._waiting))
        if not self._is_busy:
            self._is_busy = True
            if self._pause and len(self._waiting) < self._largest:
                loop.call_later(self._pause, self._start)
            else:
                loop.call_soon(self._start)  # after the requests that have come at the same time
        return [await answer for answer in answers]

    def _start(self) -> None:
        """Compute the next batch."""
        batch: list[_Waiting] = []
        served = self._waiting[0].served
        if served is not self._served:
            self._served, self._each = served, served.seconds
        most = min(self._largest, max(1, int(_LONGEST / max(served.seconds, 1e-9))))
        while self._waiting and len(batch) < most:
            # Pictures that were fitted to a model are answered by it, though it was replaced since.
            if self._waiting[0].served is not served:
                break
            batch.append(self._waiting.popleft())
        self._metrics.set("waiting", len(self._waiting))
        self._metrics.batch(len(batch))
        self._computing = len(batch)
        loop = asyncio.get_running_loop()
        done = loop.run_in_executor(self._thread, _compute, batch)
        done.add_done_callback(lambda found: self._end(batch, found))

    def _end(self, batch: list[_Waiting], done: "asyncio.Future[tuple[Row, float]]") -> None:
        error = done.exception()
        self._computing = 0
        if error is None:
            rows, seconds = done.result()
            each = seconds / len(batch)
            self._each += (_FOLLOWS if self._each else 1.0) * (each - self._each)
            for one, row in zip(batch, rows, strict=True):
                if not one.answer.done():
                    one.answer.set_result(row)
        else:
            # The error of users is told; another one is the server's own.
            told = RefusedError(str(error), 500) if isinstance(error, NeocogError) else error
            for one in batch:
                if not one.answer.done():
                    one.answer.set_exception(told)
        if self._waiting:
            self._start()
        else:
            self._is_busy = False


def _compute(batch: list[_Waiting]) -> tuple[Row, float]:
    began = time.perf_counter()
    rows = batch[0].served.predict(np.stack([one.pixels for one in batch]))
    return rows, time.perf_counter() - began
