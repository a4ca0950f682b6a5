"""Every layer, with each of its arguments, in a small network with values everywhere."""

from onnx_networks import settled

from neocog.layers import (
    ELU,
    GELU,
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    Add,
    AvgPool2d,
    BatchNorm2d,
    ChannelShuffle,
    CircularPad2d,
    Concat,
    Conv2d,
    Dropout,
    Flatten,
    GroupNorm,
    Hardsigmoid,
    Hardswish,
    LayerNorm2d,
    LeakyReLU,
    Linear,
    MaxPool2d,
    Mish,
    Multiply,
    Node,
    PReLU,
    ReflectionPad2d,
    ReLU,
    ReLU6,
    ReplicationPad2d,
    Residual,
    Scale,
    Sequential,
    Sigmoid,
    SiLU,
    Slice,
    Softplus,
    Tanh,
    Upsample,
    ZeroPad2d,
)
from neocog.network import Network
from neocog.preprocessing import Preprocessing

SHAPE = (6, 11, 9)

#: Layers that read maps of SHAPE.
ON_MAPS = [
    Conv2d(6, 8, 3),
    Conv2d(6, 16, 3, padding=1),
    Conv2d(6, 8, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2), groups=2, bias=False),
    Conv2d(6, 6, 3, padding="same", groups=6),
    Conv2d(6, 4, 4, padding="same"),
    Conv2d(6, 4, 3, padding="valid"),
    *(
        Conv2d(6, 4, 5, stride=2, padding=(2, 1), padding_mode=mode)
        for mode in ("reflect", "replicate", "circular")
    ),
    Conv2d(6, 4, 3, padding_mode="circular"),
    BatchNorm2d(6, eps=0.01),
    BatchNorm2d(6, affine=False),
    GroupNorm(2, 6, eps=0.1),
    GroupNorm(6, 6, affine=False),
    LayerNorm2d(6, eps=0.1),
    LayerNorm2d(6, elementwise_affine=False),
    MaxPool2d(2),
    MaxPool2d((3, 2), (2, 3), (1, 0)),
    *(
        MaxPool2d(kernel, 2, padding, ceil_mode=True)
        for kernel, padding in ((2, 0), (3, 1), (4, 2))
    ),
    MaxPool2d(1, 3, ceil_mode=True),
    AvgPool2d(2),
    AvgPool2d(3, 2, 1),
    AvgPool2d(3, 2, 1, count_include_pad=False),
    AvgPool2d((2, 3), 2, (0, 1), divisor_override=7),
    *(
        AvgPool2d(kernel, 2, padding, True, counts, divisor)
        for kernel, padding in ((2, 0), (3, 1), (4, 2))
        for counts in (True, False)
        for divisor in (None, 5)
    ),
    AdaptiveAvgPool2d(1),
    AdaptiveAvgPool2d((11, 3)),
    AdaptiveAvgPool2d((4, 7)),
    AdaptiveAvgPool2d((13, 1)),
    AdaptiveMaxPool2d(1),
    AdaptiveMaxPool2d((11, 3)),
    AdaptiveMaxPool2d((4, 7)),
    AdaptiveMaxPool2d((13, 1)),
    ZeroPad2d((1, 2, 0, 3)),
    ReflectionPad2d((1, 2, 0, 3)),
    ReplicationPad2d((1, 2, 0, 3)),
    CircularPad2d((1, 2, 0, 3)),
    Upsample(scale_factor=2),
    Upsample(scale_factor=(1, 3)),
    Dropout(0.5),
    Slice(0, 2),
    Slice(3, 6),
    ChannelShuffle(2),
    ChannelShuffle(3),
    Sequential(one=ReLU(), two=Sequential(three=Tanh())),
    Residual(Conv2d(6, 6, 1)),
    Residual(Sequential(conv=Conv2d(6, 4, 1), relu=ReLU()), Conv2d(6, 4, 1)),
    PReLU(6),
]
#: Layers that read maps and vectors.
ELEMENTWISE = [
    *(ReLU(), ReLU6(), SiLU(), Sigmoid(), Tanh(), Hardsigmoid(), Hardswish(), Mish()),
    *(LeakyReLU(0.2), GELU(), GELU("tanh"), ELU(), ELU(0.5), PReLU(), Scale(-0.3)),
    *(Softplus(), Softplus(2.0), Softplus(0.5, 1.0), Softplus(1.0, 0.0)),
]
MERGING = [Add(), Multiply(), Concat()]


def ended(nodes, shape=SHAPE):
    """A network that ends in sums of all numbers of the last node's, with weights of noise."""
    last = Network.from_nodes([*nodes, Node("flatten", Flatten())], input_shape=shape).output_shape
    nodes = [*nodes, Node("flatten", Flatten()), Node("fc", Linear(*last, 16))]
    look = Preprocessing((0.5,) * shape[0], (1 / 16,) * shape[0])
    return settled(Network.from_nodes(nodes, input_shape=shape, preprocessing=look))


def on_vectors(layer):
    return ended([Node("vector", Flatten()), Node("mixed", Linear(594, 5)), Node("act", layer)])


def merged(layer, of_vectors):
    """A network in which a layer reads another one twice."""
    one, two = (
        (Linear(594, 5), Linear(594, 5, bias=False))
        if of_vectors
        else (Conv2d(6, 4, 3), Conv2d(6, 4, 3, bias=False))
    )
    nodes = [
        Node("start", Flatten() if of_vectors else ReLU()),
        Node("one", one),
        Node("two", two, "start"),
        Node("merged", layer, ("one", "two", "one")),
    ]
    return ended(nodes)


#: Makers of the networks, by what is in them.
NETWORKS = {
    **{
        f"map, {one}": lambda one=one: ended([Node("norm", one)])
        for one in (*ON_MAPS, *ELEMENTWISE)
    },
    **{
        f"vector, {one}": lambda one=one: on_vectors(one)
        for one in (*ELEMENTWISE, PReLU(5), Dropout(0.1), Flatten())
    },
    **{
        f"{'vectors' if flat else 'maps'}, {one}": lambda one=one, flat=flat: merged(one, flat)
        for one in MERGING
        for flat in (False, True)
    },
}
