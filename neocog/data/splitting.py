"""Which pictures are held out, where a source does not say."""

import hashlib
import os
from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from neocog.data.content_digests import UNREADABLE, content_digests
from neocog.data.sources.base import Pictures

__all__ = ["split"]


def split(
    pictures: Pictures, part: float, seed: int = 0, place: str = ""
) -> tuple[Pictures, Pictures]:
    """Hold out a part of each class: (those to train on, those held out).

    Which they are depends on the seed and the pictures' names alone, not on the order in which they
    are listed. Pictures with the same content are on one side together, also under two names or
    labels. A class of one content has nothing held out.

    Args:
        pictures: all of them, whose names differ.
        part: of each class to hold out, 0 to 1; of a class that can spare it at least one.
        seed: which ones.
        place: where their source lies.

    What cannot be read is for whoever decodes it to report.
    """
    names = pictures.names()
    order = sorted(range(len(names)), key=names.__getitem__)
    names = [names[n] for n in order]
    pictures = pictures.take(np.array(order, np.int64))
    first = _first_of_content(pictures, place)
    counts = np.bincount(first, minlength=len(first)).tolist()
    by_class: dict[int, list[int]] = defaultdict(list)
    for head in np.flatnonzero(first == np.arange(len(first))).tolist():
        by_class[int(pictures.labels[head])].append(head)
    held_out = np.zeros(len(pictures), np.bool_)
    draw = _Draw(seed)
    for heads in by_class.values():
        heads.sort(key=lambda head: draw.of(names[head]))
        wanted = round(part * sum(counts[head] for head in heads))
        wanted = max(wanted, 1) if part > 0 and len(heads) > 1 else wanted
        taken = 0
        for head in heads[: len(heads) - 1]:
            if taken >= wanted:
                break
            held_out[head] = True
            taken += counts[head]
    held_out = held_out[first]
    return pictures.take(np.flatnonzero(~held_out)), pictures.take(np.flatnonzero(held_out))


class _Draw:
    """Bytes for each name, as if drawn."""

    def __init__(self, seed: int) -> None:
        self._begin = hashlib.blake2b(f"{seed}\0".encode(), digest_size=16)

    def of(self, name: str) -> bytes:
        digest = self._begin.copy()
        digest.update(os.fsencode(name))
        return digest.digest()


def _first_of_content(pictures: Pictures, place: str) -> NDArray[np.int64]:
    """For each picture the first one of the same content."""
    sizes = np.array([pictures.store.size(row) for row in pictures.rows.tolist()], np.int64)
    _sizes, which, often = np.unique(sizes, return_inverse=True, return_counts=True)
    alike = np.flatnonzero(often[which] > 1)
    digests = content_digests(pictures.take(alike), place)
    alike, digests = alike[digests != UNREADABLE], digests[digests != UNREADABLE]
    _digests, begin, of = np.unique(digests, return_index=True, return_inverse=True)
    first = np.arange(len(pictures))
    first[alike] = alike[begin[of]]
    return first
