"""The gradient of a convolution's weight, from all of dy.

    dw[i, j, c, k] = Σ_n Σ_h Σ_w  x[n, s·h + d·i, s·w + d·j, c] · dy[n, h, w, k]

(`neocog.reference.conv2d_backward_weight`.) Registers hold some rows (j, c) of the gradient × one
block of output channels, and sum over a *panel*: some images, rows and columns of dy. Every element
is one sum over all pixels in their order, however they are divided into panels.

Wide pixels of dy may lie a multiple of 256 bytes apart, which maps to few sets of the first-level
cache. So a panel's pixels are copied side by side for one block of channels. The copy is used for
all rows of the gradient. (To copy the channels of x whose sums are in registers, too, cost more
than it brought: half as much again with 1 × 1 kernels.)

The work is divided in one of two ways. By images: the batch is divided into shards, whose number
depends on the network and the batch but not on the threads. Each shard has its own sum, and
`shard_sum` adds them in order. By items of the weight, for weights too large for one sum per shard:
an item is a block of output channels × a part of the input channels, over the whole batch.

Rows are computed in whole register blocks. Those beyond the last row of a stretch, and the lanes
beyond a group's last channel, hold sums of whatever follows in memory, and are dropped.
"""

from collections.abc import Iterator
from typing import Any

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.loops import either_way, repeat
from neocog.kernels.codegen.numbers import Number
from neocog.kernels.codegen.pointers import advance, stack_floats
from neocog.kernels.codegen.vector_types import FLOATS, LANES, LONGS, SUMS
from neocog.kernels.compiler.jit import kernel
from neocog.kernels.compiler.operands import maybe
from neocog.kernels.convolution.bias_gradient import add_bias, clear
from neocog.kernels.convolution.shard_sum import clear_padding
from neocog.kernels.convolution.weight_gradient import DY_SCRATCH, WeightGradient
from neocog.kernels.layout import ConvolutionWeight, FeatureMap

__all__ = ["conv2d_backward_weight", "conv2d_backward_weight_items", "kinds"]


#: Floats of the largest register block, and of all that a worker needs: that, and a panel of dy.
_SUMS = SUMS * LANES
_SCRATCH = _SUMS + DY_SCRATCH

# Panels


def _copy(emit, source, to, count):
    """Copy some vectors."""
    for v in range(count):
        emit.store(emit.load(source, v * LANES), to, v * LANES)


def _pack_dy(emit, spec, dy, to, panel):
    """Copy a panel of dy."""
    images, rows, columns = panel

    def image(n, _):
        def row(h, _):
            def column(_, values):
                source, at = values
                _copy(emit, source, at, spec.registers.vectors)
                return emit.opaque(emit.advance(source, spec.dy.pixel)), emit.advance(
                    at, spec.dy_column_step
                )

            source = emit.advance(dy, n * spec.dy.size + h * spec.dy.row)
            at = emit.advance(to, n * spec.dy_image_step + h * spec.dy_row_step)
            repeat(emit, columns, [source, at], column, at_least_once=True)
            return []

        repeat(emit, rows, [], row, at_least_once=True)
        return []

    repeat(emit, images, [], image, at_least_once=True)


# Sums


def _sums_so_far(emit, registers, partial):
    """Load the sums so far, and prefetch those of the next rows.

    They come from a distant cache, and the additions cannot start without them.
    """
    for line in range(0, 4 * registers.size, 64):
        emit.prefetch(partial, 4 * registers.size + line)
    return [emit.load(partial, at * LANES) for at in range(registers.sums)]


def _add_place(emit, registers, sums, x, dy):
    """Add x · dy of one pixel of the output to all sums."""
    sums = list(sums)
    slope = [emit.load(dy, v * LANES) for v in range(registers.vectors)]
    for row in range(registers.rows):
        value = emit.broadcast(x, registers.place(row))
        for v in range(registers.vectors):
            at = row * registers.vectors + v
            sums[at] = emit.fma(value, slope[v], sums[at])
    return sums


