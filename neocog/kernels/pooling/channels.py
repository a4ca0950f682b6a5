"""Vectors of a pixel's channels for pooling, where pixels of dense maps are partial vectors."""

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.pointers import advance
from neocog.kernels.codegen.vector_types import LANES
from neocog.kernels.compiler.jit import inlined

__all__ = ["clear_rest", "keep", "load", "store", "tap_rows", "whole_windows"]


def load(emit, spec, m, pointer, offset=0):
    """A vector of channels of a pixel of the map `m`."""
    return emit.load_lanes(pointer, offset, m.pixel) if spec.dense else emit.load(pointer, offset)


def store(emit, spec, m, value, pointer, offset=0):
    """Write a vector of channels of a pixel of the map `m`, floats or winners."""
    if spec.dense:
        emit.store_lanes(value, pointer, offset, m.pixel)
    else:
        emit.store(value, pointer, offset)


def tap_rows(emit, spec, m, pointer):
    """Pointers to the rows of unrolled taps, of which `pointer` is the first."""
    # From one pointer LLVM would compute those to all taps before a loop, and spill them.
    rows = [emit.advance(pointer, i * m.row) for i in range(spec.unrolled)]
    return [emit.opaque(row) for row in rows]


@block(nothing)
def keep(emit, spec, sums, dx):
    """Write the sums of a pixel of dx."""
    for v, total in enumerate(sums):
        store(emit, spec, spec.dx, total, dx, v * LANES)


@block(nothing)
def clear(emit, spec, dx):
    """Zeros in a vector of a pixel of dx."""
    store(emit, spec, spec.dx, emit.constant(0.0), dx)


@inlined
def whole_windows(spec, row):
    """The first of a row's windows that have all of their taps, and the one after the last."""
    if spec.unrolled > 0 and spec.rows.first_whole <= row < spec.rows.end_whole:
        return spec.columns.first_whole, spec.columns.end_whole
    return 0, 0


@inlined
def clear_pixels(spec, dx, row, begin, end):
    """Zeros in some pixels of a row."""
    pixels = advance(dx, row * spec.dx.row)
    for w in range(begin, end):
        for c in range(0, spec.floats, LANES):
            clear(spec, advance(pixels, w * spec.dx.pixel + c))


@inlined
def clear_rest(spec, dx):
    """Zeros where the windows leave out the end of a row or column."""
    for h in range(spec.dx.height):
        covered = spec.columns.end if h < spec.rows.end else 0
        clear_pixels(spec, dx, h, covered, spec.dx.width)
