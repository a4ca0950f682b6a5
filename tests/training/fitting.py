"""A small network, small data and short trainings for tests of `neocog.fit`."""

import numpy as np

import neocog
from neocog import Conv2d, Flatten, Linear, MaxPool2d, ReLU
from neocog.data import Dataset

BATCH = 4
# Losses here are sums of a few hundred float32 products, of size 1: off by some 1e-6 at most.
CLOSE = 2e-5


def small_network(**settings) -> neocog.Network:
    return neocog.Network(
        input_shape=(3, 8, 8),
        conv1=Conv2d(3, 8, 3, padding=1),
        relu=ReLU(),
        pool=MaxPool2d(2),
        flatten=Flatten(),
        fc=Linear(8 * 4 * 4, 4),
        **settings,
    )


def small_data(images: int = 42, seed: int = 0) -> Dataset:
    """Noise that is a little brighter in the quarter that its class names; 11 steps of 4."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 200, (images, 8, 8, 3))
    labels = rng.integers(0, 4, images)
    for image, label in zip(pixels, labels, strict=True):
        row, column = divmod(int(label), 2)
        image[4 * row : 4 * row + 4, 4 * column : 4 * column + 4] += 55
    return Dataset(pixels.astype(np.uint8), labels)


def long_data(images: int) -> Dataset:
    """The same thousand again and again: some 5 µs a step of 4."""
    data = small_data(1000)
    return Dataset(
        np.tile(data.images, (images // 1000, 1, 1, 1)), np.tile(data.labels, images // 1000)
    )


class Recorder(neocog.Callback):
    """Writes down what it is told, and does as asked at one of those times."""

    def __init__(self, act=None):
        self.calls = []
        self.act = act

    def note(self, *call):
        self.calls.append(call)
        if self.act is not None:
            self.act(*call)

    def compiling(self, kernels):
        self.note("compiling", kernels)

    def ready(self, history):
        self.note("ready", history)

    def progress(self, epoch, step, steps):
        self.note("progress", epoch, step, steps)

    def logged(self, entry):
        self.note("logged", entry)

    def epoch_done(self, epoch, history):
        self.note("epoch_done", epoch, history)


def once(what, error):
    """Raise `error` at the first call named `what`."""
    raised = []

    def act(name, *_):
        if name == what and not raised:
            raised.append(name)
            raise error

    return act


def fit(network, data=None, **settings):
    settings = {"batch_size": BATCH, "epochs": 1, "log_every": 1, **settings}
    return neocog.fit(network, small_data() if data is None else data, **settings)


def assert_same_weights(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)
