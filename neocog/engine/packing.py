"""Parameters between PyTorch's shapes, which everyone outside sees, and the kernels' layouts."""

import numpy as np
from numpy.typing import NDArray

from neocog.engine.lower import Stage
from neocog.kernels.layout import ConvolutionWeight, LinearWeight, padded
from neocog.kernels.simd import LANES
from neocog.layers import Conv2d, Linear

__all__ = [
    "convolution_weight",
    "linear_weight",
    "pack",
    "pack_convolution",
    "packed_size",
    "turn",
    "unpack",
]

Floats = NDArray[np.float32]


def convolution_weight(layer: Conv2d) -> ConvolutionWeight:
    """The layout of a convolution's weight."""
    return ConvolutionWeight(layer.out_channels, layer.in_channels, *layer.kernel)


def linear_weight(stage: Stage) -> LinearWeight:
    """The layout of a linear layer's weight."""
    return LinearWeight(padded(stage.x.content), stage.y.channels)


def packed_size(stage: Stage, part: str) -> int:
    """Floats that the stage's ``weight`` or ``bias`` takes."""
    if part == "bias":
        return padded(stage.y.channels)
    if isinstance(stage.layer, Conv2d):
        return convolution_weight(stage.layer).size
    return linear_weight(stage).size


def pack(stage: Stage, part: str, value: Floats) -> Floats:
    """A parameter as the kernels want it, flat; what is padded is zero."""
    if part == "bias":
        return np.pad(value, (0, padded(len(value)) - len(value)))
    if isinstance(stage.layer, Conv2d):
        return pack_convolution(convolution_weight(stage.layer), value)
    out = len(value)
    x, inputs = stage.x, linear_weight(stage).inputs
    maps = value.reshape(out, x.channels, x.height, x.width).transpose(0, 2, 3, 1)
    rows = np.pad(maps, ((0, 0), (0, 0), (0, 0), (0, x.pixel - x.channels))).reshape(out, -1)
    rows = np.pad(rows, ((0, 0), (0, inputs - rows.shape[1])))
    return rows.reshape(out, inputs // LANES, LANES).transpose(1, 0, 2).ravel()


def pack_convolution(w: ConvolutionWeight, value: Floats) -> Floats:
    """A convolution's weight [out, in, i, j] in the layout `w`, flat."""
    fill = w.blocks * w.block - len(value)
    full = np.pad(value, ((0, fill), (0, 0), (0, 0), (0, 0)))
    return full.reshape(w.blocks, w.block, *value.shape[1:]).transpose(0, 3, 4, 2, 1).ravel()


def turn(value: Floats) -> Floats:
    """The weight of the convolution that gives the input's gradient: [in, out, −i, −j]."""
    return value.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1]


def unpack(stage: Stage, part: str, packed: Floats) -> Floats:
    """The way back: a parameter, or anything laid out as one, in PyTorch's shape; a copy."""
    shape = stage.layer.parameter_shapes()[part]
    if part == "bias":
        return packed[: shape[0]].copy()
    if isinstance(stage.layer, Conv2d):
        w = convolution_weight(stage.layer)
        blocks = packed.reshape(w.blocks, w.kernel_h, w.kernel_w, w.in_channels, w.block)
        rows = blocks.transpose(0, 4, 3, 1, 2).reshape(-1, *shape[1:])[: shape[0]]
        return np.array(rows, order="C")
    assert isinstance(stage.layer, Linear)  # noqa: S101
    x = stage.x
    rows = packed.reshape(-1, shape[0], LANES).transpose(1, 0, 2).reshape(shape[0], -1)
    maps = rows[:, : x.height * x.width * x.pixel].reshape(-1, x.height, x.width, x.pixel)
    return np.array(maps[..., : x.channels].transpose(0, 3, 1, 2).reshape(shape), order="C")
