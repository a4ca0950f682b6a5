"""Vectors of a pixel's channels for pooling, where pixels of dense maps are partial vectors."""

from neocog.kernels.codegen.loops import repeat
from neocog.kernels.codegen.vector_types import LANES

__all__ = ["each_block", "each_whole_window", "load", "store", "whole_windows"]


def load(emit, spec, m, pointer, offset=0):
    """A vector of channels of a pixel of the map `m`."""
    return emit.load_lanes(pointer, offset, m.pixel) if spec.dense else emit.load(pointer, offset)


def store(emit, spec, m, value, pointer, offset=0):
    """Write a vector of channels of a pixel of the map `m`, floats or winners."""
    if spec.dense:
        emit.store_lanes(value, pointer, offset, m.pixel)
    else:
        emit.store(value, pointer, offset)


def each_block(emit, spec, body):
    """Emit ``body(c, vectors)`` for all channels: blocks of four vectors, then of two and of one.

    `c` is the first channel of a block.
    """
    begin = 0
    for vectors in (1,) if spec.dense else (4, 2, 1):
        end = emit.multiple(spec.floats, vectors * LANES)
        with emit.loop(begin, end, vectors * LANES) as c:
            body(c, vectors)
        begin = end


def whole_windows(emit, spec, row):
    """The first of a row's windows that have all of their taps, and the one after the last."""
    if spec.unrolled == 0:
        return 0, 0
    before, after = row < spec.rows.first_whole, spec.rows.end_whole < row + 1
    some = emit.either(before, after)
    return [
        emit.choose(some, 0, place) for place in (spec.columns.first_whole, spec.columns.end_whole)
    ]


def each_whole_window(emit, spec, between, x, results, does):
    """Emit ``does(taps, *pointers)`` for the windows from the first to before the last of two.

    Args:
        emit: emits the code.
        spec: of the pooling, whose taps are unrolled.
        between: the first window, and the one after the last.
        x: the pointer to the first channel that is looked at of a row's first pixel.
        results: pointers to the first window's results, with the maps that they are in.
        does: `taps` is a function of a channel's offset that gives the vectors of all taps.
    """
    begin, end = between
    left = begin * spec.columns.stride - spec.columns.padding

    def window(_, pointers):
        # From one pointer LLVM would compute those to all taps before a loop, and spill them.
        at = (emit.advance(pointers[0], i * spec.x.row) for i in range(spec.unrolled))
        rows = [emit.opaque(row) for row in at]

        def taps(channel):
            places = [j * spec.x.pixel + channel for j in range(spec.unrolled)]
            return [emit.load(row, place) for row in rows for place in places]

        does(taps, *pointers[1:])
        steps = [emit.rolled(spec.columns.stride * spec.x.pixel), *(m.pixel for _, m in results)]
        return [emit.advance(*one) for one in zip(pointers, steps, strict=True)]

    firsts = [emit.advance(pointer, begin * m.pixel) for pointer, m in results]
    repeat(emit, end - begin, [emit.advance(x, left * spec.x.pixel), *firsts], window)
