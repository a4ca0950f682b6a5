"""The gradient of a convolution's weight behind 2 × 2 max pooling, from the winners alone.

    dw[i, j, c, k] = Σ_n Σ_h Σ_w  x[n, winner[n, h, w, k] + (i, j), c] · dy[n, h, w, k]

A quarter of the arithmetic that the gradient from all of dy takes. Registers hold whole kernel rows
of an output channel, as vectors along x, where the (j, c) of a kernel row lie side by side.
"""

from neocog.kernels.compiling import inlined, kernel
from neocog.kernels.simd import (
    FLOATS,
    INTS,
    LANES,
    accumulators,
    advance,
    block,
    pointer,
    vectors,
)
from neocog.kernels.weight_gradient import add_bias, clear, keep_sums

__all__ = ["conv2d_backward_weight_of_winners"]


def _winner_sums(s, *_):
    return vectors(s.together * s.w.kernel_h * s.line if s.whole else s.piece)


def _winner_rest(s, *_):
    return vectors(max(1, s.piece_rest))


@block(_winner_sums)
def winner_sums(e, s, partial):
    """The sums so far of `together` output channels, or of one piece of one kernel row."""
    n = s.together * s.w.kernel_h * s.line if s.whole else s.piece
    return [e.load(partial, at * LANES) for at in range(n)]


@block(_winner_rest)
def winner_rest(e, s, partial):
    """The sums so far of the last piece of a kernel row."""
    return [e.load(partial, at * LANES) for at in range(max(1, s.piece_rest))]


@block(accumulators)
def add_winner(e, s, sums, x, dy, winners):
    """Add dy · x around the winner, for one place of the pooled map.

    x stands at the region's first pixel, dy and winners at the first output channel.
    """
    sums = list(sums)
    each = s.w.kernel_h * s.line if s.whole else len(sums)
    for k in range(len(sums) // each):
        slope = e.broadcast(dy, k)
        winner = e.load_offset(winners, k)
        for v in range(each):
            place = v // s.line * s.x.row + v % s.line * LANES if s.whole else v * LANES
            load = e.load_half if s.whole and s.half and v % s.line == s.line - 1 else e.load
            at = k * each + v
            sums[at] = e.fma(slope, load(e.advance(x, winner), place), sums[at])
    return sums


@inlined
def add_winners(s, sums, x, dy, winners, first_row, last_row):
    """Add every winner of some rows of the pooled map."""
    for row in range(first_row, last_row):
        for column in range(s.dy.width):
            at = (row * s.dy.width + column) * s.dy.pixel
            x_at = advance(x, row * s.row_step + column * s.step)
            sums = add_winner(s, sums, x_at, advance(dy, at), advance(winners, at))
    return sums


@kernel
def conv2d_backward_weight_of_winners(s, operands, first, count):
    """Add the weight and bias gradients of some images to their shards' sums.

    Operands: x, dy (pooled, no border), winners, weight sums [shard][K][i][line · L], bias sums
    [shard][K].
    """
    images = advance(pointer(operands, 0, FLOATS), s.x_start)
    slopes = pointer(operands, 1, FLOATS)
    won = pointer(operands, 2, INTS)
    for n in range(count):
        shard = (first + n) // s.shard
        partial = advance(pointer(operands, 3, FLOATS), shard * s.partial_size)
        bias = advance(pointer(operands, 4, FLOATS), shard * s.dy.pixel)
        if (first + n) % s.shard == 0:
            clear(s, partial, bias)
        x = advance(images, n * s.x.size)
        dy = advance(slopes, n * s.dy.size)
        winners = advance(won, n * s.dy.size)
        if s.bias:
            add_bias(s, bias, dy)
        for row in range(0, s.dy.height, s.band):
            until = min(row + s.band, s.dy.height)
            for k in range(0, s.w.out_channels, s.together):
                d = advance(dy, k)
                w = advance(winners, k)
                if s.whole:
                    to = advance(partial, k * (s.w.kernel_h * s.line * LANES))
                    keep_sums(s, add_winners(s, winner_sums(s, to), x, d, w, row, until), to)
                else:
                    for i in range(s.w.kernel_h):
                        line = advance(partial, (k * s.w.kernel_h + i) * (s.line * LANES))
                        x_line = advance(x, i * s.x.row)
                        for v in range(0, s.line - s.piece_rest, s.piece):
                            to = advance(line, v * LANES)
                            x_at = advance(x_line, v * LANES)
                            sums = add_winners(s, winner_sums(s, to), x_at, d, w, row, until)
                            keep_sums(s, sums, to)
                        if s.piece_rest > 0:
                            v = s.line - s.piece_rest
                            to = advance(line, v * LANES)
                            x_at = advance(x_line, v * LANES)
                            sums = add_winners(s, winner_rest(s, to), x_at, d, w, row, until)
                            keep_sums(s, sums, to)
