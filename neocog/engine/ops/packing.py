"""The layouts in which parameters lie in memory."""

import numpy as np
from numpy.typing import NDArray

from neocog.engine.tensor import Parameter
from neocog.kernels.layout import ConvolutionWeight, padded

__all__ = ["convolution_parameter", "pack_convolution", "unpack_convolution", "vector_parameter"]

Floats = NDArray[np.float32]


def vector_parameter(name: str, count: int) -> Parameter:
    """A parameter with one number per channel."""
    size = padded(count)

    def pack(value: Floats) -> Floats:
        return np.pad(value, (0, size - count))

    def unpack(packed: Floats) -> Floats:
        return packed[:count].copy()

    return Parameter(name, (count,), size, pack, unpack)


def convolution_parameter(name: str, w: ConvolutionWeight) -> Parameter:
    """The weight of a convolution."""

    def pack(value: Floats) -> Floats:
        return pack_convolution(w, value)

    def unpack(packed: Floats) -> Floats:
        return unpack_convolution(w, packed)

    shape = w.out_channels, w.group_in, w.kernel_h, w.kernel_w
    return Parameter(name, shape, w.size, pack, unpack, w if w.groups == 1 else None)


def pack_convolution(w: ConvolutionWeight, value: Floats) -> Floats:
    """A weight [out, in, i, j] in the layout `w`, flat, with zeros as padding."""
    kernel = (w.kernel_h, w.kernel_w)
    fill = w.group_blocks * w.block - w.group_out
    groups = value.reshape(w.groups, w.group_out, w.group_in, *kernel)
    full = np.pad(groups, ((0, 0), (0, fill), (0, 0), (0, 0), (0, 0)))
    blocks = full.reshape(w.blocks, w.block, w.group_in, *kernel)
    return blocks.transpose(0, 3, 4, 2, 1).ravel()


def unpack_convolution(w: ConvolutionWeight, packed: Floats) -> Floats:
    """The inverse of `pack_convolution`; a copy."""
    kernel = (w.kernel_h, w.kernel_w)
    blocks = packed.reshape(w.blocks, *kernel, w.group_in, w.block).transpose(0, 4, 3, 1, 2)
    rows = blocks.reshape(w.groups, -1, w.group_in, *kernel)[:, : w.group_out]
    return np.array(rows.reshape(w.out_channels, w.group_in, *kernel), order="C")
