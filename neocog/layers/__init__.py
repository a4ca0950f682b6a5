"""Layers: named and parameterized as in ``torch.nn``.

A layer is an immutable description. It knows the shapes of its parameters and computes its output
shape from the shape of its input; it has no numbers and does no arithmetic.
`neocog.engine` runs it and `neocog.reference` has its formula.

Shapes are PyTorch's without the batch: ``(channels, height, width)`` for feature maps and
``(features,)`` after `Flatten`.
"""

from neocog.layers.base import Layer, Shape, image_shape
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
from neocog.layers.graph import Container, Graph, HasGraph, Node, chain, graph_of, state_dtype
from neocog.layers.linear import Flatten, Linear
from neocog.layers.merging import Add, Concat, Multiply
from neocog.layers.normalization import BatchNorm2d, GroupNorm, LayerNorm2d
from neocog.layers.padding import CircularPad2d, ReflectionPad2d, ReplicationPad2d, ZeroPad2d
from neocog.layers.pooling import AdaptiveAvgPool2d, AdaptiveMaxPool2d, AvgPool2d, MaxPool2d
from neocog.layers.registry import LAYERS, build, describe
from neocog.layers.upsampling import Upsample

__all__ = [
    "ELU",
    "GELU",
    "LAYERS",
    "AdaptiveAvgPool2d",
    "AdaptiveMaxPool2d",
    "Add",
    "AvgPool2d",
    "BatchNorm2d",
    "ChannelShuffle",
    "CircularPad2d",
    "Concat",
    "Container",
    "Conv2d",
    "Dropout",
    "Flatten",
    "Graph",
    "GroupNorm",
    "Hardsigmoid",
    "Hardswish",
    "HasGraph",
    "Layer",
    "LayerNorm2d",
    "LeakyReLU",
    "Linear",
    "MaxPool2d",
    "Mish",
    "Multiply",
    "Node",
    "ReLU",
    "ReLU6",
    "ReflectionPad2d",
    "ReplicationPad2d",
    "Residual",
    "Scale",
    "Sequential",
    "Shape",
    "SiLU",
    "Sigmoid",
    "Slice",
    "Softplus",
    "Tanh",
    "Upsample",
    "ZeroPad2d",
    "build",
    "chain",
    "describe",
    "graph_of",
    "image_shape",
    "state_dtype",
]
