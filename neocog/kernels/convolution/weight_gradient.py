"""The gradient of a convolution's weight: the spec of all algorithms, and their common code.

    dw[i, j, c, k] = Σ_n Σ_h Σ_w  x[n, s·h + d·i, s·w + d·j, c] · dy[n, h, w, k]

`convolution_gradient` computes it from all of dy, `winner_gradient` from the winners of max
pooling.
"""

from dataclasses import dataclass

from neocog.kernels.codegen.block import accumulators, block, nothing
from neocog.kernels.codegen.pointers import advance
from neocog.kernels.codegen.vector_types import LANES, vectors
from neocog.kernels.compiler.jit import inlined
from neocog.kernels.convolution.tiling import SUMS, tile
from neocog.kernels.layout import ConvolutionWeight, FeatureMap

__all__ = [
    "WeightGradient",
    "add_bias",
    "add_vector",
    "clear",
    "keep_sums",
    "one_vector",
    "store_zero",
]

#: Bytes that a pass over some rows reads again for every output channel; they should stay in the
#: first-level cache, besides the sums.
_BAND_BYTES = 12 * 1024

#: Pixels of dy in a panel: enough to make the loads and stores of the sums around it negligible.
_PLACES = 128

#: Floats of a pixel from which on pixels are copied to panels: a multiple of 256 bytes apart, they
#: map to few sets of the first-level cache.
_WIDE = 64

#: Floats of the largest panel of x.
_PANEL = 8192


