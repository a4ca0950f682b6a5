"""Small classifiers, and digits for them."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.datasets import load_digits

from neocog import ImageClassifier

DIGITS = load_digits()


def digits(count=120):
    """Images uint8 [n, 8, 8, 1] and labels 0 to 9."""
    images = (DIGITS.images[:count, :, :, None] * 15).astype(np.uint8)
    return images, DIGITS.target[:count]


def small(**settings):
    return ImageClassifier(**{"epochs": 2, "random_state": 3, "threads": 1} | settings)
