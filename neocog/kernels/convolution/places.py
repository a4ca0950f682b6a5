"""Where the pixels of register tiles lie in the maps: tables that kernels read.

A *stretch* is some rows of a map, whose pixels are computed one after another, a tile at a time. Of
wide maps it is one row. Narrower ones would leave much of a row's last tile empty, so a stretch has
several rows, and a tile goes on from one row into the next. A table has the pixels' offsets in
floats: that takes as many registers and instructions as constant offsets would, but for loads,
which cost nothing beside several times as many products.

Places behind the last pixel repeat the first one of their tile, which is then computed and written
several times.
"""

from collections.abc import Sequence

__all__ = ["places_of", "stretch_rows", "table"]

# Pixels of a stretch of several rows, at most.
_MOST_PIXELS = 1024


def stretch_rows(height: int, width: int, most: int) -> int:
    """Rows of a stretch, for tiles of `most` places."""
    return 1 if width >= 2 * most else min(height, _MOST_PIXELS // width)


def places_of(pixels: int, sizes: Sequence[int]) -> int:
    """Places of all tiles of a stretch: the last is the smallest that will do."""
    begin = (pixels - 1) // max(sizes) * max(sizes)
    return begin + min(size for size in sizes if size >= pixels - begin)


def table(
    rows: int, columns: int, sizes: Sequence[int], steps: Sequence[tuple[int, int]]
) -> list[int]:
    """Offsets of a stretch's places in several maps, one map after another.

    Args:
        rows: of the stretch.
        columns: of the stretch.
        sizes: places of tiles.
        steps: floats from one row and from one column to the next, of each map.
    """
    pixels = [(row, column) for row in range(rows) for column in range(columns)]
    begin = (len(pixels) - 1) // max(sizes) * max(sizes)
    pixels += [pixels[begin]] * (places_of(len(pixels), sizes) - len(pixels))
    return [row * down + column * right for down, right in steps for row, column in pixels]
