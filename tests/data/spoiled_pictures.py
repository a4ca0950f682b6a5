"""Scenes to be spoiled, and files of them."""

import numpy as np
from PIL import Image


def scene(seed, size=(40, 30)):
    """A picture with soft shapes; two seeds are two pictures."""
    pixels = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC)


def save(picture, path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, **options)
    return path
