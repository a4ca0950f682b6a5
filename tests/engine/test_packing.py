"""From PyTorch's shapes to the kernels' layouts and back."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from neocog.engine.lowering import lower
from neocog.layers import Conv2d, Flatten, Linear
from neocog.network import Network

CHANNELS = st.sampled_from([1, 2, 3, 4, 5, 8, 16, 17, 24, 33, 48])


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    c=CHANNELS,
    k=CHANNELS,
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    outputs=CHANNELS,
    size=st.tuples(st.integers(5, 7), st.integers(5, 7)),
)
def test_packing_there_and_back(c, k, kernel, outputs, size):
    h, w = size[0] - kernel[0] + 1, size[1] - kernel[1] + 1
    network = Network(
        input_shape=(c, *size),
        conv=Conv2d(c, k, kernel),
        flatten=Flatten(),
        fc=Linear(k * h * w, outputs),
    )
    only_linear = Network(
        input_shape=(c, *size), flatten=Flatten(), fc=Linear(c * size[0] * size[1], outputs)
    )
    rng = np.random.default_rng(c * k)
    for op in (*lower(network.graph, training=True), *lower(only_linear.graph, training=True)):
        for parameter in op.parameters():
            # Whole numbers from 1 on: none is lost, doubled or taken for padding.
            shape = parameter.shape
            value = 1 + rng.permutation(int(np.prod(shape))).astype(np.float32).reshape(shape)
            packed = parameter.pack(value)
            assert packed.shape == (parameter.size,)
            assert packed.dtype == np.float32
            assert np.count_nonzero(packed) == value.size
            np.testing.assert_array_equal(np.sort(packed[packed > 0]), np.arange(value.size) + 1)
            back = parameter.unpack(packed)
            np.testing.assert_array_equal(back, value)
            assert not np.shares_memory(back, packed)
