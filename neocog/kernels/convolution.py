"""Convolution with zero padding, and all that is fused behind it.

    H, W size           C input channels        i, j row and column within the kernel
    N images            K output channels       s stride, d dilation

    y[n, h, w, k] = bias[k] + Σ_i Σ_j Σ_c  x[n, s·h + d·i, s·w + d·j, c] · weight[i, j, c, k]

where x carries its border of zeros, of which `crop` rows and columns are skipped, and c runs over
the input channels of k's group (`neocog.reference.conv2d_forward` is this in PyTorch's layout).
With stride 1 the gradient of the input is the same sum over dy with the kernel turned by 180° and C
and K exchanged, so it runs the same kernel; see `conv2d_flip_weight`.

Registers hold the sums of a few output pixels × one block of output channels. A convolution
that is followed by 2 × 2 max pooling keeps only each region's maximum, and where it stood, as the
offset in floats of x from the region's first pixel. ReLU after the maximum equals ReLU before it.
"""

from math import nan

from neocog.kernels.compiling import always_inlined, kernel
from neocog.kernels.convolution_tiling import region
from neocog.kernels.simd import (
    FLOATS,
    INTS,
    LANES,
    accumulators,
    advance,
    block,
    nothing,
    pointer,
    rolled,
    zeros,
)

__all__ = ["conv2d_forward", "finish", "finish_last", "multiply_channels"]

# Blocks


@block(accumulators)
def start(e, s, sums, bias):
    """The sums of a block, begun with the bias."""
    return _start(e, s, sums, bias, LANES)


@block(accumulators)
def start_last(e, s, sums, bias):
    """The sums of a group's last block, whose last vector is not whole."""
    return _start(e, s, sums, bias, s.w.lanes_left) if s.w.lanes_left else sums


