"""What PyTorch's functions that take parameters are as layers, such as convolution.

The layer has the name of the module that its parameters lie in, as ``conv1`` of ``conv1.weight``; a
parameter with another name of its own, as ``kernel``, gives the layer that name.
"""

from typing import Any

import torch
from torch import fx
from torch.nn import functional

from neocog.errors import ArchitectureError
from neocog.layers import BatchNorm2d, Conv2d, GroupNorm, Linear, PReLU
from neocog.torch_engine.function_rules import from_function
from neocog.torch_engine.tracing import ChannelsLast, Tracing

__all__: list[str] = []


def _parameter(tracing: Tracing, node: fx.Node, position: int, keyword: str) -> tuple[Any, Any]:
    """An argument as a node, or None, and its value."""
    given = node.args[position] if len(node.args) > position else node.kwargs.get(keyword)
    return given, tracing.argument(node, position, keyword)


@from_function(functional.conv2d, torch.conv2d, "conv2d")
def _conv2d(tracing: Tracing, node: fx.Node) -> str:
    weight, values = _parameter(tracing, node, 1, "weight")
    bias, _ = _parameter(tracing, node, 2, "bias")
    names = (("stride", 1), ("padding", 0), ("dilation", 1), ("groups", 1))
    stride, padding, dilation, groups = (
        tracing.argument(node, n, name, default) for n, (name, default) in enumerate(names, 3)
    )
    name = tracing.learned(node, weight=weight, bias=bias)
    outputs, inputs, *size = values.shape
    layer = Conv2d(
        inputs * groups,
        outputs,
        tuple(size),
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        bias=bias is not None,
    )
    return tracing.add(name, layer, tracing.name(node.args[0]))


@from_function(functional.linear, torch._C._nn.linear, "linear")
def _linear(tracing: Tracing, node: fx.Node) -> str:
    weight, values = _parameter(tracing, node, 1, "weight")
    bias, _ = _parameter(tracing, node, 2, "bias")
    name = tracing.learned(node, weight=weight, bias=bias)
    outputs, inputs = values.shape
    layer = Linear(inputs, outputs, bias=bias is not None)
    return tracing.add(name, layer, tracing.name(node.args[0]))


@from_function(functional.batch_norm, torch.batch_norm, "batch_norm")
def _batch_norm(tracing: Tracing, node: fx.Node) -> str:
    # The operator has the weight and the bias before the statistics.
    places = (3, 4, 1, 2) if node.target is functional.batch_norm else (1, 2, 3, 4)
    names = ("weight", "bias", "running_mean", "running_var")
    found = {
        name: _parameter(tracing, node, n, name)[0] for n, name in zip(places, names, strict=True)
    }
    if found["running_mean"] is None or tracing.argument(node, 5, "training", False):
        raise ArchitectureError(
            f"{tracing.where(node)}: it needs running statistics, and must use them in evaluation."
        )
    name = tracing.learned(node, **found)
    momentum = tracing.argument(node, 6, "momentum", 0.1) or 0.1
    eps = tracing.argument(node, 7, "eps", 1e-5)
    affine = found["weight"] is not None
    layer = BatchNorm2d(tracing.shape(node)[1], eps, momentum, affine=affine)
    tracing.counted(name)
    return tracing.add(name, layer, tracing.name(node.args[0]))


@from_function(functional.group_norm, torch.group_norm, "group_norm")
def _group_norm(tracing: Tracing, node: fx.Node) -> str:
    weight, bias = (_parameter(tracing, node, n, one)[0] for n, one in ((2, "weight"), (3, "bias")))
    name = tracing.learned(node, weight=weight, bias=bias)
    groups = tracing.argument(node, 1, "num_groups")
    eps = tracing.argument(node, 4, "eps", 1e-5)
    layer = GroupNorm(groups, tracing.shape(node)[1], eps, weight is not None)
    return tracing.add(name, layer, tracing.name(node.args[0]))


@from_function(functional.layer_norm, torch.layer_norm, "layer_norm")
def _layer_norm(tracing: Tracing, node: fx.Node) -> ChannelsLast:
    weight, bias = (_parameter(tracing, node, n, one)[0] for n, one in ((2, "weight"), (3, "bias")))
    name = tracing.learned(node, weight=weight, bias=bias)
    shape, eps = (
        tracing.argument(node, n, one, default)
        for n, one, default in ((1, "normalized_shape", None), (4, "eps", 1e-5))
    )
    return tracing.normalized(node, name, tuple(shape), eps, weight is not None)


@from_function(functional.prelu, torch.prelu, "prelu")
def _prelu(tracing: Tracing, node: fx.Node) -> str:
    weight, values = _parameter(tracing, node, 1, "weight")
    name = tracing.learned(node, weight=weight)
    return tracing.add(name, PReLU(values.numel()), tracing.name(node.args[0]))
