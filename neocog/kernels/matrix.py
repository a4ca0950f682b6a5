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

from neocog.kernels.compiling import inlined
from neocog.kernels.simd import LANES, REGISTERS, accumulators, advance, block, nothing, vectors

__all__ = ["Product", "multiply_rows"]

#: Sums to keep in registers, beside two vectors of B and two numbers of A; see `convolution`.
_SUMS = 12 if REGISTERS == 16 else 24

_UNROLL = 4

# Bytes of a cache line.
_LINE = 64


@dataclass(frozen=True)
class Product:
    """Where the numbers of a product's matrices lie, in floats; `vectors` is C's columns.

    `a_ahead` and `b_ahead` are how many floats ahead A and B are asked for, where they come from
    far away; 0 for not at all.
    `part` is how many grains of rows are computed together.
    """

    vectors: int
    a_row: int
    a_depth: int
    b_depth: int
    c_row: int
    accumulate: bool = False
    a_ahead: int = 0
    b_ahead: int = 0
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
    def one(self) -> "Product":
        """The same product for one grain of rows."""
        return replace(self, part=1)

    @property
    def two(self) -> "Product":
        """The same product for two grains of rows."""
        return replace(self, part=2)

    @property
    def three(self) -> "Product":
        """The same product for three grains of rows, or as many as fit."""
        return replace(self, part=3)


def _sums(p, *_):
    return vectors(p.rows * p.vectors)


@block(_sums)
def begin_sums(e, p, c):
    """Zeros, or what C holds."""
    if not p.accumulate:
        return [e.constant(0.0)] * (p.rows * p.vectors)
    return [e.load(c, row * p.c_row + v * LANES) for row in range(p.rows) for v in range(p.vectors)]


def _add_products(e, p, sums, a, b, depth):
    sums = list(sums)
    for k in range(depth):
        of_b = [e.load(b, k * p.b_depth + v * LANES) for v in range(p.vectors)]
        for row in range(p.rows):
            of_a = e.broadcast(a, row * p.a_row + k * p.a_depth)
            for v in range(p.vectors):
                at = row * p.vectors + v
                sums[at] = e.fma(of_a, of_b[v], sums[at])
    return sums


@block(accumulators)
def add_some(e, p, sums, a, b):
    """Add the products of the next few k."""
    for k in range(_UNROLL):
        if p.a_ahead:
            e.prefetch(a, 4 * (p.a_ahead + k * p.a_depth))
        if p.b_ahead:
            for at in range(0, 4 * p.vectors * LANES, _LINE):
                e.prefetch(b, 4 * (p.b_ahead + k * p.b_depth) + at)
    return _add_products(e, p, sums, a, b, _UNROLL)


@block(accumulators)
def add_one(e, p, sums, a, b):
    """Add the products of the next k."""
    return _add_products(e, p, sums, a, b, 1)


@block(nothing)
def end_sums(e, p, sums, c):
    """Write the sums to C."""
    for at, value in enumerate(sums):
        e.store(value, c, at // p.vectors * p.c_row + at % p.vectors * LANES)


@inlined
def multiply(p, a, b, c, depth):
    """The product for `p.rows` rows."""
    sums = begin_sums(p, c)
    whole = depth // _UNROLL * _UNROLL
    for k in range(0, whole, _UNROLL):
        sums = add_some(p, sums, advance(a, k * p.a_depth), advance(b, k * p.b_depth))
    for k in range(whole, depth):
        sums = add_one(p, sums, advance(a, k * p.a_depth), advance(b, k * p.b_depth))
    end_sums(p, sums, c)


@inlined
def multiply_rows(p, rows, a, b, c, depth):
    """The product for so many rows, in blocks as equal as they can be.

    Few sums at a time would wait for each other, so eight rows are four and four, not six and two.
    """
    done = 0
    while done < rows:
        grains = (rows - done + p.grain - 1) // p.grain
        blocks = (grains * p.grain + p.most - 1) // p.most
        part = (grains + blocks - 1) // blocks
        from_a = advance(a, done * p.a_row)
        to_c = advance(c, done * p.c_row)
        if part == 3:
            multiply(p.three, from_a, b, to_c, depth)
        elif part == 2:
            multiply(p.two, from_a, b, to_c, depth)
        else:
            multiply(p.one, from_a, b, to_c, depth)
        done += part * p.grain