def _start(e, s, sums, bias, lanes):
    if not s.bias:
        return sums
    loaded = [e.load(bias, v * LANES) for v in range(s.w.vectors - 1)]
    loaded.append(e.load_first(bias, len(loaded) * LANES, lanes))
    return loaded * (len(sums) // s.w.vectors)


def _multiply(e, s, sums, x, w, taps):
    pixels = s.x_places(len(sums) // s.w.vectors // s.pixels)
    sums = list(sums)
    for x_at, w_at in taps:
        e.fence()
        weight = [e.load(w, w_at + v * LANES) for v in range(s.w.vectors)]
        for n, place in enumerate(pixels):
            value = e.broadcast(x, x_at + place)
            for v in range(s.w.vectors):
                at = n * s.w.vectors + v
                sums[at] = e.fma(value, weight[v], sums[at])
    return sums


@block(accumulators)
def multiply_all(e, s, sums, x, w):
    """Add every tap of every channel, if they are few."""
    if not s.small:
        return sums  # compiled all the same, and thrown away: thousands of taps took seconds
    taps = [
        (
            i * s.tap_row + j * s.tap + c,
            ((i * s.w.kernel_w + j) * s.w.group_in + c) * s.w.block,
        )
        for c in range(s.w.group_in)
        for i in range(s.w.kernel_h)
        for j in range(s.w.kernel_w)
    ]
    return _multiply(e, s, sums, x, w, taps)


@block(accumulators)
def multiply_some(e, s, sums, x, w, ahead):
    """Add one tap of `unroll` channels; ask for some weights so many floats ahead."""
    if s.far:
        for n in range(s.lines_ahead):
            e.prefetch(w, e.offset((4, ahead), (4 * n, s.line)))
    return _multiply(e, s, sums, x, w, [(c, c * s.w.block) for c in range(s.unroll)])


@block(accumulators)
def multiply_last(e, s, sums, x, w):
    """Add one tap of the channels that are left over."""
    taps = [(c, c * s.w.block) for c in range(s.w.group_in % s.unroll)]
    return _multiply(e, s, sums, x, w, taps)


@block(nothing)
def finish(e, s, sums, y, gate):
    """Write the sums to y, through ReLU or through the gate of one."""
    _finish(e, s, sums, y, gate, LANES)


@block(nothing)
def finish_last(e, s, sums, y, gate):
    """Write the sums of a group's last block, whose last vector is not whole."""
    if s.w.lanes_left:
        _finish(e, s, sums, y, gate, s.w.lanes_left)


def _finish(e, s, sums, y, gate, last_lanes):
    vectors = s.w.vectors
    places = len(sums) // vectors
    gates = s.places_in(s.gate, places) if s.gated else [0] * places
    for n, (place, gate_at) in enumerate(zip(s.places_in(s.y, places), gates, strict=True)):
        for v in range(vectors):
            value = sums[n * vectors + v]
            lanes = last_lanes if v == vectors - 1 else LANES
            at = place + v * LANES
            if s.relu:
                value = e.relu(value)
            if s.gated:
                zero = e.constant(0.0)
                passed = e.load_first(gate, gate_at + v * LANES, lanes)
                value = e.select(e.at_most(passed, zero), zero, value)
            if s.accumulate:
                value = e.add(e.load_first(y, at, lanes), value)
            e.store_first(value, y, at, lanes)


@block(nothing)
def finish_pooled(e, s, sums, y, winners):
    """Write the maximum of every region to y, and where it stood.

    The first of equals wins, and where one is NaN the maximum is, as in PyTorch.
    """
    _finish_pooled(e, s, sums, y, winners, LANES)


@block(nothing)
def finish_pooled_last(e, s, sums, y, winners):
    """The same for a group's last block, whose last vector is not whole."""
    if s.w.lanes_left:
        _finish_pooled(e, s, sums, y, winners, s.w.lanes_left)


def _finish_pooled(e, s, sums, y, winners, last_lanes):
    regions = len(sums) // s.w.vectors // 4
    right, below = (e.indices(at) for at in region(s.x, s.stride_h, s.stride_w)[1:3])
    places = zip(s.places_in(s.y, regions), s.places_in(s.y.bare, regions), strict=True)
    for n, (place, bare_place) in enumerate(places):
        for v in range(s.w.vectors):
            lanes = last_lanes if v == s.w.vectors - 1 else LANES
            a, b, c, d = (sums[(n * 4 + r) * s.w.vectors + v] for r in range(4))
            upper, lower = e.greater(b, a), e.greater(d, c)
            top, bottom = e.larger(b, a), e.larger(d, c)
            second = e.greater(bottom, top)
            best = e.larger(bottom, top)
            any_nan = e.either(e.unordered(a, b), e.unordered(c, d))
            best = e.select(any_nan, e.constant(nan), best)
            value = e.relu(best) if s.relu else best
            e.store_first(value, y, place + v * LANES, lanes)
            if s.winners:
                column = e.select(e.select(second, lower, upper), right, e.indices(0))
                row = e.select(second, below, e.indices(0))
                won = e.add_indices(row, column)
                e.store_first(won, winners, bare_place + v * LANES, lanes)


# Forward


@always_inlined
def multiply_channels(s, sums, x, w, ahead):
    """Add every channel of one tap, x and w standing at the first."""
    for some in range(rolled(s.w.group_in // s.unroll)):
        c = rolled(some) * s.unroll
        sums = multiply_some(s, sums, advance(x, c), advance(w, c * s.w.block), ahead)
    c = s.w.group_in // s.unroll * s.unroll
    return multiply_last(s, sums, advance(x, c), advance(w, c * s.w.block))


@always_inlined
def multiply(s, sums, x, w, ahead):
    """Add every tap of every channel, x and w standing at the first."""
    if s.small:
        return multiply_all(s, sums, x, w)
    for i in range(rolled(s.w.kernel_h)):
        for j in range(rolled(s.w.kernel_w)):
            tap = advance(x, i * s.tap_row + j * s.tap)
            tap_w = advance(w, (i * s.w.kernel_w + j) * s.w.tap_size)
            sums = multiply_channels(s, sums, tap, tap_w, ahead)
    return sums


@always_inlined
def compute(s, sums, last, x, w, bias, y, gate, winners, ahead):
    """Some places of y, of one block of channels; `last`: the last of its group."""
    part = s.w.lanes_left > 0 and last
    sums = start_last(s, sums, bias) if part else start(s, sums, bias)
    sums = multiply(s, sums, x, w, ahead)
    if s.pool:
        if part:
            finish_pooled_last(s, sums, y, winners)
        else:
            finish_pooled(s, sums, y, winners)
    elif part:
        finish_last(s, sums, y, gate)
    else:
        finish(s, sums, y, gate)


@kernel
def conv2d_forward(s, operands, first, count):
    """y from x, weight and bias; with pooling, also the winners.

    Operands: x, weight, bias, y, winners (pooling in training), gate.
    """
    images = advance(pointer(operands, 0, FLOATS), s.x_start)
    weight = pointer(operands, 1, FLOATS)
    bias = pointer(operands, 2, FLOATS)
    results = advance(pointer(operands, 3, FLOATS), s.y.start)
    won = pointer(operands, 4, INTS)
    gates = advance(pointer(operands, 5, FLOATS), s.gate.start)
    begin = first if s.parts else 0
    for item in range(begin, begin + (count if s.parts else count * s.bands * s.w.blocks)):
        if s.weight_first:
            n, band, k = item % count, 0, item // count
        else:
            n, band, k = (
                item // s.w.blocks // s.bands,
                item // s.w.blocks % s.bands,
                item % s.w.blocks,
            )
        until = min((band + 1) * s.band, s.y.height - s.rest_rows)
        group, place = k // s.w.group_blocks, k % s.w.group_blocks
        last = place == s.w.group_blocks - 1
        channel = group * s.w.group_out + place * s.w.block
        w = advance(weight, k * s.w.block_size)
        b = advance(bias, channel)
        x_image = advance(images, n * s.x.size + group * s.w.group_in)
        y_image = advance(results, n * s.y.size + channel)
        gate_image = advance(gates, n * s.gate.size + channel)
        won_image = advance(won, n * s.y.bare.size + channel)
        for row in range(band * s.band, until, s.rows):
            x = advance(x_image, row * s.row_step)
            y = advance(y_image, row * s.y.row)
            gate = advance(gate_image, row * s.gate.row)
            winners = advance(won_image, row * s.y.bare.row)
            for column in range(0, rolled(s.y.width - s.rest_columns), s.columns):
                ahead = 0
                if s.far:
                    line = (row // s.rows * s.row_passes + column // s.columns) * s.lines_ahead
                    ahead = s.w.block_size + line * s.line if line < s.unrolled_lines else 0
                x_at = advance(x, column * s.step)
                y_at = advance(y, column * s.y.pixel)
                gate_at = advance(gate, column * s.gate.pixel)
                won_at = advance(winners, column * s.y.pixel)
                compute(s, zeros(s.sums), last, x_at, w, b, y_at, gate_at, won_at, ahead)
            if s.rest_columns > 0:
                column = s.y.width - s.rest_columns
                x_at = advance(x, column * s.step)
                y_at = advance(y, column * s.y.pixel)
                gate_at = advance(gate, column * s.gate.pixel)
                won_at = advance(winners, column * s.y.pixel)
                compute(s, zeros(s.rest_sums), last, x_at, w, b, y_at, gate_at, won_at, 0)
        if s.rest_rows > 0 and band == s.bands - 1:
            row = s.y.height - s.rest_rows
            x_at = advance(x_image, row * s.row_step)
            y_at = advance(y_image, row * s.y.row)
            gate_at = advance(gate_image, row * s.gate.row)
            won_at = advance(won_image, row * s.y.bare.row)
            compute(s, zeros(s.rest_sums), last, x_at, w, b, y_at, gate_at, won_at, 0)
