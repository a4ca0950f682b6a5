"""What PyTorch's functions and methods of tensors are as layers: ``@from_function(F.relu)``.

A rule takes the tracing and the node of the trace, and returns what the node's value is: the name
of the layer whose output it is, or a number or tuple that later calls use.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import accumulate
from math import prod
from typing import Any

import torch
from torch import fx
from torch.nn import functional

from neocog.errors import ArchitectureError
from neocog.layers import (
    GELU,
    AdaptiveAvgPool2d,
    Add,
    AvgPool2d,
    BatchNorm2d,
    ChannelShuffle,
    Concat,
    Hardsigmoid,
    Hardswish,
    Layer,
    LeakyReLU,
    Linear,
    MaxPool2d,
    Mish,
    Multiply,
    ReLU,
    ReLU6,
    Scale,
    Sigmoid,
    SiLU,
    Slice,
    Tanh,
)
from neocog.torch_engine.tracing import Tracing

__all__ = ["rule_of_call"]

_Rule = Callable[[Tracing, fx.Node], Any]
_functions: dict[Any, _Rule] = {}
_methods: dict[str, _Rule] = {}


def rule_of_call(node: fx.Node) -> _Rule | None:
    """The rule for what a node calls."""
    if node.op == "call_method":
        return _methods.get(str(node.target))
    return _functions.get(node.target) or _methods.get(getattr(node.target, "__name__", ""))


def from_function(*targets: Any) -> Callable[[_Rule], _Rule]:
    """Register a rule for functions, or for methods and for other libraries' functions by name."""

    def register(rule: _Rule) -> _Rule:
        for target in targets:
            (_methods if isinstance(target, str) else _functions)[target] = rule
        return rule

    return register


# Functions of one tensor


def _apply(layer: Layer) -> _Rule:
    return lambda tracing, node: tracing.add(node.name, layer, tracing.name(node.args[0]))


for _targets, _layer in (
    ((functional.relu, torch.relu, torch.relu_, "relu", "relu_"), ReLU()),
    ((functional.relu6,), ReLU6()),
    ((functional.hardswish,), Hardswish()),
    ((functional.hardsigmoid,), Hardsigmoid()),
    ((functional.mish,), Mish()),
    ((functional.silu,), SiLU()),
    ((functional.sigmoid, torch.sigmoid, "sigmoid"), Sigmoid()),
    ((functional.tanh, torch.tanh, "tanh"), Tanh()),
):
    from_function(*_targets)(_apply(_layer))


@from_function(functional.leaky_relu)
def _leaky_relu(tracing: Tracing, node: fx.Node) -> str:
    slope = tracing.argument(node, 1, "negative_slope", 0.01)
    return tracing.add(node.name, LeakyReLU(slope), tracing.name(node.args[0]))


@from_function(functional.gelu)
def _gelu(tracing: Tracing, node: fx.Node) -> str:
    approximate = tracing.argument(node, 1, "approximate", "none")
    return tracing.add(node.name, GELU(approximate), tracing.name(node.args[0]))


@from_function(functional.dropout, "contiguous", "clone", "detach")
def _same(tracing: Tracing, node: fx.Node) -> Any:
    return tracing.values[node.args[0]]


@from_function("stochastic_depth")
def _stochastic_depth(tracing: Tracing, node: fx.Node) -> str:
    """torchvision's; in evaluation it leaves out nothing."""
    if tracing.argument(node, 3, "training", True):
        raise ArchitectureError(f"{node.name}: paths are left out at random in evaluation, too.")
    return tracing.name(node.args[0])


@from_function(functional.batch_norm)
def _batch_norm(tracing: Tracing, node: fx.Node) -> str:
    mean, weight = node.args[1], tracing.argument(node, 3, "weight")
    if not isinstance(mean, fx.Node) or mean.op != "get_attr":
        raise ArchitectureError(f"{node.name}: it needs running statistics.")
    name = str(mean.target).rpartition(".")[0]
    numbers = tracing.argument(node, 6, "momentum", 0.1), tracing.argument(node, 7, "eps", 1e-5)
    layer = BatchNorm2d(
        tracing.shape(node)[1], numbers[1], numbers[0] or 0.1, affine=weight is not None
    )
    return tracing.add(name, layer, tracing.name(node.args[0]))


