"""The register tiles of a convolution: sums of products, and what is written of them."""

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.loops import either_way
from neocog.kernels.codegen.pointers import advance
from neocog.kernels.compiler.jit import inlined
from neocog.kernels.convolution.finishing import finish, finish_pooled
from neocog.kernels.convolution.products import sums_of_products
from neocog.kernels.convolution.register_tile import LINE

__all__ = ["compute_stretch"]


@block(nothing)
def compute(emit, spec, places, taken, tables, maps, w, taps, ahead, lines, bias, lanes, kept):
    """Compute a tile for one block of channels."""
    (x, y, other), (xs, ys, others) = maps, tables

    def tile(size):
        sums = sums_of_products(emit, spec, size, x, xs, w, taps, ahead, lines, bias, lanes)
        if spec.pool:
            finish_pooled(emit, spec, sums, y, ys, other, others)
        else:
            finish(emit, spec, sums, taken, y, ys, other, others, kept, lanes)

    def smaller():
        if not spec.has_some:
            return tile(spec.few)
        larger = emit.below(spec.few, places)
        return either_way(emit, larger, lambda: tile(spec.some), lambda: tile(spec.few))

    if spec.has_few:
        either_way(emit, emit.below(places, spec.most), smaller, lambda: tile(spec.most))
    else:
        tile(spec.most)


@inlined
def table_of(spec, rows, columns):
    """The number of the table of a stretch of this shape."""
    n = 0
    while spec.table_rows[n] != rows or spec.table_columns[n] != columns:
        n += 1
    return n


@inlined
def compute_stretch(spec, maps, rows, columns, w, taps, line, bias, lanes, kept):
    """Compute a stretch for one block of channels.

    Args:
        spec: has the attributes of a `RegisterTile`.
        maps: pointers to the stretch in x, in y, and in the gate or with pooling the winners.
        rows: of the stretch.
        columns: of the stretch.
        w: the weights of the block.
        taps: rows and columns of the kernel.
        line: how many cache lines of the next block of weights are already prefetched.
        bias: of the block's channels.
        lanes: lanes of its last vector.
        kept: room for a tile.
    """
    number = table_of(spec, rows, columns)
    length = spec.table_lengths[number]
    table = advance(spec.offsets, spec.table_starts[number])
    pixels = rows * columns
    x, y, other = maps
    for begin in range(0, pixels, spec.most):
        left = pixels - begin
        places = spec.most
        if left <= spec.few:
            places = spec.few
        elif left <= spec.some:
            places = spec.some
        xs = advance(table, begin)
        if spec.x_step:
            # The last tile begins so far to the left that it ends with the row.
            first = min(begin, pixels - places)
            x, xs = advance(maps[0], first * spec.x_step), advance(table, first)
        ys, others = advance(xs, length), advance(xs, 2 * length)
        ahead = spec.w.block_size + line * LINE
        lines = spec.lines_ahead if line < spec.unrolled_lines else 0
        line += spec.lines_ahead
        compute(
            spec,
            places,
            min(left, places),
            (xs, ys, others),
            (x, y, other),
            w,
            taps,
            ahead,
            lines,
            bias,
            lanes,
            kept,
        )
