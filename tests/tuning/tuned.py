"""Small data, a small network and short trainings for tests of `neocog.tune`."""

import numpy as np

import neocog

SETTINGS = neocog.Recipe(epochs=2, batch_size=8, threads=1, seed=3)
#: Rates at which the network below learns its data, is slow to, and diverges.
GOOD, SLOW, WILD = 0.05, 1e-4, 3e38


def little_data(images: int = 48, test: int = 8) -> neocog.Data:
    """Dark and bright images, of which a linear network tells which is which."""
    rng = np.random.default_rng(0)

    def part(count: int) -> neocog.Dataset:
        labels = np.arange(count) % 2
        pixels = rng.integers(0, 60, (count, 4, 4, 1), np.uint8) + 120 * labels[:, None, None, None]
        return neocog.Dataset(pixels.astype(np.uint8), labels)

    return neocog.Data("little", part(images), part(test), ("dark", "bright"))


def linear(settings: neocog.Recipe, data: neocog.Data) -> neocog.Network:
    return neocog.Network(
        input_shape=(1, 4, 4), flatten=neocog.Flatten(), fc=neocog.Linear(16, len(data.classes))
    )
