"""What is said beside the results: on stderr, live on a terminal, plain lines in a pipe."""

import sys
import time
from collections.abc import Callable

__all__ = ["download_progress", "is_terminal", "say"]


def say(text: str) -> None:
    """A line for the user, on stderr."""
    print(text, file=sys.stderr, flush=True)


def is_terminal() -> bool:
    """Whether stderr is a terminal that can be drawn on."""
    return sys.stderr.isatty()


def download_progress() -> Callable[[int, int], None]:
    """What to call with bytes done and bytes in all; one line, redrawn or every 10 %."""
    shown = -1
    last = 0.0

    def progress(done: int, total: int) -> None:
        nonlocal shown, last
        percent = 100 * done // max(1, total)
        step = percent if is_terminal() else percent // 10 * 10
        if step == shown and done < total:
            return
        now = time.monotonic()
        if is_terminal() and now - last < 0.1 and done < total:
            return
        shown, last = step, now
        line = f"downloading: {done / 1e6:.0f} of {total / 1e6:.0f} MB ({percent} %)"
        if is_terminal():
            print(f"\r{line}", end="\n" if done >= total else "", file=sys.stderr, flush=True)
        else:
            say(line)

    return progress
