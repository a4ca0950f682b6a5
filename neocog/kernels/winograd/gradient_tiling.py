"""The sizes of a Winograd weight gradient; its letters are those of `gradient`."""

from dataclasses import dataclass, replace

from neocog.kernels.compiler.spec import Spec
from neocog.kernels.gemm import Product
from neocog.kernels.layout import ConvolutionWeight, FeatureMap
from neocog.kernels.winograd.tiling import Winograd, spread

__all__ = ["CHANNELS", "WinogradGradient", "WinogradPass"]

#: Input channels whose S is summed at a time, for one block of output channels: three cache lines
#: of V, and 110 KB of S with vectors of eight floats. V and W are packed in these widths: with all
#: channels of a tile together, each tile was read from another page, which was a sixth slower.
CHANNELS = 48


@dataclass(frozen=True)
class WinogradGradient(Spec):
    """The weight gradient of one convolution; see `Winograd` for x, top, left, tile and group.

    `shard` is the images of a shard. If it is 0, V and W of up to `images` images are stored.
    """

    x: FeatureMap
    dy: FeatureMap
    top: int
    left: int
    tile: int = 4
    bias: bool = True
    shard: int = 0
    images: int = 0
    group: int = 0

    @property
    def forward(self) -> Winograd:
        """The convolution; its M has the layout of W.

        V and W of a batch are packed in the widths that `winograd_outer` reads, one after another.
        """
        plain = Winograd(self.x, self.dy, self.top, self.left, self.tile, group=self.group)
        if self.shard:
            return plain
        group = self.images * plain.tiles
        return replace(plain, group=group, v_width=CHANNELS, m_width=plain.w.block)

    @property
    def w(self) -> ConvolutionWeight:
        """The weight."""
        return self.forward.w

    @property
    def panel(self) -> int:
        """Floats of S for one point and one block of output channels: [C, in vectors][block]."""
        return self.x.pixel * self.w.block

    @property
    def s_spot(self) -> int:
        """Floats of S from one point to the next; within, [K / block][C, in vectors][block]."""
        return spread(self.w.blocks * self.panel)

    @property
    def s_size(self) -> int:
        """Floats of one S."""
        return self.forward.spots * self.s_spot

    @property
    def portions(self) -> int:
        """Portions of `CHANNELS` input channels."""
        return -(-self.w.in_channels // CHANNELS)

    @property
    def portion_spot(self) -> int:
        """Floats of a portion's S from one point to the next."""
        return spread(CHANNELS * self.w.block)

    @property
    def items(self) -> int:
        """Items of `winograd_outer`: portions of input channels × blocks of output channels."""
        return self.portions * self.w.blocks

    @property
    def v_size(self) -> int:
        """Floats of V, of a group or of the batch."""
        return -(-self.x.pixel // self.forward.v_row) * self.forward.v_part

    @property
    def w_size(self) -> int:
        """Floats of W, of a group or of the batch."""
        return -(-self.dy.pixel // self.forward.m_row) * self.forward.m_part

    @property
    def scratch_size(self) -> int:
        """Floats a worker needs: for V and W of a group, or for a portion's S."""
        if self.shard:
            return self.v_size + self.w_size
        return self.portion_size

    @property
    def portion_size(self) -> int:
        """Floats of a portion's S."""
        return self.forward.spots * self.portion_spot

    @property
    def product(self) -> Product:
        """S of one point and one block of output channels: rows are input channels."""
        return Product(self.w.vectors, a_row=1, c_row=self.w.block, accumulate=True)

    @property
    def portion_product(self) -> Product:
        """The same for `winograd_outer`, which prefetches the next point."""
        near = replace(self.product, a_depth=CHANNELS, b_depth=self.w.block)
        return replace(near, far_a=True, far_b=True)

    constants = (
        "product",
        "portion_product",
        "forward.tile",
        "forward.side",
        "forward.spots",
        "forward.block",
    )


@dataclass(frozen=True)
class WinogradPass(Spec):
    """A pass of a gradient in which there are no products, so that its code is the same for all."""

    gradient: WinogradGradient

    constants = ("gradient.forward.tile", "gradient.forward.side", "gradient.forward.spots")
