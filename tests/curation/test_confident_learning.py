"""Confident learning, by hand and by the paper's definition written with loops."""

import numpy as np
import pytest

from neocog.curation.confident_learning import confident_learning


def test_by_hand():
    p = np.array(
        [
            [0.9, 0.1],
            [0.7, 0.3],
            [0.2, 0.8],  # labeled 0, and as probable for 1 as that class's own are
            [0.1, 0.9],
            [0.4, 0.6],
            [0.45, 0.55],
        ]
    )
    labels = np.array([0, 0, 0, 1, 1, 1])
    found = confident_learning(p, labels)
    assert found.thresholds == pytest.approx([0.6, 2.05 / 3])
    assert found.joint.tolist() == [[2, 1], [0, 1]]
    assert found.wrong.tolist() == [2]
    assert found.instead.tolist() == [1]


def by_loops(p, labels):
    """The confident joint by its definition, and the pictures off its diagonal by their margin."""
    n, classes = p.shape
    t = []
    for j in range(classes):
        own = [p[x, j] for x in range(n) if labels[x] == j]
        t.append(sum(own) / len(own))
    joint, wrong = [[0] * classes for _ in range(classes)], []
    for x in range(n):
        above = [j for j in range(classes) if p[x, j] >= t[j]]
        if above:
            j = max(above, key=lambda j: p[x, j])
            joint[labels[x]][j] += 1
            if j != labels[x] and p[x, j] > p[x, labels[x]]:
                wrong.append((p[x, labels[x]] - p[x, j], x, j))
    return joint, [(x, j) for _margin, x, j in sorted(wrong)]


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_by_the_definition(classes):
    rng = np.random.default_rng(classes)
    labels = np.concatenate([np.arange(classes), rng.integers(0, classes, 200)])
    p = rng.dirichlet(np.full(classes, 0.5), len(labels))
    p[np.arange(len(labels)), labels] += rng.uniform(0, 1, len(labels))
    p /= p.sum(axis=1, keepdims=True)
    found = confident_learning(p, labels)
    joint, wrong = by_loops(p, labels)
    assert found.joint.tolist() == joint
    assert list(zip(found.wrong.tolist(), found.instead.tolist(), strict=True)) == wrong
    assert wrong


def test_labels_that_are_all_right():
    labels = np.arange(30) % 3
    p = np.full((30, 3), 0.1)
    p[np.arange(30), labels] = 0.8
    assert not len(confident_learning(p, labels).wrong)