def _add_places(emit, spec, registers, sums, x, dy, panel):
    """Add all pixels of a panel."""
    images, rows, columns = panel

    def image(n, sums):
        def row(h, sums):
            def column(_, values):
                x_at, dy_at, *sums = values
                sums = _add_place(emit, registers, sums, x_at, dy_at)
                # LLVM does not unroll a loop with what is opaque.
                x_at = emit.opaque(emit.advance(x_at, spec.step))
                return [x_at, emit.advance(dy_at, spec.dy_column_step), *sums]

            x_at = emit.advance(x, n * spec.x.size + h * spec.row_step)
            dy_at = emit.advance(dy, n * spec.dy_image_step + h * spec.dy_row_step)
            begin = [x_at, dy_at, *sums]
            return repeat(emit, columns, begin, column, at_least_once=True)[2:]

        return repeat(emit, rows, sums, row, at_least_once=True)

    return repeat(emit, images, sums, image, at_least_once=True)


def _add_taps(emit, spec, registers, partial, left, x, dy, panel, scratch):
    """Add a panel to the rows of the gradient that are in registers, at every tap.

    If only `left` of these rows exist, their sums are in `scratch` meanwhile.
    """
    short = left < registers.rows
    copied = emit.select(short, left * registers.vectors, 0)

    def copy(source, to):
        def vector(n, _):
            _copy(emit, emit.advance(source, n * LANES), emit.advance(to, n * LANES), 1)
            return []

        repeat(emit, Number(emit.builder, copied), [], vector)

    def kernel_row(i, to):
        def tap(j, to):
            place = emit.advance(x, i * spec.tap_row + j * spec.tap)
            at = emit.select(short, scratch, to[0])
            copy(to[0], scratch)
            sums = _sums_so_far(emit, registers, at)
            sums = _add_places(emit, spec, registers, sums, place, dy, panel)
            for n, value in enumerate(sums):
                emit.store(value, at, n * LANES)
            copy(scratch, to[0])
            return [emit.advance(to[0], spec.run * (registers.vectors * LANES))]

        return repeat(emit, spec.runs, to, tap, at_least_once=True)

    repeat(emit, spec.w.kernel_h, [partial], kernel_row, at_least_once=True)


def _add_rows(emit, spec, partial, left, x, dy, panel, scratch):
    """Add a panel to as many of the `left` rows of the gradient as registers hold."""
    of = spec.registers

    def add(registers):
        _add_taps(emit, spec, registers, partial, left, x, dy, panel, scratch)

    def few():
        if of.parts == 1:
            add(of.one)
        else:
            either_way(emit, left > of.grain, lambda: add(of.two), lambda: add(of.one))

    if of.parts > 2:
        either_way(emit, left > 2 * of.grain, lambda: add(of.three), few)
    else:
        few()


def _smaller(emit, a, b):
    """The smaller of two numbers."""
    return Number(emit.builder, emit.select(emit.below(a, b), a, b))


