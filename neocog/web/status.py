"""What an explorer tells its pages besides its numbers: what takes long, and the latest message."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Status"]


class Status:
    """The current activity and the latest message.

    Args:
        changed: called after each change of the activity, so that pages hear of it.

    Attributes:
        activity: what takes long now, as a sentence; None if nothing does.
        message: the latest message as plain data; None if there is none to show.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self.activity: str | None = None
        self.message: dict[str, Any] | None = None
        self._messages = 0

    def say(self, kind: str, text: str) -> None:
        """Replace the message; `kind` is "error" or "note"."""
        self._messages += 1
        self.message = {"number": self._messages, "kind": kind, "text": text}

    def clear(self) -> None:
        """Show no message any more."""
        self.message = None

    def compiling(self, kernels: int) -> None:
        """Tell that so many kernels are compiled, until `during` ends."""
        what = "1 kernel" if kernels == 1 else f"{kernels} kernels"
        self.activity = f"Compiling {what} for this network (first time only) …"
        self._changed()

    @contextmanager
    def during(self, activity: str | None = None) -> Iterator[None]:
        """Tell of an activity inside a ``with``; afterwards that nothing takes long any more."""
        if activity is not None:
            self.activity = activity
            self._changed()
        try:
            yield
        finally:
            if self.activity is not None:
                self.activity = None
                self._changed()
