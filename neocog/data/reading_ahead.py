"""Reads items ahead with threads, while the caller works on those before."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, TypeVar

from neocog.errors import DataError

__all__ = ["read_ahead"]

T = TypeVar("T")


def read_ahead(
    items: Iterable[T], read: Callable[[T], Any], *, at_a_time: int, threads: int
) -> Iterator[tuple[list[T], list[Any]]]:
    """Iterate over lists of items with the result of `read` for each, or the `DataError` it raised.

    The order is that of the items. One list is read while the caller works on the one before, and
    no more, so that memory does not grow with the number of items.

    Args:
        items: anything; may be endless.
        read: called by several threads at once.
        at_a_time: items per list; the last may have fewer.
        threads: number of threads that read.
    """

    def one(item: T) -> Any:
        try:
            return read(item)
        except DataError as error:
            return error

    waiting: deque[tuple[list[T], list[Future[Any]]]] = deque()
    remaining = iter(items)
    pool = ThreadPoolExecutor(threads)
    try:
        while some := list(islice(remaining, at_a_time)):
            waiting.append((some, [pool.submit(one, item) for item in some]))
            if len(waiting) > 1:
                done, results = waiting.popleft()
                yield done, [result.result() for result in results]
        for done, results in waiting:
            yield done, [result.result() for result in results]
    finally:
        pool.shutdown(cancel_futures=True)
