"""Passes over the tiles of a Winograd convolution, as loops which blocks emit; see `forward`.

    V[ξ, t, c] = (Bᵀ x[t, c] B)[ξ]          W[ξ, t, k] = (A dy[t, k] Aᵀ)[ξ]

Tiles are numbered row by row through all images. One that extends past the map's edge is copied to
a patch of its own first, with zeros beyond the edge, and is transformed from there: so there is one
transform in the machine code, whose strides are read.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from neocog.kernels.codegen.loops import repeat
from neocog.kernels.codegen.numbers import Number, to_llvm
from neocog.kernels.codegen.vector_types import LANES
from neocog.kernels.winograd.transforms import places, transform_gradient, transform_input

__all__ = [
    "PATCH",
    "Edge",
    "copy_part",
    "each_tile",
    "edge_of",
    "store_zeros",
    "transform_gradient_tiles",
    "transform_input_tiles",
]

#: Floats of a patch: one vector of channels of the largest tile.
PATCH = 36 * LANES


def store_zeros(emit: Any, to: Any, floats: Any) -> None:
    """Set some whole vectors to zero."""
    with emit.loop(0, floats, LANES) as at:
        emit.store(emit.constant(0.0), to, at)


def _place_of(spec: Any, n: Number) -> list[Any]:
    image = n // spec.tiles
    tile = n - image * spec.tiles
    row = tile // spec.columns
    return [image, row * spec.tile, (tile - row * spec.columns) * spec.tile]


def _next_place(emit: Any, spec: Any, image: Any, row: Any, column: Any) -> list[Any]:
    """Without divisions, which can take as long as a small tile."""
    column, below = column + spec.tile, row + spec.tile
    inside = emit.below(column, spec.y.width)
    row = Number(emit.builder, emit.select(inside, row, below))
    within = emit.below(row, spec.y.height)
    return [
        emit.select(within, image, image + 1),
        emit.select(within, row, 0),
        emit.select(inside, column, 0),
    ]


def each_tile(emit: Any, spec: Any, begin: Any, count: Any, body: Callable[..., None]) -> None:
    """``body(n, image, row, column)`` for the tiles begin … begin + count.

    `n` counts from 0; row and column are those of y where the tile begins.
    """

    def one(n: Any, place: list[Any]) -> list[Any]:
        body(n, *place)
        return _next_place(emit, spec, *place)

    repeat(emit, count, _place_of(spec, Number(emit.builder, to_llvm(begin))), one)


class Edge(NamedTuple):
    """How many rows and columns of a tile exist, and whether these are all, or less."""

    rows: Number
    columns: Number
    whole: Any
    cuts: Any


def edge_of(emit: Any, side: int, rows: Any, columns: Any) -> Edge:
    """The edge of a tile of side × side that has so many rows and columns before it."""
    whole = emit.both(emit.below(side - 1, rows), emit.below(side - 1, columns))
    cuts = emit.either(emit.below(rows, side), emit.below(columns, side))
    return Edge(emit.smaller(rows, side), emit.smaller(columns, side), whole, cuts)


def copy_part(
    emit: Any,
    edge: Edge,
    of: Any,
    of_steps: tuple[Any, Any],
    to: Any,
    to_steps: tuple[Any, Any],
    change: Callable[..., Any],
) -> None:
    """Copy one vector of the pixels within an edge, after ``change(value, i, j)``.

    Steps are the floats from one row and pixel to the next. All is hidden from LLVM, which would
    unroll these loops and compute the addresses of all pixels for every tile, also of whole ones.
    """
    rows, columns = (Number(emit.builder, emit.opaque(n.value)) for n in (edge.rows, edge.columns))
    of, to = emit.opaque(of), emit.opaque(to)
    with emit.loop(0, rows) as i, emit.loop(0, columns) as j:
        value = emit.load(of, i * of_steps[0] + j * of_steps[1])
        emit.store(change(value, i, j), to, i * to_steps[0] + j * to_steps[1])


class _Pass(NamedTuple):
    """What is transformed: the map that is read, its rows and columns, and what is written."""

    map: Any
    rows: Any
    columns: Any
    side: int
    transform: Callable[..., None]
    to_row: Any
    to_spot: Any
    to_part: Any


def _transform_tiles(emit, spec, does, source, to, begin, count, patch):
    """Transform tiles from `source`, which points to what the first tile of an image reads."""
    pixel, patch_row = does.map.pixel, does.side * LANES
    parts = (pixel + does.to_row - 1) // does.to_row

    def one(n, image, row, column):
        edge = edge_of(emit, does.side, does.rows - row, does.columns - column)
        steps = image * does.map.size + row * does.map.row + column * pixel
        of, to_tile = emit.advance(source, steps), emit.advance(to, n * does.to_row)
        with emit.when(edge.cuts):
            store_zeros(emit, patch, does.side * patch_row)
        row_step = Number(emit.builder, emit.select(edge.cuts, patch_row, does.map.row))
        pixel_step = Number(emit.builder, emit.select(edge.cuts, LANES, pixel))

        def part(_, values):
            to_part, begin = values
            with emit.loop(0, emit.smaller(does.to_row, pixel - begin), LANES) as c:
                whole = emit.advance(of, begin + c)
                with emit.when(edge.cuts):
                    steps = (does.map.row, pixel), patch, (patch_row, LANES)
                    copy_part(emit, edge, whole, *steps, lambda value, i, j: value)
                place = emit.select(edge.cuts, patch, whole)
                place = places(emit, place, row_step, pixel_step)
                does.transform(emit, spec.side, place, emit.advance(to_part, c), does.to_spot)
            return [emit.advance(to_part, does.to_part), begin + does.to_row]

        repeat(emit, parts, [to_tile, 0], part, at_least_once=True)

    each_tile(emit, spec, begin, count, one)


def transform_input_tiles(emit, spec, images, v, begin, count, patch):
    """V of the tiles begin … begin + count; `images` begins at `x_start`."""
    wrote = spec.v_row, spec.v_spot, spec.v_part
    does = _Pass(spec.x, spec.x_rows, spec.x_columns, spec.side, transform_input, *wrote)
    _transform_tiles(emit, spec, does, images, v, begin, count, patch)


def transform_gradient_tiles(emit, spec, slopes, w, begin, count, patch):
    """W of the tiles begin … begin + count; `slopes` begins inside the border of dy."""
    wrote = spec.m_row, spec.m_spot, spec.m_part
    does = _Pass(spec.y, spec.y.height, spec.y.width, spec.tile, transform_gradient, *wrote)
    _transform_tiles(emit, spec, does, slopes, w, begin, count, patch)
