"""How feature maps and weights lie in memory.

Everything is channels-last and in whole vectors: a pixel's channels are padded with zeros to a
multiple of LANES, so that kernels need no remainder. Only an image's own pixels are `dense`: one,
two or four floats, which are read one at a time. Three channels take four floats: with three,
a kernel row's vectors would cross cache lines almost every second time, and the gradient of the
first weights, which loads little else, took twice as long.
"""

from dataclasses import dataclass

from neocog.kernels.simd import LANES

__all__ = ["ConvolutionWeight", "FeatureMap", "LinearWeight", "padded"]


def padded(channels: int) -> int:
    """Floats that so many channels take as whole vectors."""
    return -(-channels // LANES) * LANES


@dataclass(frozen=True)
class FeatureMap:
    """One image's feature map, inside a border of zeros; a vector is a map of one pixel."""

    height: int
    width: int
    channels: int
    border_h: int = 0
    border_w: int = 0
    dense: bool = False

    @property
    def pixel(self) -> int:
        """Floats from one pixel to the next."""
        if self.dense and self.channels <= 4:
            return self.channels + (self.channels == 3)
        return padded(self.channels)

    @property
    def row(self) -> int:
        """Floats from one row to the next."""
        return (self.width + 2 * self.border_w) * self.pixel

    @property
    def start(self) -> int:
        """Where the first pixel inside the border stands."""
        return self.border_h * self.row + self.border_w * self.pixel

    @property
    def content(self) -> int:
        """Floats of the map with its border."""
        return (self.height + 2 * self.border_h) * self.row

    @property
    def size(self) -> int:
        """Floats from one image to the next: whole cache lines, and not a multiple of a page.

        Images a page apart would all fall into the same few sets of the first-level cache.
        """
        lines = -(-self.content // 16)
        return 16 * (lines + (lines % 64 == 0))

    @property
    def bare(self) -> "FeatureMap":
        """The same map without a border."""
        return FeatureMap(self.height, self.width, self.channels, 0, 0, self.dense)


@dataclass(frozen=True)
class ConvolutionWeight:
    """[group][group_out / block][i][j][group_in][block], each last block filled up with zeros.

    Channels are those of all groups together; a group's outputs see its own inputs alone.
    """

    out_channels: int
    in_channels: int
    kernel_h: int
    kernel_w: int
    groups: int = 1

    @property
    def group_out(self) -> int:
        """Output channels of one group."""
        return self.out_channels // self.groups

    @property
    def group_in(self) -> int:
        """Input channels of one group."""
        return self.in_channels // self.groups

    @property
    def vectors(self) -> int:
        """Vectors of output channels that registers hold together: two where they divide evenly."""
        total = padded(self.group_out) // LANES
        return next(n for n in (2, 3, 1) if total % n == 0)

    @property
    def block(self) -> int:
        """Output channels that lie together."""
        return self.vectors * LANES

    @property
    def group_blocks(self) -> int:
        """How many such blocks one group has."""
        return padded(self.group_out) // self.block

    @property
    def blocks(self) -> int:
        """How many such blocks there are."""
        return self.groups * self.group_blocks

    @property
    def lanes_left(self) -> int:
        """Channels in the last vector of a group that ends within one and is not the only one."""
        return self.group_out % LANES if self.groups > 1 else 0

    @property
    def tap_size(self) -> int:
        """Floats of one tap of one block."""
        return self.group_in * self.block

    @property
    def block_size(self) -> int:
        """Floats of one block."""
        return self.kernel_h * self.kernel_w * self.tap_size

    @property
    def size(self) -> int:
        """Floats of all blocks."""
        return self.blocks * self.block_size

    @property
    def flipped(self) -> "ConvolutionWeight":
        """Of the convolution that gives this one's input gradient: in and out exchanged."""
        return ConvolutionWeight(
            self.in_channels, self.out_channels, self.kernel_h, self.kernel_w, self.groups
        )


@dataclass(frozen=True)
class LinearWeight:
    """[inputs / LANES][outputs][LANES]; `inputs` is a whole number of vectors."""

    inputs: int
    outputs: int

    @property
    def size(self) -> int:
        """Floats of the weight."""
        return self.inputs * self.outputs
