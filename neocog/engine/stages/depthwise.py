"""Depthwise convolutions: a kernel a channel."""

from dataclasses import dataclass

from neocog.engine.builder import Builder
from neocog.engine.stages.base import Stage
from neocog.layers import BatchNorm2d, Conv2d

__all__ = ["DepthwiseStage"]


@dataclass(eq=False)
class DepthwiseStage(Stage):
    """A convolution whose groups are single channels."""

    layer: Conv2d
    folded: str = ""
    folded_norm: BatchNorm2d | None = None

    def forward(self, b: Builder) -> None:
        """Convolve."""
        raise NotImplementedError

    def backward(self, b: Builder) -> None:
        """Back."""
        raise NotImplementedError
