"""Where the pixels of a register tile lie in the maps.

A tile is some pixels one after another, in the order of rows, and of images where a tile goes on
into the next image. So maps of any width fill tiles of one size. A table has the pixels' offsets in
floats, from which blocks read them: that takes as many registers and instructions as constant
offsets would, but for loads, which cost nothing beside several times as many products. Within a row
the offsets from the first pixel are always the same.

Places beyond the last pixel repeat the first one, which is then computed and written several times.
"""

from typing import NamedTuple

from neocog.kernels.codegen.pointers import rolled
from neocog.kernels.compiler.jit import inlined

__all__ = ["Steps", "next_place", "offset_of", "put_places", "put_row"]


class Steps(NamedTuple):
    """Floats of a map from one image, row and column to the next."""

    image: int
    row: int
    column: int


@inlined
def put_row(offsets, places, step):
    """Write the offsets of places in a row from the first of them."""
    for n in range(places):
        offsets[rolled(n)] = n * step


@inlined
def offset_of(place, steps):
    """Floats to a place: an image, row and column."""
    image, row, column = place
    return image * steps.image + row * steps.row + column * steps.column


@inlined
def put_places(offsets, places, taken, place, size, steps):
    """Write the offsets of `taken` pixels from one place on, for a tile of `places`.

    `size` is the rows and columns of an image.
    """
    _, row, column = place
    height, width = size
    at = first = offset_of(place, steps)
    for n in range(rolled(taken)):
        offsets[rolled(n)] = at
        column += 1
        at += steps.column
        if column == width:
            column = 0
            row += 1
            at += steps.row - width * steps.column
            if row == height:
                row = 0
                at += steps.image - height * steps.row
    for n in range(rolled(taken), places):
        offsets[rolled(n)] = first


@inlined
def next_place(place, taken, size):
    """The place behind a tile."""
    image, row, column = place
    height, width = size
    column += taken
    while column >= width:
        column -= width
        row += 1
        if row == height:
            row = 0
            image += 1
    return image, row, column
