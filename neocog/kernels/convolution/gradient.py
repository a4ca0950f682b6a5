"""The gradient of a convolution's weight, from all of dy.

    dw[i, j, c, k] = Σ_n Σ_h Σ_w  x[n, s·h + d·i, s·w + d·j, c] · dy[n, h, w, k]

(`neocog.reference.conv2d_backward_weight`.) Registers hold some rows (j, c) of the gradient × one
block of output channels, and sum over a *panel*: some images, rows and columns of dy. Every element
is one sum over all pixels in their order, however they are divided into panels.

Wide pixels lie a multiple of 256 bytes apart, which maps to few sets of the first-level cache. So a
panel's pixels are copied side by side: of dy for one block of channels, of x for the channels whose
sums are in registers. Each copy is used for every tap of the kernel.

The work is divided in one of two ways. By images: the batch is divided into shards, whose number
depends on the network and the batch but not on the threads. Each shard has its own sum, and
`shard_sum` adds them in order. By items of the weight, for weights too large for one sum per shard:
an item is a block of output channels × a part of the input channels, over the whole batch.

Rows are computed in whole register blocks. Those beyond the last row of a stretch, and the lanes
beyond a group's last channel, hold sums of whatever follows in memory, and are dropped.
"""

from collections.abc import Iterator
from typing import Any

from neocog.kernels.codegen.block import accumulators, block, nothing
from neocog.kernels.codegen.pointers import advance, rolled, stack_floats
from neocog.kernels.codegen.vector_types import FLOATS, LANES, LONGS, vectors
from neocog.kernels.compiler.jit import always_inlined, inlined, kernel
from neocog.kernels.compiler.operands import maybe
from neocog.kernels.convolution.bias_gradient import add_bias
from neocog.kernels.convolution.shard_sum import clear, clear_padding
from neocog.kernels.convolution.weight_gradient import DY_SCRATCH, X_SCRATCH, WeightGradient
from neocog.kernels.layout import ConvolutionWeight, FeatureMap

__all__ = ["conv2d_backward_weight", "conv2d_backward_weight_items", "kinds"]


# Panels


@block(nothing)
def copy_vector(emit, spec, source, to):
    """Copy one vector."""
    emit.store(emit.load(source), to)


@block(nothing)
def copy_slope(emit, spec, dy, to):
    """Copy one pixel of dy, for one block of channels."""
    for v in range(spec.registers.vectors):
        emit.store(emit.load(dy, v * LANES), to, v * LANES)


@block(nothing)
def copy_rows(emit, spec, x, to):
    """Copy one pixel of x, for the rows of the largest register block.

    What is written after them is overwritten by the next pixel.
    """
    for v in range(spec.registers.copied):
        emit.store(emit.load(x, v * LANES), to, v * LANES)


@inlined
def pack_dy(spec, dy, to, images, rows, columns):
    """Copy a panel of dy."""
    for n in range(images):
        for h in range(rows):
            source = advance(dy, n * spec.dy.size + h * spec.dy.row)
            at = advance(to, n * spec.dy_image_step + h * spec.dy_row_step)
            for _ in range(columns):
                copy_slope(spec, source, at)
                source = advance(source, rolled(spec.dy.pixel))
                at = advance(at, spec.dy_column_step)


@inlined
def pack_x(spec, begin, until, x, to, images, rows, columns):
    """Copy a panel of x, with a separate copy for each register block."""
    x_rows = (rows - 1) * spec.stride_h + (spec.w.kernel_h - 1) * spec.dilation_h + 1
    x_columns = (columns - 1) * spec.stride_w + (spec.w.kernel_w - 1) * spec.dilation_w + 1
    whole = begin + (until - begin) // spec.registers.most * spec.registers.most
    for n in range(images):
        for h in range(x_rows):
            source = advance(x, n * spec.x.size + h * spec.x.row)
            at = advance(to, n * spec.x_image_step + h * spec.x_row_step)
            for _ in range(x_columns):
                into = at
                for channel in range(begin, whole, spec.registers.most):
                    copy_rows(spec, advance(source, channel), into)
                    into = advance(into, rolled(spec.x_panel))
                for channel in range(whole, until, LANES):
                    copy_vector(spec, advance(source, channel), into)
                    into = advance(into, rolled(LANES))
                source = advance(source, rolled(spec.x.pixel))
                at = advance(at, spec.registers.most)


# Sums


