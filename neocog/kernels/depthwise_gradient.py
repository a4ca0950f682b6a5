"""Gradients of a depthwise convolution's weight and bias.

    dw[i, j, c] = Σ_n Σ_h Σ_w  x[sh·h + dh·i − top, sw·w + dw·j − left, c] · dy[h, w, c],  db = Σ dy

(`neocog.reference.conv2d_backward_weight` with as many groups as channels.) Registers hold the sums
of some kernel rows' taps for one vector of channels, and the slopes of a run of columns, so that a
pixel of x that several taps meet is loaded once for all of them. As for other convolutions the
images of a batch are cut into shards; each has its own sum, and the sums are added in order.
"""

from neocog.kernels.compiling import inlined, kernel
from neocog.kernels.depthwise import pairs_of_columns
from neocog.kernels.simd import (
    FLOATS,
    LANES,
    LONGS,
    accumulators,
    advance,
    block,
    nothing,
    pointer,
    rolled,
    vectors,
    zeros,
)

__all__ = ["depthwise_backward_weight", "depthwise_reduce"]


@block(lambda s, *_: vectors(s.rows * s.kernel_w))
def taps_so_far(e, s, partial):
    """The sums so far of the taps of several kernel rows."""
    return [e.load(partial, tap * s.floats) for tap in range(s.rows * s.kernel_w)]


@block(lambda s, *_: vectors(max(1, s.rows_rest) * s.kernel_w))
def last_taps_so_far(e, s, partial):
    """The sums so far of the taps of the last kernel rows."""
    return [e.load(partial, tap * s.floats) for tap in range(max(1, s.rows_rest) * s.kernel_w)]


@block(nothing)
def keep_taps(e, s, sums, partial):
    """Write the sums of taps back."""
    for tap, total in enumerate(sums):
        e.store(total, partial, tap * s.floats)


