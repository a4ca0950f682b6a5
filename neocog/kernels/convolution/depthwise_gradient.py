"""Gradients of a depthwise convolution's weight and bias.

    dw[i, j, c] = Σ_n Σ_h Σ_w  x[sh·h + dh·i − top, sw·w + dw·j − left, c] · dy[h, w, c],  db = Σ dy

(`neocog.reference.conv2d_backward_weight` with as many groups as channels.) Registers hold the sums
of some taps for one vector of channels. If the kernel's width and the stride are constants, these
are the taps of some kernel rows, and the dy of a run of columns is there too, so that a pixel of x
that several taps need is loaded once. As for other convolutions, the images of a batch are divided
into shards; each has its own sum, and the sums are added in order.
"""

from collections.abc import Iterator

from neocog.kernels.codegen.block import accumulators, block, nothing
from neocog.kernels.codegen.pointers import advance, rolled, zeros
from neocog.kernels.codegen.vector_types import FLOATS, LANES, LONGS, vectors
from neocog.kernels.compiler.jit import Kernel, inlined, kernel
from neocog.kernels.compiler.operands import maybe
from neocog.kernels.compiler.spec import Spec
from neocog.kernels.convolution.depthwise import load_pixel, pairs_of_columns
from neocog.kernels.convolution.depthwise_tiling import (
    SIDES,
    STRIDES,
    DepthwiseGradient,
    DepthwiseSum,
)
from neocog.kernels.layout import FeatureMap

__all__ = ["depthwise_backward_weight", "depthwise_reduce", "kinds"]

# Columns of dy that are processed together.
_RUN = 4


