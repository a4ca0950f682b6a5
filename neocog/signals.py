"""Turns SIGTERM and SIGHUP into exceptions, so that a command can save and clean up before it ends.

``kill``, ``docker stop`` and a batch system's time limit send SIGTERM; closing a terminal sends
SIGHUP. By default Python turns only Ctrl+C (SIGINT) into an exception and is killed by the others.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["Ended", "Terminated", "deferred_signals", "exit_code", "termination_signals"]

_NAMES = ("SIGTERM", "SIGHUP")


class Terminated(KeyboardInterrupt):
    """Raised in the main thread by SIGTERM or SIGHUP.

    Code that handles Ctrl+C, such as by saving its work, handles this exception too.

    Attributes:
        name: name of the signal, such as SIGTERM.
        exit_code: 128 plus the signal's number, as in shells.
    """

    def __init__(self, number: int) -> None:
        self.name = signal.Signals(number).name
        self.exit_code = 128 + number
        super().__init__(f"ended by {self.name}")


class Ended:
    """The signals that arrived within `termination_signals`.

    Attributes:
        by: the first signal as it was raised, even if it was caught; None if there was none.
    """

    by: Terminated | None = None


def exit_code(error: KeyboardInterrupt) -> int:
    """The exit code of the process: 130 for Ctrl+C, 143 for SIGTERM, 129 for SIGHUP."""
    return error.exit_code if isinstance(error, Terminated) else 130


# Signals within so many seconds of one another count as one: service managers send SIGTERM and
# SIGHUP together, and the second would be raised while the first is being handled.
_TOGETHER = 1.0
# What is in force in this process.
_in_force: Ended | None = None


@contextmanager
def termination_signals() -> Iterator[Ended]:
    """Make SIGTERM and SIGHUP raise `Terminated` in the main thread, within the ``with`` block.

    Ctrl+C still raises `KeyboardInterrupt`. A signal within a second of another is ignored. A
    nested block yields the object of the outer one. Nothing is done in other threads, in which
    Python cannot set handlers, nor for a signal that is ignored, as SIGHUP is under ``nohup``.
    """
    global _in_force
    if _in_force is not None:
        yield _in_force
        return
    ended, latest = Ended(), -_TOGETHER

    def end(number: int, _frame: FrameType | None) -> None:
        nonlocal latest
        now = time.monotonic()
        if now - latest < _TOGETHER:
            return
        latest = now
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        error = Terminated(number)
        ended.by = ended.by or error
        raise error

    try:
        with _handlers(("SIGINT", *_NAMES), end):
            _in_force = ended
            yield ended
    finally:
        _in_force = None


@contextmanager
def deferred_signals(told: Callable[[int], None] | None = None) -> Iterator[None]:
    """Defer Ctrl+C, SIGTERM and SIGHUP until the block ends; the first one is then raised.

    For work that must not be interrupted, such as saving, or that ends by itself once it is `told`
    of a signal, by its number. Has an effect in the main thread only,
    which is the only one that gets signals.
    """
    came: list[int] = []

    def come(number: int, _frame: FrameType | None) -> None:
        came.append(number)
        if told is not None:
            told(number)

    before: dict[int, Any] = {}
    try:
        with _handlers(("SIGINT", *_NAMES), come) as earlier:
            before = dict(earlier)
            yield
    finally:
        if came:
            handler = before[came[0]]
            # Not by raising the signal again, which Python might handle a moment later.
            handler(came[0], None) if callable(handler) else signal.raise_signal(came[0])


@contextmanager
def _handlers(names: tuple[str, ...], handler: Callable[..., Any]) -> Iterator[dict[int, Any]]:
    """Set `handler` for some signals within the block; yields the previous handlers by number."""
    before: dict[int, Any] = {}
    try:
        if threading.current_thread() is threading.main_thread():
            for name in names:
                number = getattr(signal, name, None)  # Windows has no SIGHUP
                # None means that other code than Python has set it, which must not be replaced.
                if number is None or signal.getsignal(number) in (signal.SIG_IGN, None):
                    continue
                before[number] = signal.getsignal(number)
                signal.signal(number, handler)
        yield before
    finally:
        _put_back(before)


def _put_back(before: dict[int, Any]) -> None:
    """Restore the previous handlers in reverse order, even if signals arrive meanwhile."""
    raised: BaseException | None = None
    while before:
        try:
            number = next(reversed(before))
            signal.signal(number, before[number])
            del before[number]
        except KeyboardInterrupt as error:
            raised = raised or error
    if raised is not None:
        raise raised
