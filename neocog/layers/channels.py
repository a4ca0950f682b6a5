"""Layers that select or reorder channels."""

from dataclasses import dataclass

from neocog.errors import ArchitectureError
from neocog.layers.base import Layer, Shape, check_numbers, feature_map

__all__ = ["ChannelShuffle", "Slice"]


@dataclass(frozen=True)
class Slice(Layer):
    """The channels from `start` to before `stop`: one of the parts that ``torch.split`` gives."""

    start: int
    stop: int

    def __post_init__(self) -> None:
        if self.start != 0:
            check_numbers(self, "start")
        check_numbers(self, "stop")
        if self.start >= self.stop:
            raise ArchitectureError(
                f"Slice: start (={self.start}) must be below stop (={self.stop})."
            )

    def output_shape(self, shape: Shape) -> Shape:
        """(C, H, W) → (stop − start, H, W)."""
        c, h, w = feature_map(self, shape)
        if self.stop > c:
            raise ArchitectureError(
                f"Slice: stop (={self.stop}) must be at most its input's channels (={c})."
            )
        return self.stop - self.start, h, w


@dataclass(frozen=True)
class ChannelShuffle(Layer):
    """Interleaves `groups` groups of channels, as ``torch.nn.ChannelShuffle``.

    With n channels in a group, channel i · groups + j of the output is channel j · n + i of the
    input (X. Zhang et al., "ShuffleNet", 2017).
    """

    groups: int

    def __post_init__(self) -> None:
        check_numbers(self, "groups")

    def output_shape(self, shape: Shape) -> Shape:
        """The same shape."""
        c, h, w = feature_map(self, shape)
        if c % self.groups:
            raise ArchitectureError(
                f"ChannelShuffle: groups (={self.groups}) must divide its input's channels (={c})."
            )
        return c, h, w
