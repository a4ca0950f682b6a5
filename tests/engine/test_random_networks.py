"""Random networks against PyTorch in float64."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yardstick import compare, data_for

from neocog.errors import ArchitectureError
from neocog.layers import (
    ELU,
    GELU,
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm2d,
    ChannelShuffle,
    Conv2d,
    Flatten,
    GroupNorm,
    LayerNorm2d,
    Linear,
    MaxPool2d,
    Mish,
    PReLU,
    ReLU,
    Residual,
    Scale,
    Sequential,
    Softplus,
    Tanh,
)
from neocog.network import Network


@st.composite
def layers_of_eight(draw):
    """A layer that keeps eight channels and the size of the map."""
    kinds = ["conv", "norm", "of image", "function", "pool", "block", "depthwise", "moved"]
    kind = draw(st.sampled_from(kinds))
    match kind:
        case "conv":
            return Conv2d(8, 8, 3, padding=1, bias=draw(st.booleans()))
        case "depthwise":
            return Conv2d(8, 8, 3, padding=1, groups=8)
        case "norm":
            return BatchNorm2d(8)
        case "of image":
            return draw(st.sampled_from([GroupNorm(2, 8), LayerNorm2d(8)]))
        case "function":
            new = [ELU(0.5), Softplus(), Mish(), PReLU(), PReLU(8)]
            return draw(st.sampled_from([ReLU(), GELU(), Tanh(), Scale(-0.5), *new]))
        case "moved":
            copied = Conv2d(8, 8, 3, padding=1, padding_mode="reflect")
            return draw(st.sampled_from([ChannelShuffle(4), ChannelShuffle(2), copied]))
        case "pool":
            return draw(st.sampled_from([MaxPool2d(3, 1, 1), AvgPool2d(3, 1, 1)]))
    return Residual(draw(rows_of_eight()), draw(st.none() | layers_of_eight()))


@st.composite
def rows_of_eight(draw):
    """One to three of them in a row."""
    row = draw(st.lists(layers_of_eight(), min_size=1, max_size=3))
    return Sequential(**{f"l{n}": layer for n, layer in enumerate(row)})


@settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(body=rows_of_eight(), pooled=st.booleans())
def test_random_networks_by_pytorch(body, pooled):
    network = Network(
        input_shape=(3, 6, 5),
        first=Conv2d(3, 8, 3, padding=1),
        body=body,
        **({"pool": AdaptiveAvgPool2d()} if pooled else {}),
        flatten=Flatten(),
        fc=Linear(8 if pooled else 240, 5),
    )
    network.initialize(1)
    images, labels = data_for(network, 22)
    compare(network, images, labels)


def test_a_block_behind_flatten_is_refused():
    """Its lanes would be a flattened map and a vector, whose numbers lie in different orders."""
    network = Network(
        input_shape=(3, 3, 2), flatten=Flatten(), block=Residual(Linear(18, 18)), fc=Linear(18, 5)
    )
    network.initialize(0)
    images, labels = data_for(network, 12)
    with pytest.raises(ArchitectureError, match=r"block: .*put a Linear"):
        compare(network, images, labels)
