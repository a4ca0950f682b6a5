"""Folders of tiny pictures, and a command line that is called in this process."""

from pathlib import Path

import numpy as np
from PIL import Image

#: A network with few kernels, for any images.
NETWORK = """
from neocog import Flatten, Linear, Network

def make(classes, input_shape=(3, 32, 32)):
    c, h, w = input_shape
    return Network(input_shape=input_shape, flatten=Flatten(), fc=Linear(c * h * w, classes))

def fixed(classes):
    return make(classes, (1, 6, 9))
"""


def write_pictures(folder: Path, count: int, size=(10, 8), shade: int = 0, seed: int = 0) -> None:
    """PNG files of noise around a shade, `count` of the size (width, height)."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([seed, shade])
    for number in range(count):
        pixels = shade + rng.integers(0, 40, (size[1], size[0], 3), np.uint8)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number:03}.png")


def write_classes(folder: Path, counts=(("dark", 10), ("light", 10)), size=(10, 8)) -> None:
    """A folder for each class, the later the lighter."""
    for number, (name, count) in enumerate(counts):
        write_pictures(folder / name, count, size, shade=200 * number // max(1, len(counts) - 1))
