"""The kernel that copies channels, as parts of a concatenation and back; see `cases`."""

import numpy as np
from cases import BORDERS, IMAGES, example, generator, in_parts, real, sizes
from hypothesis import given
from hypothesis import strategies as st
from kernel_caller import blank, call, maps, read

from neocog.kernels.compiler.spec import kind_of
from neocog.kernels.elementwise.channel_copy import ChannelCopy, copy_channels, kinds
from neocog.kernels.layout import FeatureMap


@st.composite
def parts(draw):
    """(N, H, W, the parts' channels, borders and whether they are dense, y's border)."""
    each = draw(st.lists(st.tuples(st.integers(1, 40), BORDERS, st.booleans()), min_size=1))
    each = [(c, border, dense and c <= 4) for c, border, dense in each[:4]]
    return draw(IMAGES), draw(st.integers(1, 9)), draw(st.integers(1, 20)), each, draw(BORDERS)


@sizes(40)
@example(case=(2, 5, 7, [(3, (0, 1), True), (17, (1, 0), False), (16, (0, 0), False)], (1, 1)))
@example(case=(1, 1, 1, [(20, (0, 0), False), (12, (0, 0), False)], (0, 0)))
@given(case=parts())
def test_a_concatenation_and_its_gradient(case):
    n, h, w, each, border = case
    rng = generator(case)
    channels = sum(c for c, _, _ in each)
    y_map = FeatureMap(h, w, channels, *border)
    y, expected, begin = blank(y_map, n), [], 0
    dy = real(rng, n, channels, h, w)
    for c, its_border, dense in each:
        x_map = FeatureMap(h, w, c, *its_border, dense)
        x, dx = real(rng, n, c, h, w), blank(x_map, n)
        expected.append(x)
        is_last = begin + c == channels
        forward = ChannelCopy(x_map, y_map, 0, begin, c, y_map.pixel - begin if is_last else c)
        backward = ChannelCopy(y_map, x_map, begin, 0, c, x_map.pixel)
        assert {kind_of(forward), kind_of(backward)} == {kind_of(spec) for _, spec in kinds()}
        for first, count in in_parts(n):
            places = {"x": (maps(x_map, x), first), "y": (y, first)}
            call(copy_channels, forward, count=count, first=first, **places)
            places = {"x": (maps(y_map, dy), first), "y": (dx, first)}
            call(copy_channels, backward, count=count, first=first, **places)
        np.testing.assert_array_equal(read(x_map, dx), dy[:, begin : begin + c])
        begin += c
    np.testing.assert_array_equal(read(y_map, y), np.concatenate(expected, 1))
