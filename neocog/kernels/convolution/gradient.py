"""Gradients of a convolution's weight and bias, from all of dy.

    dw[i, j, c, k] = Σ_n Σ_h Σ_w  x[n, s·h + d·i, s·w + d·j, c] · dy[n, h, w, k]     db[k] = Σ dy

(`neocog.reference.conv2d_backward_weight`.) Registers hold some rows (j, c) of the gradient × one
block of output channels, and sum over a *panel*: some images, rows and columns of dy. Every element
is one sum over all pixels in their order, however they are divided into panels.

Wide pixels lie a multiple of 256 bytes apart, which maps to few sets of the first-level cache. So a
panel's pixels are copied side by side: of dy for one block of channels, of x for the channels whose
sums are in registers. Each copy is used for every tap of the kernel.

The work is divided in one of two ways. By images: the batch is divided into shards, whose number
depends on the network and the batch but not on the threads. Each shard has its own sum, and
`conv2d_reduce` adds them in order. By items of the weight, for weights too large for one sum per
shard: an item is a block of output channels × a part of the input channels, over the whole batch.
"""

from neocog.kernels.codegen.block import accumulators, block, nothing
from neocog.kernels.codegen.pointers import advance, pointer, rolled, stack_floats, zeros
from neocog.kernels.codegen.vector_types import FLOATS, LANES, LONGS
from neocog.kernels.compiler.jit import always_inlined, inlined, kernel
from neocog.kernels.convolution.weight_gradient import (
    WeightGradient,
    add_bias,
    add_vector,
    clear,
    keep_sums,
    one_vector,
    store_zero,
)
from neocog.kernels.convolution.winner_gradient import conv2d_backward_weight_of_winners

__all__ = [
    "WeightGradient",
    "conv2d_backward_bias",
    "conv2d_backward_weight",
    "conv2d_backward_weight_items",
    "conv2d_backward_weight_of_winners",
    "conv2d_flip_weight",
    "conv2d_reduce",
]


# Panels


def _copy(emit, source, to, floats, exact):
    """Copy `floats` floats in whole vectors; what is written after them gets overwritten later."""
    for at in range(0, floats, LANES):
        lanes = min(floats - at, LANES) if exact else LANES
        emit.store(emit.load_first(source, at, lanes), to, at)


@block(nothing)
def copy_slope(emit, spec, dy, to):
    """Copy one pixel of dy, for one block of channels."""
    _copy(emit, dy, to, spec.w.block, exact=False)


@block(nothing)
def copy_slope_last(emit, spec, dy, to):
    """Copy one pixel of dy for a group's last block, and fill it up with zeros."""
    _copy(emit, dy, to, spec.w.block - (LANES - spec.w.lanes_left) % LANES, exact=True)


@block(nothing)
def copy_taken(emit, spec, x, to):
    """Copy one pixel of x, for the channels whose sums are in registers."""
    _copy(emit, x, to, spec.taken, exact=False)


@block(nothing)
def copy_taken_exact(emit, spec, x, to):
    """Copy one pixel of x without reading past its channels."""
    _copy(emit, x, to, spec.taken, exact=True)


@block(nothing)
def copy_rest(emit, spec, x, to):
    """Copy one pixel of x, for the remaining channels."""
    _copy(emit, x, to, spec.taken_rest, exact=True)


@inlined
def pack_dy(spec, last, dy, to, images, rows, columns):
    """Copy a panel of dy."""
    for n in range(images):
        for h in range(rows):
            source = advance(dy, n * spec.dy.size + h * spec.dy.row)
            at = advance(to, n * spec.dy_image_step + h * spec.dy_row_step)
            for _ in range(columns):
                if spec.w.lanes_left > 0 and last:
                    copy_slope_last(spec, source, at)
                else:
                    copy_slope(spec, source, at)
                source = advance(source, rolled(spec.dy.pixel))
                at = advance(at, spec.dy_column_step)


