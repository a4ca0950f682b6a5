"""The random functions against the same formula in whole numbers of any size, and their quality.

What is random here is fixed by the seeds below, so that no test fails now and then. The bounds are
those that a sum of independent fair bits or uniform numbers leaves twice in 10⁹ times (6 σ).
"""

import numba
import numpy as np
import pytest
from cases import once

from neocog.kernels.compiler.numba_passes import KernelCompiler
from neocog.kernels.random import random_bits, uniform

COUNT = 20000
SIGMAS = 6
COUNTERS = [0, 1, 2, 77, 2**31, 2**40 + 5, 2**63 - 1, -1, -(2**63)]


@numba.njit(pipeline_class=KernelCompiler)
def bits_of(seed, a, b):
    return random_bits(seed, a, b)


@numba.njit(pipeline_class=KernelCompiler)
def uniform_of(seed, a, b):
    return uniform(seed, a, b)


@numba.njit(pipeline_class=KernelCompiler)
def grid(seed, rows, columns):
    """The bits of every (a, b)."""
    out = np.empty((rows, columns), np.uint64)
    for a in range(rows):
        for b in range(columns):
            out[a, b] = random_bits(seed, a, b)
    return out


def expected_bits(seed, a, b):
    whole, golden = 2**64, 0x9E3779B97F4A7C15

    def mix(z):
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % whole
        z = (z ^ z >> 27) * 0x94D049BB133111EB % whole
        return z ^ z >> 31

    z = mix((seed + golden) % whole)
    z = mix((z + golden * (a + 1)) % whole)
    return mix((z + golden * (b + 1)) % whole)


def unpacked(bits):
    """[…] of uint64 as […, 64] of 0 and 1."""
    return np.unpackbits(np.ascontiguousarray(bits)[..., None].view(np.uint8), axis=-1)


@pytest.mark.parametrize("seed", COUNTERS)
def test_random_bits_is_its_formula(seed):
    for a in COUNTERS:
        for b in COUNTERS:
            assert int(bits_of(seed, a, b)) == expected_bits(seed, a, b)


def test_uniform_is_the_highest_53_bits():
    for b in range(1000):
        u = uniform_of(3, 1, b)
        assert u == (expected_bits(3, 1, b) >> 11) / 2**53
        assert 0 <= u < 1


@once
@pytest.mark.parametrize("seed", [0, 1, -7, 2**62])
def test_uniform_is_spread_evenly(seed):
    u = grid(seed, 20, COUNT // 20).ravel() / 2.0**64
    assert abs(u.mean() - 1 / 2) < SIGMAS / np.sqrt(12 * COUNT)
    assert abs((u**2).mean() - 1 / 3) < SIGMAS * np.sqrt(4 / 45 / COUNT)
    # 64 equal parts, each a binomial number: their χ² has mean 63 and variance 126.
    parts = np.bincount((64 * u).astype(int), minlength=64)
    chi = ((parts - COUNT / 64) ** 2 / (COUNT / 64)).sum()
    assert abs(chi - 63) < SIGMAS * np.sqrt(126)


@once
@pytest.mark.parametrize("seed", [0, 12345])
def test_every_bit_is_fair_and_independent_of_its_neighbors(seed):
    square = unpacked(grid(seed, 140, 140)).astype(np.int8) * 2 - 1
    bound = SIGMAS / np.sqrt(139 * 140)
    assert np.abs(square.mean((0, 1))).max() < bound
    # Along a, along b, and from one seed to the next: all pairs of bits of two neighbors.
    following = unpacked(grid(seed + 1, 140, 140)).astype(np.int8) * 2 - 1
    for one, other in (
        (square[1:], square[:-1]),
        (square[:, 1:], square[:, :-1]),
        (square, following),
        (square[1:, :-1], square[:-1, 1:]),
    ):
        left, right = (s.reshape(-1, 64).astype(np.float64) for s in (one, other))
        assert np.abs(left.T @ right / len(left)).max() < bound


@once
def test_one_bit_of_a_counter_changes_half_of_the_bits():
    for place in range(3):
        for bit in range(63):
            changed = 0
            for trial in range(50):
                before = [trial, 3 * trial, 7 * trial]
                after = before.copy()
                after[place] ^= 1 << bit
                changed += (int(bits_of(*before)) ^ int(bits_of(*after))).bit_count()
            assert abs(changed - 1600) < SIGMAS * np.sqrt(50 * 64 / 4)
