"""The gradient of a convolution's weight before 2 × 2 max pooling, from the winners only.

    dw[i, j, c, k] = Σ_n Σ_h Σ_w  x[n, winner[n, h, w, k] + (i, j), c] · dy[n, h, w, k]

This is a quarter of the arithmetic of the gradient from all of dy. Registers hold whole kernel rows
of an output channel, as vectors along x, where the (j, c) of a kernel row are contiguous.
"""

from neocog.kernels.codegen.block import accumulators, block
from neocog.kernels.codegen.pointers import advance, pointer
from neocog.kernels.codegen.vector_types import FLOATS, INTS, LANES, vectors
from neocog.kernels.compiler.jit import inlined, kernel
from neocog.kernels.convolution.weight_gradient import add_bias, clear, keep_sums

__all__ = ["conv2d_backward_weight_of_winners"]


def _winner_sums(spec, *_):
    return vectors(spec.together * spec.w.kernel_h * spec.line if spec.whole else spec.piece)


def _winner_rest(spec, *_):
    return vectors(max(1, spec.piece_rest))


@block(_winner_sums)
def winner_sums(emit, spec, partial):
    """The sums so far of `together` output channels, or of one piece of one kernel row."""
    n = spec.together * spec.w.kernel_h * spec.line if spec.whole else spec.piece
    return [emit.load(partial, at * LANES) for at in range(n)]


@block(_winner_rest)
def winner_rest(emit, spec, partial):
    """The sums so far of the last piece of a kernel row."""
    return [emit.load(partial, at * LANES) for at in range(max(1, spec.piece_rest))]


@block(accumulators)
def add_winner(emit, spec, sums, x, dy, winners):
    """Add dy · x around the winner, for one pixel of the pooled map.

    x points to the region's first pixel, dy and winners to the first output channel.
    """
    sums = list(sums)
    each = spec.w.kernel_h * spec.line if spec.whole else len(sums)
    for k in range(len(sums) // each):
        slope = emit.broadcast(dy, k)
        winner = emit.load_offset(winners, k)
        for v in range(each):
            place = v // spec.line * spec.x.row + v % spec.line * LANES if spec.whole else v * LANES
            load = (
                emit.load_half
                if spec.whole and spec.half and v % spec.line == spec.line - 1
                else emit.load
            )
            at = k * each + v
            sums[at] = emit.fma(slope, load(emit.advance(x, winner), place), sums[at])
    return sums


@inlined
def add_winners(spec, sums, x, dy, winners, first_row, last_row):
    """Add every winner of some rows of the pooled map."""
    for row in range(first_row, last_row):
        for column in range(spec.dy.width):
            at = (row * spec.dy.width + column) * spec.dy.pixel
            x_at = advance(x, row * spec.row_step + column * spec.step)
            sums = add_winner(spec, sums, x_at, advance(dy, at), advance(winners, at))
    return sums


@kernel
def conv2d_backward_weight_of_winners(spec, operands, first, count):
    """Add the weight and bias gradients of some images to their shards' sums.

    Operands: x, dy (pooled, no border), winners, weight sums [shard][K][i][line · L], bias sums
    [shard][K].
    """
    images = advance(pointer(operands, 0, FLOATS), spec.x_start)
    slopes = pointer(operands, 1, FLOATS)
    won = pointer(operands, 2, INTS)
    for n in range(count):
        shard = (first + n) // spec.shard
        partial = advance(pointer(operands, 3, FLOATS), shard * spec.partial_size)
        bias = advance(pointer(operands, 4, FLOATS), shard * spec.dy.pixel)
        if (first + n) % spec.shard == 0:
            clear(spec, partial, bias)
        x = advance(images, n * spec.x.size)
        dy = advance(slopes, n * spec.dy.size)
        winners = advance(won, n * spec.dy.size)
        if spec.bias:
            add_bias(spec, bias, dy)
        for row in range(0, spec.dy.height, spec.band):
            until = min(row + spec.band, spec.dy.height)
            for k in range(0, spec.w.out_channels, spec.together):
                d = advance(dy, k)
                w = advance(winners, k)
                if spec.whole:
                    to = advance(partial, k * (spec.w.kernel_h * spec.line * LANES))
                    keep_sums(
                        spec, add_winners(spec, winner_sums(spec, to), x, d, w, row, until), to
                    )
                else:
                    for i in range(spec.w.kernel_h):
                        line = advance(partial, (k * spec.w.kernel_h + i) * (spec.line * LANES))
                        x_line = advance(x, i * spec.x.row)
                        for v in range(0, spec.line - spec.piece_rest, spec.piece):
                            to = advance(line, v * LANES)
                            x_at = advance(x_line, v * LANES)
                            sums = add_winners(spec, winner_sums(spec, to), x_at, d, w, row, until)
                            keep_sums(spec, sums, to)
                        if spec.piece_rest > 0:
                            v = spec.line - spec.piece_rest
                            to = advance(line, v * LANES)
                            x_at = advance(x_line, v * LANES)
                            sums = add_winners(spec, winner_rest(spec, to), x_at, d, w, row, until)
                            keep_sums(spec, sums, to)
