"""Folders of small pictures in three classes, some without a label."""

from pathlib import Path

import numpy as np
from photographs import SIDE
from PIL import Image

from neocog.data.images import Dataset

CLASSES = ("blue", "green", "red")  # as folders are sorted; pictures are red, green, blue, red, …


def pictures(n, seed=0):
    """Noisy pictures in the color of their class: red, green or blue."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    images = rng.integers(60, 140, (n, SIDE, SIDE, 3), np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[..., label] += rng.integers(20, 60, dtype=np.uint8)
    return Dataset(images, labels)


def write_folder(root: Path, labeled=60, unlabeled=0, wrong=(), seed=0) -> Path:
    """Pictures named by their number, each in the folder of its class or in ``unlabeled``.

    Args:
        root: the folder.
        labeled: how many have a label, those first.
        unlabeled: how many have none.
        wrong: numbers of those that lie in the folder of the next class.
        seed: of the pictures.
    """
    data = pictures(labeled + unlabeled, seed)
    for number, (image, label) in enumerate(zip(data.images, data.labels, strict=True)):
        name = ("red", "green", "blue")[(label + (number in wrong)) % 3]
        folder = root / (name if number < labeled else "unlabeled")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{number:03d}.png")
    return root
