"""Small networks with data, and how near to PyTorch they must be."""

import numpy as np

from neocog.layers import Conv2d, Flatten, Linear, MaxPool2d, ReLU
from neocog.models import simple_cnn
from neocog.network import Network


def networks():
    """One of each kind: the note's, deeper ones, ones with every layer in unusual places."""
    return {
        "simple_cnn": simple_cnn(),
        "three convolutions": Network(
            input_shape=(3, 16, 16),
            c1=Conv2d(3, 16, 3, padding=1),
            r1=ReLU(),
            c2=Conv2d(16, 24, 3, padding=1),
            p2=MaxPool2d(),
            r2=ReLU(),
            c3=Conv2d(24, 10, 3),
            r3=ReLU(),
            flatten=Flatten(),
            l1=Linear(10 * 6 * 6, 30),
            r4=ReLU(),
            l2=Linear(30, 7),
        ),
        "odd sizes, no bias": Network(
            input_shape=(1, 9, 11),
            r0=ReLU(),
            c1=Conv2d(1, 5, (3, 5), padding=(4, 1), bias=False),
            p1=MaxPool2d(),
            c2=Conv2d(5, 17, 3, padding=3),
            r2=ReLU(),
            r3=ReLU(),
            p2=MaxPool2d(),
            p3=MaxPool2d(),
            r4=ReLU(),
            flatten=Flatten(),
            l1=Linear(17 * 2 * 2, 30, bias=False),
            r5=ReLU(),
            l2=Linear(30, 3),
            r6=ReLU(),
        ),
        "pooling first, ends in a convolution": Network(
            input_shape=(2, 13, 10),
            p0=MaxPool2d(),
            r0=ReLU(),
            c1=Conv2d(2, 8, 1),
            c2=Conv2d(8, 8, (4, 3), padding=(1, 2), bias=False),
            p1=MaxPool2d(),
            r1=ReLU(),
            c3=Conv2d(8, 6, (2, 3), padding=0),
            flatten=Flatten(),
        ),
        "perceptron": Network(
            input_shape=(4, 6, 5),
            flatten=Flatten(),
            l1=Linear(4 * 6 * 5, 13),
            r1=ReLU(),
            l2=Linear(13, 9, bias=False),
            l3=Linear(9, 5),
        ),
        "one pixel": Network(
            input_shape=(3, 1, 1), c1=Conv2d(3, 3, 3, padding=1), r=ReLU(), flatten=Flatten()
        ),
    }


NETWORKS = networks()


def prepared(network, images, seed=0):
    """The network with parameters, and images and labels for it."""
    rng = np.random.default_rng(seed)
    network.initialize(seed)
    c, h, w = network.input_shape
    data = rng.integers(0, 256, (images, h, w, c), dtype=np.uint8)
    return network, data, rng.integers(0, network.output_shape[0], images)


def small(images=70, seed=0):
    """A small network with every kind of operation, for what need not be shown of all."""
    network = Network(
        input_shape=(3, 6, 6),
        c1=Conv2d(3, 8, 3, padding=1),
        r1=ReLU(),
        p1=MaxPool2d(),
        c2=Conv2d(8, 8, 3, padding=1),
        r2=ReLU(),
        flatten=Flatten(),
        l1=Linear(72, 11),
        r3=ReLU(),
        l2=Linear(11, 4),
    )
    return prepared(network, images, seed)


def assert_same(actual, expected):
    """Bitwise the same arrays under the same names."""
    assert actual.keys() == expected.keys()
    for name in actual:
        assert actual[name].dtype == expected[name].dtype
        np.testing.assert_array_equal(actual[name], expected[name], name)
