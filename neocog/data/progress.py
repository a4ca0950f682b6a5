"""Word of how far loading data has come."""

from collections.abc import Callable

__all__ = ["Progress", "counting"]

#: Called with what is done ("downloading", in bytes; "decoding", in pictures), how much of it is
#: done, and how much there is.
Progress = Callable[[str, int, int], None]


def counting(
    progress: Progress | None, what: str, before: int = 0, of: int | None = None
) -> Callable[[int, int], None] | None:
    """The same for whoever knows only numbers.

    Args:
        progress: who is told; nobody, if None.
        what: is done.
        before: what was done already.
        of: how much there is in all; what the caller says, if None.
    """
    if progress is None:
        return None

    def told(done: int, total: int) -> None:
        progress(what, before + done, total if of is None else of)

    return told