@inlined
def pack_x(spec, begin, until, x, to, images, rows, columns):
    """Copy a panel of x, with a separate copy for each set of channels in registers."""
    x_rows = (rows - 1) * spec.stride_h + (spec.w.kernel_h - 1) * spec.dilation_h + 1
    x_columns = (columns - 1) * spec.stride_w + (spec.w.kernel_w - 1) * spec.dilation_w + 1
    whole = min(until, spec.run - spec.taken_rest)
    inside = spec.x.pixel - (spec.taken + LANES - 1) // LANES * LANES
    for n in range(images):
        for h in range(x_rows):
            source = advance(x, n * spec.x.size + h * spec.x.row)
            at = advance(to, n * spec.x_image_step + h * spec.x_row_step)
            for _ in range(x_columns):
                into = at
                for channel in range(begin, whole, spec.taken):
                    if channel <= inside:
                        copy_taken(spec, advance(source, channel), into)
                    else:
                        copy_taken_exact(spec, advance(source, channel), into)
                    into = advance(into, rolled(spec.x_panel))
                if spec.taken_rest > 0 and until > whole:
                    copy_rest(spec, advance(source, whole), into)
                source = advance(source, rolled(spec.x.pixel))
                at = advance(at, spec.taken)


# Sums


@block(accumulators)
def sums_so_far(emit, spec, sums, partial):
    """Load the sums so far, and prefetch those of the next rows.

    They come from a distant cache, and the additions cannot start without them.
    """
    size = 4 * LANES * len(sums)
    for line in range(0, size, 64):
        emit.prefetch(partial, size + line)
    return [emit.load(partial, at * LANES) for at in range(len(sums))]


