"""The kernel that flips a convolution's weight; see `cases`."""

from math import nan

import numpy as np
from cases import example, generator, in_parts, real, sizes
from convolution_cases import GROUPS, LARGE_GROUPS, Case, cases
from hypothesis import given
from hypothesis import strategies as st
from kernel_caller import call, parameter, read_parameter, weight_places

from neocog.kernels.convolution.flipped_weight import FlippedWeight, conv2d_flip_weight


@sizes(60)
@example(case=Case(1, 17, (3, 3), 33, (3, 2), (1, 1)))
@example(case=GROUPS)
@example(case=LARGE_GROUPS)
@given(case=cases(channels=st.integers(1, 70)))
def test_conv2d_flip_weight(case):
    w_map = case.w_map
    weight = real(generator(case), *weight_places(w_map).shape)
    packed = parameter(w_map.size, weight_places(w_map), weight)
    at = weight_places(w_map.flipped)
    flipped = parameter(w_map.flipped.size, at, nan)
    spec = FlippedWeight(w_map)
    for first, count in in_parts(w_map.blocks):
        call(conv2d_flip_weight, spec, count=count, first=first, weight=packed, flipped=flipped)
    groups = weight.reshape(case.groups, case.outputs, *weight.shape[1:])
    expected = groups.swapaxes(1, 2)[..., ::-1, ::-1].reshape(case.c, -1, *case.kernel)
    np.testing.assert_array_equal(read_parameter(flipped, at), expected)
