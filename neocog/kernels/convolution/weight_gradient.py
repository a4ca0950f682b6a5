"""The sizes of the gradient of a convolution's weight from all of dy; see `gradient`.

Registers hold the sums of a `RegisterBlock`: some rows (j, c) of the gradient × one block of output
channels. They sum over a *panel*: some images, rows and columns of dy.
"""

from dataclasses import dataclass, replace

from neocog.kernels.codegen.vector_types import LANES, SUMS
from neocog.kernels.compiler.spec import Spec
from neocog.kernels.layout import ConvolutionWeight, FeatureMap

__all__ = ["DY_SCRATCH", "RegisterBlock", "WeightGradient"]

#: Pixels of dy in a panel: enough to make the loads and stores of the sums around it negligible.
_PLACES = 128

#: Floats of x that a panel reads, roughly, on 48 pages: with 128 the addresses of pixels of 4 KB no
#: longer fit into the translation buffer, which took twice as long.
_NEAR = 48 * 1024

#: Floats of a pixel from which on a block of channels is copied to a panel: a multiple of 256 bytes
#: apart, pixels map to few sets of the first-level cache.
_WIDE = 64

#: Register blocks that must read the copy.
_READERS = 4

#: Items to which the batch's weight gradient should be divided at least.
_ITEMS = 16

#: Rows of one item, if items cover the whole batch: a multiple of all register blocks.
_PART = 96

#: Floats of the largest copy of dy.
DY_SCRATCH = 3 * LANES * _PLACES