def _add_columns(emit, spec, sums, x, dy, columns):
    """Add x · dy of some columns to the sums of some kernel rows."""
    totals, x, dy = [total.get() for total in sums], emit.opaque(x), emit.opaque(dy)
    slopes = [emit.load(dy, n * spec.dy.pixel) for n in range(columns)]
    for i in range(len(sums) // spec.width):
        row = emit.advance(x, i * spec.down)
        for place, pairs in pairs_of_columns(columns, spec.width, spec.stride):
            value = emit.load(row, place * spec.x.pixel)
            for n, j in pairs:
                tap = i * spec.width + j
                totals[tap] = emit.fma(value, slopes[n], totals[tap])
    for total, value in zip(sums, totals, strict=True):
        total.set(value)


def _add_pixel(emit, spec, sums, x, dy, offsets):
    """Add x · dy of one pixel to the sums of the taps at these offsets."""
    slope = load_pixel(emit, spec, dy, 0, spec.dy.pixel)
    for total, at in zip(sums, offsets, strict=True):
        value = load_pixel(emit, spec, x, at, spec.x.pixel)
        total.set(emit.fma(value, slope, total.get()))


def _add_rows(emit, spec, taps, partial, x, dy, begin, end, add, together):
    """Add the rows begin … end of dy to the sums of so many `taps`.

    What adds some columns is `add(sums, x, dy, columns)`, for as many as go `together`, or one.
    """
    sums = [emit.variable(emit.load(partial, tap * spec.floats)) for tap in range(taps)]
    across = spec.stride_w * spec.x.pixel
    whole = emit.multiple(spec.dy.width, together) if together > 1 else 0
    runs = ((together, 0, whole), (1, whole, spec.dy.width))
    with emit.loop(begin, end) as row:
        of_x = emit.advance(x, row * (spec.stride_h * spec.x.row))
        of_dy = emit.advance(dy, row * spec.dy.row)
        for columns, first, last in runs if together > 1 else runs[1:]:
            with emit.loop(first, last, columns) as n:
                here = emit.advance(of_x, n * across), emit.advance(of_dy, n * spec.dy.pixel)
                add(sums, *here, columns)
    for tap, total in enumerate(sums):
        emit.store(total.get(), partial, tap * spec.floats)


def _add_kernel_rows(emit, spec, rows, partial, x, dy, begin, end):
    def add(sums, x, dy, columns):
        _add_columns(emit, spec, sums, x, dy, columns)

    _add_rows(emit, spec, rows * spec.width, partial, x, dy, begin, end, add, _RUN)


@block(nothing)
def add_kernel_rows(emit, spec, partial, x, dy, begin, end):
    """Add the rows begin … end of dy to the sums of as many kernel rows as registers hold."""
    _add_kernel_rows(emit, spec, spec.rows, partial, x, dy, begin, end)


@block(nothing)
def add_kernel_row(emit, spec, partial, x, dy, begin, end):
    """Add the rows begin … end of dy to the sums of one kernel row."""
    _add_kernel_rows(emit, spec, 1, partial, x, dy, begin, end)


@block(nothing)
def add_taps(emit, spec, partial, x, dy, offsets, begin, end):
    """Add the rows begin … end of dy to the sums of the taps at some offsets."""

    def add(sums, x, dy, columns):
        _add_pixel(emit, spec, sums, x, dy, offsets)

    _add_rows(emit, spec, len(offsets), partial, x, dy, begin, end, add, 1)


@inlined
def add_band(spec, partial, x, dy, begin, end):
    """Add the rows begin … end of dy for one vector of channels."""
    if spec.width > 0:
        i = 0
        while i + spec.rows <= spec.kernel_h:
            to, at = advance(partial, i * spec.width * spec.floats), advance(x, i * spec.down)
            add_kernel_rows(spec, to, at, dy, begin, end)
            i += spec.rows
        while i < spec.kernel_h:
            to, at = advance(partial, i * spec.width * spec.floats), advance(x, i * spec.down)
            add_kernel_row(spec, to, at, dy, begin, end)
            i += 1
    else:
        o, t = spec.offsets, 0
        while t + 9 <= spec.taps:
            first = (o[t], o[t + 1], o[t + 2], o[t + 3], o[t + 4])
            offsets = (*first, o[t + 5], o[t + 6], o[t + 7], o[t + 8])
            to = advance(partial, t * spec.floats)
            add_taps(spec, to, x, dy, offsets, begin, end)
            t += 9
        while t + 3 <= spec.taps:
            to = advance(partial, t * spec.floats)
            add_taps(spec, to, x, dy, (o[t], o[t + 1], o[t + 2]), begin, end)
            t += 3
        while t < spec.taps:
            to = advance(partial, t * spec.floats)
            add_taps(spec, to, x, dy, (o[t],), begin, end)
            t += 1


def _sum_of(emit, spec, sums, dy, columns):
    pixel = spec.dy.pixel
    slopes = [load_pixel(emit, spec, dy, n * pixel, pixel) for n in range(columns)]
    while len(slopes) > 1:  # in pairs, so that additions need not wait for each other
        slopes = [emit.add(*slopes[n : n + 2]) for n in range(0, len(slopes), 2)]
    return [emit.add(sums[0], slopes[0])]


@block(accumulators)
def add_run_of_slopes(emit, spec, sums, dy):
    """Add a run of columns of dy."""
    return _sum_of(emit, spec, sums, dy, _RUN)


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
    runs = spec.dy.width - spec.dy.width % _RUN
    for c in range(0, spec.floats, LANES):
        sums = one_vector(spec, advance(bias, c))
        for row in range(spec.dy.height):
            dy = advance(dy_map, row * spec.dy.row + c)
            for column in range(0, rolled(runs), _RUN):
                sums = add_run_of_slopes(spec, sums, advance(dy, column * spec.dy.pixel))
            for column in range(runs, rolled(spec.dy.width)):
                sums = add_slope(spec, sums, advance(dy, column * spec.dy.pixel))
        keep_vector(spec, sums, advance(bias, c))


@inlined
def begin_shard(spec, sums, floats):
    """Zeros."""
    for at in range(0, rolled(floats), LANES):
        keep_vector(spec, zeros(1), advance(sums, at))


@kernel(x=FLOATS, dy=FLOATS, sums=FLOATS, bias_sums=maybe(FLOATS))
def depthwise_backward_weight(spec, o, first, count):
    """Add the weight and bias gradients of some images to their shards' sums.

    `sums` is [shard][i][j][c], `bias_sums` [shard][c].
    """
    for n in range(count):
        shard = (first + n) // spec.shard
        sums, bias = advance(o.sums, shard * spec.size), advance(o.bias_sums, shard * spec.floats)
        x = advance(o.x, n * spec.x.size + spec.x.start - spec.corner)
        dy = advance(o.dy, n * spec.dy.size + spec.dy.start)
        if (first + n) % spec.shard == 0 and not spec.continued:
            begin_shard(spec, sums, spec.size)
            if spec.bias:
                begin_shard(spec, bias, spec.floats)
        if spec.bias:
            add_bias(spec, bias, dy)
        for row in range(0, spec.dy.height, spec.band):
            until = min(row + spec.band, spec.dy.height)
            for c in range(0, spec.floats, LANES):
                add_band(spec, advance(sums, c), advance(x, c), advance(dy, c), row, until)


@inlined
def add_shards(spec, sources, item, shards, to):
    """Sum one vector of every shard, in their order."""
    sums = one_vector(spec, sources)
    for shard in range(1, shards):
        sums = add_vector(spec, sums, advance(sources, shard * item))
    keep_vector(spec, sums, to)


@kernel(sums=FLOATS, bias_sums=maybe(FLOATS), dw=FLOATS, db=maybe(FLOATS), step=LONGS)
def depthwise_reduce(spec, o, first, count):
    """Sum the shards for vectors first … first + count of channels.

    `dw` is [i][j][c], `db` [c].
    """
    of = spec.gradient
    shards = (o.step[1] + of.shard - 1) // of.shard
    for c in range(first * LANES, (first + count) * LANES, LANES):
        for tap in range(of.taps):
            at = tap * of.floats + c
            add_shards(spec, advance(o.sums, at), of.size, shards, advance(o.dw, at))
        if of.bias:
            add_shards(spec, advance(o.bias_sums, c), of.floats, shards, advance(o.db, c))


def kinds() -> Iterator[tuple[Kernel, Spec]]:
    """Every kernel here with a spec of each kind."""
    plain, dense = FeatureMap(1, 1, 2), FeatureMap(1, 1, 2, dense=True)
    for width in SIDES:
        for stride in STRIDES:
            sides = (width, width, stride, stride)
            yield depthwise_backward_weight, DepthwiseGradient(plain, plain, *sides)
    yield depthwise_backward_weight, DepthwiseGradient(plain, plain, 1, 1)
    yield depthwise_backward_weight, DepthwiseGradient(dense, plain, 1, 1)
    yield depthwise_reduce, DepthwiseSum(DepthwiseGradient(plain, plain, 1, 1))
