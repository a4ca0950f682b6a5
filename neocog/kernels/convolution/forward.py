"""Convolution with zero padding, fused with the bias, max pooling and ReLU that follow.

    H, W size           C input channels        i, j row and column within the kernel
    N images            K output channels       s stride, d dilation

    y[n, h, w, k] = bias[k] + Σ_i Σ_j Σ_c  x[n, s·h + d·i, s·w + d·j, c] · weight[i, j, c, k]

where x includes its border of zeros, of which `crop` rows and columns are skipped, and c runs over
the input channels of k's group (`neocog.reference.conv2d_forward` is this in PyTorch's layout).
With stride 1 the gradient of the input is the same sum over dy with the kernel rotated by 180° and
C and K exchanged, so it runs the same kernel; see `conv2d_flip_weight`.

Registers hold the sums of a few output pixels × one block of output channels. With 2 × 2 max
pooling only each region's maximum is stored, and its position, the *winner*: an offset in floats of
x from the region's first pixel. ReLU after the maximum equals ReLU before it.
"""

from math import nan

from neocog.kernels.codegen.block import accumulators, block, nothing
from neocog.kernels.codegen.pointers import advance, pointer, rolled, zeros
from neocog.kernels.codegen.vector_types import FLOATS, INTS, LANES
from neocog.kernels.compiler.jit import always_inlined, kernel
from neocog.kernels.convolution.tiling import region

__all__ = ["conv2d_forward", "finish", "finish_last", "multiply_channels"]

# Blocks


@block(accumulators)
def start(emit, spec, sums, bias):
    """The sums of a block, starting with the bias."""
    return _start(emit, spec, sums, bias, LANES)


@block(accumulators)
def start_last(emit, spec, sums, bias):
    """`start` for a group's last block, whose last vector is partial."""
    return _start(emit, spec, sums, bias, spec.w.lanes_left) if spec.w.lanes_left else sums