@block(lambda registers, *_: vectors(registers.sums))
def sums_so_far(emit, registers, partial):
    """Load the sums so far, and prefetch those of the next rows.

    They come from a distant cache, and the additions cannot start without them.
    """
    for line in range(0, 4 * registers.size, 64):
        emit.prefetch(partial, 4 * registers.size + line)
    return [emit.load(partial, at * LANES) for at in range(registers.sums)]


@block(nothing)
def keep_sums(emit, registers, sums, partial):
    """Write sums, one vector after another."""
    for at, value in enumerate(sums):
        emit.store(value, partial, at * LANES)


@block(accumulators)
def add_place(emit, registers, sums, x, dy):
    """Add x · dy of one pixel of the output to all sums."""
    sums = list(sums)
    slope = [emit.load(dy, v * LANES) for v in range(registers.vectors)]
    for row in range(registers.rows):
        value = emit.broadcast(x, registers.place(row))
        for v in range(registers.vectors):
            at = row * registers.vectors + v
            sums[at] = emit.fma(value, slope[v], sums[at])
    return sums


@inlined
def copy(spec, source, to, floats):
    """Copy some whole vectors."""
    for at in range(0, floats, LANES):
        copy_vector(spec, advance(source, at), advance(to, at))


@always_inlined
def add_rows(spec, registers, partial, left, x, dy, images, rows, columns):
    """Add a panel to the rows of the gradient that are in registers, at every tap.

    Only `left` of these rows exist.
    """
    part = stack_floats(registers.size)
    floats = left * registers.vectors * LANES
    for i in range(rolled(spec.w.kernel_h)):
        for j in range(rolled(spec.runs)):
            tap = advance(x, i * spec.tap_row + j * spec.tap)
            to = advance(partial, (i * spec.runs + j) * spec.run * registers.vectors * LANES)
            at = to
            if left < registers.rows:
                copy(spec, to, part, floats)
                at = part
            sums = sums_so_far(registers, at)
            for n in range(images):
                for h in range(rows):
                    x_at = advance(tap, n * spec.x_image_step + h * spec.row_step)
                    dy_at = advance(dy, n * spec.dy_image_step + h * spec.dy_row_step)
                    for _ in range(columns):
                        sums = add_place(registers, sums, x_at, dy_at)
                        x_at = advance(x_at, rolled(spec.step))
                        dy_at = advance(dy_at, spec.dy_column_step)
            keep_sums(registers, sums, at)
            if left < registers.rows:
                copy(spec, part, to, floats)


@inlined
def place_of(registers, row):
    """`RegisterBlock.place`, in a kernel."""
    return row + row // 3 if registers.rgb else row


@inlined
def add_block(spec, partial, begin, until, x, dy, images, rows, columns):
    """Add a panel to rows begin … until of every stretch, which begin at x."""
    of = spec.registers
    for row in range(begin, until, of.most):
        left = until - row
        done = row - begin
        # In a panel, the rows of a register block follow after the whole block before.
        at = done // of.most * spec.x_panel if spec.packs_x else place_of(of, done)
        panel = (advance(x, at), dy, images, rows, columns)
        to = advance(partial, row * of.vectors * LANES)
        if of.parts > 2 and left > 2 * of.grain:
            add_rows(spec, of.three, to, left, *panel)
        elif of.parts > 1 and left > of.grain:
            add_rows(spec, of.two, to, left, *panel)
        else:
            add_rows(spec, of.one, to, left, *panel)


@inlined
def add_panel(spec, partial, k, begin, until, x, dy, images, rows, columns, x_panel, dy_panel):
    """Add a panel to rows begin … until of every stretch, for a pair of blocks of channels."""
    group, place = k // spec.w.group_blocks, k % spec.w.group_blocks
    d = advance(dy, group * spec.w.group_out + place * spec.w.block)
    x_from = advance(x, group * spec.w.group_in)
    if spec.packs_dy:
        for each in range(spec.pair):
            source, to = advance(d, each * spec.w.block), advance(dy_panel, each * spec.dy_panel)
            pack_dy(spec, source, to, images, rows, columns)
        d = dy_panel
    for row in range(begin, until, spec.x_panels * spec.registers.most):
        end = min(row + spec.x_panels * spec.registers.most, until)
        x_at = advance(x_from, place_of(spec.registers, row))
        if spec.packs_x:
            pack_x(spec, row, end, x_from, x_panel, images, rows, columns)
            x_at = x_panel
        for each in range(spec.pair):
            to, d_at = advance(partial, each * spec.w.block_size), advance(d, each * spec.dy_panel)
            add_block(spec, to, row, end, x_at, d_at, images, rows, columns)


