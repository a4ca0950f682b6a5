"""Networks that cannot be lowered, and what is said of them."""

import pytest
from lowered import trained

from neocog.engine.lowering import lower
from neocog.errors import ArchitectureError, NeocogError
from neocog.layers import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
)
from neocog.network import Network
from neocog.settings.optimizers import Muon


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ({"c": Conv2d(4, 8, 3)}, r"c: Conv2d: in_channels \(=4\).*3"),
        ({"c": Conv2d(3, 8, 9)}, r"c: Conv2d: .*9.*\(3, 8, 8\)"),
        ({"c": Conv2d(3, 8, 3, dilation=4)}, r"c: Conv2d: .*\(3, 8, 8\)"),
        ({"p": MaxPool2d(9)}, r"p: MaxPool2d: regions of 9 × 9 do not fit .*\(3, 8, 8\)"),
        (
            {"a": MaxPool2d(4), "b": MaxPool2d(2), "p": AvgPool2d(2)},
            r"p: AvgPool2d: regions of 2 × 2 do not fit .*\(3, 1, 1\)",
        ),
        ({"n": BatchNorm2d(4)}, r"n: BatchNorm2d: num_features \(=4\).*3"),
        ({"l": Linear(192, 5)}, r"l: Linear: in_features .* Flatten before it is missing"),
        ({"f": Flatten(), "l": Linear(191, 5)}, r"l: Linear: in_features \(=191\).* 192"),
        ({"f": Flatten(), "c": Conv2d(3, 8, 3)}, r"c: Conv2d takes feature maps .*\(192,\)"),
        ({"f": Flatten(), "p": MaxPool2d(2)}, r"p: MaxPool2d takes feature maps .*\(192,\)"),
        (
            {"r": Residual(Conv2d(3, 8, 3, padding=1))},
            r"r: Residual: the body gives \(8, 8, 8\) but its input is \(3, 8, 8\)",
        ),
        (
            {"r": Residual(Conv2d(3, 4, 3), Conv2d(3, 4, 1))},
            r"r: Residual: the body gives \(4, 6, 6\) but the shortcut gives \(4, 8, 8\)",
        ),
        (
            {"r": Residual(Sequential(c=Conv2d(3, 8, 3), n=BatchNorm2d(3)))},
            r"r\.body\.n: BatchNorm2d: num_features \(=3\)",
        ),
        (
            {"s": Sequential(t=Sequential(p=MaxPool2d(9)))},
            r"s\.t\.p: MaxPool2d: regions of 9 × 9",
        ),
    ],
)
def test_layers_that_do_not_fit_are_named(layers, message):
    with pytest.raises(ArchitectureError, match=f"^{message}"):
        Network(input_shape=(3, 8, 8), **layers)


@pytest.mark.parametrize("groups", [2, 3, 4])
def test_groups_that_do_not_divide_the_channels(groups):
    divides = {2: (3, 8), 3: (3, 8), 4: (6, 8)}[groups]
    with pytest.raises(ArchitectureError, match=rf"Conv2d: .*groups \(={groups}\)"):
        Conv2d(*divides, 3, groups=groups)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ({"c": Conv2d(3, 5, 8)}, r"ends in the shape \(5, 1, 1\).*Flatten\(\)"),
        ({"f": Flatten()}, r"map of 8 × 8 pixels.*Linear"),
        ({"p": AdaptiveAvgPool2d(), "f": Flatten()}, "no layer that learns"),
        ({"c": Conv2d(3, 5, 7), "f": Flatten()}, r"map of 2 × 2 pixels.*Linear"),
        ({"c": Conv2d(3, 5, 7), "f": Flatten(), "r": ReLU()}, r"map of 2 × 2 pixels.*Linear"),
    ],
)
@pytest.mark.parametrize("training", [True, False])
def test_networks_that_do_not_end_in_classes(layers, message, training):
    with pytest.raises(ArchitectureError, match=message):
        lower(Network(input_shape=(3, 8, 8), **layers).graph, training=training)


def test_muon_refuses_what_is_not_one_matrix():
    network = Network(
        input_shape=(4, 8, 8), deep=Conv2d(4, 8, 3, groups=2), f=Flatten(), l=Linear(288, 5)
    )
    with pytest.raises(NeocogError, match=r"Muon cannot move deep\.weight.* several groups"):
        trained(network, rule=Muon(0.02))
