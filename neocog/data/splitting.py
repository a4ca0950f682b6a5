"""Which pictures are held out, where a source does not say."""

import hashlib
import os
from collections import Counter, defaultdict

import numpy as np

from neocog.data.content_digests import content_digests
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
    names = [pictures.name(n) for n in range(len(pictures))]
    groups: dict[object, list[int]] = defaultdict(list)
    order = sorted(range(len(names)), key=names.__getitem__)
    for key, n in zip(_contents(pictures, order, place), order, strict=True):
        groups[key].append(n)
    by_class: dict[int, list[list[int]]] = defaultdict(list)
    for group in groups.values():
        by_class[int(pictures.labels[group[0]])].append(group)
    held_out = np.zeros(len(pictures), np.bool_)
    for of_class in by_class.values():
        of_class.sort(key=lambda group: _draw(seed, names[group[0]]))
        wanted = round(part * sum(map(len, of_class)))
        wanted = max(wanted, 1) if part > 0 and len(of_class) > 1 else wanted
        taken = 0
        for group in of_class[: len(of_class) - 1]:
            if taken >= wanted:
                break
            held_out[group] = True
            taken += len(group)
    at = np.array(order, np.int64)
    return pictures.take(at[~held_out[at]]), pictures.take(at[held_out[at]])


def _draw(seed: int, name: str) -> bytes:
    return hashlib.blake2b(f"{seed}\0".encode() + os.fsencode(name), digest_size=16).digest()


def _contents(pictures: Pictures, order: list[int], place: str) -> list[object]:
    """For each picture what only those of the same content share."""
    store, rows = pictures.store, pictures.rows
    sizes = [store.size(int(rows[n])) for n in order]
    often = Counter(sizes)
    alike = [n for size, n in zip(sizes, order, strict=True) if often[size] > 1]
    digests = content_digests(pictures.take(np.array(alike, np.int64)), place)
    found = dict(zip(alike, digests, strict=True))
    return [(size, found.get(n) or n) for size, n in zip(sizes, order, strict=True)]
