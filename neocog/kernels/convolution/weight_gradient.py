"""The sizes of the gradient of a convolution's weight from all of dy; see `gradient`.

Registers hold the sums of a `RegisterBlock`: some rows (j, c) of the gradient × one block of output
channels. They sum over a *panel*: some images, rows and columns of dy.
"""

from dataclasses import dataclass, replace

from neocog.kernels.codegen.vector_types import LANES
from neocog.kernels.compiler.spec import Spec
from neocog.kernels.convolution.register_tile import SUMS
from neocog.kernels.layout import ConvolutionWeight, FeatureMap

__all__ = ["DY_SCRATCH", "X_SCRATCH", "RegisterBlock", "WeightGradient"]

#: Bytes that a pass over a panel reads again for other rows or taps; they should stay in the
#: first-level cache.
_PANEL_BYTES = 20 * 1024

#: Pixels of dy in a panel: enough to make the loads and stores of the sums around it negligible.
_PLACES = 128

#: Floats of a pixel from which on pixels are copied to panels: a multiple of 256 bytes apart, they
#: map to few sets of the first-level cache.
_WIDE = 64

#: Floats of the largest copy of x for the rows of one register block.
_PANEL = 8192

#: Rows of one item, if items cover the whole batch: a multiple of all register blocks.
_PART = 96

#: Floats of all copies of x at a time, and of dy.
X_SCRATCH = 2 * _PANEL
DY_SCRATCH = 2 * 3 * LANES * _PLACES


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
    def copied(self) -> int:
        """Vectors that hold the rows of the largest block."""
        return -(-self.most // LANES)

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
    `crop_*` rows and columns into x's border.
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
        return 1 if together and self.dilation_w == 1 and not self.packs_x else self.w.kernel_w

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
    def items(self) -> int:
        """Items of the weight, if each covers the whole batch."""
        return self.w.blocks // self.pair * self.parts

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
        """Pixels of dy that are processed at a time, roughly."""
        if self.x.pixel >= _WIDE:
            return _PLACES
        read = self.w.block if self.packs_dy else self.dy.pixel
        pixels = self.stride_h * self.stride_w * self.x.pixel + read
        return min(_PLACES, max(32, _PANEL_BYTES // (4 * pixels)))

    @property
    def columns(self) -> int:
        """Columns of dy that are processed at a time: whole rows, unless they are very long."""
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
        return max(1, self.places // (self.height * self.width))

    # Copies of panels

    @property
    def packs_dy(self) -> bool:
        """Whether the pixels of a block of channels of dy are copied side by side."""
        return self.dy.pixel >= _WIDE and max(self.x.pixel, self.dy.pixel) > _WIDE // 2 * 3

    @property
    def dy_panel(self) -> int:
        """Floats of such a copy for one block."""
        return self.images * self.rows * self.columns * self.w.block

    @property
    def pair(self) -> int:
        """Blocks of channels that use the same copy of x."""
        return 2 if self.packs_x and self.packs_dy and self.w.group_blocks % 2 == 0 else 1

    @property
    def packs_x(self) -> bool:
        """Whether the pixels of a few channels of x are copied side by side."""
        return self.x.pixel >= _WIDE and self.x_panel <= _PANEL

    @property
    def skip_h(self) -> int:
        """Rows of x from one copied row to the next: 1 × 1 kernels leave out what they skip."""
        return self.stride_h if self.w.kernel_h == 1 else 1

    @property
    def skip_w(self) -> int:
        """Columns of x from one copied column to the next."""
        return self.stride_w if self.w.kernel_w == 1 else 1

    @property
    def near_h(self) -> int:
        """Copied rows of x from one row of dy to the next."""
        return self.stride_h // self.skip_h

    @property
    def near_w(self) -> int:
        """Copied columns of x from one column of dy to the next."""
        return self.stride_w // self.skip_w

    @property
    def panel_rows(self) -> int:
        """Rows of x that the rows of a panel of dy read."""
        return (self.rows - 1) * self.near_h + (self.w.kernel_h - 1) * self.dilation_h + 1

    @property
    def panel_columns(self) -> int:
        """Columns of x that the columns of a panel of dy read."""
        return (self.columns - 1) * self.near_w + (self.w.kernel_w - 1) * self.dilation_w + 1

    @property
    def x_panel(self) -> int:
        """Floats of such a copy, plus a vector that may extend past its end."""
        pixels = self.images * self.panel_rows * self.panel_columns
        return pixels * self.registers.most + LANES

    @property
    def x_panels(self) -> int:
        """Copies that are made at a time, so that a pixel's cache lines are fetched once."""
        most = -(-self.run // self.registers.most)
        return max(1, min(8, most, X_SCRATCH // self.x_panel)) if self.packs_x else most

    # Strides in floats of a panel, or of x and dy themselves.

    @property
    def dy_column_step(self) -> int:
        """From one column of dy to the next."""
        return self.w.block if self.packs_dy else self.dy.pixel

    @property
    def dy_row_step(self) -> int:
        """From one row of dy to the next."""
        return self.columns * self.w.block if self.packs_dy else self.dy.row

    @property
    def dy_image_step(self) -> int:
        """From one image of dy to the next."""
        return self.rows * self.dy_row_step if self.packs_dy else self.dy.size

    @property
    def x_column_step(self) -> int:
        """From one column of x to the next."""
        return self.registers.most if self.packs_x else self.x.pixel

    @property
    def x_row_step(self) -> int:
        """From one row of x to the next."""
        return self.panel_columns * self.registers.most if self.packs_x else self.x.row

    @property
    def x_image_step(self) -> int:
        """From one image of x to the next."""
        return self.panel_rows * self.x_row_step if self.packs_x else self.x.size

    @property
    def tap_row(self) -> int:
        """From one kernel row to the next, in x."""
        return self.dilation_h * self.x_row_step

    @property
    def tap(self) -> int:
        """From one tap of a kernel row to the next, in x."""
        return self.dilation_w * self.x_column_step

    @property
    def row_step(self) -> int:
        """Of x, from one row of dy to the next."""
        return (self.near_h if self.packs_x else self.stride_h) * self.x_row_step

    @property
    def step(self) -> int:
        """Of x, from one column of dy to the next."""
        return (self.near_w if self.packs_x else self.stride_w) * self.x_column_step
