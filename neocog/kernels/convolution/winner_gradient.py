"""The gradient of a convolution's weight before 2 × 2 max pooling, from the winners only.

    dw[i, j, c, k] = Σ_n Σ_h Σ_w  x[n, winner[n, h, w, k] + (i, j), c] · dy[n, h, w, k]

This is a quarter of the arithmetic of the gradient from all of dy. Registers hold whole kernel rows
of some output channels, as vectors along x, where the (j, c) of a kernel row are contiguous: all
kernel rows of small square kernels on images, or a piece of one row.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from neocog.kernels.codegen.block import accumulators, block, nothing
from neocog.kernels.codegen.pointers import advance
from neocog.kernels.codegen.vector_types import FLOATS, INTS, LANES, REGISTERS, vectors
from neocog.kernels.compiler.jit import always_inlined, kernel
from neocog.kernels.compiler.operands import maybe
from neocog.kernels.compiler.spec import Spec
from neocog.kernels.convolution.bias_gradient import add_bias
from neocog.kernels.convolution.shard_sum import clear
from neocog.kernels.convolution.register_tile import SUMS
from neocog.kernels.layout import ConvolutionWeight, FeatureMap

__all__ = ["WinnerGradient", "WinnerRegisters", "conv2d_backward_weight_of_winners", "kinds"]

#: Bytes that a pass over some rows reads again for every output channel; they should stay in the
#: first-level cache, besides the sums.
_BAND_BYTES = 12 * 1024

#: Kernels of which all rows may be in registers.
_KERNELS = (3, 5, 7)

#: Vectors of one kernel row that are in registers otherwise: the first that divides the row.
_PIECES = (10, 7, 5, 3, 2, 1)

#: Sums of one output channel: 25 for 5 × 5 on pixels of one vector, beside its slope.
_MOST = SUMS + (REGISTERS == 32)


@dataclass(frozen=True)
class WinnerRegisters:
    """What is in registers: `rows` kernel rows × `line` vectors × `together` output channels.

    With `half` the last vector of a row is loaded by half, so that fewer loads cross cache lines.
    """

    rows: int
    line: int
    half: bool = False
    together: int = 0

    @property
    def each(self) -> int:
        """Vectors of one output channel."""
        return self.rows * self.line

    @property
    def most(self) -> int:
        """Output channels that are computed together, a power of two."""
        return next((n for n in (8, 4, 2) if n * self.each <= SUMS), 1)

    @property
    def several(self) -> "WinnerRegisters":
        """For as many output channels as fit."""
        return replace(self, together=self.most)

    @property
    def two(self) -> "WinnerRegisters":
        """For two output channels, or one."""
        return replace(self, together=min(self.most, 2))

    @property
    def one(self) -> "WinnerRegisters":
        """For one output channel."""
        return replace(self, together=1)


@dataclass(frozen=True)
class WinnerGradient(Spec):
    """The weight gradient of a convolution of one group before pooling.

    `dy` is the pooled map's, without a border. `shard` is the images of a shard. The first window
    begins `crop_*` rows and columns into x's border.
    """

    x: FeatureMap
    dy: FeatureMap
    w: ConvolutionWeight
    bias: bool
    shard: int
    stride_h: int = 1
    stride_w: int = 1
    crop_h: int = 0
    crop_w: int = 0

    constants = ("registers",)

    def __post_init__(self) -> None:
        if self.w.groups != 1:
            raise ValueError("The gradient from winners knows no groups.")

    @property
    def registers(self) -> WinnerRegisters:
        """What the machine code is made for."""
        used = self.w.kernel_w * self.x.pixel
        small = self.x.pixel <= max(4, LANES) and self.w.kernel_h == self.w.kernel_w
        if small and self.w.kernel_h in _KERNELS and self.w.kernel_h * self.line <= _MOST:
            half = 0 < used % LANES <= LANES // 2
            return WinnerRegisters(self.w.kernel_h, self.line, half)
        return WinnerRegisters(1, next(n for n in _PIECES if self.line % n == 0))

    @property
    def line(self) -> int:
        """Vectors of one kernel row of all channels."""
        return -(-self.w.kernel_w * self.x.pixel // LANES)

    @property
    def line_size(self) -> int:
        """Floats of these vectors."""
        return self.line * LANES

    @property
    def channel_size(self) -> int:
        """Floats of an output channel's sums."""
        return self.w.kernel_h * self.line_size

    @property
    def partial_size(self) -> int:
        """Floats of one shard's sums, [K][i][line]."""
        return self.w.out_channels * self.channel_size

    @property
    def x_start(self) -> int:
        """The first float of x that is read."""
        return self.crop_h * self.x.row + self.crop_w * self.x.pixel

    @property
    def row_step(self) -> int:
        """Floats of x from one row of dy to the next."""
        return 2 * self.x.row * self.stride_h

    @property
    def step(self) -> int:
        """Floats of x from one column of dy to the next."""
        return 2 * self.x.pixel * self.stride_w

    @property
    def band(self) -> int:
        """Rows of dy that are processed at a time."""
        return max(1, min(self.dy.height, _BAND_BYTES // (4 * (self.row_step + self.dy.row))))


def _places(emit, registers, channel_size, line_size):
    """Where the sums of some output channels stand."""
    return [
        emit.offset((k, channel_size), (i, line_size), (v, LANES))
        for k in range(registers.together)
        for i in range(registers.rows)
        for v in range(registers.line)
    ]


@block(lambda registers, *_: vectors(registers.together * registers.each))
def sums_so_far(emit, registers, partial, channel_size, line_size):
    """Load the sums of some output channels."""
    return [emit.load(partial, at) for at in _places(emit, registers, channel_size, line_size)]


@block(nothing)
def keep_sums(emit, registers, sums, partial, channel_size, line_size):
    """Write the sums of some output channels."""
    places = _places(emit, registers, channel_size, line_size)
    for value, at in zip(sums, places, strict=True):
        emit.store(value, partial, at)


@block(accumulators)
def add_winner(emit, registers, sums, x, x_row, dy, winners):
    """Add dy · x around the winner, for one pixel of the pooled map.

    x points to the region's first pixel, dy and winners to the first output channel.
    """
    sums = list(sums)
    lines = [emit.advance(x, i * x_row) for i in range(registers.rows)]
    for k in range(registers.together):
        slope = emit.broadcast(dy, k)
        winner = emit.load_offset(winners, k)
        for i in range(registers.rows):
            line = emit.advance(lines[i], winner)
            for v in range(registers.line):
                half = registers.half and v == registers.line - 1
                value = (emit.load_half if half else emit.load)(line, v * LANES)
                at = k * registers.each + i * registers.line + v
                sums[at] = emit.fma(slope, value, sums[at])
    return sums


@always_inlined
def add_winners(spec, registers, partial, x, dy, winners, first_row, last_row):
    """Add every winner of some rows of the pooled map."""
    sums = sums_so_far(registers, partial, spec.channel_size, spec.line_size)
    for row in range(first_row, last_row):
        x_at = advance(x, row * spec.row_step)
        dy_at = advance(dy, row * spec.dy.row)
        winners_at = advance(winners, row * spec.dy.row)
        for _ in range(spec.dy.width):
            sums = add_winner(registers, sums, x_at, spec.x.row, dy_at, winners_at)
            x_at = advance(x_at, spec.step)
            dy_at = advance(dy_at, spec.dy.pixel)
            winners_at = advance(winners_at, spec.dy.pixel)
    keep_sums(registers, sums, partial, spec.channel_size, spec.line_size)


@always_inlined
def add_channels(spec, registers, partial, x, dy, winners, first_row, last_row):
    """Add every winner to all kernel rows of some output channels."""
    for i in range(0, spec.w.kernel_h, registers.rows):
        for v in range(0, spec.line, registers.line):
            to = advance(partial, i * spec.line_size + v * LANES)
            x_at = advance(x, i * spec.x.row + v * LANES)
            add_winners(spec, registers, to, x_at, dy, winners, first_row, last_row)


@kernel(x=FLOATS, dy=FLOATS, winners=INTS, sums=FLOATS, bias_sums=maybe(FLOATS))
def conv2d_backward_weight_of_winners(spec, o, first, count):
    """Add the weight and bias gradients of some images to their shards' sums.

    `dy` is pooled, without a border; `sums` are [shard][K][i][line], `bias_sums` [shard][K].
    """
    images = advance(o.x, spec.x_start)
    of = spec.registers
    for n in range(count):
        shard = (first + n) // spec.shard
        partial = advance(o.sums, shard * spec.partial_size)
        begins = (first + n) % spec.shard == 0
        if begins:
            clear(spec, partial, spec.partial_size)
        x = advance(images, n * spec.x.size)
        dy = advance(o.dy, n * spec.dy.size)
        winners = advance(o.winners, n * spec.dy.size)
        if spec.bias:
            bias = advance(o.bias_sums, shard * spec.dy.pixel)
            if begins:
                clear(spec, bias, spec.dy.pixel)
            add_bias(spec, bias, dy)
        for row in range(0, spec.dy.height, spec.band):
            until = min(row + spec.band, spec.dy.height)
            k = 0
            while k < spec.w.out_channels:
                left = spec.w.out_channels - k
                to = advance(partial, k * spec.channel_size)
                d, w = advance(dy, k), advance(winners, k)
                if left >= of.most:
                    add_channels(spec, of.several, to, x, d, w, row, until)
                    k += of.most
                elif of.most > 2 and left >= 2:
                    add_channels(spec, of.two, to, x, d, w, row, until)
                    k += 2
                else:
                    add_channels(spec, of.one, to, x, d, w, row, until)
                    k += 1


def kinds() -> Iterator[tuple[Any, Any]]:
    """A kernel and a small spec for each kind that there is."""
    found = set()
    sizes = [(size, pixel) for size in _KERNELS for pixel in (1, 2, 3, LANES)]
    sizes += [(1, n * LANES) for n in _PIECES]
    for size, channels in sizes:
        x = FeatureMap(size + 1, size + 1, channels, dense=True)
        w = ConvolutionWeight(1, channels, size, size)
        spec = WinnerGradient(x, FeatureMap(1, 1, 1), w, bias=True, shard=1)
        if spec.registers not in found:
            found.add(spec.registers)
            yield conv2d_backward_weight_of_winners, spec
