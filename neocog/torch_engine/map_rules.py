"""What PyTorch's functions of maps are as layers: pooling, padding and upsampling."""

from collections.abc import Callable
from typing import Any

import torch
from torch import fx
from torch.nn import functional

from neocog.errors import ArchitectureError
from neocog.layers import (
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool2d,
    CircularPad2d,
    Layer,
    MaxPool2d,
    ReflectionPad2d,
    ReplicationPad2d,
    Upsample,
    ZeroPad2d,
)
from neocog.torch_engine.function_rules import from_function, is_operator
from neocog.torch_engine.tracing import Tracing

__all__: list[str] = []

_PADDINGS: dict[str, Callable[..., Layer]] = {
    "constant": ZeroPad2d,
    "reflect": ReflectionPad2d,
    "replicate": ReplicationPad2d,
    "circular": CircularPad2d,
}


@from_function(functional.max_pool2d, torch.max_pool2d, "max_pool2d")
def _max_pool2d(tracing: Tracing, node: fx.Node) -> str:
    names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
    defaults = (None, None, 0, 1, False)
    size, stride, padding, dilation, ceil = (
        tracing.argument(node, n, name, default)
        for n, (name, default) in enumerate(zip(names, defaults, strict=True), 1)
    )
    if dilation not in (1, (1, 1), [1, 1]):
        raise ArchitectureError(f"{node.name}: pooling with dilation (={dilation}) is no layer.")
    layer = MaxPool2d(size, stride or None, padding, ceil_mode=ceil)
    return tracing.apply(node, layer, tracing.name(node.args[0]))


@from_function(functional.avg_pool2d, "avg_pool2d")
def _avg_pool2d(tracing: Tracing, node: fx.Node) -> str:
    names = (
        "kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override",
    )  # fmt: skip
    defaults = (None, None, 0, False, True, None)
    size, stride, padding, ceil, counts, divisor = (
        tracing.argument(node, n, name, default)
        for n, (name, default) in enumerate(zip(names, defaults, strict=True), 1)
    )
    layer = AvgPool2d(
        size,
        stride or None,
        padding,
        count_include_pad=counts,
        divisor_override=divisor,
        ceil_mode=ceil,
    )
    return tracing.apply(node, layer, tracing.name(node.args[0]))


@from_function(functional.adaptive_avg_pool2d, "adaptive_avg_pool2d")
def _adaptive_avg_pool2d(tracing: Tracing, node: fx.Node) -> str:
    layer = AdaptiveAvgPool2d(tracing.argument(node, 1, "output_size"))
    return tracing.apply(node, layer, tracing.name(node.args[0]))


@from_function(functional.adaptive_max_pool2d, "adaptive_max_pool2d")
def _adaptive_max_pool2d(tracing: Tracing, node: fx.Node) -> Any:
    layer = AdaptiveMaxPool2d(tracing.argument(node, 1, "output_size"))
    name = tracing.apply(node, layer, tracing.name(node.args[0]))
    # The operator gives the places of the largest numbers, too.
    return (name, None) if is_operator(node) else name


@from_function(torch.mean, "mean")
def _mean(tracing: Tracing, node: fx.Node) -> str:
    axes = tracing.argument(node, 1, "dim")
    axes = {axis % 4 for axis in (axes if isinstance(axes, list | tuple) else [axes])}
    if len(tracing.shape(node.args[0])) != 4 or axes != {2, 3}:
        raise ArchitectureError(f"{node.name}: only the mean over height and width is a layer.")
    return _over_the_map(tracing, node, AdaptiveAvgPool2d(1))


@from_function(torch.amax, "amax")
def _amax(tracing: Tracing, node: fx.Node) -> str:
    axes = tracing.argument(node, 1, "dim")
    if len(tracing.shape(node.args[0])) != 4 or {axis % 4 for axis in axes} != {2, 3}:
        raise ArchitectureError(f"{node.name}: only the largest of height and width is a layer.")
    return _over_the_map(tracing, node, AdaptiveMaxPool2d(1))


def _over_the_map(tracing: Tracing, node: fx.Node, layer: Layer) -> str:
    pooled = tracing.add(f"{tracing.label(node)}_pool", layer, tracing.name(node.args[0]))
    return pooled if len(tracing.shape(node)) == 4 else tracing.flat(node, pooled)


@from_function(functional.pad, "pad")
def _pad(tracing: Tracing, node: fx.Node) -> str:
    sides, mode, value = (
        tracing.argument(node, n, name, default)
        for n, name, default in ((1, "pad", None), (2, "mode", "constant"), (3, "value", None))
    )
    sides = (*sides, 0, 0, 0, 0)[: max(4, len(sides))]
    if value not in (None, 0) or len(sides) != 4 or len(tracing.shape(node)) != 4:
        raise ArchitectureError(
            f"{tracing.where(node)}: only height and width can be padded, with zeros or from the "
            "map itself."
        )
    return tracing.apply(node, _PADDINGS[mode](tuple(sides)), tracing.name(node.args[0]))


@from_function(functional.interpolate, "upsample_nearest2d")
def _upsample(tracing: Tracing, node: fx.Node) -> str:
    (_, _, *before), (_, _, *after) = tracing.shape(node.args[0]), tracing.shape(node)
    mode = "nearest" if is_operator(node) else tracing.argument(node, 3, "mode", "nearest")
    if mode != "nearest" or any(new % old for new, old in zip(after, before, strict=True)):
        raise ArchitectureError(
            f"{tracing.where(node)}: only mode 'nearest' with whole factors is a layer, not "
            f"{mode!r} from {tuple(before)} to {tuple(after)}."
        )
    factors = after[0] // before[0], after[1] // before[1]
    return tracing.apply(node, Upsample(scale_factor=factors), tracing.name(node.args[0]))
