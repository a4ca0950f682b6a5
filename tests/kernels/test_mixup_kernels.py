"""The shares and partners of mixup, against the distributions that they are drawn from."""

import numba
import numpy as np
import pytest
from cases import once
from test_augmentation_kernels import SIGMAS, spread_evenly

from neocog.kernels.compiler.numba_passes import KernelCompiler
from neocog.kernels.input.mixup import draw_mixing, mix_nothing, partner


@numba.njit(pipeline_class=KernelCompiler)
def many_mixings(alpha, images, count):
    shares, rotations = np.empty(count), np.empty(count, np.int64)
    settings, step_ = np.array([9, 4, 0, 0, 0]), np.array([0, images])
    for n in range(count):
        step_[0] = n * images
        shares[n], rotations[n] = draw_mixing(alpha, settings, step_)
    return shares, rotations


DRAWS = 20000


@once
@pytest.mark.parametrize("alpha", [0.001, 0.2, 1.0, 2.0, 8.0])
def test_shares_are_those_of_a_beta_distribution(alpha):
    share, _ = many_mixings(alpha, 8, DRAWS)
    assert (share >= 0).all()
    assert (share <= 1).all()
    variance = 0.25 / (2 * alpha + 1)
    assert abs(share.mean() - 0.5) < SIGMAS * np.sqrt(variance / DRAWS)
    # (λ − ½)² lies in 0 … ¼, so that its standard deviation is at most ⅛.
    assert abs(((share - 0.5) ** 2).mean() - variance) < SIGMAS * 0.125 / np.sqrt(DRAWS)
    known = {1.0: lambda x: x, 2.0: lambda x: x * x * (3 - 2 * x)}
    if alpha in known:
        # Kolmogorov: √N D > 3.3 twice in 10⁹ times.
        even = (np.arange(DRAWS) + 0.5) / DRAWS
        assert np.abs(known[alpha](np.sort(share)) - even).max() < 3.4 / np.sqrt(DRAWS)


@once
@pytest.mark.parametrize("images", [1, 2, 3, 8])
def test_partners(images):
    _, rotations = many_mixings(1.0, images, 3000)
    if images == 1:
        assert (rotations == 0).all()
    else:
        counts = np.bincount(rotations, minlength=images)
        assert counts[0] == 0
        assert len(counts) == images
        assert images == 2 or spread_evenly(counts[1:])
    for rotation in np.unique(rotations):
        partners = [partner.py_func(place, images, rotation) for place in range(images)]
        assert sorted(partners) == list(range(images))
        assert images == 1 or all(p != place for place, p in enumerate(partners))


@once
def test_shares_of_one_seed_are_the_same():
    first, second = many_mixings(0.4, 8, 100), many_mixings(0.4, 8, 100)
    np.testing.assert_array_equal(first, second)
    assert len(np.unique(first[0])) == 100
    assert mix_nothing.py_func(0.4, None, None) == (1.0, 0)
