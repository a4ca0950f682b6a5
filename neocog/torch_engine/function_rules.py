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
from torch import fx, nn
from torch.nn import functional

from neocog.errors import ArchitectureError
from neocog.layers import (
    ELU,
    GELU,
    Add,
    ChannelShuffle,
    Concat,
    Dropout,
    Hardsigmoid,
    Hardswish,
    Layer,
    LeakyReLU,
    Mish,
    Multiply,
    ReLU,
    ReLU6,
    Scale,
    Sigmoid,
    SiLU,
    Slice,
    Softplus,
    Tanh,
)
from neocog.torch_engine.tracing import ChannelsLast, Tracing

__all__ = ["called", "from_function", "is_operator", "rule_of_call"]

_Rule = Callable[[Tracing, fx.Node], Any]
_functions: dict[Any, _Rule] = {}
_methods: dict[str, _Rule] = {}


def rule_of_call(node: fx.Node) -> _Rule | None:
    """The rule for what a node calls."""
    return _functions.get(node.target) or _methods.get(called(node))


def called(node: fx.Node) -> str:
    """The name of what a node calls; that of an exported operator without its overload."""
    if node.op == "call_method":
        return str(node.target)
    name = getattr(node.target, "__name__", str(node.target))
    return name.partition(".")[0].removesuffix("_") if is_operator(node) else name


def is_operator(node: fx.Node) -> bool:
    """Whether a node calls an operator, as the nodes of exported programs do."""
    return isinstance(node.target, torch._ops.OpOverload)


def from_function(*targets: Any) -> Callable[[_Rule], _Rule]:
    """Register a rule for functions, or for methods and for other libraries' functions by name."""

    def register(rule: _Rule) -> _Rule:
        for target in targets:
            (_methods if isinstance(target, str) else _functions)[target] = rule
        return rule

    return register


# Functions of one tensor


def _apply(layer: Layer) -> _Rule:
    return lambda tracing, node: tracing.apply(node, layer, tracing.name(node.args[0]))


for _targets, _layer in (
    ((functional.relu, torch.relu, torch.relu_, "relu", "relu_"), ReLU()),
    ((functional.relu6, "relu6"), ReLU6()),
    ((functional.hardswish, "hardswish"), Hardswish()),
    ((functional.hardsigmoid, "hardsigmoid"), Hardsigmoid()),
    ((functional.mish, "mish"), Mish()),
    ((functional.silu, "silu"), SiLU()),
    ((functional.sigmoid, torch.sigmoid, "sigmoid"), Sigmoid()),
    ((functional.tanh, torch.tanh, "tanh"), Tanh()),
):
    from_function(*_targets)(_apply(_layer))


@from_function(functional.leaky_relu, "leaky_relu")
def _leaky_relu(tracing: Tracing, node: fx.Node) -> str:
    slope = tracing.argument(node, 1, "negative_slope", 0.01)
    return tracing.apply(node, LeakyReLU(slope), tracing.name(node.args[0]))


@from_function(functional.gelu, "gelu")
def _gelu(tracing: Tracing, node: fx.Node) -> str:
    approximate = tracing.argument(node, 1, "approximate", "none")
    return tracing.apply(node, GELU(approximate), tracing.name(node.args[0]))


@from_function(functional.elu, "elu")
def _elu(tracing: Tracing, node: fx.Node) -> str:
    alpha = tracing.argument(node, 1, "alpha", 1.0)
    return tracing.apply(node, ELU(alpha), tracing.name(node.args[0]))


@from_function(functional.softplus, "softplus")
def _softplus(tracing: Tracing, node: fx.Node) -> str:
    beta, threshold = (
        tracing.argument(node, n, name, default)
        for n, name, default in ((1, "beta", 1), (2, "threshold", 20))
    )
    return tracing.apply(node, Softplus(beta, threshold), tracing.name(node.args[0]))


@from_function(functional.hardtanh, "hardtanh", torch.clamp, "clamp")
def _hardtanh(tracing: Tracing, node: fx.Node) -> str:
    least, most = (tracing.argument(node, n, name) for n, name in ((1, "min"), (2, "max")))
    least = tracing.argument(node, 1, "min_val", least)
    most = tracing.argument(node, 2, "max_val", most)
    if (least, most) == (0, None):
        return tracing.apply(node, ReLU(), tracing.name(node.args[0]))
    if (least, most) != (0, 6):
        raise ArchitectureError(
            f"{tracing.where(node)}: only limits of 0 and 6 are a layer, ReLU6, not {least} and "
            f"{most}."
        )
    return tracing.apply(node, ReLU6(), tracing.name(node.args[0]))


