"""Decodes many pictures with threads, into one array."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from neocog.data.picture import fit_picture
from neocog.data.quiet import quiet
from neocog.data.resampling import prepare_if_worth
from neocog.data.sources.base import Pictures
from neocog.errors import DataError, printable
from neocog.preprocessing import Resize

__all__ = ["BadPicture", "check_bad", "decode"]

# Pictures that a thread decodes at a time.
_AT_A_TIME = 32
# Bad pictures that a message lists, and the fraction that may be skipped.
_MOST_NAMED = 20
_MOST_SKIPPED = 0.01


class BadPicture(NamedTuple):
    """A picture that cannot be read.

    Attributes:
        place: its index among the pictures that were asked for.
        name: its name for people.
        reason: why, in words that follow the name.
    """

    place: int
    name: str
    reason: str


def decode(
    pictures: Pictures,
    into: NDArray[np.uint8],
    resize: Resize,
    *,
    threads: int,
    progress: Callable[[int, int], None] | None = None,
) -> list[BadPicture]:
    """Fill `into` with the pictures, in order.

    Args:
        pictures: the pictures.
        into: uint8 [n, height, width, channels].
        resize: how pictures of other sizes are fitted.
        threads: number of threads that decode.
        progress: called with the number of pictures done and the number of all.

    Returns:
        The pictures that could not be read; what `into` has in their places is undefined.
    """
    _n, height, width, channels = into.shape
    shape = (channels, height, width)

    def some(first: int) -> list[BadPicture]:
        prepare_if_worth()
        bad = []
        for index in range(first, min(first + _AT_A_TIME, len(pictures))):
            try:
                into[index] = fit_picture(pictures.read(index), shape, resize)
            except DataError as error:
                bad.append(BadPicture(index, pictures.name(index), str(error)))
            except OSError as error:
                reason = f"cannot be read: {error.strerror or error}."
                bad.append(BadPicture(index, pictures.name(index), reason))
        return bad

    found: list[BadPicture] = []
    with quiet, ThreadPoolExecutor(threads) as pool:
        try:
            done = 0
            for bad in pool.map(some, range(0, len(pictures), _AT_A_TIME)):
                found += bad
                done = min(done + _AT_A_TIME, len(pictures))
                if progress is not None:
                    progress(done, len(pictures))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return found


def check_bad(bad: list[BadPicture], count: int, on_bad: str) -> None:
    """Raise `DataError` that lists the bad pictures, unless they are few enough to skip.

    Args:
        bad: pictures that could not be read.
        count: number of all pictures.
        on_bad: "error" or "skip".
    """
    allowed = on_bad == "skip" and len(bad) <= _MOST_SKIPPED * count
    if not bad or allowed:
        return
    named = "\n".join(f"  {printable(one.name, 200)} {one.reason}" for one in bad[:_MOST_NAMED])
    more = f"\n  and {len(bad) - _MOST_NAMED:,} more" if len(bad) > _MOST_NAMED else ""
    if on_bad == "skip":
        remedy = f"Up to {100 * _MOST_SKIPPED:g} % are skipped: mend or remove them."
    else:
        remedy = 'Mend or remove them, or skip them with --on-bad skip (on_bad="skip").'
    raise DataError(f"{len(bad):,} of {count:,} pictures cannot be read. {remedy}\n{named}{more}")
