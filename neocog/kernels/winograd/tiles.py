"""Passes over the tiles of a Winograd convolution, as loops which blocks emit; see `forward`.

    V[ξ, t, c] = (Bᵀ x[t, c] B)[ξ]          W[ξ, t, k] = (A dy[t, k] Aᵀ)[ξ]

Tiles are numbered row by row through all images. For those that extend past the map's edge there is
a transform of its own, which reads a vector of zeros there. (To copy such a tile to memory first,
with zeros, made the transform of maps of 14 × 14 a tenth slower.)
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from neocog.kernels.codegen.loops import either_way, repeat
from neocog.kernels.codegen.numbers import Number, to_llvm
from neocog.kernels.codegen.vector_types import LANES
from neocog.kernels.winograd.transforms import (
    part_of,
    places,
    transform_gradient,
    transform_input,
)

__all__ = [
    "Edge",
    "each_tile",
    "edge_of",
    "store_zeros",
    "transform_gradient_tiles",
    "transform_input_tiles",
]


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
    """The rows and columns of a tile that exist, or more, and whether these are all."""

    rows: Any
    columns: Any
    whole: Any


def edge_of(emit: Any, side: int, rows: Any, columns: Any) -> Edge:
    """The edge of a tile of side × side that has so many rows and columns before it."""
    whole = emit.both(emit.below(side - 1, rows), emit.below(side - 1, columns))
    return Edge(rows, columns, whole)


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


def _transform_tiles(emit, spec, does, source, to, begin, count, zeros):
    """Transform tiles from `source`, which points to what the first tile of an image reads."""
    pixel = does.map.pixel
    parts = (pixel + does.to_row - 1) // does.to_row

    def one(n, image, row, column):
        edge = edge_of(emit, does.side, does.rows - row, does.columns - column)
        steps = image * does.map.size + row * does.map.row + column * pixel
        of, to_tile = emit.advance(source, steps), emit.advance(to, n * does.to_row)

        def vector(of, to_vector, cut):
            grid = places(emit, of, does.map.row, pixel)
            if cut:
                grid = part_of(emit, grid, edge.rows, edge.columns, lambda i, j: zeros)
            does.transform(emit, spec.side, grid, to_vector, does.to_spot)

        def vectors(cut):
            def part(_, values):
                to_part, first = values
                with emit.loop(0, emit.smaller(does.to_row, pixel - first), LANES) as c:
                    vector(emit.advance(of, first + c), emit.advance(to_part, c), cut)
                return [emit.advance(to_part, does.to_part), first + does.to_row]

            repeat(emit, parts, [to_tile, 0], part, at_least_once=True)

        either_way(emit, edge.whole, lambda: vectors(False), lambda: vectors(True))

    each_tile(emit, spec, begin, count, one)


def transform_input_tiles(emit, spec, images, v, begin, count, zeros):
    """V of the tiles begin … begin + count; `images` begins at `x_start`.

    `zeros` is a vector of them.
    """
    wrote = spec.v_row, spec.v_spot, spec.v_part
    does = _Pass(spec.x, spec.x_rows, spec.x_columns, spec.side, transform_input, *wrote)
    _transform_tiles(emit, spec, does, images, v, begin, count, zeros)


def transform_gradient_tiles(emit, spec, slopes, w, begin, count, zeros):
    """W of the tiles begin … begin + count; `slopes` begins inside the border of dy.

    `zeros` is a vector of them.
    """
    wrote = spec.m_row, spec.m_spot, spec.m_part
    does = _Pass(spec.y, spec.y.height, spec.y.width, spec.tile, transform_gradient, *wrote)
    _transform_tiles(emit, spec, does, slopes, w, begin, count, zeros)