@dataclass(frozen=True)
class RegisterBlock:
    """Rows of the gradient × vectors of output channels with sums in registers.

    Rows lie side by side in x. In images with three channels (`rgb`) every fourth float is
    padding. Rows are taken in multiples of a grain, `part` of them together.
    """

    vectors: int
    rgb: bool = False
    part: int = 1

    @property
    def grain(self) -> int:
        """Rows in a grain: as many as one multiplication's latency allows, or one RGB pixel.

        Fewer would take as long, because their sums wait for each other.
        """
        most = SUMS // self.vectors
        if self.rgb:
            return 3
        return next(n for n in (8, 4, 2, 1) if most % n == 0 and 2 * n <= max(2, most))

    @property
    def parts(self) -> int:
        """Grains whose sums fit into registers, three at most."""
        return max(1, min(3, SUMS // self.vectors // self.grain))

    @property
    def rows(self) -> int:
        """Rows that are computed together."""
        return min(self.part, self.parts) * self.grain

    @property
    def most(self) -> int:
        """Rows of the largest register block."""
        return self.parts * self.grain

    @property
    def sums(self) -> int:
        """Vectors of sums."""
        return self.rows * self.vectors

    @property
    def size(self) -> int:
        """Floats of the sums."""
        return self.sums * LANES

    @property
    def one(self) -> "RegisterBlock":
        """One grain of rows."""
        return replace(self, part=1)

    @property
    def two(self) -> "RegisterBlock":
        """Two grains of rows."""
        return replace(self, part=2)

    @property
    def three(self) -> "RegisterBlock":
        """Three grains of rows."""
        return replace(self, part=3)

    def place(self, row: int) -> int:
        """Floats of x from the first row to another."""
        return 4 * (row // 3) + row % 3 if self.rgb else row


@dataclass(frozen=True)
class WeightGradient(Spec):
    """The weight gradient of one convolution.

    `shard` is the images of a shard; 0 if each item covers the whole batch. The first window begins
    `crop_*` rows and columns into x's border. One that is `continued` adds to a shard's sums, even
    if the first image of the shard is among its images.
    """

    x: FeatureMap
    dy: FeatureMap
    w: ConvolutionWeight
    bias: bool
    shard: int
    stride_h: int = 1
    stride_w: int = 1
    dilation_h: int = 1
    dilation_w: int = 1
    crop_h: int = 0
    crop_w: int = 0
    continued: bool = False

    constants = ("registers",)

    @property
    def registers(self) -> RegisterBlock:
        """What the machine code is made for."""
        rgb = (self.x.pixel, self.w.group_in) == (4, 3) and self.dilation_w == 1
        return RegisterBlock(self.w.vectors, rgb and self.shard > 0)

    @property
    def x_start(self) -> int:
        """The first float of x that is read."""
        return self.crop_h * self.x.row + self.crop_w * self.x.pixel

    # The rows of the gradient

    @property
    def runs(self) -> int:
        """Stretches of x that a kernel row reads: one, if its channels lie side by side."""
        together = self.x.pixel == self.w.group_in or self.registers.rgb
        return 1 if together and self.dilation_w == 1 else self.w.kernel_w

    @property
    def run(self) -> int:
        """Rows (j, c) of the gradient along one stretch."""
        return self.w.group_in * (self.w.kernel_w // self.runs)

    @property
    def parts(self) -> int:
        """Parts of a stretch that are separate items, if items cover the whole batch."""
        return -(-self.run // self.part)

    @property
    def part(self) -> int:
        """Rows of one such part."""
        return _PART // self.registers.most * self.registers.most

    @property
    def together(self) -> int:
        """Blocks of output channels in an item, which read x from a near cache."""
        most = self.w.blocks * self.parts // _ITEMS
        return next((n for n in range(most, 1, -1) if self.w.blocks % n == 0), 1)

    @property
    def items(self) -> int:
        """Items of the weight, if each covers the whole batch."""
        return self.w.blocks // self.together * self.parts

    # The places of dy

    @property
    def flat(self) -> bool:
        """Whether the pixels of x and dy are one row: 1 × 1 kernels without borders."""
        maps = (self.x, self.dy)
        steps = (self.w.kernel_h, self.w.kernel_w, self.stride_h, self.stride_w)
        bare = all((m.border_h, m.border_w) == (0, 0) for m in maps)
        same = self.x.height == self.dy.height and self.x.width == self.dy.width
        return bare and same and steps == (1, 1, 1, 1)

    @property
    def height(self) -> int:
        """Rows of dy."""
        return 1 if self.flat else self.dy.height

    @property
    def width(self) -> int:
        """Columns of dy."""
        return self.dy.width * self.dy.height if self.flat else self.dy.width

    @property
    def places(self) -> int:
        """Pixels of dy in a panel, roughly."""
        read = self.x.pixel * self.stride_h * self.stride_w
        return max(32, min(_PLACES, _NEAR // read))

    @property
    def columns(self) -> int:
        """Columns of dy that are processed at a time: whole rows, unless they are long."""
        pieces = -(-self.width // self.places)
        return -(-self.width // pieces)

    @property
    def rows(self) -> int:
        """Rows of dy that are processed at a time."""
        return max(1, min(self.height, self.places // self.width))

    @property
    def row_pieces(self) -> int:
        """Pieces of so many rows."""
        return -(-self.height // self.rows)

    @property
    def column_pieces(self) -> int:
        """Pieces of so many columns."""
        return -(-self.width // self.columns)

    @property
    def images(self) -> int:
        """Images that are processed at a time."""
        return max(1, _PLACES // (self.height * self.width))

    # Strides in floats

    @property
    def packs_dy(self) -> bool:
        """Whether the pixels of a block of channels of dy are copied side by side.

        That pays if enough register blocks read the copy.
        """
        wide = self.dy.pixel >= _WIDE and max(self.x.pixel, self.dy.pixel) > _WIDE // 2 * 3
        readers = self.w.kernel_h * self.runs * -(-self.run // self.registers.most)
        return wide and readers >= _READERS

    @property
    def dy_column_step(self) -> int:
        """From one column of dy, or of its copy, to the next."""
        return self.w.block if self.packs_dy else self.dy.pixel

    @property
    def dy_row_step(self) -> int:
        """From one row of dy, or of its copy, to the next."""
        return self.columns * self.w.block if self.packs_dy else self.dy.row

    @property
    def dy_image_step(self) -> int:
        """From one image of dy, or of its copy, to the next."""
        return self.rows * self.dy_row_step if self.packs_dy else self.dy.size

    @property
    def tap_row(self) -> int:
        """Of x, from one kernel row to the next."""
        return self.dilation_h * self.x.row

    @property
    def tap(self) -> int:
        """Of x, from one tap of a kernel row to the next."""
        return self.dilation_w * self.x.pixel

    @property
    def row_step(self) -> int:
        """Of x, from one row of dy to the next."""
        return self.stride_h * self.x.row

    @property
    def step(self) -> int:
        """Of x, from one column of dy to the next."""
        return self.stride_w * self.x.pixel