def _add_columns(e, s, sums, x, dy, columns):
    sums = list(sums)
    slopes = [e.load_first(dy, n * s.dy.pixel, s.dy.pixel) for n in range(columns)]
    for i in range(len(sums) // s.kernel_w):
        for place, pairs in pairs_of_columns(columns, s.kernel_w, s.stride_w, s.dilation_w):
            at = i * s.dilation_h * s.x.row + place * s.x.pixel
            value = e.load_first(x, at, s.x.pixel)
            for n, j in pairs:
                tap = i * s.kernel_w + j
                sums[tap] = e.fma(value, slopes[n], sums[tap])
    return sums


@block(accumulators)
def add_run(e, s, sums, x, dy):
    """Add x · dy of a run of columns to as many kernel rows as there are sums."""
    return _add_columns(e, s, sums, x, dy, s.run)


@block(accumulators)
def add_column(e, s, sums, x, dy):
    """Add x · dy of one column."""
    return _add_columns(e, s, sums, x, dy, 1)


@inlined
def add_band(s, sums, x_map, dy_map, first_row, last_row):
    """Add every place of some rows of dy."""
    runs = s.dy.width - s.dy.width % s.run
    for row in range(first_row, rolled(last_row)):
        x = advance(x_map, row * s.stride_h * s.x.row)
        dy = advance(dy_map, row * s.dy.row)
        for run in range(0, rolled(runs), s.run):
            column = rolled(run)
            at = advance(x, column * s.stride_w * s.x.pixel)
            sums = add_run(s, sums, at, advance(dy, column * s.dy.pixel))
        for column in range(runs, rolled(s.dy.width)):
            at = advance(x, column * s.stride_w * s.x.pixel)
            sums = add_column(s, sums, at, advance(dy, column * s.dy.pixel))
    return sums


def _sum_of(e, s, sums, dy, columns):
    slopes = [e.load_first(dy, n * s.dy.pixel, s.dy.pixel) for n in range(columns)]
    while len(slopes) > 1:  # in pairs: the processor need not wait for each addition
        slopes = [e.add(*slopes[n : n + 2]) for n in range(0, len(slopes) - 1, 2)] + (
            slopes[-1:] if len(slopes) % 2 else []
        )
    return [e.add(sums[0], slopes[0])]


@block(accumulators)
def add_run_of_slopes(e, s, sums, dy):
    """Add a run of columns of dy."""
    return _sum_of(e, s, sums, dy, s.run)


@block(accumulators)
def add_slope(e, s, sums, dy):
    """Add one column of dy."""
    return _sum_of(e, s, sums, dy, 1)


@block(lambda s, *_: vectors(1))
def one_vector(e, s, source):
    """Load one vector."""
    return [e.load(source)]


@block(accumulators)
def add_vector(e, s, sums, source):
    """Add one vector."""
    return [e.add(sums[0], e.load(source))]


@block(nothing)
def keep_vector(e, s, sums, to):
    """Write one vector."""
    e.store(sums[0], to)


@inlined
def add_bias(s, bias, dy_map):
    """Add dy, summed over all places, to the bias sums."""
    runs = s.dy.width - s.dy.width % s.run
    for c in range(0, rolled(s.floats), LANES):
        sums = one_vector(s, advance(bias, c))
        for row in range(rolled(s.dy.height)):
            dy = advance(dy_map, row * s.dy.row + c)
            for column in range(0, rolled(runs), s.run):
                sums = add_run_of_slopes(s, sums, advance(dy, column * s.dy.pixel))
            for column in range(runs, rolled(s.dy.width)):
                sums = add_slope(s, sums, advance(dy, column * s.dy.pixel))
        keep_vector(s, sums, advance(bias, c))


@kernel
def depthwise_backward_weight(s, operands, first, count):
    """Add the weight and bias gradients of some images to their shards' sums.

    Operands: x, dy, weight sums [shard][i][j][c], bias sums [shard][c].
    """
    for n in range(count):
        shard = (first + n) // s.shard
        partial = advance(pointer(operands, 2, FLOATS), shard * s.size)
        bias = advance(pointer(operands, 3, FLOATS), shard * s.floats)
        if (first + n) % s.shard == 0:
            for at in range(0, s.size, LANES):
                keep_vector(s, zeros(1), advance(partial, at))
            if s.bias:
                for at in range(0, s.floats, LANES):
                    keep_vector(s, zeros(1), advance(bias, at))
        x_map = advance(pointer(operands, 0, FLOATS), n * s.x.size + s.x.start - s.corner)
        dy_map = advance(pointer(operands, 1, FLOATS), n * s.dy.size + s.dy.start)
        if s.bias:
            add_bias(s, bias, dy_map)
        for row in range(0, rolled(s.dy.height), s.band):
            until = min(row + s.band, s.dy.height)
            for c in range(0, rolled(s.floats), LANES):
                dy = advance(dy_map, c)
                for i in range(0, rolled(s.kernel_h - s.rows_rest), s.rows):
                    x = advance(x_map, i * s.dilation_h * s.x.row + c)
                    to = advance(partial, i * s.kernel_w * s.floats + c)
                    keep_taps(s, add_band(s, taps_so_far(s, to), x, dy, row, until), to)
                if s.rows_rest > 0:
                    i = s.kernel_h - s.rows_rest
                    x = advance(x_map, i * s.dilation_h * s.x.row + c)
                    to = advance(partial, i * s.kernel_w * s.floats + c)
                    keep_taps(s, add_band(s, last_taps_so_far(s, to), x, dy, row, until), to)


@inlined
def add_shards(s, sources, item, shards, to):
    """Sum one vector of every shard, in their order."""
    sums = one_vector(s, sources)
    for shard in range(1, shards):
        sums = add_vector(s, sums, advance(sources, shard * item))
    keep_vector(s, sums, to)


@kernel
def depthwise_reduce(s, operands, first, count):
    """Sum the shards for vectors first … first + count of channels.

    Operands: weight sums, bias sums, weight gradient [i][j][c], bias gradient [c], the step.
    """
    weights = pointer(operands, 0, FLOATS)
    biases = pointer(operands, 1, FLOATS)
    dw = pointer(operands, 2, FLOATS)
    db = pointer(operands, 3, FLOATS)
    shards = (pointer(operands, 4, LONGS)[1] + s.shard - 1) // s.shard
    for c in range(first * LANES, (first + count) * LANES, LANES):
        for tap in range(rolled(s.taps)):
            at = tap * s.floats + c
            add_shards(s, advance(weights, at), s.size, shards, advance(dw, at))
        if s.bias:
            add_shards(s, advance(biases, c), s.floats, shards, advance(db, c))
