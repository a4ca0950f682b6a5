"""Approximate orthogonalization of a matrix by a Newton–Schulz iteration.

For X whose singular values are at most 1, with rows ≥ columns:

    A = Xᵀ X        B = a I + b A + c A²        X ← X B

which maps every singular value σ to a σ + b σ³ + c σ⁵ and keeps the singular vectors. With a, b, c
= 3.4445, −4.7750, 2.0315 the singular values lie between 0.7 and 1.2 after five iterations, instead
of converging to 1 (K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks",
2024). A and B are symmetric; one half is computed and copied to the other.

A row takes an odd number of cache lines, so that the elements of a column map to all cache sets.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.pointers import advance
from neocog.kernels.codegen.vector_types import FLOATS, LANES, float32
from neocog.kernels.compiler.jit import inlined, kernel
from neocog.kernels.compiler.spec import Spec
from neocog.kernels.gemm import Product, Strides, multiply

__all__ = [
    "COEFFICIENTS",
    "SPAN",
    "Iteration",
    "Matrix",
    "gram_matrix",
    "kinds",
    "matrix_polynomial",
    "matrix_product",
    "store_zero",
]

#: The coefficients of Jordan's quintic.
COEFFICIENTS = (3.4445, -4.775, 2.0315)

#: Rows per item of X's products: four or eight times those with sums in registers.
SPAN = 48
# Columns with sums in registers.
_PANEL = 2 * LANES
# Rows of X that are added to A at a time: 256 KB of the second-level cache for 512 columns.
_GRAM_DEPTH = 128
# Columns of X that are multiplied by B at a time: a panel of B is then half the first-level cache.
_DEPTH = 256


@dataclass(frozen=True)
class Matrix:
    """[rows][columns], each row padded with zeros."""

    rows: int
    columns: int

    @property
    def width(self) -> int:
        """Columns that are computed."""
        return -(-self.columns // _PANEL) * _PANEL

    @property
    def stride(self) -> int:
        """Floats from one row to the next: an odd number of cache lines, to use all cache sets."""
        lines = -(-self.width // 16)
        return 16 * (lines + (lines % 2 == 0))

    @property
    def size(self) -> int:
        """Floats of the matrix, with rows that products compute beyond the last."""
        return (self.rows + 11) * self.stride

    @property
    def panels(self) -> int:
        """Panels of columns that are computed together."""
        return self.width // _PANEL

    @property
    def spans(self) -> int:
        """Items of rows."""
        return -(-self.rows // SPAN)

    @property
    def square(self) -> "Matrix":
        """The matrix A = Xᵀ X."""
        return Matrix(self.width, self.columns)


def _in_whole(product: Product, rows: int) -> Product:
    """The product for the most rows that fit into registers and divide `rows`."""
    parts = [replace(product, part=n) for n in range(1, 7)]
    return max((p for p in parts if rows % p.rows == 0), key=lambda p: p.rows)


@dataclass(frozen=True)
class Iteration(Spec):
    """One matrix in an iteration, and the polynomial's coefficients."""

    x: Matrix
    a: float = COEFFICIENTS[0]
    b: float = COEFFICIENTS[1]
    c: float = COEFFICIENTS[2]

    #: Xᵀ X and X B, a panel of their columns at a time.
    into_square: ClassVar[Product] = _in_whole(Product(2, a_row=1, accumulate=True), _PANEL)
    by_square: ClassVar[Product] = _in_whole(
        Product(2, a_depth=1, b_depth=_PANEL, accumulate=True), SPAN
    )

    constants = ("into_square", "by_square")


@block(nothing)
def store_zero(emit, spec, to):
    """Write one vector of zeros."""
    emit.store(emit.constant(0.0), to)


@inlined
def upper_square(spec, x, out, row_step, panel_step, first, count):
    """Columns of Xᵀ X down to the diagonal, for panels first … first + count and their partners.

    Panels further right have more above the diagonal, so the first is paired with the last. In
    `out`, rows of a panel are `row_step` floats apart, and panels `panel_step`.
    """
    for item in range(first, first + count):
        for partner in range(2 if item != spec.x.panels - 1 - item else 1):
            panel = item if partner == 0 else spec.x.panels - 1 - item
            for k in range((panel + 1) * _PANEL):
                for lane in range(0, _PANEL, LANES):
                    store_zero(spec, advance(out, k * row_step + panel * panel_step + lane))
    strides = Strides(1, spec.x.stride, spec.x.stride, row_step, 0, 0)
    for row in range(0, spec.x.rows, _GRAM_DEPTH):
        depth = min(_GRAM_DEPTH, spec.x.rows - row)
        a = advance(x, row * spec.x.stride)
        for item in range(first, first + count):
            for partner in range(2 if item != spec.x.panels - 1 - item else 1):
                panel = item if partner == 0 else spec.x.panels - 1 - item
                b, to = advance(a, panel * _PANEL), advance(out, panel * panel_step)
                for k in range(0, (panel + 1) * _PANEL, spec.into_square.rows):
                    to_k = advance(to, k * row_step)
                    multiply(spec.into_square, strides, advance(a, k), b, to_k, depth)


