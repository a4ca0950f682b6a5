"""Signs of life of a trial, for processes of other machines that share its study."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

__all__ = ["beating", "is_silent"]

# Seconds between two signs, and after which somebody who gave none is taken for dead. Clocks of
# machines may differ by some minutes, and a network may be down for so long.
_EVERY, _PATIENCE = 30.0, 300.0


@contextmanager
def beating(sign: Callable[[float], None]) -> Iterator[None]:
    """Give a sign of life every half a minute, from a thread of its own.

    Args:
        sign: writes down the time, in seconds since 1970.
    """
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(_EVERY):
            # Where it cannot be written the trial itself will fail, and say so.
            with suppress(Exception):
                sign(time.time())

    thread = threading.Thread(target=beat, name="neocog-heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def is_silent(sign: object) -> bool:
    """Whether the latest sign of life is so old that its process must have ended."""
    return isinstance(sign, int | float) and time.time() - sign > _PATIENCE
