"""Perceptual hashes: 64 bits that hardly change if a picture is compressed, scaled or brightened.

With X the gray levels of a picture scaled to 32 × 32, and D the discrete cosine transform

    D[k, n] = cos(π (2n + 1) k / 64)        C = D X Dᵀ

bit 8 (i − 1) + j − 1 of the hash is whether C[i, j] is above the median of the 64 coefficients
C[1…8, 1…8]. It is the DCT hash of C. Zauner, "Implementation and Benchmarking of Perceptual Image
Hash Functions", 2010, section 3.2.1, except that antialiased scaling replaces his filter before
scaling. The distance of two hashes is the number of bits that differ.

Cosines are rounded to multiples of 1/4096: all sums are then exact in float64, and a hash is the
same on every machine.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

__all__ = ["SIDE", "bits_that_differ", "near_pairs", "perceptual_hashes"]

#: Height and width of the pictures that are hashed.
SIDE = 32

_BITS, _FREQUENCIES, _UNIT = 64, 8, 4096
# RMS of the coefficients, in the levels of an orthonormal transform, below which only noise decides
# which are above their median.
_LEAST = 2.0
# If many pictures have the same value in a band, each is compared with at most this many, its
# neighbors in the order of the hashes. And the most pairs that are kept.
_WINDOW, _MOST_PAIRS = 2_000, 2_000_000

_COSINES = np.rint(
    _UNIT
    * np.cos(np.pi * np.outer(np.arange(1, _FREQUENCIES + 1), 2 * np.arange(SIDE) + 1) / (2 * SIDE))
)


def perceptual_hashes(
    gray: NDArray[np.uint8],
) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """The hashes of pictures, and whether each is meaningful.

    Args:
        gray: uint8 [n, 32, 32].

    Returns:
        uint64 [n], and bool [n]: False for a picture of one color, or of so little contrast that
        its hash would be that of noise.
    """
    found = (_COSINES @ gray.astype(np.float64) @ _COSINES.T).reshape(len(gray), _BITS)
    above = found > np.median(found, axis=1, keepdims=True)
    hashes = np.packbits(above, axis=1, bitorder="little").view("<u8")[:, 0].astype(np.uint64)
    # An orthonormal transform of two axes has the factor 2 / 32.
    strength = np.sqrt((found**2).mean(axis=1)) * (2 / SIDE) / _UNIT**2
    return hashes, strength >= _LEAST


def bits_that_differ(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """The Hamming distances of hashes, pair by pair."""
    x = a ^ b
    x = x - ((x >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return ((x * np.uint64(0x0101010101010101)) >> np.uint64(56)).astype(np.uint8)


def near_pairs(
    hashes: NDArray[np.uint64], most: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], bool]:
    """Pairs of hashes that differ in at most `most` bits, without comparing all with all.

    The bits are cut into `most` + 1 bands. At most `most` bands have bits that differ, so the
    hashes of such a pair agree in at least one band: only hashes that agree in a band are compared.

    Args:
        hashes: uint64 [n].
        most: largest number of bits that may differ.

    Returns:
        The first and the second of each pair, first < second, sorted; and whether all pairs were
        found: if more than 2,000 hashes agree in a band, each is compared only with its neighbors,
        and no more than 2,000,000 pairs are kept.
    """
    edges = np.linspace(0, _BITS, most + 2).astype(int)
    pairs, complete, kept = [], True, 0
    for begin, end in pairwise(edges):
        mask = np.uint64((1 << int(end - begin)) - 1)
        values = (hashes >> np.uint64(begin)) & mask
        order = np.lexsort((hashes, values))
        in_order = hashes[order]
        # The end of the run of equal values that each place belongs to.
        ends = np.searchsorted(values[order], values[order], side="right")
        places = np.arange(len(order))
        for step in range(1, _WINDOW + 1):
            places = places[places + step < ends[places]]
            if not len(places) or kept > _MOST_PAIRS:
                break
            near = bits_that_differ(in_order[places], in_order[places + step]) <= most
            one, other = order[places[near]], order[places[near] + step]
            pairs.append(np.minimum(one, other) * len(hashes) + np.maximum(one, other))
            kept += len(one)
        complete &= not len(places)
    found = np.unique(np.concatenate([*pairs, np.empty(0, np.int64)]))
    return found // max(1, len(hashes)), found % max(1, len(hashes)), bool(complete)
