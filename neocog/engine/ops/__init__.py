"""Operations: fused layers, and the instructions that they add to a plan."""

from neocog.engine.ops.base import Op
from neocog.engine.ops.convolution import ConvolutionOp
from neocog.engine.ops.depthwise import DepthwiseOp
from neocog.engine.ops.dropout import DropoutOp
from neocog.engine.ops.image import LoadOp
from neocog.engine.ops.linear import LinearOp
from neocog.engine.ops.merging import ConcatOp, MultiplyOp
from neocog.engine.ops.pointwise import PointwiseOp
from neocog.engine.ops.pooling import PoolingOp

__all__ = [
    "ConcatOp",
    "ConvolutionOp",
    "DepthwiseOp",
    "DropoutOp",
    "LinearOp",
    "LoadOp",
    "MultiplyOp",
    "Op",
    "PointwiseOp",
    "PoolingOp",
]
