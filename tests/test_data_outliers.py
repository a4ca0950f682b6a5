"""Pictures that are far from all others of their class."""

import numpy as np
import pytest
from PIL import Image

from neocog.data.check import check_data, outliers
from neocog.data.check.outliers import outlier_scores


def test_a_picture_of_something_else_is_far_from_its_class(tmp_path):
    """Forty evenings and a chessboard."""
    rng = np.random.default_rng(0)
    (tmp_path / "evening").mkdir()
    for n in range(40):
        sky = np.zeros((32, 32, 3), np.uint8)
        sky[:16] = [200 + n % 20, 100 + rng.integers(20), 60]
        sky[16:] = [20, 20 + rng.integers(20), 40 + n % 13]
        sky += rng.integers(0, 12, sky.shape, np.uint8)
        Image.fromarray(sky).save(tmp_path / "evening" / f"{n:02}.png")
    board = np.indices((32, 32)).sum(axis=0) // 4 % 2 * np.uint8(255)
    Image.fromarray(board.astype(np.uint8)).save(tmp_path / "evening" / "board.png")
    report = check_data(tmp_path, validation=0)
    assert report.odd[0].picture.name == "evening/board.png"
    assert [one.score for one in report.odd[1:]] < [report.odd[0].score / 2]


def test_outlier_scores_are_the_description():
    """Computed as the text says, pair by pair."""
    rng = np.random.default_rng(3)
    numbers = rng.integers(0, 101, (30, 384)).astype(np.uint8)
    numbers[29] = 100 - numbers[29] // 4
    blocks = [numbers[:, a:b].astype(float) for a, b in ((0, 192), (192, 256), (256, 384))]
    weights = [1 / block.var(axis=0).sum() for block in blocks]
    distance = np.empty(30)
    for i in range(30):
        to_others = sorted(
            sum(
                w * ((block[i] - block[j]) ** 2).sum()
                for w, block in zip(weights, blocks, strict=True)
            )
            for j in range(30)
            if j != i
        )
        distance[i] = np.sqrt(to_others[:5]).mean()
    logs = np.log(distance)
    middle = np.median(logs)
    expected = (logs - middle) / (1.4826 * np.median(abs(logs - middle)))
    found = outlier_scores(numbers, np.zeros(30, np.int64), 1)
    assert found == pytest.approx(expected, abs=1e-3)
    assert found.argmax() == 29


def test_small_classes_and_equal_pictures_have_no_outliers():
    numbers = np.random.default_rng(0).integers(0, 101, (19, 384)).astype(np.uint8)
    assert not outlier_scores(numbers, np.zeros(19, np.int64), 1).any()
    assert not outlier_scores(np.full((50, 384), 7, np.uint8), np.zeros(50, np.int64), 1).any()


def test_a_large_class_is_compared_with_a_part_of_it(monkeypatch):
    """Evenly taken; nobody is compared with itself."""
    monkeypatch.setattr(outliers, "_COMPARED", 20)
    numbers = np.random.default_rng(0).integers(0, 30, (100, 384)).astype(np.uint8)
    numbers[57] = 100
    scores = outlier_scores(numbers, np.zeros(100, np.int64), 1)
    assert scores.argmax() == 57 and scores[57] > 10
    assert np.sort(scores)[-2] < 4


def test_each_class_is_looked_at_by_itself():
    rng = np.random.default_rng(0)
    numbers = rng.integers(0, 10, (60, 384)).astype(np.uint8)
    labels = np.arange(60) % 2
    numbers[labels == 1] += 80
    numbers[10] += 80  # one of the other class's
    scores = outlier_scores(numbers, labels, 2)
    assert scores.argmax() == 10
    assert (scores > 4).sum() == 1
