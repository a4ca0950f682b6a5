"""Random numbers as pure functions of a seed and counters, without state.

    G = 0x9E3779B97F4A7C15 (2⁶⁴ divided by the golden ratio, made odd), all modulo 2⁶⁴
    mix(z):   z ← (z ⊕ z ≫ 30) · 0xBF58476D1CE4E5B9,  z ← (z ⊕ z ≫ 27) · 0x94D049BB133111EB,
              z ⊕ z ≫ 31
    bits(seed, a, b) = mix(mix(mix(seed + G) + G (a + 1)) + G (b + 1))

So for each (seed, a), b counts along a stream of splitmix64 whose start is itself random: the
numbers of an image do not depend on which worker computes them, or when. (G. L. Steele, D. Lea and
C. H. Flood, "Fast splittable pseudorandom number generators", 2014; J. K. Salmon et al., "Parallel
random numbers: as easy as 1, 2, 3", 2011.)

For vectors, `mixed_lanes` mixes a 32-bit counter per lane with a key of 64 bits:

    z ← a counter + low half of the key,  z ← (z ⊕ z ≫ 16) · 0x7FEB352D + high half of the key,
    z ← (z ⊕ z ≫ 15) · 0x846CA68B,  z ⊕ z ≫ 16

(C. Wellons, "Prospecting for hash functions", 2018: lowbias32, with the second half of
the key added in the middle, so that the sequences of two keys are not shifts of one another.)
"""

import numpy as np

from neocog.kernels.compiler.jit import inlined

__all__ = ["drawn_below", "mixed_lanes", "random_bits", "uniform"]

_G = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


@inlined
def mix(z):
    """Every bit of the result depends on every bit of z; no two z give the same."""
    z = (z ^ (z >> np.uint64(30))) * _FIRST
    z = (z ^ (z >> np.uint64(27))) * _SECOND
    return z ^ (z >> np.uint64(31))


@inlined
def random_bits(seed, a, b):
    """64 random bits, a uint64, as a function of three integers."""
    one = np.uint64(1)
    z = mix(np.uint64(seed) + _G)
    z = mix(z + _G * (np.uint64(a) + one))
    return mix(z + _G * (np.uint64(b) + one))


@inlined
def uniform(seed, a, b):
    """A random float64, 0 ≤ u < 1, in steps of 2⁻⁵³, as a function of three integers."""
    return float(random_bits(seed, a, b) >> np.uint64(11)) * 2.0**-53


@inlined
def drawn_below(bound, key, purpose, attempt=0):
    """A uniformly random integer from 0 to bound − 1, by `uniform`."""
    return int(uniform(key, purpose, attempt) * bound)


def mixed_lanes(emit, counter, low, high):
    """For blocks: 32 random bits per lane, from int32 vectors of a counter and a key's halves."""
    z = emit.add_indices(counter, low)
    z = emit.mul_indices(emit.xor_indices(z, emit.shift_right(z, 16)), emit.indices(0x7FEB352D))
    z = emit.add_indices(z, high)
    z = emit.mul_indices(emit.xor_indices(z, emit.shift_right(z, 15)), emit.indices(0x846CA68B))
    return emit.xor_indices(z, emit.shift_right(z, 16))
