"""Vectors of a pixel's channels for pooling, where pixels of dense maps are partial vectors."""

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.pointers import advance, zeros
from neocog.kernels.codegen.vector_types import LANES
from neocog.kernels.compiler.jit import inlined

__all__ = ["clear_rest", "keep", "load", "load_winner", "store", "whole_windows"]


def load(emit, spec, m, pointer, offset=0):
    """A vector of channels of a pixel of the map `m`."""
    return emit.load_lanes(pointer, offset, m.pixel) if spec.dense else emit.load(pointer, offset)


def load_winner(emit, spec, pointer, offset=0):
    """Which taps have won."""
    if spec.dense:
        return emit.load_lanes_indices(pointer, offset, spec.won.pixel)
    return emit.load_indices(pointer, offset)


def store(emit, spec, m, value, pointer, offset=0):
    """Write a vector of channels of a pixel of the map `m`, floats or winners."""
    if spec.dense:
        emit.store_lanes(value, pointer, offset, m.pixel)
    else:
        emit.store(value, pointer, offset)


@block(nothing)
def keep(emit, spec, sums, dx):
    """Write the sums of a pixel of dx."""
    for v, total in enumerate(sums):
        store(emit, spec, spec.dx, total, dx, v * LANES)


@inlined
def whole_windows(spec, row):
    """The first of a row's windows that have all of their taps, and the one after the last."""
    if spec.unrolled > 0 and spec.rows.first_whole <= row < spec.rows.end_whole:
        return spec.columns.first_whole, spec.columns.end_whole
    return 0, 0


@inlined
def clear_rest(spec, dx):
    """Write zeros where the windows leave out the end of a row or column."""
    for h in range(spec.dx.height):
        covered = spec.columns.end if h < spec.rows.end else 0
        for w in range(covered, spec.dx.width):
            for c in range(0, spec.floats, LANES):
                keep(spec, zeros(1), advance(dx, h * spec.dx.row + w * spec.dx.pixel + c))
