"""Gradients of a depthwise convolution's weight and bias.

    dw[i, j, c] = Σ_n Σ_h Σ_w  x[sh·h + dh·i − top, sw·w + dw·j − left, c] · dy[h, w, c],  db = Σ dy

(`neocog.reference.conv2d_backward_weight` with as many groups as channels.) Registers hold the sums
of some kernel rows' taps for one vector of channels, and the dy of a run of columns, so that a
pixel of x that several taps need is loaded once. As for other convolutions, the images of a batch
are divided into shards; each has its own sum, and the sums are added in order.
"""

from neocog.kernels.codegen.block import accumulators, block, nothing
from neocog.kernels.codegen.pointers import advance, pointer, rolled, zeros
from neocog.kernels.codegen.vector_types import FLOATS, LANES, LONGS, vectors
from neocog.kernels.compiler.jit import inlined, kernel
from neocog.kernels.convolution.depthwise import pairs_of_columns

__all__ = ["depthwise_backward_weight", "depthwise_reduce"]


@block(lambda spec, *_: vectors(spec.rows * spec.kernel_w))
def taps_so_far(emit, spec, partial):
    """The sums so far of the taps of several kernel rows."""
    return [emit.load(partial, tap * spec.floats) for tap in range(spec.rows * spec.kernel_w)]


@block(lambda spec, *_: vectors(max(1, spec.rows_rest) * spec.kernel_w))
def last_taps_so_far(emit, spec, partial):
    """The sums so far of the taps of the last kernel rows."""
    return [
        emit.load(partial, tap * spec.floats)
        for tap in range(max(1, spec.rows_rest) * spec.kernel_w)
    ]


@block(nothing)
def keep_taps(emit, spec, sums, partial):
    """Write the sums of taps back."""
    for tap, total in enumerate(sums):
        emit.store(total, partial, tap * spec.floats)


