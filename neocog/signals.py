"""SIGTERM and SIGHUP as exceptions, so that a command that is told to end saves and cleans up.

``kill``, ``docker stop`` and a batch system's time limit send SIGTERM, a terminal that is closed
sends SIGHUP. Python by itself turns only Ctrl+C (SIGINT) into an exception and dies of the others.
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

    A kind of Ctrl+C: what ends for that one, and keeps what is done, ends for this one too.

    Attributes:
        name: of the signal, such as SIGTERM.
        exit_code: 128 and the signal's number, as shells have it.
    """

    def __init__(self, number: int) -> None:
        self.name = signal.Signals(number).name
        self.exit_code = 128 + number
        super().__init__(f"ended by {self.name}")


class Ended:
    """What came while `termination_signals` was in force.

    Attributes:
        by: the first signal as it was raised, also if somebody caught it; None if there was none.
    """

    by: Terminated | None = None


def exit_code(error: KeyboardInterrupt) -> int:
    """What the process exits with: 130 for Ctrl+C, 143 for SIGTERM, 129 for SIGHUP."""
    return error.exit_code if isinstance(error, Terminated) else 130


# Signals within so many seconds of one another are one wish to end: service managers send SIGTERM
# and SIGHUP together. The second would be raised in the midst of what deals with the first.
_TOGETHER = 1.0
# What is in force in this process.
_in_force: Ended | None = None


@contextmanager
def termination_signals() -> Iterator[Ended]:
    """Have SIGTERM and SIGHUP raise `Terminated` in the main thread; undone at the end.

    Ctrl+C still raises `KeyboardInterrupt`. What comes within a second of another changes nothing.
    Within another such block this one only gives what that one has seen. Does nothing in another
    thread, where Python sets no handlers, and leaves a signal alone that is ignored, as SIGHUP is
    under ``nohup``.
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
def deferred_signals() -> Iterator[None]:
    """Have Ctrl+C, SIGTERM and SIGHUP wait until the block is done; the first is raised then.

    For what must not be cut short, as saving. In the main thread only: others never have them.
    """
    came: list[int] = []
    before: dict[int, Any] = {}
    try:
        with _handlers(("SIGINT", *_NAMES), lambda number, _frame: came.append(number)) as earlier:
            before = dict(earlier)
            yield
    finally:
        if came:
            handler = before[came[0]]
            # Not the signal raised anew where Python handles it: that could come a moment later.
            handler(came[0], None) if callable(handler) else signal.raise_signal(came[0])


@contextmanager
def _handlers(names: tuple[str, ...], handler: Callable[..., Any]) -> Iterator[dict[int, Any]]:
    """Handle signals by `handler` for a while; gives the handlers before, by number."""
    before: dict[int, Any] = {}
    try:
        if threading.current_thread() is threading.main_thread():
            for name in names:
                number = getattr(signal, name, None)  # Windows has no SIGHUP
                # None: set by something other than Python, which is not ours to replace.
                if number is None or signal.getsignal(number) in (signal.SIG_IGN, None):
                    continue
                before[number] = signal.getsignal(number)
                signal.signal(number, handler)
        yield before
    finally:
        _put_back(before)


def _put_back(before: dict[int, Any]) -> None:
    """Set the handlers that were before, the last first, whatever they raise meanwhile."""
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
