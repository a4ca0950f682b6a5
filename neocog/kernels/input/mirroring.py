"""Pixels outside of an image: it is mirrored at its outermost pixels, again and again."""

from neocog.kernels.compiler.jit import inlined

__all__ = ["mirrored"]


@inlined
def mirrored(at, size):
    """The index of the pixel at `at`, mirrored if that is outside of the image."""
    at = abs(at)
    if at < size:
        return at
    period = max(1, 2 * (size - 1))
    if at > period:
        at %= period
    return min(at, period - at)
