"""The gradient of a convolution's weight before 2 × 2 max pooling, from the winners only.

    dw[i, j, c, k] = Σ_n Σ_h Σ_w  x[n, winner[n, h, w, k] + (i, j), c] · dy[n, h, w, k]

This is a quarter of the arithmetic of the gradient from all of dy. Registers hold whole kernel rows
of some output channels, as vectors along x, where the (j, c) of a kernel row are contiguous: all
kernel rows of small square kernels on images, or a piece of one row.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.loops import repeat
from neocog.kernels.codegen.numbers import Number
from neocog.kernels.codegen.pointers import advance
from neocog.kernels.codegen.vector_types import FLOATS, INTS, LANES, REGISTERS, SUMS
from neocog.kernels.compiler.jit import kernel
from neocog.kernels.compiler.operands import maybe
from neocog.kernels.compiler.spec import Spec
from neocog.kernels.convolution.bias_gradient import add_bias, clear
from neocog.kernels.layout import ConvolutionWeight, FeatureMap

__all__ = ["WinnerGradient", "WinnerRegisters", "conv2d_backward_weight_of_winners", "kinds"]

#: Bytes that a pass over some rows reads again for every output channel; they should stay in the
#: first-level cache, besides the sums.
_BAND_BYTES = 12 * 1024

#: Square kernels of which all rows may be in registers, and floats of such images' pixels.
_KERNELS = (3, 5, 7)
_PIXELS = (1, 4, LANES)

#: Vectors of one kernel row that are in registers otherwise: the first that divides the row.
_PIECES = (10, 7, 5, 3, 1)

#: Floats of a vector that are loaded at once, if no more are needed.
_PARTS = (4, LANES // 2)

#: Kernel rows for each of which there is a pointer in a register.
_POINTERS = 5

#: Sums of one output channel: 25 for 5 × 5 on pixels of one vector, beside its slope.
_MOST = SUMS + (REGISTERS == 32)


@dataclass(frozen=True)
class WinnerRegisters:
    """What is in registers: `rows` kernel rows × `line` vectors × `together` output channels.

    Of a row's last vector only `last` floats are loaded, so that fewer loads cross cache lines.
    """

    rows: int
    line: int
    last: int = LANES
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
        side = self.w.kernel_h
        small = self.x.pixel in _PIXELS and side == self.w.kernel_w and side in _KERNELS
        if small and side * self.line <= _MOST:
            left = (used - 1) % LANES + 1
            last = next((n for n in _PARTS if left <= n), LANES)
            return WinnerRegisters(side, self.line, last)
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

    @property
    def bands(self) -> int:
        """Such bands of dy."""
        return -(-self.dy.height // self.band)

    @property
    def row_pieces(self) -> int:
        """Register blocks from one kernel row to the last."""
        return self.w.kernel_h // self.registers.rows

    @property
    def line_pieces(self) -> int:
        """Register blocks along a kernel row."""
        return self.line // self.registers.line


def _places(emit, spec, registers):
    """Where the sums of some output channels stand."""
    if registers.rows > 1:  # all rows
        return [at * LANES for at in range(registers.together * registers.each)]
    return [
        emit.offset((k, spec.channel_size), (v, LANES))
        for k in range(registers.together)
        for v in range(registers.line)
    ]


def _add_winner(emit, spec, registers, sums, x, dy, winners):
    """Add dy · x around the winner, for one pixel of the pooled map.

    x points to the region's first pixel, dy and winners to the first output channel.
    """
    sums = list(sums)
    lines = [emit.advance(x, i * spec.x.row) for i in range(registers.rows)]
    for k in range(registers.together):
        slope = emit.broadcast(dy, k)
        winner = emit.load_offset(winners, k)
        line = x
        for i in range(registers.rows):
            if registers.rows > _POINTERS and i % 2:
                line = emit.opaque(emit.advance(line, spec.x.row))
            else:
                line = emit.advance(lines[i], winner)
            if registers.line > 1:
                # One addition instead of one in each multiplication's address.
                line = emit.opaque(line)
            for v in range(registers.line):
                lanes = registers.last if v == registers.line - 1 else LANES
                at = k * registers.each + i * registers.line + v
                sums[at] = emit.fma(slope, emit.load_first(line, v * LANES, lanes), sums[at])
    return sums


def _add_rows(emit, spec, registers, partial, image, first_row, rows):
    """Add every winner of some rows of the pooled map."""
    x, dy, winners = image

    def row(h, sums):
        def column(_, values):
            x_at, dy_at, winners_at, *sums = values
            sums = _add_winner(emit, spec, registers, sums, x_at, dy_at, winners_at)
            steps = (x_at, spec.step), (dy_at, spec.dy.pixel), (winners_at, spec.dy.pixel)
            return [*(emit.advance(at, step) for at, step in steps), *sums]

        of = first_row + h
        at = emit.advance(x, of * spec.row_step)
        begin = [at, *(emit.advance(of_map, of * spec.dy.row) for of_map in (dy, winners))]
        return repeat(emit, spec.dy.width, [*begin, *sums], column, at_least_once=True)[3:]

    places = _places(emit, spec, registers)
    sums = [emit.load(partial, at) for at in places]
    sums = repeat(emit, rows, sums, row, at_least_once=True)
    for value, at in zip(sums, places, strict=True):
        emit.store(value, partial, at)


def _add_channels(emit, spec, registers, times, partial, image, first_row, rows):
    """Add every winner to all kernel rows of `together` output channels, so many times."""
    x, dy, winners = image

    def channels(n, _):
        k = n * registers.together
        to = emit.advance(partial, k * spec.channel_size)
        of_dy, of_winners = emit.advance(dy, k), emit.advance(winners, k)

        def kernel_row(i, _):
            def piece(n, _):
                v = n * (registers.line * LANES)
                at = emit.advance(to, i * spec.line_size + v)
                place = emit.advance(x, i * spec.x.row + v)
                of = place, of_dy, of_winners
                _add_rows(emit, spec, registers, at, of, first_row, rows)
                return []

            repeat(emit, spec.line_pieces, [], piece, at_least_once=True)
            return []

        repeat(emit, spec.row_pieces, [], kernel_row, at_least_once=True)
        return []

    repeat(emit, times, [], channels)


@block(nothing)
def add_image(emit, spec, partial, x, dy, winners):
    """Add all winners of an image."""

    def band(n, _):
        row = n * spec.band
        left = spec.dy.height - row
        rows = Number(emit.builder, emit.select(emit.below(spec.band, left), spec.band, left))
        # As many channels as fit into registers, then two, then one.
        begin, left = 0, spec.w.out_channels
        of = spec.registers
        for registers in dict.fromkeys((of.several, of.two, of.one)):
            times = left // registers.together
            to = emit.advance(partial, begin * spec.channel_size)
            image = x, emit.advance(dy, begin), emit.advance(winners, begin)
            _add_channels(emit, spec, registers, times, to, image, row, rows)
            begin, left = begin + times * registers.together, left - times * registers.together
        return []

    repeat(emit, spec.bands, [], band, at_least_once=True)


@kernel(x=FLOATS, dy=FLOATS, winners=INTS, sums=FLOATS, bias_sums=maybe(FLOATS))
def conv2d_backward_weight_of_winners(spec, o, first, count):
    """Add the weight and bias gradients of some images to their shards' sums.

    `dy` is pooled, without a border; `sums` are [shard][K][i][line], `bias_sums` [shard][K].
    """
    images = advance(o.x, spec.x_start)
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
        add_image(spec, partial, x, dy, winners)


def kinds() -> Iterator[tuple[Any, Any]]:
    """A kernel and a small spec for each kind that there is."""
    found = set()
    sizes = [(size, pixel) for size in _KERNELS for pixel in (1, 3, LANES)]
    sizes += [(1, n * LANES) for n in _PIECES]
    for size, channels in sizes:
        x = FeatureMap(size + 1, size + 1, channels, dense=True)
        w = ConvolutionWeight(1, channels, size, size)
        spec = WinnerGradient(x, FeatureMap(1, 1, 1), w, bias=True, shard=1)
        if spec.registers not in found:
            found.add(spec.registers)
            yield conv2d_backward_weight_of_winners, spec
