"""Splits pictures into training and validation, for sources without a split."""

import hashlib
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.data.cache.content_digests import UNREADABLE, content_digests
from neocog.data.sources.base import Pictures
from neocog.errors import DataError
from neocog.validation import real

__all__ = ["same_contents", "split"]


def split(
    pictures: Pictures, part: float, seed: int = 0, place: str = ""
) -> tuple[Pictures, Pictures]:
    """Hold out a fraction of each class: (training pictures, held-out pictures).

    The split depends on the seed and the pictures' names alone, not on their order. Pictures with
    the same content stay together, even under different names or labels; such a group counts for
    the class of its first name. A group is held out if that brings the class nearer to the fraction
    asked for, so a class of distinct pictures is split to the nearest whole number. Nothing is held
    out of a class whose pictures are all the same.

    Pictures that cannot be read are reported when they are decoded. With targets, a picture counts
    for the rarest label that it has; pictures with numbers are one class.

    Args:
        pictures: all of them, with distinct names.
        part: fraction of each class to hold out, 0 to 1; at least one picture of each class that
            has enough.
        seed: seed of the split.
        place: where their source is.

    Raises:
        DataError: the fraction is not from 0 to 1.
    """
    part = real("validation", part, 0, 1, error=DataError)
    names = [pictures.name(n) for n in range(len(pictures))]
    labels = _strata(pictures.labels)
    by_label = np.argsort(labels, kind="stable").tolist()
    order = sorted(by_label, key=names.__getitem__)  # equal names are ordered by label
    at = np.array(order, np.int64)
    if part == 0:
        return pictures.take(at), pictures.take(at[:0])
    held_out = np.zeros(len(pictures), np.bool_)
    first, number, counts = np.unique(
        same_contents(pictures.take(at), place=place),
        return_index=True,
        return_inverse=True,
        return_counts=True,
    )[1:]
    prefix = hashlib.blake2b(f"{seed}\0".encode(), digest_size=16)
    drawn = [(_draw(prefix, names[order[place]]), n) for n, place in enumerate(first.tolist())]
    of_class = labels[at[first]]
    taken = np.zeros(len(first), np.bool_)
    for one in np.unique(of_class):
        groups = np.flatnonzero(of_class == one)
        by_draw = [n for _draw, n in sorted(drawn[n] for n in groups.tolist())]
        taken[_nearest(by_draw, counts, part)] = True
    held_out = taken[number]
    return pictures.take(at[~held_out]), pictures.take(at[held_out])


def _strata(labels: NDArray[Any]) -> NDArray[np.int64]:
    """The class that each picture counts for, int64 [n]."""
    if labels.ndim == 1:
        return labels
    if not np.isin(labels, (0, 1)).all():
        return np.zeros(len(labels), np.int64)
    often = np.where(labels > 0, labels.sum(axis=0), np.inf)
    rarest: NDArray[np.int64] = often.argmin(axis=1)
    rarest[~(labels > 0).any(axis=1)] = labels.shape[1]
    return rarest


def _nearest(groups: Sequence[int], counts: NDArray[np.int64], part: float) -> list[int]:
    """The groups of a class to hold out: not all, and at least one if there are several."""
    if len(groups) < 2:
        return []
    wanted = round(part * int(counts[groups].sum()))
    found: list[int] = []
    for group in groups:
        size = int(counts[group])
        if size < 2 * wanted and len(found) < len(groups) - 1:  # nearer to the goal with it
            found.append(group)
            wanted -= size
    return found or [min(groups, key=lambda group: int(counts[group]))]


def _draw(prefix: "hashlib.blake2b", name: str) -> bytes:
    drawn = prefix.copy()
    drawn.update(os.fsencode(name))
    return drawn.digest()


def same_contents(
    pictures: Pictures, threads: int | None = None, place: str = ""
) -> NDArray[np.int64]:
    """For each picture the index of the first one with the same content: int64 [n].

    Only pictures of equal length are read. One that cannot be read equals no other.

    Args:
        pictures: the pictures.
        threads: number of threads that read; None uses as many as this process may use.
        place: where their source is.
    """
    store, rows = pictures.store, pictures.rows.tolist()
    sizes = np.fromiter((store.size(row) for row in rows), np.int64, len(rows))
    _, lengths, often = np.unique(sizes, return_inverse=True, return_counts=True)
    alike = np.flatnonzero(often[lengths] > 1)
    digests = content_digests(pictures.take(alike), place, threads)
    alike, digests = alike[digests != UNREADABLE], digests[digests != UNREADABLE]
    _, begin, number = np.unique(digests, return_index=True, return_inverse=True)
    first = np.arange(len(rows), dtype=np.int64)
    first[alike] = alike[begin[number]]
    return first
