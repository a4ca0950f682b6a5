"""Stages: layers that run as one, and the instructions that they put into a plan."""

from neocog.engine.stages.base import Stage
from neocog.engine.stages.convolution import ConvolutionStage
from neocog.engine.stages.depthwise import DepthwiseStage
from neocog.engine.stages.dropout import DropoutStage
from neocog.engine.stages.image import LoadStage
from neocog.engine.stages.linear import LinearStage
from neocog.engine.stages.pointwise import PointwiseStage
from neocog.engine.stages.pooling import PoolingStage

__all__ = [
    "ConvolutionStage",
    "DepthwiseStage",
    "DropoutStage",
    "LinearStage",
    "LoadStage",
    "PointwiseStage",
    "PoolingStage",
    "Stage",
]
