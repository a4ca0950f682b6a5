"""Transposes square tiles of LANES × LANES floats, for other layouts of weights."""

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.vector_types import LANES

__all__ = ["transpose_tile"]


@block(nothing)
def transpose_tile(emit, spec, source, source_row, given, to, to_row, kept):
    """Write the transpose of a tile; only its first `given` rows exist, and others are zero.

    Rows are `source_row` and `to_row` floats apart. The first `kept` rows of the result are
    written; at least one row is given, and at least one kept.
    """
    zero = emit.constant(0.0)
    rows = []
    for n in range(LANES):
        exists = given > n
        row = emit.load(source, emit.select(exists, n * source_row, 0))
        rows.append(emit.select(exists, row, zero))
    columns = emit.transpose(rows)
    # Without a branch: what is not kept is written to the first row's place, before that.
    for n in reversed(range(LANES)):
        emit.store(columns[n], to, emit.select(kept > n, n * to_row, 0))
