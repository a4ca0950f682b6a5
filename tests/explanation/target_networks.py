"""Small networks of several labels and of numbers, an image, and what is true of it."""

import numpy as np

import neocog
from neocog.layers import Conv2d, Flatten, Linear, MaxPool2d, ReLU
from neocog.network import Network

LOSSES = ("binary-cross-entropy", "mse")
NAMES = ("red", "old", "wet")
IMAGE = np.random.default_rng(0).integers(0, 256, (9, 8, 3), np.uint8)
TRUTH = {
    "binary-cross-entropy": np.array([1, 0, 1], np.float32),
    "mse": np.array([0.5, -1.5, 2], np.float32),
}


def network_of(loss: str, outputs: int = 3) -> Network:
    """An untrained network, as if it were trained by this loss."""
    network = neocog.Network(
        input_shape=(3, 9, 8),
        classes=NAMES[:outputs],
        conv=Conv2d(3, 4, 3, padding=1),
        relu=ReLU(),
        pool=MaxPool2d(2),
        flatten=Flatten(),
        fc=Linear(64, outputs),
    )
    network.initialize(1)
    network.loss = loss
    return network
