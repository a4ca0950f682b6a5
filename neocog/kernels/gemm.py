"""Matrix products of any number of rows, in blocks that stay in registers.

    C[m][n] = Σ_k A[m][k] · B[k][n]                 or, with `accumulate`,  C += …

for rows m in 0 … rows and one block of columns n. A's numbers are read one by one and may lie in
any order (`a_row` floats from one row to the next, `a_depth` from one k to the next), so that A may
be a transpose; B's and C's rows are whole vectors side by side.

Registers hold the sums of some rows × the whole block of columns. Every number of C is one chain of
fused multiply-adds in the order of k, whichever rows are computed together and whether or not the
sum over k is cut into several products that accumulate: the result is bitwise the same.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

from neocog.kernels.jit import always_inlined
from neocog.kernels.simd import LANES, REGISTERS, advance, block, nothing, vectors

__all__ = ["NO_STRIDES", "Product", "Strides", "multiply", "multiply_rows"]

#: Sums to keep in registers, beside two vectors of B and two numbers of A; see `convolution`.
_SUMS = 12 if REGISTERS == 16 else 24

_UNROLL = 4

# Bytes of a cache line.
_LINE = 64


@dataclass(frozen=True)
class Product:
    """What the machine code of a product depends on; `vectors` is C's columns.

    Where the matrices' numbers lie, in floats, is constant, or where it is 0, `Strides` say it when
    the product is computed. `far_a` and `far_b` say that A and B come from far away, and are asked
    for ahead. `part` is how many grains of rows are computed together.
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
        """Rows whose sums fit registers."""
        return max(1, _SUMS // self.vectors)

    @property
    def grain(self) -> int:
        """Rows are computed in multiples of this, a power of two: one kernel for each takes long.

        What is computed beyond the last row is to be ignored, but A and C must have room for it.
        """
        return next(n for n in (8, 4, 2, 1) if self.most % n == 0 and 2 * n <= max(2, self.most))

    @property
    def rows(self) -> int:
        """Rows that are computed together."""
        return min(self.part * self.grain, self.most)

    @property
    def parts(self) -> int:
        """Grains whose sums fit registers, three at most."""
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
    """What a `Product` does not know of where its matrices' numbers lie, in floats.

    `a_ahead` and `b_ahead` are how many floats ahead A and B are asked for, if they are.
    """

    a_row: int
    a_depth: int
    b_depth: int
    c_row: int
    a_ahead: int
    b_ahead: int


#: For a product that knows it all.
NO_STRIDES = Strides(0, 0, 0, 0, 0, 0)


def _sums(p, *_):
    return vectors(p.rows * p.vectors)


@block(_sums)
def begin_sums(emit, p, strides, c):
    """Zeros, or what C holds."""
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
    """The product for so many rows, in blocks of two or three grains where that is possible.

    Few sums at a time would wait for each other, so four grains are two and two, not three and one.
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
