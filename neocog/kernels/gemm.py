"""Matrix products of any number of rows, in blocks that stay in registers.

    C[m][n] = Σ_k A[m][k] · B[k][n]                 or, with `accumulate`,  C += …

for rows m in 0 … rows and one block of columns n. Elements of A are broadcast one by one and may
have any strides (`a_row` floats from one row to the next, `a_depth` from one k to the next), so A
may be a transpose. The rows of B and C are contiguous whole vectors.

Registers hold the sums of some rows × the whole block of columns. Every element of C is one chain
of fused multiply-adds in the order of k. Which rows are computed together, and whether the sum over
k is split into several accumulating products, does not change a bit of the result.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.pointers import advance
from neocog.kernels.codegen.vector_types import LANES, SUMS, vectors
from neocog.kernels.compiler.jit import always_inlined

__all__ = ["NO_STRIDES", "Product", "Strides", "multiply", "multiply_rows"]

_UNROLL = 4

# Bytes of a cache line.
_LINE = 64


@dataclass(frozen=True)
class Product:
    """What the machine code of a product depends on; `vectors` is the width of C in vectors.

    Strides of the matrices, in floats, are constants; where one is 0, `Strides` gives it at run
    time. `far_a` and `far_b` say that A and B come from a distant cache and are prefetched. `part`
    is the number of grains of rows that are computed together.
    """

    vectors: int
    a_row: int = 0
    a_depth: int = 0
    b_depth: int = 0
    c_row: int = 0
    accumulate: bool = False
    far_a: bool = False
    far_b: bool = False
    part: int = 0

    @property
    def most(self) -> int:
        """Rows whose sums fit into registers."""
        return max(1, SUMS // self.vectors)

    @property
    def grain(self) -> int:
        """Rows are computed in multiples of this power of two, which limits compile time.

        Rows computed beyond the last one are ignored, but A and C must have room for them.
        """
        return next(n for n in (8, 4, 2, 1) if self.most % n == 0 and 2 * n <= max(2, self.most))

    @property
    def rows(self) -> int:
        """Rows that are computed together."""
        return min(self.part * self.grain, self.most)

    @property
    def parts(self) -> int:
        """Grains whose sums fit into registers, three at most."""
        return self.most // self.grain

    @property
    def one(self) -> "Product":
        """The same product for one grain of rows."""
        return replace(self, part=1)

    @property
    def two(self) -> "Product":
        """The same product for two grains of rows."""
        return replace(self, part=2)

    @property
    def three(self) -> "Product":
        """The same product for three grains of rows."""
        return replace(self, part=3)


class Strides(NamedTuple):
    """Strides in floats that are not constants of a `Product`.

    `a_ahead` and `b_ahead` are the distances at which A and B are prefetched, if they are.
    """

    a_row: int
    a_depth: int
    b_depth: int
    c_row: int
    a_ahead: int
    b_ahead: int


#: For a product with constant strides.
NO_STRIDES = Strides(0, 0, 0, 0, 0, 0)


def _sums(p, *_):
    return vectors(p.rows * p.vectors)


@block(_sums)
def begin_sums(emit, p, strides, c):
    """Zeros, or the elements of C."""
    if not p.accumulate:
        return [emit.constant(0.0)] * (p.rows * p.vectors)
    c_row = p.c_row or Strides(*strides).c_row
    return [
        emit.load(c, emit.offset((row, c_row), (v, LANES)))
        for row in range(p.rows)
        for v in range(p.vectors)
    ]


def _add_products(emit, p, strides, sums, a, b, depth):
    sums = list(sums)
    a_row, a_depth = p.a_row or strides.a_row, p.a_depth or strides.a_depth
    b_depth = p.b_depth or strides.b_depth
    for k in range(depth):
        of_b = [emit.load(b, emit.offset((k, b_depth), (v, LANES))) for v in range(p.vectors)]
        for row in range(p.rows):
            of_a = emit.broadcast(a, emit.offset((row, a_row), (k, a_depth)))
            for v in range(p.vectors):
                at = row * p.vectors + v
                sums[at] = emit.fma(of_a, of_b[v], sums[at])
    return sums


@block(_sums)
def add_some(emit, p, strides, sums, a, b):
    """Add the products of the next few k."""
    strides = Strides(*strides)
    a_depth, b_depth = p.a_depth or strides.a_depth, p.b_depth or strides.b_depth
    for k in range(_UNROLL):
        if p.far_a:
            emit.prefetch(a, emit.offset((4, strides.a_ahead), (4 * k, a_depth)))
        if p.far_b:
            for at in range(0, 4 * p.vectors * LANES, _LINE):
                emit.prefetch(b, emit.offset((4, strides.b_ahead), (4 * k, b_depth), (1, at)))
    return _add_products(emit, p, strides, sums, a, b, _UNROLL)


@block(_sums)
def add_one(emit, p, strides, sums, a, b):
    """Add the products of the next k."""
    return _add_products(emit, p, Strides(*strides), sums, a, b, 1)


@block(nothing)
def end_sums(emit, p, strides, sums, c):
    """Write the sums to C."""
    c_row = p.c_row or Strides(*strides).c_row
    for at, value in enumerate(sums):
        emit.store(value, c, emit.offset((at // p.vectors, c_row), (at % p.vectors, LANES)))


@always_inlined
def multiply(p, strides, a, b, c, depth):
    """The product for `p.rows` rows."""
    a_depth, b_depth = p.a_depth or strides.a_depth, p.b_depth or strides.b_depth
    sums = begin_sums(p, strides, c)
    whole = depth // _UNROLL * _UNROLL
    for k in range(0, whole, _UNROLL):
        sums = add_some(p, strides, sums, advance(a, k * a_depth), advance(b, k * b_depth))
    for k in range(whole, depth):
        sums = add_one(p, strides, sums, advance(a, k * a_depth), advance(b, k * b_depth))
    end_sums(p, strides, sums, c)


@always_inlined
def multiply_rows(p, strides, rows, a, b, c, depth):
    """The product for `rows` rows, in blocks of two or three grains if possible.

    Few sums would wait for each other, so four grains are split into two and two, not three and
    one.
    """
    a_row, c_row = p.a_row or strides.a_row, p.c_row or strides.c_row
    done = 0
    while done < rows:
        left = rows - done
        from_a, to_c = advance(a, done * a_row), advance(c, done * c_row)
        if p.parts == 3 and left > 2 * p.grain and (left <= 3 * p.grain or left > 4 * p.grain):
            multiply(p.three, strides, from_a, b, to_c, depth)
            done += 3 * p.grain
        elif p.parts > 1 and left > p.grain:
            multiply(p.two, strides, from_a, b, to_c, depth)
            done += 2 * p.grain
        else:
            multiply(p.one, strides, from_a, b, to_c, depth)
            done += p.grain
