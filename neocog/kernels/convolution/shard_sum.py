"""The gradients of a convolution's weight and bias as the sums of the batch's shards, in order.

    dw = Σ_shard sums[shard]                        db = Σ_shard bias_sums[shard]

The shards' sums of the weight have the weight's own layout, or, from winners, [k][i][j, c] with
whole vectors for each kernel row.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from neocog.kernels.codegen.block import accumulators, block, nothing
from neocog.kernels.codegen.pointers import advance, stack_floats
from neocog.kernels.codegen.vector_types import FLOATS, LANES, LONGS, vectors
from neocog.kernels.compiler.jit import inlined, kernel
from neocog.kernels.compiler.operands import maybe
from neocog.kernels.compiler.spec import Spec
from neocog.kernels.convolution.transposition import transpose_tile
from neocog.kernels.layout import ConvolutionWeight

__all__ = ["ShardSum", "clear_padding", "conv2d_reduce", "kinds"]


@dataclass(frozen=True)
class ShardSum(Spec):
    """The sum over shards of `shard` images each.

    `line` is the vectors of a kernel row in the sums from winners, whose pixels have `pixel`
    floats; 0 if the sums have the weight's own layout.
    """

    w: ConvolutionWeight
    bias: bool
    shard: int
    line: int = 0
    pixel: int = 1

    @property
    def bias_size(self) -> int:
        """Floats of a shard's bias sums."""
        return -(-self.w.out_channels // LANES) * LANES

    @property
    def lines(self) -> int:
        """Floats of all kernel rows of one output channel."""
        return self.w.kernel_h * self.line * LANES

    @property
    def size(self) -> int:
        """Floats of a shard's weight sums."""
        return self.w.out_channels * self.lines if self.line else self.w.size


@block(nothing)
def clear_lanes(emit, spec, to):
    """Set the lanes beyond a group's last channel to zero."""
    first = emit.lanes_below(spec.w.lanes_left)
    emit.store(emit.select(first, emit.load(to), emit.constant(0.0)), to)


@inlined
def clear_padding(spec, weight, k, at, rows):
    """Set what is beyond a group's last channel to zero, if block `k` is the group's last one.

    Of the block some `rows` are cleared, the first of them `at` floats after its begin.
    """
    if spec.w.lanes_left > 0 and (k + 1) % spec.w.group_blocks == 0:
        last = advance(weight, k * spec.w.block_size + at + spec.w.block - LANES)
        for row in range(rows):
            clear_lanes(spec, advance(last, row * spec.w.block))


@block(lambda *_: vectors(1))
def one_vector(emit, spec, source):
    """Load one vector."""
    return [emit.load(source)]


@block(accumulators)
def add_vector(emit, spec, sums, source):
    """Add one vector."""
    return [emit.add(sums[0], emit.load(source))]


@block(nothing)
def keep_vector(emit, spec, sums, to):
    """Write one vector."""
    emit.store(sums[0], to)


@inlined
def add_up(spec, to, source, floats, apart, count):
    """Some whole vectors: the sums of `count` vectors each, `apart` floats apart."""
    for at in range(0, floats, LANES):
        total = one_vector(spec, advance(source, at))
        for n in range(1, count):
            total = add_vector(spec, total, advance(source, at + n * apart))
        keep_vector(spec, total, advance(to, at))


#: Floats of a tile.
_TILE = LANES * LANES


@inlined
def transpose_lines(spec, sums, k, dw):
    """dw [i][j][c] of one vector of output channels from `sums` [k][i][j, c]; both begin at k."""
    tile = stack_floats(_TILE)
    for i in range(spec.w.kernel_h):
        j, c = 0, 0
        for v in range(spec.line):
            source = advance(sums, (i * spec.line + v) * LANES)
            transpose_tile(spec, source, spec.lines, spec.w.out_channels - k, tile, LANES, LANES)
            for lane in range(LANES):
                if c < spec.w.in_channels and j < spec.w.kernel_w:
                    tap = (i * spec.w.kernel_w + j) * spec.w.in_channels + c
                    at = one_vector(spec, advance(tile, lane * LANES))
                    keep_vector(spec, at, advance(dw, tap * spec.w.block))
                c += 1
                if c == spec.pixel:
                    j, c = j + 1, 0


@kernel(sums=FLOATS, bias_sums=maybe(FLOATS), dw=FLOATS, db=maybe(FLOATS), step=LONGS)
def conv2d_reduce(spec, o, first, count):
    """Sum the shards, in their order, for blocks first … first + count of output channels.

    `sums` are [shard], `bias_sums` [shard][K], `dw` is [K / block][i][j][C][block], `db` [K].
    The second number of `step` is the images in the batch.
    """
    shards = (o.step[1] + spec.shard - 1) // spec.shard
    begin, end = first * spec.w.block, (first + count) * spec.w.block
    if spec.bias:
        # Groups of fewer channels than a block have more blocks than the bias has vectors.
        floats = min(end, spec.bias_size) - begin
        add_up(
            spec, advance(o.db, begin), advance(o.bias_sums, begin), floats, spec.bias_size, shards
        )
    if spec.line > 0:
        until = min(end, spec.w.out_channels)
        sums = advance(o.sums, begin * spec.lines)
        if shards > 1:
            add_up(spec, sums, sums, (until - begin) * spec.lines, spec.size, shards)
        for k in range(begin, until, LANES):
            of_k = advance(o.sums, k * spec.lines)
            at = k // spec.w.block * spec.w.block_size + k % spec.w.block
            transpose_lines(spec, of_k, k, advance(o.dw, at))
    else:
        at = first * spec.w.block_size
        add_up(
            spec,
            advance(o.dw, at),
            advance(o.sums, at),
            count * spec.w.block_size,
            spec.size,
            shards,
        )
        for k in range(first, first + count):
            clear_padding(spec, o.dw, k, 0, spec.w.block_size // spec.w.block)


def kinds() -> Iterator[tuple[Any, Any]]:
    """A kernel and a small spec for each kind that there is."""
    yield conv2d_reduce, ShardSum(ConvolutionWeight(1, 1, 1, 1), bias=True, shard=1)
