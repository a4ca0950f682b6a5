"""The registry of all layers, and layers as plain data, from which model files are built."""

from dataclasses import fields
from typing import Any

from neocog.errors import ArchitectureError, is_plain
from neocog.layers.base import Layer
from neocog.layers.channels import ChannelShuffle, Slice
from neocog.layers.containers import Residual, Sequential
from neocog.layers.convolution import Conv2d
from neocog.layers.elementwise import (
    ELU,
    GELU,
    Dropout,
    Hardsigmoid,
    Hardswish,
    LeakyReLU,
    Mish,
    ReLU,
    ReLU6,
    Scale,
    Sigmoid,
    SiLU,
    Softplus,
    Tanh,
)
from neocog.layers.graph import Node
from neocog.layers.linear import Flatten, Linear
from neocog.layers.merging import Add, Concat, Multiply
from neocog.layers.normalization import BatchNorm2d, GroupNorm, LayerNorm2d
from neocog.layers.padding import CircularPad2d, ReflectionPad2d, ReplicationPad2d, ZeroPad2d
from neocog.layers.pooling import AdaptiveAvgPool2d, AdaptiveMaxPool2d, AvgPool2d, MaxPool2d
from neocog.layers.upsampling import Upsample
from neocog.validation import shown

__all__ = ["LAYERS", "build", "build_nodes", "build_row", "describe", "describe_node"]

#: All layers by name. Model files can have these and no others.
LAYERS: dict[str, type[Layer]] = {
    layer.__name__: layer
    for layer in (
        Conv2d,
        Linear,
        BatchNorm2d,
        GroupNorm,
        LayerNorm2d,
        MaxPool2d,
        AvgPool2d,
        AdaptiveAvgPool2d,
        AdaptiveMaxPool2d,
        ZeroPad2d,
        ReflectionPad2d,
        ReplicationPad2d,
        CircularPad2d,
        Upsample,
        Dropout,
        Flatten,
        ReLU,
        LeakyReLU,
        SiLU,
        GELU,
        Sigmoid,
        Tanh,
        ReLU6,
        Hardsigmoid,
        Hardswish,
        ELU,
        Softplus,
        Mish,
        Scale,
        Add,
        Multiply,
        Concat,
        Slice,
        ChannelShuffle,
        Sequential,
        Residual,
    )
}

# Levels of nested layers that a file may describe.
_DEEPEST = 16
_LONGEST_NAME = 1000


def describe(layer: Layer) -> dict[str, object]:
    """The layer as plain data: its ``type`` and its arguments; `build` is the inverse."""
    if isinstance(layer, Sequential):
        layers = [{"name": name, **describe(child)} for name, child in layer.layers]
        return {"type": "Sequential", "layers": layers}
    return {
        "type": type(layer).__name__,
        **{f.name: _plain(getattr(layer, f.name)) for f in fields(layer)},
    }


def _plain(value: object) -> object:
    if isinstance(value, Layer):
        return describe(value)
    return list(value) if isinstance(value, tuple) else value


def build(description: dict[str, Any], depth: int = 0) -> Layer:
    """The layer from a description by `describe`; raises `ArchitectureError` for anything else."""
    if depth > _DEEPEST:
        raise ArchitectureError(f"Layers lie more than {_DEEPEST} deep within each other.")
    arguments = dict(description)
    name = arguments.pop("type", None)
    if not isinstance(name, str) or name not in LAYERS:
        raise ArchitectureError(f"Unknown layer type {shown(name)}. Known: {', '.join(LAYERS)}.")
    cls = LAYERS[name]
    if unknown := sorted(set(arguments) - {f.name for f in fields(cls)}):
        raise ArchitectureError(f"{name} has no argument {shown(unknown[0])}.")
    if cls is Sequential:
        return Sequential(**build_row(arguments.get("layers"), depth + 1))
    values = {
        k: build(v, depth + 1) if isinstance(v, dict) else tuple(v) if isinstance(v, list) else v
        for k, v in arguments.items()
    }
    try:
        return cls(**values)
    except TypeError as error:
        raise ArchitectureError(f"{name}: {error}.") from error


def is_name(name: object) -> bool:
    """Whether a layer in a file may have this name: printable, and not special to Python."""
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME:
        return False
    return is_plain(name) and not name.startswith("__")


def build_row(entries: object, depth: int = 0) -> dict[str, Layer]:
    """Layers by name, from a list of descriptions that each have a ``name``."""
    if not isinstance(entries, list):
        raise ArchitectureError("There is no list of layers.")
    layers: dict[str, Layer] = {}
    for entry in entries:
        name, arguments = _named(entry)
        if name in layers:
            raise ArchitectureError(f"Two layers are called {shown(name)}.")
        layers[name] = build(arguments, depth)
    return layers


def describe_node(node: Node) -> dict[str, object]:
    """The node as plain data: its ``name``, its ``inputs`` and its layer, as in `describe`."""
    return {"name": node.name, "inputs": list(node.inputs), **describe(node.layer)}


def build_nodes(entries: object) -> list[Node]:
    """The nodes from a list of descriptions by `describe_node`."""
    if not isinstance(entries, list):
        raise ArchitectureError("There is no list of nodes.")
    nodes = []
    for entry in entries:
        name, arguments = _named(entry)
        inputs = arguments.pop("inputs", None)
        if not isinstance(inputs, list) or not inputs or not all(map(is_name, inputs)):
            raise ArchitectureError(f"{shown(name)} has no list of inputs.")
        nodes.append(Node(name, build(arguments), tuple(inputs)))
    return nodes


def _named(entry: object) -> tuple[str, dict[str, Any]]:
    """The name in a description, and the rest of it."""
    arguments = dict(entry) if isinstance(entry, dict) else {}
    name = arguments.pop("name", None)
    if not isinstance(name, str) or not is_name(name):
        raise ArchitectureError(f"A layer cannot be called {shown(name)}.")
    return name, arguments
