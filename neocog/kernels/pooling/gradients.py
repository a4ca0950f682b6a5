"""How the gradients of pooling pass from windows to the pixels in them.

Where windows tile the map, each vector of dy is read once and given to the taps of its window.
Otherwise each pixel adds up what its windows have for it. So nothing is written twice.
"""

from collections.abc import Callable, Sequence
from typing import Any

from neocog.kernels.codegen.loops import repeat
from neocog.kernels.codegen.vector_types import LANES
from neocog.kernels.pooling.channels import each_block, store

__all__ = ["gather", "spread"]

#: Of a window's row and column, the first channel and the vectors: for a tap's number the vectors
#: that it gets.
_Hold = Callable[[Any, Any, Any, int], Callable[[Any], Sequence[Any]]]
#: Of a window's row and column, the first channel, the sums so far, and the number of the pixel's
#: tap: the sums after this window.
_Add = Callable[[Any, Any, Any, list[Any], Callable[[], Any]], list[Any]]


def spread(emit: Any, spec: Any, dx: Any, hold: _Hold) -> None:
    """Emit the writing of dx, from windows that do not overlap."""
    with emit.loop(0, spec.dy.height) as row:

        def spread_row(c: Any, vectors: int) -> None:
            with emit.loop(0, spec.dy.width) as number:
                column, to = emit.rolled(number), emit.advance(dx, c)
                give = hold(row, column, c, vectors)
                if spec.paired:
                    to = emit.advance(to, 2 * (row * spec.dx.row + column * spec.dx.pixel))
                    for tap in range(4):
                        place = tap // 2 * spec.dx.row + tap % 2 * spec.dx.pixel
                        for v, value in enumerate(give(tap)):
                            emit.store(value, to, place + v * LANES)
                else:
                    _give_taps(emit, spec, to, row, column, give)

        each_block(emit, spec, spread_row)
    _clear_rest(emit, spec, dx)


def _give_taps(emit: Any, spec: Any, dx: Any, row: Any, column: Any, give: Any) -> None:
    rows, columns, at = spec.rows, spec.columns, emit.load_long
    up, before = at(rows.origins, row), at(columns.origins, column)
    left, right = at(columns.firsts, column), at(columns.ends, column)
    with emit.loop(at(rows.firsts, row), at(rows.ends, row)) as h:
        tap = (h - up) * columns.kernel - before
        with emit.loop(left, right) as w:
            for v, value in enumerate(give(tap + w)):
                store(
                    emit, spec, spec.dx, value, dx, h * spec.dx.row + w * spec.dx.pixel + v * LANES
                )


def _clear_rest(emit: Any, spec: Any, dx: Any) -> None:
    """Zeros where the windows leave out the end of a row or column."""
    with emit.loop(0, spec.dx.height) as h:
        row = emit.advance(dx, h * spec.dx.row)
        covered = emit.choose(h < spec.rows.end, spec.columns.end, 0)
        with emit.loop(covered, spec.dx.width) as w, emit.loop(0, spec.floats, LANES) as c:
            store(emit, spec, spec.dx, emit.constant(0.0), row, w * spec.dx.pixel + c)


def gather(emit: Any, spec: Any, dx: Any, add: _Add) -> None:
    """Emit the writing of dx, where windows overlap."""
    rows, columns, at = spec.rows, spec.columns, emit.load_long
    with emit.loop(0, spec.dx.height) as h:
        top, bottom = at(rows.first_windows, h), at(rows.end_windows, h)

        def gather_row(c: Any, vectors: int) -> None:
            with emit.loop(0, spec.dx.width) as w:
                left, right = at(columns.first_windows, w), at(columns.end_windows, w)

                def add_row(i: Any, sums: list[Any]) -> list[Any]:
                    row = top + i

                    def add_window(j: Any, sums: list[Any]) -> list[Any]:
                        column = left + emit.rolled(j)

                        def tap() -> Any:
                            y, x = h - at(rows.origins, row), w - at(columns.origins, column)
                            return y * columns.kernel + x

                        return add(row, column, c, sums, tap)

                    return repeat(emit, right - left, sums, add_window)

                zeros = [emit.constant(0.0)] * vectors
                pixel = h * spec.dx.row + w * spec.dx.pixel + c
                for v, total in enumerate(repeat(emit, bottom - top, zeros, add_row)):
                    store(emit, spec, spec.dx, total, dx, pixel + v * LANES)

        each_block(emit, spec, gather_row)