def _add_columns(emit, spec, sums, x, dy, columns):
    sums = list(sums)
    slopes = [emit.load_first(dy, n * spec.dy.pixel, spec.dy.pixel) for n in range(columns)]
    for i in range(len(sums) // spec.kernel_w):
        for place, pairs in pairs_of_columns(
            columns, spec.kernel_w, spec.stride_w, spec.dilation_w
        ):
            at = i * spec.dilation_h * spec.x.row + place * spec.x.pixel
            value = emit.load_first(x, at, spec.x.pixel)
            for n, j in pairs:
                tap = i * spec.kernel_w + j
                sums[tap] = emit.fma(value, slopes[n], sums[tap])
    return sums


@block(accumulators)
def add_run(emit, spec, sums, x, dy):
    """Add x · dy of a run of columns to the sums of all kernel rows."""
    return _add_columns(emit, spec, sums, x, dy, spec.run)


@block(accumulators)
def add_column(emit, spec, sums, x, dy):
    """Add x · dy of one column."""
    return _add_columns(emit, spec, sums, x, dy, 1)


@inlined
def add_band(spec, sums, x_map, dy_map, first_row, last_row):
    """Add every pixel of some rows of dy."""
    runs = spec.dy.width - spec.dy.width % spec.run
    for row in range(first_row, rolled(last_row)):
        x = advance(x_map, row * spec.stride_h * spec.x.row)
        dy = advance(dy_map, row * spec.dy.row)
        for run in range(0, rolled(runs), spec.run):
            column = rolled(run)
            at = advance(x, column * spec.stride_w * spec.x.pixel)
            sums = add_run(spec, sums, at, advance(dy, column * spec.dy.pixel))
        for column in range(runs, rolled(spec.dy.width)):
            at = advance(x, column * spec.stride_w * spec.x.pixel)
            sums = add_column(spec, sums, at, advance(dy, column * spec.dy.pixel))
    return sums


def _sum_of(emit, spec, sums, dy, columns):
    slopes = [emit.load_first(dy, n * spec.dy.pixel, spec.dy.pixel) for n in range(columns)]
    while len(slopes) > 1:  # in pairs, so that additions need not wait for each other
        slopes = [emit.add(*slopes[n : n + 2]) for n in range(0, len(slopes) - 1, 2)] + (
            slopes[-1:] if len(slopes) % 2 else []
        )
    return [emit.add(sums[0], slopes[0])]


@block(accumulators)
def add_run_of_slopes(emit, spec, sums, dy):
    """Add a run of columns of dy."""
    return _sum_of(emit, spec, sums, dy, spec.run)


@block(accumulators)
def add_slope(emit, spec, sums, dy):
    """Add one column of dy."""
    return _sum_of(emit, spec, sums, dy, 1)


@block(lambda spec, *_: vectors(1))
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
def add_bias(spec, bias, dy_map):
    """Add dy, summed over all pixels, to the bias sums."""
    runs = spec.dy.width - spec.dy.width % spec.run
    for c in range(0, rolled(spec.floats), LANES):
        sums = one_vector(spec, advance(bias, c))
        for row in range(rolled(spec.dy.height)):
            dy = advance(dy_map, row * spec.dy.row + c)
            for column in range(0, rolled(runs), spec.run):
                sums = add_run_of_slopes(spec, sums, advance(dy, column * spec.dy.pixel))
            for column in range(runs, rolled(spec.dy.width)):
                sums = add_slope(spec, sums, advance(dy, column * spec.dy.pixel))
        keep_vector(spec, sums, advance(bias, c))


@kernel
def depthwise_backward_weight(spec, operands, first, count):
    """Add the weight and bias gradients of some images to their shards' sums.

    Operands: x, dy, weight sums [shard][i][j][c], bias sums [shard][c].
    """
    for n in range(count):
        shard = (first + n) // spec.shard
        partial = advance(pointer(operands, 2, FLOATS), shard * spec.size)
        bias = advance(pointer(operands, 3, FLOATS), shard * spec.floats)
        if (first + n) % spec.shard == 0:
            for at in range(0, spec.size, LANES):
                keep_vector(spec, zeros(1), advance(partial, at))
            if spec.bias:
                for at in range(0, spec.floats, LANES):
                    keep_vector(spec, zeros(1), advance(bias, at))
        x_map = advance(pointer(operands, 0, FLOATS), n * spec.x.size + spec.x.start - spec.corner)
        dy_map = advance(pointer(operands, 1, FLOATS), n * spec.dy.size + spec.dy.start)
        if spec.bias:
            add_bias(spec, bias, dy_map)
        for row in range(0, rolled(spec.dy.height), spec.band):
            until = min(row + spec.band, spec.dy.height)
            for c in range(0, rolled(spec.floats), LANES):
                dy = advance(dy_map, c)
                for i in range(0, rolled(spec.kernel_h - spec.rows_rest), spec.rows):
                    x = advance(x_map, i * spec.dilation_h * spec.x.row + c)
                    to = advance(partial, i * spec.kernel_w * spec.floats + c)
                    keep_taps(spec, add_band(spec, taps_so_far(spec, to), x, dy, row, until), to)
                if spec.rows_rest > 0:
                    i = spec.kernel_h - spec.rows_rest
                    x = advance(x_map, i * spec.dilation_h * spec.x.row + c)
                    to = advance(partial, i * spec.kernel_w * spec.floats + c)
                    keep_taps(
                        spec, add_band(spec, last_taps_so_far(spec, to), x, dy, row, until), to
                    )


@inlined
def add_shards(spec, sources, item, shards, to):
    """Sum one vector of every shard, in their order."""
    sums = one_vector(spec, sources)
    for shard in range(1, shards):
        sums = add_vector(spec, sums, advance(sources, shard * item))
    keep_vector(spec, sums, to)


@kernel
def depthwise_reduce(spec, operands, first, count):
    """Sum the shards for vectors first … first + count of channels.

    Operands: weight sums, bias sums, weight gradient [i][j][c], bias gradient [c], the step.
    """
    weights = pointer(operands, 0, FLOATS)
    biases = pointer(operands, 1, FLOATS)
    dw = pointer(operands, 2, FLOATS)
    db = pointer(operands, 3, FLOATS)
    shards = (pointer(operands, 4, LONGS)[1] + spec.shard - 1) // spec.shard
    for c in range(first * LANES, (first + count) * LANES, LANES):
        for tap in range(rolled(spec.taps)):
            at = tap * spec.floats + c
            add_shards(spec, advance(weights, at), spec.size, shards, advance(dw, at))
        if spec.bias:
            add_shards(spec, advance(biases, c), spec.floats, shards, advance(db, c))
