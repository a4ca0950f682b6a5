"""SIGTERM and SIGHUP as exceptions, so that a command that is told to end saves and cleans up.

``kill``, ``docker stop`` and a batch system's time limit send SIGTERM, a terminal that is closed
sends SIGHUP. Python by itself turns only Ctrl+C (SIGINT) into an exception and dies of the others.
"""

import signal
import threading
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


@contextmanager
def termination_signals() -> Iterator[Ended]:
    """Have SIGTERM and SIGHUP raise `Terminated` in the main thread; undone at the end.

    Does nothing in another thread, where Python sets no handlers, and leaves a signal alone that
    is ignored, as SIGHUP is under ``nohup``.
    """
    ended = Ended()

    def end(number: int, _frame: FrameType | None) -> None:
        error = Terminated(number)
        ended.by = ended.by or error
        raise error

    with _handlers(_NAMES, end):
        yield ended


@contextmanager
def deferred_signals() -> Iterator[None]:
    """Have Ctrl+C, SIGTERM and SIGHUP wait until the block is done; the first is raised then.

    For what must not be cut short, as saving. In the main thread only: others never have them.
    """
    came: list[int] = []
    try:
        with _handlers(("SIGINT", *_NAMES), lambda number, _frame: came.append(number)) as before:
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
                before[number] = signal.signal(number, handler)
        yield before
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
