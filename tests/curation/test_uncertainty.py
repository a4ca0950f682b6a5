"""Entropies and the choice of what to label next, against sums and searches by hand."""

import math

import numpy as np
import pytest

from neocog.curation.uncertainty import entropies, spread_out


def test_entropies_by_hand():
    p = np.array([[1, 0, 0], [0.5, 0.5, 0], [1 / 3, 1 / 3, 1 / 3], [0.7, 0.2, 0.1]])
    by_hand = [0, math.log(2), math.log(3), -sum(q * math.log(q) for q in (0.7, 0.2, 0.1))]
    assert entropies(p) == pytest.approx(by_hand, abs=1e-12)
    assert entropies(p.astype(np.float32)) == pytest.approx(by_hand, abs=1e-6)


def chosen_by_hand(weights, features, count):
    """The same greedy choice with loops over all pairs."""
    rows = [[float(x) for x in row] for row in features]
    units = [[x / math.dist(row, [0] * len(row)) for x in row] for row in rows]
    chosen = []
    while len(chosen) < count:

        def gain(n):
            nearest = min((math.dist(units[n], units[c]) for c in chosen), default=1.0)
            return weights[n] * nearest

        left = [n for n in range(len(rows)) if n not in chosen]
        chosen.append(max(left, key=gain))
    return chosen


@pytest.mark.parametrize("seed", range(3))
def test_the_greedy_choice(seed):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(40, 6)).astype(np.float32)
    weights = rng.uniform(0, 1, 40)
    assert spread_out(weights, features, 15) == chosen_by_hand(weights, features, 15)


def test_of_copies_one_is_enough():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(4, 5)).astype(np.float32)[[0, 0, 0, 1, 2, 3]]
    weights = np.array([1.0, 0.99, 0.98, 0.3, 0.2, 0.1])
    chosen = spread_out(weights, features, 4)
    assert chosen[0] == 0
    assert sorted(chosen) == [0, 3, 4, 5]
    assert sorted(spread_out(weights, features, 9)) == list(range(6))


def test_the_certain_come_last():
    features = np.eye(5, dtype=np.float32)
    assert set(spread_out(np.array([0, 0.5, 0, 0.6, 0.4]), features, 3)) == {1, 3, 4}
    assert sorted(spread_out(np.zeros(5), features, 5)) == list(range(5))
