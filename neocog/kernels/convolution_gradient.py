"""Gradients of a convolution's weight and bias, from all of dy.

    dw[i, j, c, k] = Σ_n Σ_h Σ_w  x[n, s·h + d·i, s·w + d·j, c] · dy[n, h, w, k]     db[k] = Σ dy

(`neocog.reference.conv2d_backward_weight`.) Registers hold some rows (j, c) of the gradient × one
block of output channels, while a panel of places passes: some images, rows and columns of dy.
Every number is one sum over the places in their order, however they are cut into panels.

Wide pixels lie a multiple of 256 bytes apart, which falls into few sets of the first-level cache.
So a panel's places are copied side by side, of dy for one block of channels, of x for the channels
that registers hold together; each copy serves every tap of the kernel.

Two ways to share the work. By images: the batch is cut into shards, whose number the network and
the batch fix, never the threads; each has its own sum, and `conv2d_reduce` adds them in their
order. By items of the weight, for weights too large to have one sum a shard: each item is a block
of output channels × a part of the input channels, over the whole batch.
"""

from neocog.kernels.compiling import always_inlined, inlined, kernel
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
    stack_floats,
    zeros,
)
from neocog.kernels.weight_gradient import (
    WeightGradient,
    add_bias,
    add_vector,
    clear,
    keep_sums,
    one_vector,
    store_zero,
)
from neocog.kernels.winner_gradient import conv2d_backward_weight_of_winners

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


def _copy(e, source, to, floats, exact):
    """Copy so many floats as whole vectors; what is written behind them will be overwritten."""
    for at in range(0, floats, LANES):
        lanes = min(floats - at, LANES) if exact else LANES
        e.store(e.load_first(source, at, lanes), to, at)


@block(nothing)
def copy_slope(e, s, dy, to):
    """Copy one place of dy, of one block of channels."""
    _copy(e, dy, to, s.w.block, exact=False)


@block(nothing)
def copy_slope_last(e, s, dy, to):
    """Copy one place of dy, of a block that ends with its group, with zeros behind."""
    _copy(e, dy, to, s.w.block - (LANES - s.w.lanes_left) % LANES, exact=True)


@block(nothing)
def copy_taken(e, s, x, to):
    """Copy one pixel of x, of the channels that registers hold together."""
    _copy(e, x, to, s.taken, exact=False)


@block(nothing)
def copy_taken_exact(e, s, x, to):
    """Copy one pixel of x, and read not a float behind its channels."""
    _copy(e, x, to, s.taken, exact=True)


@block(nothing)
def copy_rest(e, s, x, to):
    """Copy one pixel of x, of the channels that are left over."""
    _copy(e, x, to, s.taken_rest, exact=True)


@inlined
def pack_dy(s, last, dy, to, images, rows, columns):
    """Copy a panel of dy."""
    for n in range(images):
        for h in range(rows):
            source = advance(dy, n * s.dy.size + h * s.dy.row)
            at = advance(to, n * s.dy_image_step + h * s.dy_row_step)
            for _ in range(columns):
                if s.w.lanes_left > 0 and last:
                    copy_slope_last(s, source, at)
                else:
                    copy_slope(s, source, at)
                source = advance(source, rolled(s.dy.pixel))
                at = advance(at, s.dy_column_step)


@inlined
def pack_x(s, begin, until, x, to, images, rows, columns):
    """Copy what a panel of x needs of some channels, those that registers hold together apart."""
    x_rows = (rows - 1) * s.stride_h + (s.w.kernel_h - 1) * s.dilation_h + 1
    x_columns = (columns - 1) * s.stride_w + (s.w.kernel_w - 1) * s.dilation_w + 1
    whole = min(until, s.run - s.taken_rest)
    inside = s.x.pixel - (s.taken + LANES - 1) // LANES * LANES
    for n in range(images):
        for h in range(x_rows):
            source = advance(x, n * s.x.size + h * s.x.row)
            at = advance(to, n * s.x_image_step + h * s.x_row_step)
            for _ in range(x_columns):
                into = at
                for channel in range(begin, whole, s.taken):
                    if channel <= inside:
                        copy_taken(s, advance(source, channel), into)
                    else:
                        copy_taken_exact(s, advance(source, channel), into)
                    into = advance(into, rolled(s.x_panel))
                if s.taken_rest > 0 and until > whole:
                    copy_rest(s, advance(source, whole), into)
                source = advance(source, rolled(s.x.pixel))
                at = advance(at, s.taken)


