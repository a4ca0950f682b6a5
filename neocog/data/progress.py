"""Word of how far loading data has come."""

from collections.abc import Callable

__all__ = ["Progress", "counting"]

#: Called with what is done ("downloading", in bytes; "decoding", in pictures), how much of it is
#: done, and how much there is.
Progress = Callable[[str, int, int], None]


def counting(progress: Progress | None, what: str) -> Callable[[int, int], None] | None:
    """The same for whoever knows only numbers, and does `what`; None where nobody is told."""
    if progress is None:
        return None

    def told(done: int, total: int) -> None:
        progress(what, done, total)

    return told