@inlined
def mirror(spec, out, row_step, panel_step, first, count):
    """Copy the result of `upper_square` to below the diagonal."""
    for item in range(first, first + count):
        for partner in range(2 if item != spec.x.panels - 1 - item else 1):
            panel = item if partner == 0 else spec.x.panels - 1 - item
            for other in range(panel):
                source = advance(out, panel * panel_step + other * _PANEL * row_step)
                to = advance(out, other * panel_step + panel * _PANEL * row_step)
                for k in range(_PANEL):
                    for lane in range(_PANEL):
                        to[lane * row_step + k] = source[k * row_step + lane]


@kernel(x=FLOATS, square=FLOATS)
def gram_matrix(spec, o, first, count):
    """A = Xᵀ X of panels first … first + count with their partners; `square` gets A."""
    row_step = spec.x.square.stride
    upper_square(spec, o.x, o.square, row_step, _PANEL, first, count)
    mirror(spec, o.square, row_step, _PANEL, first, count)


@block(nothing)
def polynomial_vector(emit, spec, linear, square):
    """b A + c A² of one vector."""
    value = emit.mul(emit.constant(spec.b), emit.load(linear))
    emit.store(emit.fma(emit.constant(spec.c), emit.load(square), value), square)


@kernel(square=FLOATS, by=FLOATS)
def matrix_polynomial(spec, o, first, count):
    """B = a I + b A + c A² of panels first … first + count with their partners.

    `square` is A, the spec's x. `by` gets B, panel by panel, each [width][columns of a panel]: so
    `matrix_product` reads it at constant distances.
    """
    panel_step = spec.x.width * _PANEL
    upper_square(spec, o.square, o.by, _PANEL, panel_step, first, count)
    for item in range(first, first + count):
        for partner in range(2 if item != spec.x.panels - 1 - item else 1):
            panel = item if partner == 0 else spec.x.panels - 1 - item
            to, column = advance(o.by, panel * panel_step), panel * _PANEL
            for k in range(column + _PANEL):
                linear, square = advance(o.square, k * spec.x.stride + column), k * _PANEL
                for lane in range(0, _PANEL, LANES):
                    polynomial_vector(spec, advance(linear, lane), advance(to, square + lane))
            for k in range(_PANEL):
                to[(column + k) * _PANEL + k] += float32(spec.a)
    mirror(spec, o.by, _PANEL, panel_step, first, count)


@kernel(x=FLOATS, by=FLOATS, y=FLOATS)
def matrix_product(spec, o, first, count):
    """Y = X B of spans first … first + count of rows; `by` is B as `matrix_polynomial` has it."""
    stride, width = spec.x.stride, spec.x.width
    strides = Strides(stride, 1, _PANEL, stride, 0, 0)
    for span in range(first, first + count):
        row = span * SPAN
        rows = min(SPAN, spec.x.rows - row)
        for r in range(row, row + rows):
            for column in range(0, width, LANES):
                store_zero(spec, advance(o.y, r * stride + column))
        for column in range(0, width, _PANEL):
            to = advance(o.y, row * stride + column)
            for k in range(0, width, _DEPTH):
                a = advance(o.x, row * stride + k)
                b = advance(o.by, column * width + k * _PANEL)
                depth = min(_DEPTH, width - k)
                for r in range(0, rows, spec.by_square.rows):
                    a_r, to_r = advance(a, r * stride), advance(to, r * stride)
                    multiply(spec.by_square, strides, a_r, b, to_r, depth)


def kinds() -> Iterator[tuple[Any, Any]]:
    """Each kernel with a spec of the only kind that it has."""
    for kernel_ in (gram_matrix, matrix_polynomial, matrix_product):
        yield kernel_, Iteration(Matrix(1, 1))