@inlined
def add_images(spec, partial, first_block, blocks, begin, until, x, dy, images, x_panel, dy_panel):
    """Add some images to the sums at `partial` of some blocks of channels."""
    for row in range(0, spec.height, spec.rows):
        rows = min(spec.rows, spec.height - row)
        for column in range(0, spec.width, spec.columns):
            columns = min(spec.columns, spec.width - column)
            x_row, x_column = row * spec.stride_h, column * spec.stride_w
            x_at = advance(x, x_row * spec.x.row + x_column * spec.x.pixel)
            dy_at = advance(dy, row * spec.dy.row + column * spec.dy.pixel)
            for k in range(first_block, first_block + blocks, spec.pair):
                to = advance(partial, k * spec.w.block_size)
                panel = (images, rows, columns, x_panel, dy_panel)
                add_panel(spec, to, k, begin, until, x_at, dy_at, *panel)


@kernel(x=FLOATS, dy=FLOATS, sums=FLOATS, bias_sums=maybe(FLOATS))
def conv2d_backward_weight(spec, o, first, count):
    """Add the weight and bias gradients of some images to their shards' sums.

    `dy` has a border; `sums` are [shard] in the weight's own layout, `bias_sums` [shard][K].
    """
    images = advance(o.x, spec.x_start)
    slopes = advance(o.dy, spec.dy.start)
    x_panel = stack_floats(X_SCRATCH)
    dy_panel = stack_floats(DY_SCRATCH)
    n = 0
    while n < count:
        shard = (first + n) // spec.shard
        partial = advance(o.sums, shard * spec.w.size)
        bias = advance(o.bias_sums, shard * spec.dy.pixel)
        begins = (first + n) % spec.shard == 0
        if begins:
            clear(spec, partial, spec.w.size)
        together = min(min(spec.images, count - n), (shard + 1) * spec.shard - (first + n))
        x = advance(images, n * spec.x.size)
        dy = advance(slopes, n * spec.dy.size)
        if spec.bias:
            if begins:
                clear(spec, bias, spec.dy.pixel)
            for each in range(together):
                add_bias(spec, bias, advance(dy, each * spec.dy.size))
        add_images(spec, partial, 0, spec.w.blocks, 0, spec.run, x, dy, together, x_panel, dy_panel)
        n += together


@kernel(x=FLOATS, dy=FLOATS, dw=FLOATS, step=LONGS)
def conv2d_backward_weight_items(spec, o, first, count):
    """The weight's gradient over the whole batch, for some of its `spec.items` items.

    An item is one or a pair of blocks of output channels × some rows (j, c) of every stretch.
    `x` and `dy`, inside its border, are of all images.
    """
    images = advance(o.x, spec.x_start)
    slopes = advance(o.dy, spec.dy.start)
    batch = o.step[1]
    x_panel = stack_floats(X_SCRATCH)
    dy_panel = stack_floats(DY_SCRATCH)
    for item in range(first, first + count):
        k, part = item // spec.parts * spec.pair, item % spec.parts
        begin = part * spec.part
        until = min(begin + spec.part, spec.run)
        stretches = spec.pair * spec.w.kernel_h * spec.runs
        for stretch in range(stretches):
            at = k * spec.w.block_size + (stretch * spec.run + begin) * spec.w.block
            clear(spec, advance(o.dw, at), (until - begin) * spec.w.block)
        for n in range(0, batch, spec.images):
            together = min(spec.images, batch - n)
            x = advance(images, n * spec.x.size)
            dy = advance(slopes, n * spec.dy.size)
            add_images(spec, o.dw, k, spec.pair, begin, until, x, dy, together, x_panel, dy_panel)
        if spec.w.lanes_left > 0:
            for each in range(spec.pair):
                for stretch in range(stretches // spec.pair):
                    at = (stretch * spec.run + begin) * spec.w.block
                    clear_padding(spec, o.dw, k + each, at, until - begin)


def kinds() -> Iterator[tuple[Any, Any]]:
    """A kernel and a small spec for each kind that there is."""
    one = FeatureMap(1, 1, 1)
    for channels, of_x in ((1, one), (3, FeatureMap(1, 1, 3, dense=True))):
        for vectors_of in (1, 2, 3):
            w = ConvolutionWeight(vectors_of * LANES, channels, 1, 1)
            spec = WeightGradient(of_x, one, w, bias=True, shard=1)
            yield conv2d_backward_weight, spec
            yield conv2d_backward_weight_items, spec
