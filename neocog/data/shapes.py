"""Built-in data: drawn shapes, so that a network can be trained with no file and no network."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from neocog.data.dataset import Data
from neocog.data.images import Dataset
from neocog.errors import DataError
from neocog.kernels.input.shapes import CLASSES, draw_shapes
from neocog.limits import MOST_THREADS, available_cores
from neocog.validation import whole

__all__ = ["shapes"]

TRAIN, TEST = 0, 1
TRAIN_IMAGES, TEST_IMAGES = 50_000, 10_000
_MOST_IMAGES = 1_000_000_000


def shapes(
    seed: int = 0,
    train: int = TRAIN_IMAGES,
    test: int = TEST_IMAGES,
    threads: int | None = None,
) -> Data:
    """Draw pictures, uint8 [n, 32, 32, 3], of ten shapes of random place, size, angle and color.

    The classes are as even as possible, in a random order. A seed gives the same bytes on every
    machine and with any number of threads.

    Args:
        seed: seed of the drawing, 0 to 2**64 - 1.
        train: number of training images.
        test: number of test images.
        threads: number of threads; by default the number of cores.

    Raises:
        DataError: a bad seed or number.
    """
    wanted = "a whole number from 0 to 2**64 - 1"
    seed = whole("seed", seed, 0, 2**64 - 1, wanted=wanted, error=DataError)
    train = whole("train", train, 0, _MOST_IMAGES, error=DataError)
    test = whole("test", test, 0, _MOST_IMAGES, error=DataError)
    if threads is None:
        threads = available_cores()
    threads = whole("threads", threads, 1, MOST_THREADS, error=DataError)
    # Only the default sizes can be loaded again by the name alone.
    usual = (seed, train, test) == (0, TRAIN_IMAGES, TEST_IMAGES)
    return Data(
        "shapes",
        _split(seed, TRAIN, train, threads),
        _split(seed, TEST, test, threads),
        CLASSES,
        "shapes" if usual else "",
    )


def _split(seed: int, split: int, count: int, threads: int) -> Dataset:
    key = _mix(_mix(np.array([seed], np.uint64)) + np.uint64(split + 1))
    images: NDArray[np.uint8] = np.empty((count, 32, 32, 3), np.uint8)
    labels = _labels(key, count)
    bounds = [count * part // threads for part in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        drawn = [
            pool.submit(draw_shapes, images, labels, key[0], start, stop)
            for start, stop in itertools.pairwise(bounds)
        ]
        for part in drawn:
            part.result()
    return Dataset(images, labels)


def _labels(key: NDArray[np.uint64], count: int) -> NDArray[np.int64]:
    """Even classes, shuffled by sorting hashes, as NumPy's shuffle may change between versions."""
    order = np.argsort(_mix(key ^ _mix(np.arange(count, dtype=np.uint64))), kind="stable")
    return order % len(CLASSES)


def _mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The splitmix64 hash; of arrays, because NumPy warns of overflow in scalars only."""
    z = z + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
