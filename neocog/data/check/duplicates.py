"""Finds duplicates: the same picture in two files, in two parts, or under two labels.

Pictures are *exactly* the same if their bytes or their decoded pixels are. They are *nearly* the
same if their perceptual hashes differ in a few bits only, and their 8 × 8 thumbnails by less than a
tenth of the range of levels on average. The hash ignores colors, and the thumbnail details.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neocog.data.check.features import THUMBNAIL
from neocog.data.check.perceptual_hash import bits_that_differ, near_pairs
from neocog.data.check.table import Table

__all__ = ["Duplicates", "Same", "find_duplicates"]

# On the scale of the features, 0 to 100.
_MOST_APART = 10.0
# Pairs whose thumbnails are compared at a time.
_AT_A_TIME = 20_000
# Parts or labels per group of copies that are compared.
_VALUES = 4


@dataclass(frozen=True)
class Same:
    """Two pictures that are the same, by index.

    Attributes:
        first: the first picture.
        second: the second picture; if they are in two parts, the one in the later part.
        how: "bytes", "pixels" or "near".
        bits: number of bits in which their perceptual hashes differ; 0 for exact copies.
    """

    first: int
    second: int
    how: str
    bits: int = 0


@dataclass(frozen=True)
class Duplicates:
    """Duplicates by index, in the order of the pictures.

    Attributes:
        exact: groups of identical pictures, and whether their "bytes" or "pixels" are identical.
        near: groups in which each picture is nearly the same as another one; of exact copies only
            the first is included.
        leaks: for each picture that also occurs in an earlier part, the nearest one there.
        conflicts: for each picture that occurs earlier with another label, the nearest such one.
        complete: False if some pairs were left out to save time.
    """

    exact: tuple[tuple[str, tuple[int, ...]], ...]
    near: tuple[tuple[int, ...], ...]
    leaks: tuple[Same, ...]
    conflicts: tuple[Same, ...]
    complete: bool


def find_duplicates(
    table: Table, part: NDArray[np.uint8], labels: NDArray[np.int64], most: int
) -> Duplicates:
    """Find duplicates among all pictures that could be decoded.

    Args:
        table: the features of n pictures.
        part: uint8 [n], the part of each picture, in ascending order; training pictures have the
            lowest number.
        labels: int64 [n].
        most: largest number of bits in which perceptual hashes may differ.
    """
    exact = list(_exact(table))
    leaks: dict[int, Same] = {}
    conflicts: dict[int, Same] = {}
    copies: dict[int, list[int]] = {}
    for _how, members in exact:
        copies[members[0]] = members
        for found, of in ((leaks, part), (conflicts, labels)):
            home = members[0]
            for n in members:
                if of[n] != of[home]:
                    same = bool((table.content[n] == table.content[home]).all())
                    found[n] = Same(home, n, "bytes" if same else "pixels")
    copied = {n for members in copies.values() for n in members[1:]}
    first = np.array([n for n in np.flatnonzero(table.good & table.hashed) if n not in copied], int)
    one, other, bits, complete = _near(table, first, most)
    for a, b, d in zip(one.tolist(), other.tolist(), bits.tolist(), strict=True):
        for found, of in ((leaks, part), (conflicts, labels)):
            _keep_nearest(found, _across(copies.get(a, [a]), copies.get(b, [b]), of), d)
    return Duplicates(
        tuple((how, tuple(members)) for how, members in exact),
        tuple(_groups(one, other)),
        tuple(leaks[n] for n in sorted(leaks)),
        tuple(conflicts[n] for n in sorted(conflicts)),
        complete,
    )


def _exact(table: Table) -> Iterable[tuple[str, list[int]]]:
    rows = np.flatnonzero(table.good)
    if not len(rows):
        return
    keys = table.pixels[rows]
    order = np.lexsort((rows, keys[:, 1], keys[:, 0]))
    changes = (np.diff(keys[order], axis=0) != 0).any(axis=1)
    groups = np.split(rows[order], np.flatnonzero(changes) + 1)
    for group in sorted((g.tolist() for g in groups if len(g) > 1), key=lambda g: g[0]):
        content = table.content[group]
        yield ("bytes" if (content == content[0]).all() else "pixels"), group


def _near(
    table: Table, rows: NDArray[np.int64], most: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8], bool]:
    """Pairs of near duplicates with the distance of their hashes, and whether all were found."""
    one, other, complete = near_pairs(table.hashes[rows], most)
    one, other = rows[one], rows[other]
    alike = np.zeros(len(one), np.bool_)
    for begin in range(0, len(one), _AT_A_TIME):
        some = slice(begin, begin + _AT_A_TIME)
        a, b = (table.features[n[some], THUMBNAIL].astype(np.int16) for n in (one, other))
        alike[some] = np.abs(a - b).mean(axis=1) < _MOST_APART
    one, other = one[alike], other[alike]
    return one, other, bits_that_differ(table.hashes[one], table.hashes[other]), complete


def _across(a: list[int], b: list[int], of: NDArray[np.integer]) -> list[tuple[int, int]]:
    """Pairs (earlier, later) of pictures in two groups of copies for which `of` differs.

    Duplicates within a group are known already, so only the first picture of each value is
    compared, and only a few values: one picture under many labels is an attempt to make this slow.
    """
    firsts_a, firsts_b = ({int(of[n]): n for n in reversed(group)} for group in (a, b))
    few_a, few_b = (list(firsts.values())[-_VALUES:] for firsts in (firsts_a, firsts_b))
    pairs = [(x, y) for x in few_a for y in few_b if of[x] != of[y]]
    return [(min(pair), max(pair)) for pair in pairs]  # parts are in order, training pictures first


def _keep_nearest(found: dict[int, Same], pairs: list[tuple[int, int]], bits: int) -> None:
    for earlier, later in pairs:
        known = found.get(later)
        if known is None or (known.how == "near" and (bits, earlier) < (known.bits, known.first)):
            found[later] = Same(earlier, later, "near", bits)


def _groups(one: NDArray[np.int64], other: NDArray[np.int64]) -> list[tuple[int, ...]]:
    """Groups of pictures that are connected by pairs, each sorted."""
    above: dict[int, int] = {}

    def top(n: int) -> int:
        while (next_ := above.setdefault(n, n)) != n:
            above[n] = above[next_]
            n = above[n]
        return n

    for a, b in zip(one.tolist(), other.tolist(), strict=True):
        x, y = top(a), top(b)
        above[max(x, y)] = min(x, y)
    groups: dict[int, list[int]] = {}
    for n in sorted(above):
        groups.setdefault(top(n), []).append(n)
    return [tuple(group) for group in sorted(groups.values())]
