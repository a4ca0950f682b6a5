"""Memory layouts of feature maps and weights.

All maps are channels-last and in whole vectors: a pixel's channels are padded with zeros to a
multiple of LANES, so kernels need no remainder loops. Only the images themselves are `dense`: a
pixel has one, two or four floats, which are read one at a time. Three channels take four floats:
with three, almost every second vector of a kernel row would cross a cache line, and the gradient of
the first weights, which loads little else, took twice as long.
"""

from dataclasses import dataclass

from neocog.kernels.codegen.vector_types import LANES

__all__ = ["ConvolutionWeight", "FeatureMap", "LinearWeight", "padded"]


def padded(channels: int) -> int:
    """Channels rounded up to whole vectors."""
    return -(-channels // LANES) * LANES


@dataclass(frozen=True)
class FeatureMap:
    """One image's feature map with a border of zeros; a vector is a map of one pixel."""

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
        """Offset in floats of the first pixel inside the border."""
        return self.border_h * self.row + self.border_w * self.pixel

    @property
    def content(self) -> int:
        """Floats of the map including its border."""
        return (self.height + 2 * self.border_h) * self.row

    @property
    def size(self) -> int:
        """Floats from one image to the next: whole cache lines, and no multiple of a page.

        Images that are whole pages apart would map to the same few sets of the first-level cache.
        """
        lines = -(-self.content // 16)
        return 16 * (lines + (lines % 64 == 0))

    @property
    def bare(self) -> "FeatureMap":
        """The same map without a border."""
        return FeatureMap(self.height, self.width, self.channels, 0, 0, self.dense)


@dataclass(frozen=True)
class ConvolutionWeight:
    """[group][group_out / block][i][j][group_in][block], the last block padded with zeros.

    Channels are those of all groups; a group's outputs depend only on its own inputs.
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
        """Vectors of output channels in a block: two if that divides evenly."""
        total = padded(self.group_out) // LANES
        return next(n for n in (2, 3, 1) if total % n == 0)

    @property
    def block(self) -> int:
        """Output channels in a block."""
        return self.vectors * LANES

    @property
    def group_blocks(self) -> int:
        """Blocks in one group."""
        return padded(self.group_out) // self.block

    @property
    def blocks(self) -> int:
        """Blocks in all groups."""
        return self.groups * self.group_blocks

    @property
    def lanes_left(self) -> int:
        """Channels in a group's last vector, if that is partial and there are several groups."""
        return self.group_out % LANES if self.groups > 1 else 0

    @property
    def tap_size(self) -> int:
        """Floats of a tap of a block."""
        return self.group_in * self.block

    @property
    def block_size(self) -> int:
        """Floats of a block."""
        return self.kernel_h * self.kernel_w * self.tap_size

    @property
    def size(self) -> int:
        """Floats of all blocks."""
        return self.blocks * self.block_size

    @property
    def flipped(self) -> "ConvolutionWeight":
        """The weight of the convolution that computes the input gradient: in and out exchanged."""
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
