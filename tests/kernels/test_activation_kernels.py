"""The activation kernels alone against `neocog.reference` in float64; see `cases`."""

import numpy as np
from cases import (
    feature_maps,
    generator,
    real,
    shapes,
    whole,
    wild,
)
from hypothesis import example, given
from kernel_caller import (
    blank,
    call,
    maps,
    read,
)

from neocog import reference
from neocog.kernels.activation import Activation, relu_backward, relu_forward
from neocog.kernels.layout import FeatureMap


@shapes(4)
@example(case=(2, 3, 5, 7, (1, 2), (0, 1), True))
@given(case=feature_maps())
def test_relu(case):
    n, c, h, w, before, after, dense = case
    x_map = FeatureMap(h, w, c, *before, dense)
    y_map = FeatureMap(h, w, c, *after, dense)
    stage = Activation(x_map, y_map)
    rng = generator(case)
    x = wild(rng, n, c, h, w)
    y = blank(y_map, n)
    call(relu_forward, stage, (maps(x_map, x), y), n)
    np.testing.assert_array_equal(read(y_map, y), reference.relu_forward(x))

    x = whole(rng, n, c, h, w)
    dy = real(rng, n, c, h, w)
    dx = blank(x_map.bare, n)
    y = reference.relu_forward(x)
    call(relu_backward, stage, (maps(y_map, y), maps(x_map.bare, dy), dx), n)
    np.testing.assert_array_equal(read(x_map.bare, dx), reference.relu_backward(dy, x))