@from_function(functional.linear)
def _linear(tracing: Tracing, node: fx.Node) -> str:
    weight = tracing.argument(node, 1, "weight")
    given = node.args[1] if len(node.args) > 1 else node.kwargs.get("weight")
    if not isinstance(given, fx.Node) or given.op != "get_attr" or weight.dim() != 2:
        raise ArchitectureError(f"{node.name}: its weight must be a parameter, a matrix.")
    outputs, inputs = weight.shape
    has_bias = tracing.argument(node, 2, "bias") is not None
    name = str(given.target).rpartition(".")[0]
    return tracing.add(name, Linear(inputs, outputs, bias=has_bias), tracing.name(node.args[0]))


# Pooling


@from_function(functional.max_pool2d)
def _max_pool2d(tracing: Tracing, node: fx.Node) -> str:
    names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
    defaults = (None, None, 0, 1, False)
    size, stride, padding, dilation, ceil = (
        tracing.argument(node, n, name, default)
        for n, (name, default) in enumerate(zip(names, defaults, strict=True), 1)
    )
    if dilation not in (1, (1, 1)):
        raise ArchitectureError(f"{node.name}: pooling with dilation (={dilation}) is no layer.")
    layer = MaxPool2d(size, stride, padding, ceil_mode=ceil)
    return tracing.add(node.name, layer, tracing.name(node.args[0]))


@from_function(functional.avg_pool2d)
def _avg_pool2d(tracing: Tracing, node: fx.Node) -> str:
    names = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad")
    defaults = (None, None, 0, False, True)
    size, stride, padding, ceil, counts = (
        tracing.argument(node, n, name, default)
        for n, (name, default) in enumerate(zip(names, defaults, strict=True), 1)
    )
    layer = AvgPool2d(size, stride or None, padding, count_include_pad=counts, ceil_mode=ceil)
    return tracing.add(node.name, layer, tracing.name(node.args[0]))


@from_function(functional.adaptive_avg_pool2d)
def _adaptive_avg_pool2d(tracing: Tracing, node: fx.Node) -> str:
    layer = AdaptiveAvgPool2d(tracing.argument(node, 1, "output_size"))
    return tracing.add(node.name, layer, tracing.name(node.args[0]))


@from_function(torch.mean, "mean")
def _mean(tracing: Tracing, node: fx.Node) -> str:
    axes = tracing.argument(node, 1, "dim")
    axes = {axis % 4 for axis in (axes if isinstance(axes, list | tuple) else [axes])}
    if len(tracing.shape(node.args[0])) != 4 or axes != {2, 3}:
        raise ArchitectureError(f"{node.name}: only the mean over height and width is a layer.")
    pooled = tracing.add(f"{node.name}_pool", AdaptiveAvgPool2d(1), tracing.name(node.args[0]))
    return pooled if len(tracing.shape(node)) == 4 else tracing.flat(node, pooled)


# Shapes


@dataclass(frozen=True)
class _Grouped:
    """A map whose channels are seen as groups, on the way to a channel shuffle."""

    name: str
    groups: int
    is_transposed: bool = False


@from_function(torch.flatten, "flatten", "view", "reshape", torch.squeeze, "squeeze")
def _reshape(tracing: Tracing, node: fx.Node) -> Any:
    before, after = tracing.shape(node.args[0]), tracing.shape(node)
    found = tracing.values.get(node.args[0])
    name = found.name if isinstance(found, _Grouped) else tracing.name(node.args[0])
    if before == after or (prod(before[1:]) == before[1] and len(before) == len(after) == 4):
        return name
    if len(after) == 2:
        return name if len(before) == 2 else tracing.flat(node, name)
    if len(before) == 4 and len(after) == 5 and before[3:] == after[4:]:
        return _Grouped(name, after[1])
    if isinstance(found, _Grouped) and found.is_transposed and len(after) == 4:
        return tracing.add(node.name, ChannelShuffle(found.groups), name)
    raise ArchitectureError(f"{node.name}: {before} to {after} is no layer.")


@from_function(torch.transpose, "transpose")
def _transpose(tracing: Tracing, node: fx.Node) -> Any:
    found = tracing.values.get(node.args[0])
    axes = {tracing.argument(node, n, f"dim{n - 1}") for n in (1, 2)}
    if isinstance(found, _Grouped) and axes == {1, 2}:
        return replace(found, is_transposed=True)
    raise ArchitectureError(f"{node.name}: exchanging axes {axes} is no layer.")