# Sums


@block(accumulators)
def sums_so_far(e, s, sums, partial):
    """Load as many vectors as there are sums, and ask for those of the rows that come next.

    They come from far away, and nothing can begin without them.
    """
    size = 4 * LANES * len(sums)
    for line in range(0, size, 64):
        e.prefetch(partial, size + line)
    return [e.load(partial, at * LANES) for at in range(len(sums))]


@block(accumulators)
def add_place(e, s, sums, x, dy):
    """Add x · dy for one place of the output and as many weights as there are sums."""
    sums = list(sums)
    slope = [e.load(dy, v * LANES) for v in range(s.w.vectors)]
    for r in range(len(sums) // s.w.vectors):
        value = e.broadcast(x, r)
        for v in range(s.w.vectors):
            at = r * s.w.vectors + v
            sums[at] = e.fma(value, slope[v], sums[at])
    return sums


@always_inlined
def add_rows(s, sums, partial, row, x, dy, images, rows, columns):
    """Add a panel to as many rows of the gradient as there are sums, at every tap."""
    for i in range(rolled(s.w.kernel_h)):
        for j in range(rolled(s.runs)):
            to = advance(partial, ((i * s.runs + j) * s.run + row) * s.w.block)
            tap = i * (s.dilation_h * s.x_row_step) + j * (s.dilation_w * s.x_column_step)
            sums = sums_so_far(s, sums, to)
            for n in range(images):
                for h in range(rows):
                    x_at = advance(x, tap + n * s.x_image_step + h * (s.stride_h * s.x_row_step))
                    dy_at = advance(dy, n * s.dy_image_step + h * s.dy_row_step)
                    for _ in range(columns):
                        sums = add_place(s, sums, x_at, dy_at)
                        x_at = advance(x_at, rolled(s.stride_w * s.x_column_step))
                        dy_at = advance(dy_at, s.dy_column_step)
            keep_sums(s, sums, to)


@inlined
def add_block(s, partial, begin, until, first_row, x, dy, images, rows, columns):
    """Add a panel to the rows begin … until of every stretch, x's panels beginning at first_row."""
    whole = min(until, s.run - s.taken_rest)
    for row in range(begin, whole, s.taken):
        at = (row - first_row) // s.taken * s.x_panel if s.packs_x else row
        add_rows(s, zeros(s.taken_sums), partial, row, advance(x, at), dy, images, rows, columns)
    if s.taken_rest > 0 and until > whole:
        at = (whole - first_row) // s.taken * s.x_panel if s.packs_x else whole
        add_rows(s, zeros(s.rest_sums), partial, whole, advance(x, at), dy, images, rows, columns)


@inlined
def add_panel(s, partial, k, begin, until, x, dy, images, rows, columns, x_panel, dy_panel):
    """Add a panel to the rows begin … until of every stretch of a pair of blocks of channels."""
    group, place = k // s.w.group_blocks, k % s.w.group_blocks
    d = advance(dy, group * s.w.group_out + place * s.w.block)
    x_from = advance(x, group * s.w.group_in)
    if s.packs_dy:
        for each in range(s.pair):
            last = place + each == s.w.group_blocks - 1
            source, to = advance(d, each * s.w.block), advance(dy_panel, each * s.dy_panel)
            pack_dy(s, last, source, to, images, rows, columns)
        d = dy_panel
    for row in range(begin, until, s.x_panels * s.taken):
        end = min(row + s.x_panels * s.taken, until)
        if s.packs_x:
            pack_x(s, row, end, x_from, x_panel, images, rows, columns)
        x_at = x_panel if s.packs_x else x_from
        for each in range(s.pair):
            to, d_at = advance(partial, each * s.w.block_size), advance(d, each * s.dy_panel)
            add_block(s, to, row, end, row, x_at, d_at, images, rows, columns)


@inlined
def add_images(s, partial, first_block, blocks, begin, until, x, dy, images, x_panel, dy_panel):
    """Add some images to some blocks of channels, whose sums stand at `partial`."""
    for row in range(0, s.dy.height, s.rows):
        rows = min(s.rows, s.dy.height - row)
        for column in range(0, s.dy.width, s.columns):
            columns = min(s.columns, s.dy.width - column)
            x_at = advance(x, row * s.row_step + column * s.step)
            dy_at = advance(dy, row * s.dy.row + column * s.dy.pixel)
            for k in range(first_block, first_block + blocks, s.pair):
                to = advance(partial, k * s.w.block_size)
                panel = (images, rows, columns, x_panel, dy_panel)
                add_panel(s, to, k, begin, until, x_at, dy_at, *panel)


@kernel
def conv2d_backward_weight(s, operands, first, count):
    """Add the weight and bias gradients of some images to their shards' sums.

    Operands: x, dy (inside its border), nothing, weight sums [shard] in the weight's own layout,
    bias sums [shard][K].
    """
    images = advance(pointer(operands, 0, FLOATS), s.x_start)
    slopes = advance(pointer(operands, 1, FLOATS), s.dy.start)
    x_panel = stack_floats(s.x_scratch)
    dy_panel = stack_floats(s.dy_scratch)
    n = 0
    while n < count:
        shard = (first + n) // s.shard
        partial = advance(pointer(operands, 3, FLOATS), shard * s.w.size)
        bias = advance(pointer(operands, 4, FLOATS), shard * s.dy.pixel)
        if (first + n) % s.shard == 0:
            clear(s, partial, bias)
        together = min(min(s.images, count - n), (shard + 1) * s.shard - (first + n))
        x = advance(images, n * s.x.size)
        dy = advance(slopes, n * s.dy.size)
        if s.bias:
            for each in range(together):
                add_bias(s, bias, advance(dy, each * s.dy.size))
        add_images(s, partial, 0, s.w.blocks, 0, s.run, x, dy, together, x_panel, dy_panel)
        n += together


@kernel
def conv2d_backward_weight_items(s, operands, first, count):
    """The weight's gradient over the whole batch, for some of its `s.items` items.

    An item is one or a pair of blocks of output channels × some rows (j, c) of every stretch.
    Operands: x and dy (inside its border) of all images, dw, the step.
    """
    images = advance(pointer(operands, 0, FLOATS), s.x_start)
    slopes = advance(pointer(operands, 1, FLOATS), s.dy.start)
    dw = pointer(operands, 2, FLOATS)
    batch = pointer(operands, 3, LONGS)[1]
    x_panel = stack_floats(s.x_scratch)
    dy_panel = stack_floats(s.dy_scratch)
    for item in range(first, first + count):
        k, part = item // s.parts * s.pair, item % s.parts
        begin = part * s.part
        until = min(begin + s.part, s.run)
        for stretch in range(s.pair * s.w.kernel_h * s.runs):
            at = k * s.w.block_size + stretch * s.run * s.w.block
            for to in range(at + begin * s.w.block, at + until * s.w.block, LANES):
                store_zero(s, advance(dw, to))
        for n in range(0, batch, s.images):
            together = min(s.images, batch - n)
            x = advance(images, n * s.x.size)
            dy = advance(slopes, n * s.dy.size)
            add_images(s, dw, k, s.pair, begin, until, x, dy, together, x_panel, dy_panel)


@kernel
def conv2d_backward_bias(s, operands, first, count):
    """The bias's gradient over the whole batch, for some vectors of output channels.

    Operands: dy (inside its border) of all images, db, the step.
    """
    slopes = advance(pointer(operands, 0, FLOATS), s.dy.start)
    db = pointer(operands, 1, FLOATS)
    batch = pointer(operands, 2, LONGS)[1]
    for k in range(first * LANES, (first + count) * LANES, LANES):
        sums = zeros(1)
        for n in range(batch):
            for row in range(s.dy.height):
                for column in range(s.dy.width):
                    at = n * s.dy.size + row * s.dy.row + column * s.dy.pixel + k
                    sums = add_vector(s, sums, advance(slopes, at))
        keep_sums(s, sums, advance(db, k))


@kernel
def conv2d_reduce(s, operands, first, count):
    """Sum the shards, in their order, for blocks first … first + count of output channels.

    Operands: weight sums [shard], bias sums [shard], weight gradient [K / block][i][j][C][block],
    bias gradient [K], the step (its second number is the images in the batch).
    """
    weights = pointer(operands, 0, FLOATS)
    biases = pointer(operands, 1, FLOATS)
    dw = pointer(operands, 2, FLOATS)
    db = pointer(operands, 3, FLOATS)
    images = pointer(operands, 4, LONGS)[1]
    shards = (images + s.shard - 1) // s.shard
    bias_end = (first + count) * s.w.block if s.bias else 0
    for k in range(first * s.w.block, bias_end, LANES):
        sums = one_vector(s, advance(biases, k))
        for shard in range(1, shards):
            sums = add_vector(s, sums, advance(biases, shard * s.dy.pixel + k))
        keep_sums(s, sums, advance(db, k))
    if s.winners:
        # Sum into the first shard's place, then turn [k][i][j, c] into [i][j][c][k].
        lines = s.w.kernel_h * s.line * LANES
        until = min((first + count) * s.w.block, s.w.out_channels)
        for at in range(first * s.w.block * lines, until * lines, LANES):
            sums = one_vector(s, advance(weights, at))
            for shard in range(1, shards):
                sums = add_vector(s, sums, advance(weights, shard * s.partial_size + at))
            keep_sums(s, sums, advance(weights, at))
        for k in range(first * s.w.block, until):
            to = advance(dw, k // s.w.block * s.w.block_size + k % s.w.block)
            for i in range(s.w.kernel_h):
                source = advance(weights, (k * s.w.kernel_h + i) * (s.line * LANES))
                for j in range(s.w.kernel_w):
                    for c in range(s.w.in_channels):
                        tap = (i * s.w.kernel_w + j) * s.w.in_channels + c
                        to[tap * s.w.block] = source[j * s.x.pixel + c]
    else:
        for at in range(first * s.w.block_size, (first + count) * s.w.block_size, LANES):
            sums = one_vector(s, advance(weights, at))
            for shard in range(1, shards):
                sums = add_vector(s, sums, advance(weights, shard * s.w.size + at))
            keep_sums(s, sums, advance(dw, at))


@kernel
def conv2d_flip_weight(s, operands, first, count):
    """The kernel turned by 180° with C and K exchanged in each group, for the input's gradient.

    Only the weight `s.w` is looked at; its blocks first … first + count are read.
    Operands: weight [group][K / block][i][j][C][block], turned [group][C / block][i][j][K][block].
    """
    weight = pointer(operands, 0, FLOATS)
    turned = pointer(operands, 1, FLOATS)
    for k_block in range(first, first + count):
        group, place = k_block // s.w.group_blocks, k_block % s.w.group_blocks
        block_size = s.w.turned.block
        group_to = advance(turned, group * s.w.turned.group_blocks * s.w.turned.block_size)
        for k in range(place * s.w.block, min((place + 1) * s.w.block, s.w.group_out)):
            source = advance(weight, k_block * s.w.block_size + k % s.w.block)
            for i in range(s.w.kernel_h):
                for j in range(s.w.kernel_w):
                    tap = (s.w.kernel_h - 1 - i) * s.w.kernel_w + s.w.kernel_w - 1 - j
                    for c in range(s.w.group_in):
                        at = ((c // block_size * s.w.kernel_h + i) * s.w.kernel_w + j) * (
                            s.w.group_out
                        ) + k
                        value = source[(tap * s.w.group_in + c) * s.w.block]
                        group_to[at * block_size + c % block_size] = value
