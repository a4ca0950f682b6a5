"""Progress reports while data are loaded."""

from collections.abc import Callable

__all__ = ["Progress", "counting"]

#: Called with the task ("downloading", in bytes; "decoding", in pictures), how much of it is done,
#: and how much there is in all.
Progress = Callable[[str, int, int], None]


def counting(progress: Progress | None, what: str) -> Callable[[int, int], None] | None:
    """A progress function of numbers alone, for the task `what`; None without `progress`."""
    if progress is None:
        return None

    def told(done: int, total: int) -> None:
        progress(what, done, total)

    return told
