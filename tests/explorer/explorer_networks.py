"""Data and trainings to compare the explorer with."""

import numpy as np
from exploring import Page

import neocog
from neocog.data.shapes import shapes
from neocog.web.curve import Point

DATA = shapes(0, 600, 50)
# Of numbers about 1 that are sums of some thousand products in float32.
CLOSE = 2e-5


def predicted(page: Page) -> list[float]:
    return page.state()["prediction"]["probabilities"]


def fitted(steps: int, batch_size=4, rate=0.001, momentum=0.9, seed=0, new=False) -> neocog.Network:
    """What the public function makes of so many steps, of a network with or without weights."""
    network = neocog.models.simple_cnn()
    if not new:
        network.initialize(seed)
    whole = -(-len(DATA.train) // batch_size)
    optimizer = neocog.SGD(rate, momentum)
    neocog.fit(
        network,
        DATA.train,
        epochs=steps / whole,
        batch_size=batch_size,
        optimizer=optimizer,
        seed=seed,
    )
    return network


def assert_same(weights, expected):
    assert weights.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(weights[name], value, err_msg=name)


def point(steps, count=1, loss=1.0, accuracy=None, speed=10.0):
    return Point(steps, count, loss, accuracy, speed)
