"""Mixup: each image of a batch is mixed with a partner, and so are their labels.

    x ← λ · x[p] + (1 − λ) · x[(p + r) mod n]        of the n images of the batch
    λ ~ Beta(α, α),   r uniform in 1 … n − 1

λ and r depend on the seed, the epoch and the batch's position in its order, so the kernel that
loads images and the kernel of the loss compute the same values independently. The partners are a
rotation of the batch: every image is a partner once, and the order of an epoch is random anyway.

    Beta     λ = G / (G + G′) of two gamma variables of shape α, computed by their logarithms, as a
             small α makes both too small for a float
    gamma    G(α) = G(α + 1) · U^(1/α), and for a shape a > 1, with d = a − ⅓ and N normal:
             G(a) = d · v,  v = (1 + N / √(9 d))³, kept if log U < N²/2 + d − d v + d log v

H. Zhang, M. Cisse, Y. N. Dauphin and D. Lopez-Paz, "mixup: beyond empirical risk minimization",
2017; G. Marsaglia and W. W. Tsang, "A simple method for generating gamma variables", 2000; normal
numbers by G. E. P. Box and M. E. Muller, 1958.
"""

from math import cos, exp, log, pi, sqrt

from neocog.kernels.compiler.jit import inlined
from neocog.kernels.random import random_bits, uniform

__all__ = ["draw_mixing", "mix_nothing", "partner"]

# Purposes of a batch's random numbers.
_ROTATION, _FIRST_GAMMA, _SECOND_GAMMA = 0, 1, 2


@inlined
def draw_mixing(alpha, settings, step):
    """The batch's λ and r.

    Args:
        alpha: α.
        settings: the settings of augmentation; [0] the seed, [1] the epoch.
        step: [0] the batch's position in the epoch's order, [1] images in it.
    """
    # Images' keys have the same seed and epoch, but their counters begin at 0.
    key = random_bits(settings[0], settings[1], -1 - step[0])
    rotation = 0
    if step[1] > 1:
        rotation = 1 + int(uniform(key, _ROTATION, 0) * (step[1] - 1))
    difference = log_gamma(alpha, key, _SECOND_GAMMA) - log_gamma(alpha, key, _FIRST_GAMMA)
    return 1.0 / (1.0 + exp(difference)), rotation


@inlined
def mix_nothing(alpha, settings, step):
    """λ = 1 and r = 0: no image is mixed."""
    return 1.0, 0


@inlined
def partner(place, images, rotation):
    """The position in the batch of the partner of the image at `place`."""
    return (place + rotation) % images


@inlined
def log_gamma(alpha, key, purpose):
    """The logarithm of a random variable of the gamma distribution of shape α."""
    d = alpha + 1.0 - 1.0 / 3.0
    c = 1.0 / sqrt(9.0 * d)
    boost = log(1.0 - uniform(key, purpose, 0)) / alpha
    at = 1
    while True:
        radius = sqrt(-2.0 * log(1.0 - uniform(key, purpose, at)))
        normal = radius * cos(2.0 * pi * uniform(key, purpose, at + 1))
        u = 1.0 - uniform(key, purpose, at + 2)
        at += 3
        v = 1.0 + c * normal
        if v > 0.0:
            log_v = 3.0 * log(v)
            if log(u) < 0.5 * normal * normal + d - d * v * v * v + d * log_v:
                return log(d) + log_v + boost