@from_function("size")
def _size(tracing: Tracing, node: fx.Node) -> Any:
    shape, axis = tracing.shape(node.args[0]), tracing.argument(node, 1, "dim")
    return shape if axis is None else shape[axis]


@from_function(getattr)
def _getattr(tracing: Tracing, node: fx.Node) -> Any:
    shape, name = tracing.shape(node.args[0]), node.args[1]
    known = {"shape": shape, "ndim": len(shape)}
    if name not in known:
        raise ArchitectureError(f"{node.name}: there is no layer for .{name}.")
    return known[name]


@from_function(operator.eq)
def _eq(tracing: Tracing, node: fx.Node) -> bool:
    return bool(tracing.argument(node, 0, "") == tracing.argument(node, 1, ""))


@from_function(torch._assert)
def _assert(tracing: Tracing, node: fx.Node) -> None:
    if not tracing.argument(node, 0, ""):
        raise ArchitectureError(f"{node.name}: the module refuses its input: {node.args[1]}.")


@from_function(operator.getitem)
def _getitem(tracing: Tracing, node: fx.Node) -> Any:
    value, index = tracing.argument(node, 0, ""), tracing.argument(node, 1, "")
    if not isinstance(value, str):
        return value[index]
    whole = slice(None, None, None)
    if isinstance(index, tuple) and len(index) >= 2 and index[1] == whole:
        index = index[:1]
    if not isinstance(index, tuple) or index[0] != whole or any(i != whole for i in index[2:]):
        raise ArchitectureError(f"{node.name}: indexing {index} is no layer.")
    if len(index) == 1:
        return value
    start, stop, step = index[1].indices(tracing.shape(node.args[0])[1])
    if step != 1:
        raise ArchitectureError(f"{node.name}: channels in steps of {step} are no layer.")
    return tracing.add(node.name, Slice(start, stop), value)


@from_function(torch.chunk, torch.split, "chunk", "split")
def _parts(tracing: Tracing, node: fx.Node) -> tuple[str, ...]:
    source, name = node.args[0], tracing.name(node.args[0])
    if tracing.argument(node, 2, "dim", 0) not in (1, -3):
        raise ArchitectureError(f"{node.name}: only channels can be split.")
    ends = list(accumulate(part.shape[1] for part in node.meta["tensor_meta"]))
    if ends[-1] != tracing.shape(source)[1]:
        raise ArchitectureError(f"{node.name}: its parts are not all channels.")
    parts = zip([0, *ends], ends, strict=False)
    return tuple(
        tracing.add(f"{node.name}_{n}", Slice(*part), name) for n, part in enumerate(parts)
    )


@from_function(operator.floordiv)
def _floordiv(tracing: Tracing, node: fx.Node) -> Any:
    return tracing.argument(node, 0, "") // tracing.argument(node, 1, "")


# Several tensors


def _merge(tracing: Tracing, node: fx.Node, layer: Layer, inputs: Any) -> str:
    return tracing.add(node.name, layer, *(tracing.name(one) for one in inputs))


@from_function(operator.add, operator.iadd, torch.add, "add", "add_")
def _add(tracing: Tracing, node: fx.Node) -> Any:
    both = [tracing.argument(node, n, "") for n in (0, 1)]
    if not any(isinstance(one, str) for one in both):
        return sum(both)
    return _merge(tracing, node, Add(), both)


@from_function(operator.mul, operator.imul, torch.mul, "mul", "mul_")
def _mul(tracing: Tracing, node: fx.Node) -> Any:
    both = [tracing.argument(node, n, "") for n in (0, 1)]
    numbers = [one for one in both if isinstance(one, int | float)]
    if len(numbers) == 2:
        return prod(numbers)
    if numbers:
        (source,) = (one for one in both if one not in numbers)
        return tracing.add(node.name, Scale(float(numbers[0])), tracing.name(source))
    return _merge(tracing, node, Multiply(), both)


@from_function(torch.cat, torch.concat)
def _cat(tracing: Tracing, node: fx.Node) -> str:
    if tracing.argument(node, 1, "dim", 0) not in (1, -3):
        raise ArchitectureError(f"{node.name}: only channels can be concatenated.")
    parts = node.args[0] if node.args else node.kwargs["tensors"]
    if len(parts) == 1:
        return tracing.name(parts[0])
    return _merge(tracing, node, Concat(), parts)
