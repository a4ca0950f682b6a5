"""From layers to operations: what runs as one, and what does not. Nothing is compiled."""

import pytest

from neocog.engine.lowering import lower
from neocog.engine.ops import (
    ConvolutionOp,
    DepthwiseOp,
    DropoutOp,
    LinearOp,
    LoadOp,
    PointwiseOp,
    PoolingOp,
)
from neocog.layers import (
    GELU,
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    MaxPool2d,
    ReLU,
    ReLU6,
    Residual,
    Scale,
    Sequential,
    SiLU,
)
from neocog.network import Network


def ops_of(training=True, **layers):
    """The operations behind the one that loads images, of a network for images of 8 × 8."""
    first, *ops = lower(Network(input_shape=(3, 8, 8), **layers).graph, training=training)
    assert isinstance(first, LoadOp)
    return ops


def kinds(ops):
    return [type(op) for op in ops]


def head(channels, side):
    """From maps to one number a class."""
    return {"flatten": Flatten(), "fc": Linear(channels * side * side, 5)}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("order", ["pool, relu", "relu, pool"])
def test_a_convolution_takes_in_pooling_and_relu(training, order):
    both = {"pool": MaxPool2d(2), "relu": ReLU()}
    between = {name: both[name] for name in order.split(", ")}
    ops = ops_of(training, conv=Conv2d(3, 8, 3, padding=1), **between, **head(8, 4))
    assert kinds(ops) == [ConvolutionOp, LinearOp]
    assert ops[0].pool
    assert ops[0].function == "relu"
    assert not ops[1].relu
    assert ops[0].y is ops[1].x
    assert (ops[0].y.height, ops[0].y.width) == (4, 4)


@pytest.mark.parametrize(
    "pool",
    [MaxPool2d(3), MaxPool2d(2, 1), MaxPool2d(2, 2, 1), MaxPool2d(2, ceil_mode=True), AvgPool2d(2)],
    ids=str,
)
def test_other_pooling_is_an_op_of_its_own(pool):
    ops = ops_of(conv=Conv2d(3, 8, 3, padding=1), pool=pool, m=AdaptiveAvgPool2d(), **head(8, 1))
    assert kinds(ops) == [ConvolutionOp, PoolingOp, PoolingOp, LinearOp]
    assert not ops[0].pool


@pytest.mark.parametrize(
    "conv", [Conv2d(4, 8, 3, groups=2, padding=1), Conv2d(4, 8, 2, dilation=2, padding=1)], ids=str
)
def test_a_convolution_that_cannot_pool_does_not(conv):
    ops = ops_of(c=Conv2d(3, 4, 1), conv=conv, pool=MaxPool2d(2), **head(8, 4))
    assert kinds(ops) == [ConvolutionOp, ConvolutionOp, PoolingOp, LinearOp]
    assert not ops[1].pool


def test_a_second_pooling_is_an_op_of_its_own():
    pools = {"p1": MaxPool2d(2), "p2": MaxPool2d(2)}
    ops = ops_of(conv=Conv2d(3, 8, 3, padding=1), **pools, **head(8, 2))
    assert kinds(ops) == [ConvolutionOp, PoolingOp, LinearOp]


def test_a_linear_layer_takes_in_relu_where_another_undoes_it():
    ops = ops_of(flatten=Flatten(), a=Linear(192, 7), r=ReLU(), b=Linear(7, 5), s=ReLU())
    assert kinds(ops) == [LinearOp, LinearOp, PointwiseOp]
    assert ops[0].relu
    assert not ops[1].relu, "no operation behind it undoes it on the way back"
    (op,) = ops_of(False, flatten=Flatten(), a=Linear(192, 7), r=ReLU())
    assert isinstance(op, LinearOp)
    assert op.relu, "there is no way back"


def test_relu_whose_map_has_two_readers_stays_an_op():
    inside = Residual(Conv2d(8, 8, 3, padding=1))
    ops = ops_of(conv=Conv2d(3, 8, 3, padding=1), r=ReLU(), block=inside, **head(8, 8))
    kind = [ConvolutionOp, PointwiseOp, ConvolutionOp, PointwiseOp, LinearOp]
    assert kinds(ops)[:4] == kind[:4]
    assert ops[0].function == "identity"
    assert ops[1].function == "relu"


