"""Items read by threads, some at a time, while whoever wants them works on those before."""

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
    """Lists of items and of what `read` gave for each, or the `DataError` that it raised.

    In the order of the items; one list is read while the one before is worked on, and no more, so
    that what is kept in memory does not grow with the number of items.

    Args:
        items: anything, also without an end.
        read: called by several threads at once.
        at_a_time: items of a list; the last may have fewer.
        threads: how many read at once.
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
