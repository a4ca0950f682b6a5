"""The register tiles of a convolution: sums of products, and what is written of them.

Two tables have the offsets of a tile's places in three maps each: x, y, and the gate or with
pooling the winners. In the one are the places of a tile within a row, from its first; the other is
written for every tile that reaches over the end of a row.
"""

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.control import either_way
from neocog.kernels.codegen.pointers import advance
from neocog.kernels.compiler.jit import inlined
from neocog.kernels.convolution.finishing import finish, finish_pooled
from neocog.kernels.convolution.places import next_place, offset_of, put_places, put_row
from neocog.kernels.convolution.products import sums_of_products
from neocog.kernels.convolution.register_tile import LINE

__all__ = ["compute_pixels", "put_rows"]


@block(nothing)
def compute(
    emit, spec, places, taken, table, x, y, other, w, taps, ahead, lines, bias, lanes, kept
):
    """Compute a tile for one block of channels."""
    ys, others = (emit.advance_longs(table, n * spec.most) for n in (1, 2))

    def tile(size):
        sums = sums_of_products(emit, spec, size, x, table, w, taps, ahead, lines, bias, lanes)
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
def put_rows(spec, table, steps):
    """Write the offsets of places within a row, in three maps with these steps."""
    for_x, for_y, for_other = steps
    put_row(table, spec.most, for_x.column)
    put_row(advance(table, spec.most), spec.most, for_y.column)
    put_row(advance(table, 2 * spec.most), spec.most, for_other.column)


@inlined
def compute_pixels(spec, tables, maps, steps, place, left, size, w, taps, line, bias, lanes, kept):
    """Compute `left` pixels from `place` on of images of this size, for one block of channels.

    Args:
        spec: has the attributes of a `RegisterTile`.
        tables: of places in a row, and of any places.
        maps: pointers to x, y, and the gate or the winners.
        steps: of these maps.
        place: image, row and column of the first pixel.
        left: how many pixels.
        size: rows and columns of an image.
        w: the weights of the block.
        taps: rows and columns of the kernel.
        line: how many cache lines of the next block of weights are already prefetched.
        bias: of the block's channels.
        lanes: lanes of its last vector.
        kept: room for a tile.
    """
    x, y, other = maps
    for_x, for_y, for_other = steps
    in_row, anywhere = tables
    width = size[1]
    while left > 0:
        limit = min(left, width - place[2]) if spec.in_rows else left
        places = spec.most
        if limit <= spec.few:
            places = spec.few
        elif limit <= spec.some:
            places = spec.some
        taken = min(limit, places)
        first, table = place, in_row
        if spec.x_step:
            # The last tile of a row begins so far to the left that it ends with the row.
            first = place[0], place[1], min(place[2], width - places)
        if spec.x_step or (taken == places and place[2] + places <= width):
            of_x = advance(x, offset_of(first, for_x))
            of_y = advance(y, offset_of(first, for_y))
            of_other = advance(other, offset_of(first, for_other))
        else:
            of_x, of_y, of_other, table = x, y, other, anywhere
            put_places(table, places, taken, place, size, for_x)
            put_places(advance(table, spec.most), places, taken, place, size, for_y)
            if spec.reads_other:
                others = advance(table, 2 * spec.most)
                put_places(others, places, taken, place, size, for_other)
        ahead = spec.w.block_size + line * LINE
        lines = spec.lines_ahead if line < spec.unrolled_lines else 0
        line += spec.lines_ahead
        compute(
            spec,
            places,
            taken,
            table,
            of_x,
            of_y,
            of_other,
            w,
            taps,
            ahead,
            lines,
            bias,
            lanes,
            kept,
        )
        place = next_place(place, taken, size)
        left -= taken