def test_normalization_sum_and_function_are_one_op():
    body = Sequential(conv=Conv2d(8, 8, 3, padding=1), norm=BatchNorm2d(8))
    layers = {"first": Conv2d(3, 8, 1), "block": Residual(body), "act": GELU()}
    ops = ops_of(**layers, **head(8, 8))
    point = ops[2]
    assert kinds(ops)[:3] == [ConvolutionOp, ConvolutionOp, PointwiseOp]
    assert (point.name, point.norm, point.function) == (
        "block.body.norm",
        body.layers[1][1],
        "gelu",
    )
    assert point.addend is ops[0].y
    # What comes before the sum, and what comes behind the function, is not part of it.
    body = Sequential(conv=Conv2d(8, 8, 3, padding=1), act=ReLU())
    layers = {"first": Conv2d(3, 8, 1), "block": Residual(body), "act": GELU(), "s": Scale(2.0)}
    found = [s for s in ops_of(**layers, **head(8, 8)) if isinstance(s, PointwiseOp)]
    assert [s.function for s in found][:3] == ["relu", "gelu", "scale"]
    assert [s.addend is not None for s in found][:3] == [False, True, False]


def test_for_inference_normalization_is_in_the_weights():
    body = Sequential(conv=Conv2d(8, 8, 3, padding=1, bias=False), norm=BatchNorm2d(8))
    layers = {
        "conv": Conv2d(3, 8, 3, padding=1),
        "norm": BatchNorm2d(8),
        "relu": ReLU(),
        "block": Residual(body),
        "depth": Conv2d(8, 8, 3, groups=8, padding=1),
        "norm2": BatchNorm2d(8),
        "drop": Dropout(0.3),
        "pool": MaxPool2d(3),
        "norm3": BatchNorm2d(8),
    }
    ops = ops_of(False, **layers, **head(8, 2))
    assert kinds(ops)[:5] == [
        ConvolutionOp,
        ConvolutionOp,
        DepthwiseOp,
        PoolingOp,
        PointwiseOp,  # behind pooling there is no weight to fold into
    ]
    assert [getattr(op, "folded", "") for op in ops][:3] == ["norm", "block.body.norm", "norm2"]
    assert ops[0].function == "relu"
    assert ops[1].addend is ops[0].y, "the sum"
    assert [op.norm for op in ops if isinstance(op, PointwiseOp)] == [layers["norm3"]]
    names = [p.name for p in ops[1].parameters()]
    assert names == ["block.body.conv.weight", "block.body.conv.bias"], "a bias comes into being"
    trained = ops_of(True, **layers, **head(8, 2))
    assert not any(getattr(op, "folded", "") for op in trained)
    assert kinds(trained).count(DropoutOp) == 1


@pytest.mark.parametrize(("layer", "function"), [(ReLU6(), "relu6"), (SiLU(), "silu")])
def test_for_inference_a_depthwise_convolution_takes_in_the_function_behind_it(layer, function):
    layers = {
        "conv": Conv2d(3, 8, 3, padding=1),
        "depth": Conv2d(8, 8, 3, groups=8, padding=1),
        "norm": BatchNorm2d(8),
        "function": layer,
        "again": layer,
    }
    depth = ops_of(False, **layers, **head(8, 8))[1]
    assert (depth.folded, depth.function) == ("norm", function)
    assert ops_of(True, **layers, **head(8, 8))[1].function == "identity"


def test_only_one_of_two_normalizations_is_folded():
    norms = {"one": BatchNorm2d(8), "two": BatchNorm2d(8)}
    ops = ops_of(False, conv=Conv2d(3, 8, 3, padding=1), **norms, **head(8, 8))
    assert ops[0].folded == "one"
    assert (ops[1].name, ops[1].norm) == ("two", norms["two"])


def test_a_normalization_whose_input_others_read_is_not_folded():
    lanes = Residual(BatchNorm2d(8), ReLU())
    ops = ops_of(False, conv=Conv2d(3, 8, 3, padding=1), block=lanes, **head(8, 8))
    assert ops[0].folded == ""
    assert any(isinstance(s, PointwiseOp) and s.norm is not None for s in ops)


def test_every_border_is_as_wide_as_its_widest_reader_wants():
    lanes = Residual(Conv2d(8, 8, 5, padding=2), Conv2d(8, 8, (3, 1), padding=(1, 0)))
    ops = ops_of(conv=Conv2d(3, 8, 3), block=lanes, **head(8, 6))
    assert ops[0].y.border == (2, 2)
    assert ops[0].x.border == (0, 0)