@from_function(functional.dropout, torch.dropout, "dropout")
def _dropout(tracing: Tracing, node: fx.Node) -> str:
    if tracing.argument(node, 2, "training", True):
        raise ArchitectureError(
            f"{tracing.where(node)}: it drops at random in evaluation, too; give it "
            "training=self.training."
        )
    layer = Dropout(tracing.argument(node, 1, "p", 0.5))
    return tracing.apply(node, layer, tracing.name(node.args[0]))


@from_function("contiguous", "clone", "detach", "alias", "expand_as", "expand")
def _same(tracing: Tracing, node: fx.Node) -> Any:
    # Factors of channels are repeated by the layer that multiplies; others, it refuses.
    return tracing.values[node.args[0]]


@from_function("stochastic_depth")
def _stochastic_depth(tracing: Tracing, node: fx.Node) -> str:
    """torchvision's; in evaluation it leaves out nothing."""
    if tracing.argument(node, 3, "training", True):
        raise ArchitectureError(f"{node.name}: paths are left out at random in evaluation, too.")
    return tracing.name(node.args[0])


# Shapes


@dataclass(frozen=True)
class _Grouped:
    """A map whose channels are seen as groups, on the way to a channel shuffle."""

    name: str
    groups: int
    is_transposed: bool = False


@from_function(
    torch.flatten, "flatten", torch.reshape, "view", "reshape", torch.squeeze, "squeeze",
    torch.unsqueeze, "unsqueeze", "unflatten",
)  # fmt: skip
def _reshape(tracing: Tracing, node: fx.Node) -> Any:
    before, after = tracing.shape(node.args[0]), tracing.shape(node)
    found = tracing.values.get(node.args[0])
    if isinstance(found, _Grouped):
        return _ungrouped(tracing, node, found)
    name = tracing.name(node.args[0])
    shape = tracing.shape_of(name)
    if before == after or after[1:] == shape:
        return name
    if len(after) == 2:
        return name if len(shape) == 1 else tracing.flat(node, name)
    if prod(shape) == shape[0] == prod(after[1:]) == after[1]:
        # One number a channel, on the way to a vector or to a map.
        return tracing.unflattened(name) if len(after) == 4 else name
    if len(before) == 4 and len(after) == 5 and before[3:] == after[4:]:
        return _Grouped(name, after[1])
    raise _no_shape(tracing, node)


def _ungrouped(tracing: Tracing, node: fx.Node, found: _Grouped) -> str:
    if tracing.shape(node)[1:] != tracing.shape_of(found.name):
        raise _no_shape(tracing, node)
    if not found.is_transposed:
        return found.name
    return tracing.apply(node, ChannelShuffle(found.groups), found.name)


def _no_shape(tracing: Tracing, node: fx.Node) -> ArchitectureError:
    before, after = tracing.shape(node.args[0]), tracing.shape(node)
    return ArchitectureError(f"{tracing.where(node)}: {before} to {after} is no layer.")


@from_function(torch.permute, "permute")
def _permute(tracing: Tracing, node: fx.Node) -> Any:
    found = tracing.values.get(node.args[0])
    first = tracing.argument(node, 1, "dims")
    axes = tuple(first) if isinstance(first, list | tuple) else tuple(node.args[1:])
    if isinstance(found, str) and axes == (0, 2, 3, 1):
        return ChannelsLast(found)
    if isinstance(found, ChannelsLast) and axes == (0, 3, 1, 2):
        return found.name
    raise ArchitectureError(f"{tracing.where(node)}: the order {axes} of axes is no layer.")


@from_function(torch.transpose, "transpose")
def _transpose(tracing: Tracing, node: fx.Node) -> Any:
    found = tracing.values.get(node.args[0])
    axes = {tracing.argument(node, n, f"dim{n - 1}") for n in (1, 2)}
    if isinstance(found, _Grouped) and axes == {1, 2}:
        return replace(found, is_transposed=not found.is_transposed)
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
    if index == (whole, whole, None, None):
        return tracing.unflattened(value)
    if not isinstance(index, tuple) or any(i != whole for i in (index[0], *index[2:])):
        raise ArchitectureError(f"{tracing.where(node)}: indexing {index} is no layer.")
    index = index[:1] if index[1:2] == (whole,) else index
    if len(index) == 1:
        return value
    start, stop, step = index[1].indices(tracing.shape(node.args[0])[1])
    if step != 1:
        raise ArchitectureError(f"{node.name}: channels in steps of {step} are no layer.")
    return tracing.apply(node, Slice(start, stop), value)