def _start(emit, spec, sums, bias, lanes):
    if not spec.bias:
        return sums
    loaded = [emit.load(bias, v * LANES) for v in range(spec.w.vectors - 1)]
    loaded.append(emit.load_first(bias, len(loaded) * LANES, lanes))
    return loaded * (len(sums) // spec.w.vectors)


def _multiply(emit, spec, sums, x, w, taps):
    pixels = spec.x_places(len(sums) // spec.w.vectors // spec.pixels)
    sums = list(sums)
    for x_at, w_at in taps:
        emit.fence()
        weight = [emit.load(w, w_at + v * LANES) for v in range(spec.w.vectors)]
        for n, place in enumerate(pixels):
            value = emit.broadcast(x, x_at + place)
            for v in range(spec.w.vectors):
                at = n * spec.w.vectors + v
                sums[at] = emit.fma(value, weight[v], sums[at])
    return sums


@block(accumulators)
def multiply_all(emit, spec, sums, x, w):
    """Add every tap of every channel, unrolled, if there are few."""
    if not spec.small:
        return sums  # compiled but never called: unrolling thousands of taps took seconds
    taps = [
        (
            i * spec.tap_row + j * spec.tap + c,
            ((i * spec.w.kernel_w + j) * spec.w.group_in + c) * spec.w.block,
        )
        for c in range(spec.w.group_in)
        for i in range(spec.w.kernel_h)
        for j in range(spec.w.kernel_w)
    ]
    return _multiply(emit, spec, sums, x, w, taps)


@block(accumulators)
def multiply_some(emit, spec, sums, x, w, ahead):
    """Add one tap of `unroll` channels; prefetch weights `ahead` floats further on."""
    if spec.far:
        for n in range(spec.lines_ahead):
            emit.prefetch(w, emit.offset((4, ahead), (4 * n, spec.line)))
    return _multiply(emit, spec, sums, x, w, [(c, c * spec.w.block) for c in range(spec.unroll)])


@block(accumulators)
def multiply_last(emit, spec, sums, x, w):
    """Add one tap of the remaining channels."""
    taps = [(c, c * spec.w.block) for c in range(spec.w.group_in % spec.unroll)]
    return _multiply(emit, spec, sums, x, w, taps)


@block(nothing)
def finish(emit, spec, sums, y, gate):
    """Write the sums to y, after ReLU or the gradient of one."""
    _finish(emit, spec, sums, y, gate, LANES)


@block(nothing)
def finish_last(emit, spec, sums, y, gate):
    """`finish` for a group's last block, whose last vector is partial."""
    if spec.w.lanes_left:
        _finish(emit, spec, sums, y, gate, spec.w.lanes_left)


def _finish(emit, spec, sums, y, gate, last_lanes):
    vectors = spec.w.vectors
    places = len(sums) // vectors
    gates = spec.places_in(spec.gate, places) if spec.gated else [0] * places
    for n, (place, gate_at) in enumerate(zip(spec.places_in(spec.y, places), gates, strict=True)):
        for v in range(vectors):
            value = sums[n * vectors + v]
            # Behind a pixel of a dense map lies the next one, which may have been written before.
            lanes = min(last_lanes if v == vectors - 1 else LANES, spec.y.pixel)
            at = place + v * LANES
            if spec.relu:
                value = emit.relu(value)
            if spec.gated:
                zero = emit.constant(0.0)
                passed = emit.load_first(gate, gate_at + v * LANES, lanes)
                value = emit.select(emit.at_most(passed, zero), zero, value)
            if spec.accumulate:
                value = emit.add(emit.load_first(y, at, lanes), value)
            emit.store_first(value, y, at, lanes)


@block(nothing)
def finish_pooled(emit, spec, sums, y, winners):
    """Write the maximum of every region to y, and its position.

    The first of equal values wins, and NaN is larger than any number, as in PyTorch.
    """
    _finish_pooled(emit, spec, sums, y, winners, LANES)


@block(nothing)
def finish_pooled_last(emit, spec, sums, y, winners):
    """`finish_pooled` for a group's last block, whose last vector is partial."""
    if spec.w.lanes_left:
        _finish_pooled(emit, spec, sums, y, winners, spec.w.lanes_left)


def _finish_pooled(emit, spec, sums, y, winners, last_lanes):
    regions = len(sums) // spec.w.vectors // 4
    right, below = (emit.indices(at) for at in region(spec.x, spec.stride_h, spec.stride_w)[1:3])
    places = zip(spec.places_in(spec.y, regions), spec.places_in(spec.y.bare, regions), strict=True)
    for n, (place, bare_place) in enumerate(places):
        for v in range(spec.w.vectors):
            lanes = last_lanes if v == spec.w.vectors - 1 else LANES
            a, b, c, d = (sums[(n * 4 + r) * spec.w.vectors + v] for r in range(4))
            upper, lower = emit.greater(b, a), emit.greater(d, c)
            top, bottom = emit.larger(b, a), emit.larger(d, c)
            second = emit.greater(bottom, top)
            best = emit.larger(bottom, top)
            any_nan = emit.either(emit.unordered(a, b), emit.unordered(c, d))
            best = emit.select(any_nan, emit.constant(nan), best)
            value = emit.relu(best) if spec.relu else best
            emit.store_first(value, y, place + v * LANES, lanes)
            if spec.winners:
                column = emit.select(emit.select(second, lower, upper), right, emit.indices(0))
                row = emit.select(second, below, emit.indices(0))
                won = emit.add_indices(row, column)
                emit.store_first(won, winners, bare_place + v * LANES, lanes)


# Forward


@always_inlined
def multiply_channels(spec, sums, x, w, ahead):
    """Add every channel of one tap; x and w point to the first."""
    for some in range(rolled(spec.w.group_in // spec.unroll)):
        c = rolled(some) * spec.unroll
        sums = multiply_some(spec, sums, advance(x, c), advance(w, c * spec.w.block), ahead)
    c = spec.w.group_in // spec.unroll * spec.unroll
    return multiply_last(spec, sums, advance(x, c), advance(w, c * spec.w.block))


@always_inlined
def multiply(spec, sums, x, w, ahead):
    """Add every tap of every channel; x and w point to the first."""
    if spec.small:
        return multiply_all(spec, sums, x, w)
    for i in range(rolled(spec.w.kernel_h)):
        for j in range(rolled(spec.w.kernel_w)):
            tap = advance(x, i * spec.tap_row + j * spec.tap)
            tap_w = advance(w, (i * spec.w.kernel_w + j) * spec.w.tap_size)
            sums = multiply_channels(spec, sums, tap, tap_w, ahead)
    return sums


@always_inlined
def compute(spec, sums, last, x, w, bias, y, gate, winners, ahead):
    """Compute some pixels of y for one block of channels; `last` if it ends its group."""
    part = spec.w.lanes_left > 0 and last
    sums = start_last(spec, sums, bias) if part else start(spec, sums, bias)
    sums = multiply(spec, sums, x, w, ahead)
    if spec.pool:
        if part:
            finish_pooled_last(spec, sums, y, winners)
        else:
            finish_pooled(spec, sums, y, winners)
    elif part:
        finish_last(spec, sums, y, gate)
    else:
        finish(spec, sums, y, gate)


@kernel
def conv2d_forward(spec, operands, first, count):
    """y from x, weight and bias; with pooling, also the winners.

    Operands: x, weight, bias, y, winners (pooling in training), gate.
    """
    images = advance(pointer(operands, 0, FLOATS), spec.x_start)
    weight = pointer(operands, 1, FLOATS)
    bias = pointer(operands, 2, FLOATS)
    results = advance(pointer(operands, 3, FLOATS), spec.y.start)
    won = pointer(operands, 4, INTS)
    gates = advance(pointer(operands, 5, FLOATS), spec.gate.start)
    begin = first if spec.parts else 0
    for item in range(begin, begin + (count if spec.parts else count * spec.bands * spec.w.blocks)):
        if spec.weight_first:
            n, band, k = item % count, 0, item // count
        else:
            n, band, k = (
                item // spec.w.blocks // spec.bands,
                item // spec.w.blocks % spec.bands,
                item % spec.w.blocks,
            )
        until = min((band + 1) * spec.band, spec.y.height - spec.rest_rows)
        group, place = k // spec.w.group_blocks, k % spec.w.group_blocks
        last = place == spec.w.group_blocks - 1
        channel = group * spec.w.group_out + place * spec.w.block
        w = advance(weight, k * spec.w.block_size)
        b = advance(bias, channel)
        x_image = advance(images, n * spec.x.size + group * spec.w.group_in)
        y_image = advance(results, n * spec.y.size + channel)
        gate_image = advance(gates, n * spec.gate.size + channel)
        won_image = advance(won, n * spec.y.bare.size + channel)
        for row in range(band * spec.band, until, spec.rows):
            x = advance(x_image, row * spec.row_step)
            y = advance(y_image, row * spec.y.row)
            gate = advance(gate_image, row * spec.gate.row)
            winners = advance(won_image, row * spec.y.bare.row)
            for column in range(0, rolled(spec.y.width - spec.rest_columns), spec.columns):
                ahead = 0
                if spec.far:
                    line = (
                        row // spec.rows * spec.row_passes + column // spec.columns
                    ) * spec.lines_ahead
                    ahead = (
                        spec.w.block_size + line * spec.line if line < spec.unrolled_lines else 0
                    )
                x_at = advance(x, column * spec.step)
                y_at = advance(y, column * spec.y.pixel)
                gate_at = advance(gate, column * spec.gate.pixel)
                won_at = advance(winners, column * spec.y.pixel)
                compute(spec, zeros(spec.sums), last, x_at, w, b, y_at, gate_at, won_at, ahead)
            if spec.rest_columns > 0:
                column = spec.y.width - spec.rest_columns
                x_at = advance(x, column * spec.step)
                y_at = advance(y, column * spec.y.pixel)
                gate_at = advance(gate, column * spec.gate.pixel)
                won_at = advance(winners, column * spec.y.pixel)
                compute(spec, zeros(spec.rest_sums), last, x_at, w, b, y_at, gate_at, won_at, 0)
        if spec.rest_rows > 0 and band == spec.bands - 1:
            row = spec.y.height - spec.rest_rows
            x_at = advance(x_image, row * spec.row_step)
            y_at = advance(y_image, row * spec.y.row)
            gate_at = advance(gate_image, row * spec.gate.row)
            won_at = advance(won_image, row * spec.y.bare.row)
            compute(spec, zeros(spec.rest_sums), last, x_at, w, b, y_at, gate_at, won_at, 0)
