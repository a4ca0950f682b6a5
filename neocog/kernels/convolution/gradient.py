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

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.control import either_way, repeat
from neocog.kernels.codegen.numbers import Number
from neocog.kernels.codegen.pointers import advance, stack_floats
from neocog.kernels.codegen.vector_types import FLOATS, LANES, LONGS
from neocog.kernels.compiler.jit import kernel
from neocog.kernels.compiler.operands import maybe
from neocog.kernels.convolution.bias_gradient import add_bias
from neocog.kernels.convolution.register_tile import SUMS
from neocog.kernels.convolution.shard_sum import clear, clear_padding
from neocog.kernels.convolution.weight_gradient import DY_SCRATCH, X_SCRATCH, WeightGradient
from neocog.kernels.layout import ConvolutionWeight, FeatureMap

__all__ = ["conv2d_backward_weight", "conv2d_backward_weight_items", "kinds"]


#: Floats of the largest register block, and of all that a worker needs: that, and the panels.
_SUMS = SUMS * LANES
_SCRATCH = _SUMS + X_SCRATCH + DY_SCRATCH

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


def _pack_x(emit, spec, x, to, blocks, rest, panel):
    """Copy some rows and columns of x, with a separate copy for each register block.

    There are some whole `blocks`, and a `rest` of vectors. What is written after a block's rows is
    overwritten by the next pixel.
    """
    most, (images, rows, columns) = spec.registers.most, panel

    def image(n, _):
        def row(h, _):
            def column(_, values):
                pixel, first = values

                def whole(_, values):
                    source, at = values
                    _copy(emit, source, at, spec.registers.copied)
                    source = emit.opaque(emit.advance(source, most))
                    return source, emit.advance(at, spec.x_panel)

                def last(_, values):
                    source, at = values
                    _copy(emit, source, at, 1)
                    return emit.opaque(emit.advance(source, LANES)), emit.advance(at, LANES)

                repeat(emit, rest, repeat(emit, blocks, [pixel, first], whole), last)
                return emit.advance(pixel, spec.skip_w * spec.x.pixel), emit.advance(first, most)

            source = emit.advance(x, n * spec.x.size + h * (spec.skip_h * spec.x.row))
            at = emit.advance(to, n * spec.x_image_step + h * spec.x_row_step)
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

            x_at = emit.advance(x, n * spec.x_image_step + h * spec.row_step)
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


def _add_block(emit, spec, partial, begin, count, x, dy, panel, scratch):
    """Add a panel to `count` rows of every stretch from `begin` on; they begin at x."""
    of = spec.registers
    apart = emit.select(spec.packs_x, spec.x_panel, of.place(of.most))
    apart = Number(emit.builder, apart)

    def rows(n, _):
        done = n * of.most
        to = emit.advance(partial, (begin + done) * (of.vectors * LANES))
        # In a panel, the rows of a register block follow after the whole block before.
        of_x = emit.advance(x, n * apart)
        _add_rows(emit, spec, to, count - done, of_x, dy, panel, scratch)
        return []

    repeat(emit, (count + (of.most - 1)) // of.most, [], rows, at_least_once=True)


def _add_panel(emit, spec, partial, k, begin, count, x, dy, panel, scratch):
    """Add a panel to rows begin … begin + count of every stretch, for a pair of blocks."""
    of, (images, rows, columns) = spec.registers, panel
    group = k // spec.w.group_blocks
    place = k - group * spec.w.group_blocks
    slopes = emit.advance(dy, group * spec.w.group_out + place * spec.w.block)
    x_from = emit.advance(x, group * spec.w.group_in)
    x_panel, dy_panel = emit.advance(scratch, _SUMS), emit.advance(scratch, _SUMS + X_SCRATCH)

    def pack(each, _):
        source = emit.advance(slopes, each * spec.w.block)
        _pack_dy(emit, spec, source, emit.advance(dy_panel, each * spec.dy_panel), panel)
        return []

    repeat(emit, emit.select(spec.packs_dy, spec.pair, 0), [], pack)
    slopes = emit.select(spec.packs_dy, dy_panel, slopes)
    together = spec.x_panels * of.most

    def part(n, _):
        row = n * together
        some = _smaller(emit, together, count - row)
        row = row + begin
        # Rows of images are a multiple of three, and never packed.
        x_at = emit.advance(x_from, row + row // 3 if of.rgb else row)

        def pack_x():
            x_rows = (rows - 1) * spec.near_h + (spec.w.kernel_h - 1) * spec.dilation_h + 1
            x_columns = (columns - 1) * spec.near_w + (spec.w.kernel_w - 1) * spec.dilation_w + 1
            blocks = some // of.most
            rest = (some - blocks * of.most + (LANES - 1)) // LANES
            _pack_x(emit, spec, x_at, x_panel, blocks, rest, (images, x_rows, x_columns))

        either_way(emit, spec.packs_x, pack_x, lambda: None)
        of_x = emit.select(spec.packs_x, x_panel, x_at)

        def each_block(each, _):
            to = emit.advance(partial, each * spec.w.block_size)
            of_dy = emit.advance(slopes, each * spec.dy_panel)
            _add_block(emit, spec, to, row, some, of_x, of_dy, panel, scratch)
            return []

        repeat(emit, spec.pair, [], each_block, at_least_once=True)
        return []

    repeat(emit, (count + (together - 1)) // together, [], part, at_least_once=True)


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

            def pair(n, _):
                k = first + n * spec.pair
                to = emit.advance(partial, k * spec.w.block_size)
                panel = (images, rows, columns)
                _add_panel(emit, spec, to, k, begin, count, x_at, dy_at, panel, scratch)
                return []

            repeat(emit, blocks // spec.pair, [], pair, at_least_once=True)
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
        add_images(spec, partial, 0, spec.w.blocks, 0, spec.run, x, dy, together, scratch)
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
    scratch = stack_floats(_SCRATCH)
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
            add_images(spec, o.dw, k, spec.pair, begin, until - begin, x, dy, together, scratch)
        if spec.w.lanes_left > 0:
            for each in range(spec.pair):
                for stretch in range(stretches // spec.pair):
                    at = (stretch * spec.run + begin) * spec.w.block
                    clear_padding(spec, o.dw, k + each, at, until - begin)


def kinds() -> Iterator[tuple[Any, Any]]:
    """A kernel and a small spec for each kind that there is."""
    one, rgb = FeatureMap(1, 1, 1), FeatureMap(1, 1, 3, dense=True)
    for n in (1, 2, 3):
        w, of_rgb = (ConvolutionWeight(n * LANES, channels, 1, 1) for channels in (1, 3))
        yield conv2d_backward_weight, WeightGradient(one, one, w, bias=True, shard=1)
        yield conv2d_backward_weight, WeightGradient(rgb, one, of_rgb, bias=True, shard=1)
        yield conv2d_backward_weight_items, WeightGradient(one, one, w, bias=True, shard=0)