def _add_panel(emit, spec, partial, k, begin, count, x, dy, panel, scratch):
    """Add a panel to rows begin … begin + count of every stretch, for one block of channels."""
    of = spec.registers
    group = k // spec.w.group_blocks
    place = k - group * spec.w.group_blocks
    dy = emit.advance(dy, group * spec.w.group_out + place * spec.w.block)
    x = emit.advance(x, group * spec.w.group_in)
    copied = emit.advance(scratch, _SUMS)

    def pack():
        _pack_dy(emit, spec, dy, copied, panel)
        return []

    either_way(emit, spec.packs_dy, pack, list)
    slopes = emit.select(spec.packs_dy, copied, dy)

    def rows(n, _):
        row = begin + n * of.most
        to = emit.advance(partial, row * (of.vectors * LANES))
        x_at = emit.advance(x, row + row // 3 if of.rgb else row)
        _add_rows(emit, spec, to, begin + count - row, x_at, slopes, panel, scratch)
        return []

    repeat(emit, (count + (of.most - 1)) // of.most, [], rows, at_least_once=True)


@block(nothing)
def add_images(emit, spec, partial, first, blocks, begin, count, x, dy, images, scratch):
    """Add some images to rows begin … begin + count of some blocks, whose sums are at `partial`."""

    def piece_of_rows(n, _):
        row = n * spec.rows
        rows = _smaller(emit, spec.rows, spec.height - row)

        def piece_of_columns(n, _):
            column = n * spec.columns
            columns = _smaller(emit, spec.columns, spec.width - column)
            x_row, x_column = row * spec.stride_h, column * spec.stride_w
            x_at = emit.advance(x, x_row * spec.x.row + x_column * spec.x.pixel)
            dy_at = emit.advance(dy, row * spec.dy.row + column * spec.dy.pixel)

            def each_block(n, _):
                k = first + n
                to = emit.advance(partial, k * spec.w.block_size)
                panel = (images, rows, columns)
                _add_panel(emit, spec, to, k, begin, count, x_at, dy_at, panel, scratch)
                return []

            repeat(emit, blocks, [], each_block, at_least_once=True)
            return []

        repeat(emit, spec.column_pieces, [], piece_of_columns, at_least_once=True)
        return []

    repeat(emit, spec.row_pieces, [], piece_of_rows, at_least_once=True)


@kernel(x=FLOATS, dy=FLOATS, sums=FLOATS, bias_sums=maybe(FLOATS))
def conv2d_backward_weight(spec, o, first, count):
    """Add the weight and bias gradients of some images to their shards' sums.

    `dy` has a border; `sums` are [shard] in the weight's own layout, `bias_sums` [shard][K].
    """
    images = advance(o.x, spec.x_start)
    slopes = advance(o.dy, spec.dy.start)
    scratch = stack_floats(_SCRATCH)
    n = 0
    while n < count:
        shard = (first + n) // spec.shard
        partial = advance(o.sums, shard * spec.w.size)
        bias = advance(o.bias_sums, shard * spec.dy.pixel)
        begins = (first + n) % spec.shard == 0 and not spec.continued
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
        add_images(spec, partial, 0, spec.w.blocks, 0, spec.run, x, dy, together, scratch)
        n += together


@kernel(x=FLOATS, dy=FLOATS, dw=FLOATS, step=LONGS)
def conv2d_backward_weight_items(spec, o, first, count):
    """The weight's gradient over the whole batch, for some of its `spec.items` items.

    An item is some blocks of output channels × some rows (j, c) of every stretch.
    `x` and `dy`, inside its border, are of all images.
    """
    images = advance(o.x, spec.x_start)
    slopes = advance(o.dy, spec.dy.start)
    batch = o.step[1]
    scratch = stack_floats(_SCRATCH)
    for item in range(first, first + count):
        k, part = item // spec.parts * spec.together, item % spec.parts
        begin = part * spec.part
        rows = min(spec.part, spec.run - begin)
        dw = advance(o.dw, k * spec.w.block_size)
        stretches = spec.w.kernel_h * spec.runs
        for stretch in range(spec.together * stretches):
            at = (stretch * spec.run + begin) * spec.w.block
            clear(spec, advance(dw, at), rows * spec.w.block)
        for n in range(0, batch, spec.images):
            images_left = min(spec.images, batch - n)
            x = advance(images, n * spec.x.size)
            dy = advance(slopes, n * spec.dy.size)
            add_images(spec, o.dw, k, spec.together, begin, rows, x, dy, images_left, scratch)
        if spec.w.lanes_left > 0:
            for each in range(spec.together):
                for stretch in range(stretches):
                    at = (stretch * spec.run + begin) * spec.w.block
                    clear_padding(spec, o.dw, k + each, at, rows)


def kinds() -> Iterator[tuple[Any, Any]]:
    """A kernel and a small spec for each kind that there is."""
    one, rgb = FeatureMap(1, 1, 1), FeatureMap(1, 1, 3, dense=True)
    for n in (1, 2, 3):
        w, of_rgb = (ConvolutionWeight(n * LANES, channels, 1, 1) for channels in (1, 3))
        yield conv2d_backward_weight, WeightGradient(one, one, w, bias=True, shard=1)
        yield conv2d_backward_weight, WeightGradient(rgb, one, of_rgb, bias=True, shard=1)
        yield conv2d_backward_weight_items, WeightGradient(one, one, w, bias=True, shard=0)