@block(accumulators)
def add_place(emit, spec, sums, x, dy):
    """Add x · dy of one pixel of the output to all sums."""
    sums = list(sums)
    slope = [emit.load(dy, v * LANES) for v in range(spec.w.vectors)]
    for r in range(len(sums) // spec.w.vectors):
        value = emit.broadcast(x, r)
        for v in range(spec.w.vectors):
            at = r * spec.w.vectors + v
            sums[at] = emit.fma(value, slope[v], sums[at])
    return sums


@always_inlined
def add_rows(spec, sums, partial, row, x, dy, images, rows, columns):
    """Add a panel to the rows of the gradient that are in registers, at every tap."""
    for i in range(rolled(spec.w.kernel_h)):
        for j in range(rolled(spec.runs)):
            to = advance(partial, ((i * spec.runs + j) * spec.run + row) * spec.w.block)
            tap = i * (spec.dilation_h * spec.x_row_step) + j * (
                spec.dilation_w * spec.x_column_step
            )
            sums = sums_so_far(spec, sums, to)
            for n in range(images):
                for h in range(rows):
                    x_at = advance(
                        x, tap + n * spec.x_image_step + h * (spec.stride_h * spec.x_row_step)
                    )
                    dy_at = advance(dy, n * spec.dy_image_step + h * spec.dy_row_step)
                    for _ in range(columns):
                        sums = add_place(spec, sums, x_at, dy_at)
                        x_at = advance(x_at, rolled(spec.stride_w * spec.x_column_step))
                        dy_at = advance(dy_at, spec.dy_column_step)
            keep_sums(spec, sums, to)


@inlined
def add_block(spec, partial, begin, until, first_row, x, dy, images, rows, columns):
    """Add a panel to rows begin … until of every stretch; x's panels start at first_row."""
    whole = min(until, spec.run - spec.taken_rest)
    for row in range(begin, whole, spec.taken):
        at = (row - first_row) // spec.taken * spec.x_panel if spec.packs_x else row
        add_rows(
            spec, zeros(spec.taken_sums), partial, row, advance(x, at), dy, images, rows, columns
        )
    if spec.taken_rest > 0 and until > whole:
        at = (whole - first_row) // spec.taken * spec.x_panel if spec.packs_x else whole
        add_rows(
            spec, zeros(spec.rest_sums), partial, whole, advance(x, at), dy, images, rows, columns
        )


@inlined
def add_panel(spec, partial, k, begin, until, x, dy, images, rows, columns, x_panel, dy_panel):
    """Add a panel to rows begin … until of every stretch, for a pair of blocks of channels."""
    group, place = k // spec.w.group_blocks, k % spec.w.group_blocks
    d = advance(dy, group * spec.w.group_out + place * spec.w.block)
    x_from = advance(x, group * spec.w.group_in)
    if spec.packs_dy:
        for each in range(spec.pair):
            last = place + each == spec.w.group_blocks - 1
            source, to = advance(d, each * spec.w.block), advance(dy_panel, each * spec.dy_panel)
            pack_dy(spec, last, source, to, images, rows, columns)
        d = dy_panel
    for row in range(begin, until, spec.x_panels * spec.taken):
        end = min(row + spec.x_panels * spec.taken, until)
        if spec.packs_x:
            pack_x(spec, row, end, x_from, x_panel, images, rows, columns)
        x_at = x_panel if spec.packs_x else x_from
        for each in range(spec.pair):
            to, d_at = advance(partial, each * spec.w.block_size), advance(d, each * spec.dy_panel)
            add_block(spec, to, row, end, row, x_at, d_at, images, rows, columns)


@inlined
def add_images(spec, partial, first_block, blocks, begin, until, x, dy, images, x_panel, dy_panel):
    """Add some images to the sums at `partial` of some blocks of channels."""
    for row in range(0, spec.dy.height, spec.rows):
        rows = min(spec.rows, spec.dy.height - row)
        for column in range(0, spec.dy.width, spec.columns):
            columns = min(spec.columns, spec.dy.width - column)
            x_at = advance(x, row * spec.row_step + column * spec.step)
            dy_at = advance(dy, row * spec.dy.row + column * spec.dy.pixel)
            for k in range(first_block, first_block + blocks, spec.pair):
                to = advance(partial, k * spec.w.block_size)
                panel = (images, rows, columns, x_panel, dy_panel)
                add_panel(spec, to, k, begin, until, x_at, dy_at, *panel)


@kernel
def conv2d_backward_weight(spec, operands, first, count):
    """Add the weight and bias gradients of some images to their shards' sums.

    Operands: x, dy (inside its border), unused, weight sums [shard] in the weight's own layout,
    bias sums [shard][K].
    """
    images = advance(pointer(operands, 0, FLOATS), spec.x_start)
    slopes = advance(pointer(operands, 1, FLOATS), spec.dy.start)
    x_panel = stack_floats(spec.x_scratch)
    dy_panel = stack_floats(spec.dy_scratch)
    n = 0
    while n < count:
        shard = (first + n) // spec.shard
        partial = advance(pointer(operands, 3, FLOATS), shard * spec.w.size)
        bias = advance(pointer(operands, 4, FLOATS), shard * spec.dy.pixel)
        if (first + n) % spec.shard == 0:
            clear(spec, partial, bias)
        together = min(min(spec.images, count - n), (shard + 1) * spec.shard - (first + n))
        x = advance(images, n * spec.x.size)
        dy = advance(slopes, n * spec.dy.size)
        if spec.bias:
            for each in range(together):
                add_bias(spec, bias, advance(dy, each * spec.dy.size))
        add_images(spec, partial, 0, spec.w.blocks, 0, spec.run, x, dy, together, x_panel, dy_panel)
        n += together


@kernel
def conv2d_backward_weight_items(spec, operands, first, count):
    """The weight's gradient over the whole batch, for some of its `spec.items` items.

    An item is one or a pair of blocks of output channels × some rows (j, c) of every stretch.
    Operands: x and dy (inside its border) of all images, dw, the step.
    """
    images = advance(pointer(operands, 0, FLOATS), spec.x_start)
    slopes = advance(pointer(operands, 1, FLOATS), spec.dy.start)
    dw = pointer(operands, 2, FLOATS)
    batch = pointer(operands, 3, LONGS)[1]
    x_panel = stack_floats(spec.x_scratch)
    dy_panel = stack_floats(spec.dy_scratch)
    for item in range(first, first + count):
        k, part = item // spec.parts * spec.pair, item % spec.parts
        begin = part * spec.part
        until = min(begin + spec.part, spec.run)
        for stretch in range(spec.pair * spec.w.kernel_h * spec.runs):
            at = k * spec.w.block_size + stretch * spec.run * spec.w.block
            for to in range(at + begin * spec.w.block, at + until * spec.w.block, LANES):
                store_zero(spec, advance(dw, to))
        for n in range(0, batch, spec.images):
            together = min(spec.images, batch - n)
            x = advance(images, n * spec.x.size)
            dy = advance(slopes, n * spec.dy.size)
            add_images(spec, dw, k, spec.pair, begin, until, x, dy, together, x_panel, dy_panel)


@kernel
def conv2d_backward_bias(spec, operands, first, count):
    """The bias's gradient over the whole batch, for some vectors of output channels.

    Operands: dy (inside its border) of all images, db, the step.
    """
    slopes = advance(pointer(operands, 0, FLOATS), spec.dy.start)
    db = pointer(operands, 1, FLOATS)
    batch = pointer(operands, 2, LONGS)[1]
    for k in range(first * LANES, (first + count) * LANES, LANES):
        sums = zeros(1)
        for n in range(batch):
            for row in range(spec.dy.height):
                for column in range(spec.dy.width):
                    at = n * spec.dy.size + row * spec.dy.row + column * spec.dy.pixel + k
                    sums = add_vector(spec, sums, advance(slopes, at))
        keep_sums(spec, sums, advance(db, k))


@kernel
def conv2d_reduce(spec, operands, first, count):
    """Sum the shards, in their order, for blocks first … first + count of output channels.

    Operands: weight sums [shard], bias sums [shard], weight gradient [K / block][i][j][C][block],
    bias gradient [K], the step (its second number is the images in the batch).
    """
    weights = pointer(operands, 0, FLOATS)
    biases = pointer(operands, 1, FLOATS)
    dw = pointer(operands, 2, FLOATS)
    db = pointer(operands, 3, FLOATS)
    images = pointer(operands, 4, LONGS)[1]
    shards = (images + spec.shard - 1) // spec.shard
    # Groups of fewer channels than a block have more blocks than the bias has vectors.
    bias_end = min((first + count) * spec.w.block, spec.dy.pixel) if spec.bias else 0
    for k in range(first * spec.w.block, bias_end, LANES):
        sums = one_vector(spec, advance(biases, k))
        for shard in range(1, shards):
            sums = add_vector(spec, sums, advance(biases, shard * spec.dy.pixel + k))
        keep_sums(spec, sums, advance(db, k))
    if spec.winners:
        # Sum into the first shard's memory, then transpose [k][i][j, c] to [i][j][c][k].
        lines = spec.w.kernel_h * spec.line * LANES
        until = min((first + count) * spec.w.block, spec.w.out_channels)
        for at in range(first * spec.w.block * lines, until * lines, LANES):
            sums = one_vector(spec, advance(weights, at))
            for shard in range(1, shards):
                sums = add_vector(spec, sums, advance(weights, shard * spec.partial_size + at))
            keep_sums(spec, sums, advance(weights, at))
        for k in range(first * spec.w.block, until):
            to = advance(dw, k // spec.w.block * spec.w.block_size + k % spec.w.block)
            for i in range(spec.w.kernel_h):
                source = advance(weights, (k * spec.w.kernel_h + i) * (spec.line * LANES))
                for j in range(spec.w.kernel_w):
                    for c in range(spec.w.in_channels):
                        tap = (i * spec.w.kernel_w + j) * spec.w.in_channels + c
                        to[tap * spec.w.block] = source[j * spec.x.pixel + c]
    else:
        for at in range(first * spec.w.block_size, (first + count) * spec.w.block_size, LANES):
            sums = one_vector(spec, advance(weights, at))
            for shard in range(1, shards):
                sums = add_vector(spec, sums, advance(weights, shard * spec.w.size + at))
            keep_sums(spec, sums, advance(dw, at))


@kernel
def conv2d_flip_weight(spec, operands, first, count):
    """Flip the kernel: rotate it by 180° and exchange C and K in each group.

    Of the spec only the weight `spec.w` matters; its blocks first … first + count are read.
    Operands: weight [group][K / block][i][j][C][block], flipped [group][C / block][i][j][K][block].
    """
    weight = pointer(operands, 0, FLOATS)
    flipped = pointer(operands, 1, FLOATS)
    for k_block in range(first, first + count):
        group, place = k_block // spec.w.group_blocks, k_block % spec.w.group_blocks
        block_size = spec.w.flipped.block
        group_to = advance(flipped, group * spec.w.flipped.group_blocks * spec.w.flipped.block_size)
        for k in range(place * spec.w.block, min((place + 1) * spec.w.block, spec.w.group_out)):
            source = advance(weight, k_block * spec.w.block_size + k % spec.w.block)
            for i in range(spec.w.kernel_h):
                for j in range(spec.w.kernel_w):
                    tap = (spec.w.kernel_h - 1 - i) * spec.w.kernel_w + spec.w.kernel_w - 1 - j
                    for c in range(spec.w.group_in):
                        at = ((c // block_size * spec.w.kernel_h + i) * spec.w.kernel_w + j) * (
                            spec.w.group_out
                        ) + k
                        value = source[(tap * spec.w.group_in + c) * spec.w.block]
                        group_to[at * block_size + c % block_size] = value
