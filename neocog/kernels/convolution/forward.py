"""Convolution with zero padding, fused with the bias, max pooling and ReLU that follow.

    H, W size           C input channels        i, j row and column within the kernel
    N images            K output channels       s stride, d dilation

    y[n, h, w, k] = bias[k] + Σ_i Σ_j Σ_c  x[n, s·h + d·i, s·w + d·j, c] · weight[i, j, c, k]

where x includes its border of zeros, of which `crop` rows and columns are skipped, and c runs over
the input channels of k's group (`neocog.reference.conv2d_forward` is this in PyTorch's layout).
With stride 1 the gradient of the input is the same sum over dy with the kernel rotated by 180° and
C and K exchanged, so it runs the same kernel; see `conv2d_flip_weight`.

Registers hold the sums of a tile of output pixels × one block of output channels. With 2 × 2 max
pooling only each region's maximum is stored, and its position, the *winner*: an offset in floats of
x from the region's first pixel. ReLU after the maximum equals ReLU before it.
"""

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.control import either_way
from neocog.kernels.codegen.pointers import advance, stack_floats, stack_longs
from neocog.kernels.codegen.vector_types import FLOATS, INTS, LANES
from neocog.kernels.compiler.jit import kernel
from neocog.kernels.compiler.operands import maybe
from neocog.kernels.convolution.finishing import finish, finish_pooled
from neocog.kernels.convolution.places import Steps, next_start, offset_of, put_places, put_row
from neocog.kernels.convolution.products import sums_of_products

__all__ = ["conv2d_forward"]


@block(nothing)
def compute(emit, spec, places, taken, x, xs, w, ahead, lines, bias, lanes, y, ys, other, others, kept):
    """Compute a tile of y for one block of channels."""

    def tile(size):
        sums = sums_of_products(
            emit, spec, size, x, xs, w, spec.w.kernel_h, spec.tap_columns, ahead, lines, bias, lanes
        )
        if spec.pool:
            finish_pooled(emit, spec, sums, y, ys, other, others)
        else:
            finish(emit, spec, sums, taken, y, ys, other, others, kept, lanes)

    def smaller():
        if spec.has_some:
            either_way(emit, emit.below(spec.few, places), lambda: tile(spec.some), lambda: tile(spec.few))
        else:
            tile(spec.few)

    if spec.has_few:
        either_way(emit, emit.below(places, spec.most), smaller, lambda: tile(spec.most))
    else:
        tile(spec.most)


@kernel(
    x=FLOATS,
    weight=FLOATS,
    bias=maybe(FLOATS),
    y=FLOATS,
    winners=maybe(INTS),
    gate=maybe(FLOATS),
)
def conv2d_forward(spec, o, first, count):
    """y from x, weight and bias; with pooling, also the winners."""
    images = advance(o.x, spec.x_start)
    results = advance(o.y, spec.y.start)
    gates = advance(o.gate, spec.gate.start)
    xs, ys, others = stack_longs(spec.most), stack_longs(spec.most), stack_longs(spec.most)
    kept = stack_floats(spec.kept_size)
    size = spec.y.height, spec.y.width
    x_steps = Steps(spec.x.size, spec.row_step, spec.step)
    y_steps = Steps(spec.y.size, spec.y.row, spec.y.pixel)
    gate_steps = Steps(spec.gate.size, spec.gate.row, spec.gate.pixel)
    won_steps = Steps(spec.y.bare.size, spec.y.bare.row, spec.y.bare.pixel)
    x_row, y_row = stack_longs(spec.most), stack_longs(spec.most)
    put_row(x_row, spec.most, spec.step)
    put_row(y_row, spec.most, spec.y.pixel)
    # Of the images that are taken together tiles are filled.
    together = count if spec.weight_first else 1
    each = spec.bands * spec.w.blocks
    begin = first if spec.parts else 0
    end = begin + count if spec.parts else count // max(1, together) * each
    for item in range(begin, end):
        n, band, k = item // each, item // spec.w.blocks % spec.bands, item % spec.w.blocks
        group, block = k // spec.w.group_blocks, k % spec.w.group_blocks
        channel = group * spec.w.group_out + block * spec.w.block
        lanes = spec.last_lanes if block == spec.w.group_blocks - 1 else LANES
        w = advance(o.weight, k * spec.w.block_size)
        bias = advance(o.bias, channel)
        x = advance(images, group * spec.w.group_in)
        y = advance(results, channel)
        row = band * spec.band
        place = n, row, 0
        left = together * (min(row + spec.band, spec.y.height) - row) * spec.y.width
        line = row * spec.y.width // spec.most * spec.lines_ahead
        while left > 0:
            limit = min(left, spec.y.width - place[2]) if spec.in_rows else left
            places = spec.most
            if limit <= spec.few:
                places = spec.few
            elif limit <= spec.some:
                places = spec.some
            taken = min(limit, places)
            ahead = spec.w.block_size + line * spec.line
            lines = spec.lines_ahead if line < spec.unrolled_lines else 0
            line += spec.lines_ahead
            x_tile, y_tile, of_x, of_y = x, y, xs, ys
            in_row = taken == places and place[2] + places <= spec.y.width
            if in_row:
                x_tile, y_tile = advance(x, offset_of(place, x_steps)), advance(y, offset_of(place, y_steps))
                of_x, of_y = x_row, y_row
            else:
                put_places(xs, places, taken, place, size, x_steps)
                put_places(ys, places, taken, place, size, y_steps)
            other, of_other = y_tile, of_y
            if spec.pool:
                other, of_other = advance(o.winners, channel), others
                if spec.winners:
                    put_places(others, places, taken, place, size, won_steps)
            elif spec.gated:
                other, of_other = advance(gates, channel), others
                put_places(others, places, taken, place, size, gate_steps)
            compute(spec, places, taken, x_tile, of_x, w, ahead, lines, bias, lanes, y_tile, of_y, other, of_other, kept)
            place = next_start(place, taken, size)
            left -= taken
