"""Operations: fused layers, and the instructions that they add to a plan."""

from neocog.engine.ops.base import Op
from neocog.engine.ops.convolution import ConvolutionOp
from neocog.engine.ops.depthwise import DepthwiseOp
from neocog.engine.ops.dropout import DropoutOp
from neocog.engine.ops.image import LoadOp
from neocog.engine.ops.image_normalization import ImageNormalizationOp
from neocog.engine.ops.linear import LinearOp
from neocog.engine.ops.merging import ChannelShuffleOp, ConcatOp, MultiplyOp, SliceOp
from neocog.engine.ops.padding import PaddingOp
from neocog.engine.ops.pointwise import PointwiseOp
from neocog.engine.ops.pooling import PoolingOp
from neocog.engine.ops.upsampling import UpsampleOp

__all__ = [
    "ChannelShuffleOp",
    "ConcatOp",
    "ConvolutionOp",
    "DepthwiseOp",
    "DropoutOp",
    "ImageNormalizationOp",
    "LinearOp",
    "LoadOp",
    "MultiplyOp",
    "Op",
    "PaddingOp",
    "PointwiseOp",
    "PoolingOp",
    "SliceOp",
    "UpsampleOp",
]
