"""Small networks of layers that work row by row, of odd sizes."""

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from neocog.errors import ArchitectureError
from neocog.layers import (
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    Add,
    AvgPool2d,
    BatchNorm2d,
    ChannelShuffle,
    Concat,
    Conv2d,
    Flatten,
    LayerNorm2d,
    Linear,
    MaxPool2d,
    Multiply,
    Node,
    PReLU,
    ReLU,
    ReLU6,
    Residual,
    Sequential,
    SiLU,
    Slice,
    Upsample,
    ZeroPad2d,
)
from neocog.network import Network

INPUT = (4, 13, 9)


def of_neighbors():
    """Layers that keep the height, some of which read rows above and below."""
    row = {"l1": PReLU(4), "l2": MaxPool2d(3, 1, 1), "l3": AvgPool2d(3, 1, 1), "l4": PReLU(4)}
    last = {"flatten": Flatten(), "fc": Linear(4 * 13 * 9, 3)}
    return Network(input_shape=INPUT, **row, **last)


def depthwise(channels, kernel=3, stride=1, **options):
    """A depthwise convolution that keeps the size, but for the stride."""
    options = {"padding": kernel // 2, "groups": channels, **options}
    return Conv2d(channels, channels, kernel, stride=stride, **options)


def inverted(channels, kernel):
    """MobileNetV2's block: more channels, a convolution of each, and fewer again."""
    return Residual(
        Sequential(
            wider=Conv2d(channels, 6 * channels, 1, bias=False),
            norm1=BatchNorm2d(6 * channels),
            act1=ReLU6(),
            depth=depthwise(6 * channels, kernel, bias=False),
            norm2=BatchNorm2d(6 * channels),
            act2=ReLU6(),
            narrower=Conv2d(6 * channels, channels, 1, bias=False),
            norm3=BatchNorm2d(channels),
        )
    )


def of_blocks():
    """What large images are trained with: blocks, strides, pooling, Winograd's algorithm."""
    return Network(
        input_shape=(3, 14, 10),
        first=Conv2d(3, 8, 3, padding=1),
        norm=BatchNorm2d(8),
        act=ReLU6(),
        block=inverted(8, 3),
        fewer=depthwise(8, 5, 2),
        wider=Conv2d(8, 20, 1),
        swish=SiLU(),
        winograd=Conv2d(20, 20, 3, padding=1),
        again=BatchNorm2d(20),
        last=Residual(Conv2d(20, 20, 3, padding=1)),
        relu=ReLU(),
        pool=MaxPool2d(2),
        groups=Conv2d(20, 10, 1, groups=2),
        flatten=Flatten(),
        fc=Linear(10 * 3 * 2, 3),
    )


_FLAGS = st.booleans()
_WINDOWS = st.tuples(st.integers(2, 4), st.integers(1, 3), st.integers(0, 1), _FLAGS)


def _convolutions(channels):
    """Some that keep the channels."""
    strides = st.sampled_from([1, 1, 2])
    modes = st.sampled_from(["zeros", "reflect", "replicate", "circular"])
    return st.one_of(
        st.builds(lambda k, s: depthwise(channels, k, s), st.sampled_from([3, 5]), strides),
        st.builds(lambda s: Conv2d(channels, channels, 3, stride=s, padding=1), strides),
        st.builds(lambda m: Conv2d(channels, channels, 3, padding=(2, 1), padding_mode=m), modes),
        st.sampled_from([Conv2d(channels, channels, 1), inverted(channels, 3)]),
        st.just(Conv2d(channels, channels, 3, padding=1, groups=2)),
        st.just(Conv2d(channels, channels, (5, 2), stride=(1, 2))),
    )


def _others(channels):
    sides = st.tuples(st.integers(1, 4), st.integers(1, 4))
    scales = st.tuples(st.integers(1, 3), st.integers(1, 3))
    return st.one_of(
        st.sampled_from([ReLU6(), PReLU(channels), BatchNorm2d(channels), ChannelShuffle(2)]),
        _WINDOWS.map(lambda w: MaxPool2d(*w[:3], ceil_mode=w[3])),
        st.builds(
            lambda w, counts: AvgPool2d(*w[:3], ceil_mode=w[3], count_include_pad=counts),
            _WINDOWS,
            _FLAGS,
        ),
        sides.map(AdaptiveAvgPool2d),
        sides.map(AdaptiveMaxPool2d),
        scales.map(lambda scale: Upsample(scale_factor=scale)),
        st.tuples(*[st.integers(0, 3)] * 4).map(ZeroPad2d),
        *([st.just(LayerNorm2d(channels))] if channels > 4 else []),
    )


@st.composite
def networks(draw):
    """Some layers in a row, also on the image itself, and a merging one behind them."""
    row, channels = [], INPUT[0]
    for n in range(draw(st.integers(1, 5))):
        change = draw(st.sampled_from([0, 0, 0, 0, 6, 12, -2]))
        if change > 0:
            row.append(Node(f"l{n}", Conv2d(channels, channels + change, 1)))
            channels += change
        elif change and channels > 4:
            row.append(Node(f"l{n}", Slice(1, channels - 1)))
            channels += change
        else:
            row.append(Node(f"l{n}", draw(_convolutions(channels) | _others(channels))))
    merged = draw(st.sampled_from([Add(), Multiply(), Concat()]))
    try:
        body = Network.from_nodes([*row, Node("one", ReLU6())], input_shape=INPUT)
    except ArchitectureError:  # nothing is left of the map
        assume(False)
    size = int(np.prod(body.output_shape)) * (2 if isinstance(merged, Concat) else 1)
    assume(size < 5000)
    return Network.from_nodes(
        [
            *row,
            Node("one", ReLU6()),
            Node("two", PReLU(), "one"),
            Node("merged", merged, ("one", "two")),
            Node("flatten", Flatten()),
            Node("fc", Linear(size, 3)),
        ],
        input_shape=INPUT,
    )