@from_function(torch.narrow, "narrow")
def _narrow(tracing: Tracing, node: fx.Node) -> str:
    axis, start, length = (
        tracing.argument(node, n, name) for n, name in enumerate(("dim", "start", "length"), 1)
    )
    return _channels(tracing, node, axis, start, start + length)


def _channels(tracing: Tracing, node: fx.Node, axis: int, start: int, stop: int) -> str:
    shape = tracing.shape(node.args[0])
    start, stop, _step = slice(start, stop).indices(shape[axis])
    name = tracing.name(node.args[0])
    if (start, stop) == (0, shape[axis]):
        return name
    if axis % len(shape) != 1:
        raise ArchitectureError(f"{tracing.where(node)}: only a part of the channels is a layer.")
    return tracing.apply(node, Slice(start, stop), name)


@from_function("slice")
def _slice(tracing: Tracing, node: fx.Node) -> str:
    """The operator of exported programs."""
    axis, start, stop, step = (tracing.argument(node, n, "") for n in range(1, 5))
    if step != 1:
        raise ArchitectureError(f"{node.name}: channels in steps of {step} are no layer.")
    return _channels(tracing, node, axis, start or 0, stop)


@from_function("sym_size")
def _sym_size(tracing: Tracing, node: fx.Node) -> int:
    axis: int = tracing.argument(node, 1, "dim")
    return tracing.shape(node.args[0])[axis]


@from_function(nn.functional.channel_shuffle, "channel_shuffle")
def _channel_shuffle(tracing: Tracing, node: fx.Node) -> str:
    layer = ChannelShuffle(tracing.argument(node, 1, "groups"))
    return tracing.apply(node, layer, tracing.name(node.args[0]))


@from_function(torch.chunk, torch.split, "chunk", "split", "split_with_sizes")
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


@from_function(operator.add, operator.iadd, torch.add, "add", "add_")
def _add(tracing: Tracing, node: fx.Node) -> Any:
    both = [tracing.argument(node, n, "") for n in (0, 1)]
    if not any(isinstance(one, str) for one in both):
        return sum(both)
    if node.kwargs.get("alpha", 1) != 1:
        raise ArchitectureError(f"{tracing.where(node)}: a sum with alpha is no layer.")
    return tracing.merge(node, Add(), *(tracing.name(one) for one in both))


@from_function(operator.mul, operator.imul, torch.mul, torch.multiply, "mul", "mul_")
def _mul(tracing: Tracing, node: fx.Node) -> Any:
    both = [tracing.argument(node, n, "") for n in (0, 1)]
    numbers = [one for one in both if isinstance(one, int | float)]
    if len(numbers) == 2:
        return prod(numbers)
    if numbers:
        (source,) = (one for one in both if one not in numbers)
        return tracing.apply(node, Scale(float(numbers[0])), tracing.name(source))
    return tracing.merge(node, Multiply(), *(tracing.name(one) for one in both))


@from_function(operator.truediv, torch.div, "div", "div_")
def _div(tracing: Tracing, node: fx.Node) -> Any:
    value, by = (tracing.argument(node, n, "") for n in (0, 1))
    if not isinstance(by, int | float) or by == 0:
        raise ArchitectureError(f"{tracing.where(node)}: only division by a number is a layer.")
    if not isinstance(value, str):
        return value / by
    return tracing.apply(node, Scale(1 / by), value)


@from_function(torch.cat, torch.concat, "cat")
def _cat(tracing: Tracing, node: fx.Node) -> str:
    if tracing.argument(node, 1, "dim", 0) not in (1, -3):
        raise ArchitectureError(f"{node.name}: only channels can be concatenated.")
    parts = node.args[0] if node.args else node.kwargs["tensors"]
    if len(parts) == 1:
        return tracing.name(parts[0])
    return tracing.apply(node, Concat(), *(tracing.name(one) for one in parts))
