"""Modules for what PyTorch has no module for, as ``torch.fx.GraphModule``.

Their ``forward`` is Python code that `torch.fx` writes, so they are copied, saved, compiled and
exported like any module, and loaded where neocog is not installed.
"""

import operator
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional

__all__ = [
    "concatenation",
    "fx_module",
    "layer_norm2d",
    "product",
    "residual",
    "scaling",
    "slicing",
    "summation",
]


def fx_module(
    name: str,
    forward: Callable[..., fx.Node],
    inputs: int = 1,
    members: Mapping[str, nn.Module | nn.Parameter] | None = None,
) -> nn.Module:
    """A module whose ``forward`` is a graph.

    Args:
        name: of its class.
        forward: takes a new graph and a node for each input; returns the node of the result.
        inputs: number of inputs.
        members: its modules and parameters by name, as far as the graph uses them. One that is
            called ``a.b`` lies within ``a``.

    Raises:
        KeyError: a member has a name that modules keep for themselves.
    """
    root = nn.Module()
    for member, value in (members or {}).items():
        if hasattr(fx.GraphModule, member) or member == "meta":
            raise KeyError(f"attribute {member!r} already exists")
        if isinstance(value, nn.Module):
            _place(root, member, value)
        else:
            root.register_parameter(member, value)
    graph = fx.Graph()
    names = ["x"] if inputs == 1 else [f"x{n}" for n in range(1, inputs + 1)]
    graph.output(forward(graph, *map(graph.placeholder, names)))
    return fx.GraphModule(root, graph, class_name=name)


def _place(root: nn.Module, path: str, module: nn.Module) -> None:
    *owners, name = path.split(".")
    for owner in owners:
        if owner not in root._modules:
            root.add_module(owner, nn.Module())
        root = root.get_submodule(owner)
    if name not in root._modules:
        root.add_module(name, module)
        return
    for child, within in root.get_submodule(name).named_children():
        module.add_module(child, within)
    root._modules[name] = module


def residual(modules: Mapping[str, nn.Module]) -> nn.Module:
    """y = body(x) + shortcut(x), or body(x) + x without a shortcut."""

    def forward(graph: fx.Graph, x: fx.Node) -> fx.Node:
        through = graph.call_module("body", (x,))
        around = graph.call_module("shortcut", (x,)) if "shortcut" in modules else x
        return graph.call_function(operator.add, (through, around))

    return fx_module("Residual", forward, members=modules)


def scaling(factor: float) -> nn.Module:
    """y = factor · x."""

    def forward(graph: fx.Graph, x: fx.Node) -> fx.Node:
        return graph.call_function(operator.mul, (x, factor))

    return fx_module("Scale", forward)


def slicing(start: int, stop: int) -> nn.Module:
    """The channels from `start` to before `stop`."""

    def forward(graph: fx.Graph, x: fx.Node) -> fx.Node:
        return graph.call_function(torch.narrow, (x, 1, start, stop - start))

    return fx_module("Slice", forward)


def layer_norm2d(channels: int, eps: float, affine: bool) -> nn.Module:
    """Layer normalization over the channels of each pixel, as torchvision's ``LayerNorm2d``."""
    members = {}
    if affine:
        members = {
            "weight": nn.Parameter(torch.ones(channels)),
            "bias": nn.Parameter(torch.zeros(channels)),
        }

    def forward(graph: fx.Graph, x: fx.Node) -> fx.Node:
        pixels = graph.call_method("permute", (x, 0, 2, 3, 1))
        learned = [graph.get_attr(name) for name in members] or [None, None]
        given = (pixels, [channels], *learned, eps)
        normalized = graph.call_function(functional.layer_norm, given)
        return graph.call_method("permute", (normalized, 0, 3, 1, 2))

    return fx_module("LayerNorm2d", forward, members=members)


def summation(inputs: int) -> nn.Module:
    """The sum, from the first input to the last."""
    return fx_module("Add", _reduction(operator.add), inputs)


def product(inputs: int) -> nn.Module:
    """The product, from the first input to the last; some may have one number per channel."""
    return fx_module("Multiply", _reduction(operator.mul), inputs)


def _reduction(function: Any) -> Callable[..., fx.Node]:
    def forward(graph: fx.Graph, *inputs: fx.Node) -> fx.Node:
        return reduce(lambda one, other: graph.call_function(function, (one, other)), inputs)

    return forward


def concatenation(inputs: int) -> nn.Module:
    """The inputs side by side along the channels."""

    def forward(graph: fx.Graph, *given: fx.Node) -> fx.Node:
        return graph.call_function(torch.cat, (list(given), 1))

    return fx_module("Concat", forward, inputs)
