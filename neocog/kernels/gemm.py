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
from neocog.kernels.codegen.loops import repeat
from neocog.kernels.codegen.numbers import Number, to_llvm
from neocog.kernels.codegen.vector_types import LANES, SUMS

__all__ = ["Product", "Strides", "emit_product", "emit_product_rows", "multiply"]

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


def _all_strides(p: Product, strides: Strides) -> Strides:
    """The strides of a product, of which those that are not 0 are its constants."""
    constant = {"a_row": p.a_row, "a_depth": p.a_depth, "b_depth": p.b_depth, "c_row": p.c_row}
    return strides._replace(**{name: value for name, value in constant.items() if value})


def _add_products(emit, p, strides, values, depth):
    """Add the products of the next few k; `values` are pointers to A and B, and the sums."""
    a, b, *sums = values
    for _ in range(depth):
        # Without `opaque`, LLVM would load what A has for several k at once, for lack of pointers,
        # and has no registers for that. Nor has it for multiples of the rows' distance.
        a = place = emit.opaque(a)
        of_b = [emit.load(b, v * LANES) for v in range(p.vectors)]
        for row in range(p.rows):
            of_a = emit.broadcast(place)
            place = emit.advance_bytes(place, 4 * strides.a_row)
            for v in range(p.vectors):
                at = row * p.vectors + v
                sums[at] = emit.fma(of_a, of_b[v], sums[at])
        a, b = emit.advance(a, strides.a_depth), emit.advance(b, strides.b_depth)
    return [a, b, *sums]


def _prefetch(emit, p, strides, a, b):
    for k in range(_UNROLL):
        if p.far_a:
            emit.prefetch(a, emit.offset((4, strides.a_ahead), (4 * k, strides.a_depth)))
        if p.far_b:
            for at in range(0, 4 * p.vectors * LANES, _LINE):
                emit.prefetch(
                    b, emit.offset((4, strides.b_ahead), (4 * k, strides.b_depth), (1, at))
                )


def emit_product(emit, p, strides, a, b, c, depth):
    """For blocks: the product for `p.rows` rows."""
    strides = _all_strides(p, strides)
    rows = [c]
    while len(rows) < p.rows:
        rows.append(emit.advance(rows[-1], strides.c_row))
    places = [emit.advance(row, v * LANES) for row in rows for v in range(p.vectors)]
    sums = [emit.load(place) if p.accumulate else emit.constant(0.0) for place in places]
    whole = depth // _UNROLL

    def some(_, values):
        _prefetch(emit, p, strides, *values[:2])
        return _add_products(emit, p, strides, values, _UNROLL)

    def one(_, values):
        return _add_products(emit, p, strides, values, 1)

    values = repeat(emit, whole, [a, b, *sums], some)
    sums = repeat(emit, depth - whole * _UNROLL, values, one)[2:]
    for value, place in zip(sums, places, strict=True):
        emit.store(value, place)


def emit_product_rows(emit, p, strides, rows, a, b, c, depth):
    """For blocks: the product for `rows` rows, in blocks of two or three grains if possible.

    Few sums would wait for each other, so four grains are split into two and two, not three and
    one.
    """
    strides = _all_strides(p, strides)
    grains = (rows + p.grain - 1) // p.grain

    def product(of, first):
        row = first * p.grain
        from_a, to_c = emit.advance(a, row * strides.a_row), emit.advance(c, row * strides.c_row)
        emit_product(emit, of, strides, from_a, b, to_c, depth)

    done = Number(emit.builder, to_llvm(0))
    if p.parts == 3:
        odd = emit.select(emit.below(grains - grains // 3 * 3, 1), 0, 2)
        threes = emit.select(emit.below(grains, 3), 0, (grains - odd) // 3)
        done = Number(emit.builder, threes) * 3
        with emit.loop(0, done, 3) as first:
            product(p.three, first)
    if p.parts > 1:
        before, done = done, done + emit.multiple(grains - done, 2)
        with emit.loop(before, done, 2) as first:
            product(p.two, first)
    with emit.loop(done, grains) as first:
        product(p.one, first)


@block(nothing)
def multiply(emit, p, strides, a, b, c, depth):
    """The product for `p.rows` rows."""
    emit_product(emit, p, Strides(*strides), a, b, c, depth)