@dataclass(frozen=True)
class WeightGradient:
    """The weight gradient of one convolution; with `winners`, dy is the pooled map's, borderless.

    `shard` is the images of a shard. The first window begins `crop_*` rows and columns into x's
    border. `winners` needs dilation 1 and one group.
    """

    x: FeatureMap
    dy: FeatureMap
    w: ConvolutionWeight
    bias: bool
    winners: bool
    shard: int
    stride_h: int = 1
    stride_w: int = 1
    dilation_h: int = 1
    dilation_w: int = 1
    crop_h: int = 0
    crop_w: int = 0

    def __post_init__(self) -> None:
        if self.winners and (self.dilation_h, self.dilation_w, self.w.groups) != (1, 1, 1):
            raise ValueError("The gradient from winners knows neither dilation nor groups.")

    @property
    def x_start(self) -> int:
        """The first float of x that is read."""
        return self.crop_h * self.x.row + self.crop_w * self.x.pixel

    @property
    def row_step(self) -> int:
        """Floats of x from one row of dy to the next."""
        return self.x.row * self.stride_h * (2 if self.winners else 1)

    @property
    def step(self) -> int:
        """Floats of x from one column of dy to the next."""
        return self.x.pixel * self.stride_w * (2 if self.winners else 1)

    @property
    def band(self) -> int:
        """Rows of dy that are processed at a time, from winners."""
        return max(1, min(self.dy.height, _BAND_BYTES // (4 * (self.row_step + self.dy.row))))

    @property
    def partial_size(self) -> int:
        """Floats of one shard's weight sum."""
        if self.winners:
            return self.w.out_channels * self.w.kernel_h * self.line * LANES
        return self.w.size

    # From winners

    @property
    def line(self) -> int:
        """Vectors of one kernel row of all channels."""
        return -(-self.w.kernel_w * self.x.pixel // LANES)

    @property
    def half(self) -> bool:
        """Whether half a vector is enough for the last one, so fewer loads cross cache lines."""
        return 0 < self.w.kernel_w * self.x.pixel % LANES <= LANES // 2

    @property
    def whole(self) -> bool:
        """Whether all kernel rows of an output channel fit into registers."""
        return self.w.kernel_h * self.line <= SUMS

    @property
    def together(self) -> int:
        """Output channels with sums in registers."""
        most = SUMS // (self.w.kernel_h * self.line) if self.whole else 1
        return next(n for n in range(most, 0, -1) if self.w.out_channels % n == 0)

    @property
    def piece(self) -> int:
        """Vectors of a kernel row in registers, if not all rows fit."""
        return min(self.line, SUMS)

    @property
    def piece_rest(self) -> int:
        """Vectors of the last piece, if it is smaller."""
        return self.line % self.piece

    # From all of dy

    @property
    def runs(self) -> int:
        """Contiguous stretches of x that a kernel row reads: one, if pixels have no padding."""
        together = self.x.pixel == self.w.group_in and self.dilation_w == 1 and not self.packs_x
        return 1 if together else self.w.kernel_w

    @property
    def run(self) -> int:
        """Rows (j, c) of the gradient along one stretch."""
        return self.w.group_in * (self.w.kernel_w // self.runs)

    @property
    def taken(self) -> int:
        """Rows of the gradient with sums in registers."""
        return self._taken(self.run)

    def _taken(self, run: int) -> int:
        return tile(1, run, self.w.vectors)[1]

    @property
    def taken_rest(self) -> int:
        """Rows that remain at the end of a stretch."""
        return self.run % self.taken

    @property
    def parts(self) -> int:
        """Parts of a stretch that are separate items, if items cover the whole batch."""
        return -(-self.run // self.part)

    @property
    def items(self) -> int:
        """Items of the weight, if each covers the whole batch."""
        return self.w.blocks // self.pair * self.parts

    @property
    def part(self) -> int:
        """Rows of one such part."""
        return self.taken * max(1, 96 // self.taken)

    @property
    def places(self) -> int:
        """Pixels of dy that are processed at a time, roughly."""
        if self.x.pixel >= _WIDE:
            return _PLACES
        read = self.w.block if self.packs_dy else self.dy.pixel
        pixels = self.stride_h * self.stride_w * self.x.pixel + read
        return max(32, _BAND_BYTES // (4 * pixels))

    @property
    def columns(self) -> int:
        """Columns of dy that are processed at a time: whole rows, unless they are very long."""
        pieces = -(-self.dy.width // self.places)
        return -(-self.dy.width // pieces)

    @property
    def rows(self) -> int:
        """Rows of dy that are processed at a time."""
        return max(1, min(self.dy.height, self.places // self.dy.width))

    @property
    def images(self) -> int:
        """Images that are processed at a time."""
        return max(1, self.places // (self.dy.height * self.dy.width))

    @property
    def packs_dy(self) -> bool:
        """Whether the pixels of a block of channels of dy are copied side by side.

        Also if a block extends past its group, so that the rest is zero.
        """
        wide = self.dy.pixel >= _WIDE and max(self.x.pixel, self.dy.pixel) > _WIDE // 2 * 3
        return self.w.lanes_left > 0 or wide

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
        return self.x.pixel >= _WIDE and self._x_panel(self._taken(self.w.group_in)) <= _PANEL

    @property
    def panel_rows(self) -> int:
        """Rows of x that the rows of a panel of dy read."""
        return (self.rows - 1) * self.stride_h + (self.w.kernel_h - 1) * self.dilation_h + 1

    @property
    def panel_columns(self) -> int:
        """Columns of x that the columns of a panel of dy read."""
        return (self.columns - 1) * self.stride_w + (self.w.kernel_w - 1) * self.dilation_w + 1

    def _x_panel(self, taken: int) -> int:
        return self.images * self.panel_rows * self.panel_columns * taken + LANES

    @property
    def x_panel(self) -> int:
        """Floats of such a copy, plus a vector that may extend past its end."""
        return self._x_panel(self.taken) if self.packs_x else 1

    @property
    def x_panels(self) -> int:
        """Copies that are made at a time, so that a pixel's cache lines are fetched once."""
        most = -(-self.run // self.taken)
        return max(1, min(8, most, 2 * _PANEL // self.x_panel)) if self.packs_x else most

    @property
    def x_scratch(self) -> int:
        """Floats of all copies of x at a time."""
        return self.x_panel * self.x_panels if self.packs_x else 1

    @property
    def dy_scratch(self) -> int:
        """Floats of all copies of dy at a time."""
        return self.dy_panel * self.pair if self.packs_dy else 1

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
        return self.taken if self.packs_x else self.x.pixel

    @property
    def x_row_step(self) -> int:
        """From one row of x to the next."""
        return self.panel_columns * self.taken if self.packs_x else self.x.row

    @property
    def x_image_step(self) -> int:
        """From one image of x to the next."""
        return self.panel_rows * self.x_row_step if self.packs_x else self.x.size

    @property
    def taken_sums(self) -> int:
        """Vectors of sums of the rows in registers."""
        return self.taken * self.w.vectors

    @property
    def rest_sums(self) -> int:
        """Vectors of sums of the remaining rows."""
        return max(1, self.taken_rest) * self.w.vectors


@block(nothing)
def keep_sums(emit, spec, sums, partial):
    """Write sums, one vector after another."""
    for at, value in enumerate(sums):
        emit.store(value, partial, at * LANES)


@inlined
def clear(spec, partial, bias):
    """Set a shard's sums to zero."""
    for at in range(0, spec.partial_size, LANES):
        store_zero(spec, advance(partial, at))
    for at in range(0, spec.dy.pixel, LANES):
        store_zero(spec, advance(bias, at))


@block(nothing)
def store_zero(emit, spec, to):
    """Write one vector of zeros."""
    emit.store(emit.constant(0.0), to)


@block(lambda spec, *_: vectors(1))
def one_vector(emit, spec, source):
    """Load one vector."""
    return [emit.load(source)]


@block(accumulators)
def add_vector(emit, spec, sums, source):
    """Add one vector."""
    return [emit.add(sums[0], emit.load(source))]


@inlined
def add_bias(spec, bias, dy):
    """Add dy, summed over all pixels, to the bias sums."""
    for k in range(0, spec.dy.pixel, LANES):
        sums = one_vector(spec, advance(bias, k))
        for row in range(spec.dy.height):
            for column in range(spec.dy.width):
                sums = add_vector(
                    spec, sums, advance(dy, row * spec.dy.row + column * spec.dy.pixel + k)
                )
        keep_sums(spec, sums, advance(bias, k))
