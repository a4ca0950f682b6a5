"""Images for tests of recipes and of first weights."""

import numpy as np


def images(count=50, side=32, channels=3, seed=0) -> np.ndarray:
    """Noise whose neighbors are alike, as pixels are; each channel with a mean of its own."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(count, side + 2, side + 2, channels))
    smooth = sum(noise[:, i : i + side, j : j + side] for i in range(3) for j in range(3))
    return np.clip(10 * smooth + 60 + 40 * np.arange(channels), 0, 255).astype(np.uint8)
