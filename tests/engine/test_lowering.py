"""From layers to stages: what runs as one, and what does not. Nothing is compiled."""

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
    Residual,
    Scale,
    Sequential,
)
from neocog.network import Network


def stages_of(training=True, **layers):
    """The stages behind the one that loads images, of a network for images of 8 × 8."""
    first, *stages = lower(Network(input_shape=(3, 8, 8), **layers).graph, training=training)
    assert isinstance(first, LoadOp)
    return stages


def kinds(stages):
    return [type(stage) for stage in stages]


def head(channels, side):
    """From maps to one number a class."""
    return {"flatten": Flatten(), "fc": Linear(channels * side * side, 5)}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("order", ["pool, relu", "relu, pool"])
def test_a_convolution_takes_in_pooling_and_relu(training, order):
    both = {"pool": MaxPool2d(2), "relu": ReLU()}
    between = {name: both[name] for name in order.split(", ")}
    stages = stages_of(training, conv=Conv2d(3, 8, 3, padding=1), **between, **head(8, 4))
    assert kinds(stages) == [ConvolutionOp, LinearOp]
    assert stages[0].pool
    assert stages[0].relu
    assert not stages[1].relu
    assert stages[0].y is stages[1].x
    assert (stages[0].y.height, stages[0].y.width) == (4, 4)


@pytest.mark.parametrize(
    "pool", [MaxPool2d(3), MaxPool2d(2, 1), MaxPool2d(2, 2, 1), AvgPool2d(2)], ids=str
)
def test_other_pooling_is_a_stage_of_its_own(pool):
    stages = stages_of(
        conv=Conv2d(3, 8, 3, padding=1), pool=pool, m=AdaptiveAvgPool2d(), **head(8, 1)
    )
    assert kinds(stages) == [ConvolutionOp, PoolingOp, PoolingOp, LinearOp]
    assert not stages[0].pool


@pytest.mark.parametrize(
    "conv", [Conv2d(4, 8, 3, groups=2, padding=1), Conv2d(4, 8, 2, dilation=2, padding=1)], ids=str
)
def test_a_convolution_that_cannot_pool_does_not(conv):
    stages = stages_of(c=Conv2d(3, 4, 1), conv=conv, pool=MaxPool2d(2), **head(8, 4))
    assert kinds(stages) == [ConvolutionOp, ConvolutionOp, PoolingOp, LinearOp]
    assert not stages[1].pool


def test_a_second_pooling_is_a_stage_of_its_own():
    pools = {"p1": MaxPool2d(2), "p2": MaxPool2d(2)}
    stages = stages_of(conv=Conv2d(3, 8, 3, padding=1), **pools, **head(8, 2))
    assert kinds(stages) == [ConvolutionOp, PoolingOp, LinearOp]


def test_a_linear_layer_takes_in_relu_where_another_undoes_it():
    stages = stages_of(flatten=Flatten(), a=Linear(192, 7), r=ReLU(), b=Linear(7, 5), s=ReLU())
    assert kinds(stages) == [LinearOp, LinearOp, PointwiseOp]
    assert stages[0].relu
    assert not stages[1].relu, "no stage behind it undoes it on the way back"
    (stage,) = stages_of(False, flatten=Flatten(), a=Linear(192, 7), r=ReLU())
    assert isinstance(stage, LinearOp)
    assert stage.relu, "there is no way back"


def test_relu_whose_map_has_two_readers_stays_a_stage():
    inside = Residual(Conv2d(8, 8, 3, padding=1))
    stages = stages_of(conv=Conv2d(3, 8, 3, padding=1), r=ReLU(), block=inside, **head(8, 8))
    kind = [ConvolutionOp, PointwiseOp, ConvolutionOp, PointwiseOp, LinearOp]
    assert kinds(stages)[:4] == kind[:4]
    assert not stages[0].relu
    assert stages[1].function == "relu"


def test_normalization_sum_and_function_are_one_stage():
    body = Sequential(conv=Conv2d(8, 8, 3, padding=1), norm=BatchNorm2d(8))
    layers = {"first": Conv2d(3, 8, 1), "block": Residual(body), "act": GELU()}
    stages = stages_of(**layers, **head(8, 8))
    point = stages[2]
    assert kinds(stages)[:3] == [ConvolutionOp, ConvolutionOp, PointwiseOp]
    assert (point.name, point.norm, point.function) == (
        "block.body.norm",
        body.layers[1][1],
        "gelu",
    )
    assert point.addend is stages[0].y
    # What comes before the sum, and what comes behind the function, is not part of it.
    body = Sequential(conv=Conv2d(8, 8, 3, padding=1), act=ReLU())
    layers = {"first": Conv2d(3, 8, 1), "block": Residual(body), "act": GELU(), "s": Scale(2.0)}
    found = [s for s in stages_of(**layers, **head(8, 8)) if isinstance(s, PointwiseOp)]
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
    stages = stages_of(False, **layers, **head(8, 2))
    assert kinds(stages)[:6] == [
        ConvolutionOp,
        ConvolutionOp,
        PointwiseOp,  # the sum
        DepthwiseOp,
        PoolingOp,
        PointwiseOp,  # behind pooling there is no weight to fold into
    ]
    assert [getattr(s, "folded", "") for s in stages][:4] == [
        "norm",
        "block.body.norm",
        "",
        "norm2",
    ]
    assert stages[0].relu
    assert [s.norm for s in stages if isinstance(s, PointwiseOp)][:2] == [None, layers["norm3"]]
    names = [p.name for p in stages[1].parameters()]
    assert names == ["block.body.conv.weight", "block.body.conv.bias"], "a bias comes into being"
    trained = stages_of(True, **layers, **head(8, 2))
    assert not any(getattr(stage, "folded", "") for stage in trained)
    assert kinds(trained).count(DropoutOp) == 1


def test_only_one_of_two_normalizations_is_folded():
    norms = {"one": BatchNorm2d(8), "two": BatchNorm2d(8)}
    stages = stages_of(False, conv=Conv2d(3, 8, 3, padding=1), **norms, **head(8, 8))
    assert stages[0].folded == "one"
    assert (stages[1].name, stages[1].norm) == ("two", norms["two"])


def test_a_normalization_whose_input_others_read_is_not_folded():
    lanes = Residual(BatchNorm2d(8), ReLU())
    stages = stages_of(False, conv=Conv2d(3, 8, 3, padding=1), block=lanes, **head(8, 8))
    assert stages[0].folded == ""
    assert any(isinstance(s, PointwiseOp) and s.norm is not None for s in stages)


def test_every_border_is_as_wide_as_its_widest_reader_wants():
    lanes = Residual(Conv2d(8, 8, 5, padding=2), Conv2d(8, 8, (3, 1), padding=(1, 0)))
    stages = stages_of(conv=Conv2d(3, 8, 3), block=lanes, **head(8, 6))
    assert stages[0].y.border == (2, 2)
    assert stages[0].x.border == (0, 0)
