"""Built-in data: the same bytes everywhere, every class even, every shape drawn."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from neocog.data import load_data
from neocog.data.shapes import shapes
from neocog.errors import DataError
from neocog.kernels.input.shapes import CLASSES, draw_shapes

KEY = np.uint64(12345)

INTERPRETED = """
import sys
import numpy as np
from neocog.kernels.input import shapes
for name, function in list(vars(shapes).items()):
    setattr(shapes, name, getattr(function, "py_func", function))
images = np.zeros((10, 32, 32, 3), np.uint8)
shapes.draw_shapes(images, np.arange(10), np.uint64(12345), 0, 10)
sys.stdout.buffer.write(images.tobytes())
"""


def draw(labels, start=0, stop=None) -> np.ndarray:
    images = np.zeros((len(labels), 32, 32, 3), np.uint8)
    draw_shapes(images, np.asarray(labels), KEY, start, len(labels) if stop is None else stop)
    return images


def digest(*arrays: np.ndarray) -> str:
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


def test_the_bytes_are_pinned():
    # Whoever changes a picture on purpose pins the new digest, and says so in the changelog:
    # published accuracies belong to these bytes.
    data = shapes(0, train=300, test=100)
    assert (
        digest(data.train.images, data.train.labels)
        == "57e27bddb7aae78a7e08d1dca9db54c5bfad4591d66b44f0c948450d40ebfd00"
    )
    assert (
        digest(data.test.images, data.test.labels)
        == "49bedf6661fad1a04db027c4794b5e2fe9a401a7f6f69d589221c30c88d8b294"
    )


def test_compiled_and_interpreted_pictures_are_bitwise_the_same():
    # Python rounds after every operation, so a fused multiply-add would show here.
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", INTERPRETED], capture_output=True, check=True
    )
    assert answer.stdout == draw(np.arange(10)).tobytes()


@pytest.mark.parametrize("threads", [2, 3, 7, 64])
def test_the_number_of_threads_changes_nothing(threads):
    one, many = shapes(5, 40, 13, threads=1), shapes(5, 40, 13, threads=threads)
    assert digest(one.train.images, one.test.images) == digest(many.train.images, many.test.images)


def test_a_range_is_drawn_alone():
    labels = np.arange(10)
    whole, part = draw(labels), draw(labels, 3, 6)
    assert np.array_equal(part[3:6], whole[3:6])
    assert not part[:3].any()
    assert not part[6:].any()


@pytest.mark.parametrize("count", [0, 1, 10, 1_003])
def test_classes_are_even_and_shuffled(count):
    data = shapes(1, count, count)
    assert data.classes == CLASSES
    for part in (data.train, data.test):
        assert part.images.shape == (count, 32, 32, 3)
        counts = np.bincount(part.labels, minlength=10)
        assert counts.max() - counts.min() <= 1
    if count == 1_003:
        assert not np.array_equal(data.train.labels, data.test.labels)
        assert (np.diff(data.train.labels) == 1).mean() < 0.2


def test_seeds_and_splits_share_no_picture():
    sets = [shapes(0, 200, 200), shapes(1, 200, 200), shapes(2**64 - 1, 200, 200)]
    pictures = [
        picture.tobytes() for d in sets for part in (d.train, d.test) for picture in part.images
    ]
    assert len(set(pictures)) == len(pictures) == 1_200


def test_the_label_decides_the_shape_and_nothing_else():
    # One index a class, drawn at the same place in the same colors: only the shape may differ.
    pictures = []
    for label in range(10):
        images = np.zeros((8, 32, 32, 3), np.uint8)
        draw_shapes(images, np.full(8, label), KEY, 0, 8)
        pictures.append(images.astype(int))
    for a in range(10):
        for b in range(a):
            differs = np.abs(pictures[a] - pictures[b]).sum(-1) > 60
            assert (differs.sum((1, 2)) > 20).all(), (CLASSES[a], CLASSES[b])
            assert (differs.sum((1, 2)) < 700).all(), (CLASSES[a], CLASSES[b])


def test_pictures_are_varied():
    images = shapes(0, 1_000, 0).train.images
    assert images.min() == 0
    assert images.max() == 255
    assert (images.mean((1, 2)).std(0) > 30).all()  # colors from picture to picture
    assert images.mean((0, 1, 2)) == pytest.approx([127.5] * 3, abs=12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": -1}, r"seed \(=-1\) must be a whole number from 0 to 2\*\*64 - 1"),
        ({"seed": 2**64}, r"seed \(=18446744073709551616\) must be"),
        ({"train": -1}, r"train \(=-1\) must be a whole number from 0 to"),
        ({"test": -5}, r"test \(=-5\) must be"),
        ({"seed": "x"}, r"seed \(='x'\) must be"),
        ({"threads": 0}, r"threads \(=0\) must be a whole number from 1 to 256"),
    ],
)
def test_numbers_that_cannot_be_are_refused(arguments, message):
    with pytest.raises(DataError, match=message):
        shapes(**arguments)


def test_load_data_draws_them_with_the_seed(monkeypatch):
    asked = []
    few = shapes(0, 8, 4)
    monkeypatch.setattr("neocog.data.shapes.shapes", lambda seed: asked.append(seed) or few)
    load_data(seed=7)
    load_data("shapes")
    assert asked == [7, 0]


def test_numba_is_imported_only_to_draw():
    code = "import sys, neocog.data; sys.exit('numba' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
