"""Approximate orthogonalization of a matrix by a Newton–Schulz iteration.

For X whose singular values are at most 1, with rows ≥ columns:

    A = Xᵀ X        B = a I + b A + c A²        X ← X B

which maps every singular value σ to a σ + b σ³ + c σ⁵ and keeps the singular vectors. With a, b, c
= 3.4445, −4.7750, 2.0315 the singular values lie between 0.7 and 1.2 after five iterations, instead
of converging to 1 (K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks",
2024). A and B are symmetric; one half is computed and copied to the other.

A row takes an odd number of cache lines, so that the elements of a column map to all cache sets.
"""

from dataclasses import dataclass, replace

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.pointers import advance, pointer
from neocog.kernels.codegen.vector_types import FLOATS, LANES, float32
from neocog.kernels.compiler.jit import inlined, kernel
from neocog.kernels.gemm import NO_STRIDES, Product, multiply

__all__ = [
    "COEFFICIENTS",
    "SPAN",
    "Iteration",
    "Matrix",
    "gram_matrix",
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


@dataclass(frozen=True)
class Iteration:
    """One matrix in an iteration, and the polynomial's coefficients."""

    x: Matrix
    a: float = COEFFICIENTS[0]
    b: float = COEFFICIENTS[1]
    c: float = COEFFICIENTS[2]

    @property
    def into_square(self) -> Product:
        """Xᵀ X, a panel of its columns at a time."""
        x = self.x
        return _in_whole(Product(2, 1, x.stride, x.stride, x.square.stride, True), _PANEL)

    @property
    def by_square(self) -> Product:
        """X B, a panel of its columns at a time."""
        x = self.x
        return _in_whole(Product(2, x.stride, 1, x.square.stride, x.stride, True), SPAN)


def _in_whole(product: Product, rows: int) -> Product:
    """The product for the most rows that fit into registers and divide `rows`."""
    parts = [replace(product, part=n) for n in range(1, 7)]
    return max((p for p in parts if rows % p.rows == 0), key=lambda p: p.rows)


@block(nothing)
def store_zero(emit, spec, to):
    """Write one vector of zeros."""
    emit.store(emit.constant(0.0), to)


@inlined
def upper_square(spec, x, out, first, count):
    """Columns of Xᵀ X down to the diagonal, for panels first … first + count and their partners.

    Panels further right have more above the diagonal, so the first is paired with the last.
    """
    for item in range(first, first + count):
        for partner in range(2 if item != spec.x.panels - 1 - item else 1):
            column = (item if partner == 0 else spec.x.panels - 1 - item) * _PANEL
            for k in range(column + _PANEL):
                for lane in range(0, _PANEL, LANES):
                    store_zero(spec, advance(out, k * spec.x.square.stride + column + lane))
    for row in range(0, spec.x.rows, _GRAM_DEPTH):
        depth = min(_GRAM_DEPTH, spec.x.rows - row)
        a = advance(x, row * spec.x.stride)
        for item in range(first, first + count):
            for partner in range(2 if item != spec.x.panels - 1 - item else 1):
                column = (item if partner == 0 else spec.x.panels - 1 - item) * _PANEL
                b, to = advance(a, column), advance(out, column)
                for k in range(0, column + _PANEL, spec.into_square.rows):
                    to_k = advance(to, k * spec.x.square.stride)
                    multiply(spec.into_square, NO_STRIDES, advance(a, k), b, to_k, depth)


@inlined
def mirror(spec, out, first, count):
    """Copy the result of `upper_square` to below the diagonal."""
    stride = spec.x.square.stride
    for item in range(first, first + count):
        for partner in range(2 if item != spec.x.panels - 1 - item else 1):
            column = (item if partner == 0 else spec.x.panels - 1 - item) * _PANEL
            for k in range(column):
                for lane in range(column, column + _PANEL):
                    out[lane * stride + k] = out[k * stride + lane]


@kernel
def gram_matrix(spec, operands, first, count):
    """A = Xᵀ X of panels first … first + count with their partners. Operands: X, A."""
    x, out = pointer(operands, 0, FLOATS), pointer(operands, 1, FLOATS)
    upper_square(spec, x, out, first, count)
    mirror(spec, out, first, count)


@block(nothing)
def polynomial_vector(emit, spec, linear, square):
    """b A + c A² of one vector."""
    value = emit.mul(emit.constant(spec.b), emit.load(linear))
    emit.store(emit.fma(emit.constant(spec.c), emit.load(square), value), square)


@kernel
def matrix_polynomial(spec, operands, first, count):
    """B = a I + b A + c A² of panels first … first + count with their partners. Operands: A, B."""
    x, out = pointer(operands, 0, FLOATS), pointer(operands, 1, FLOATS)
    upper_square(spec, x, out, first, count)
    for item in range(first, first + count):
        for partner in range(2 if item != spec.x.panels - 1 - item else 1):
            column = (item if partner == 0 else spec.x.panels - 1 - item) * _PANEL
            for k in range(column + _PANEL):
                for lane in range(column, column + _PANEL, LANES):
                    at = k * spec.x.stride + lane
                    polynomial_vector(spec, advance(x, at), advance(out, at))
            for k in range(column, column + _PANEL):
                out[k * spec.x.stride + k] += float32(spec.a)
    mirror(spec, out, first, count)


@kernel
def matrix_product(spec, operands, first, count):
    """Y = X B of spans first … first + count of rows. Operands: X, B, Y."""
    x, by = pointer(operands, 0, FLOATS), pointer(operands, 1, FLOATS)
    y = pointer(operands, 2, FLOATS)
    for span in range(first, first + count):
        row = span * SPAN
        rows = min(SPAN, spec.x.rows - row)
        for r in range(row, row + rows):
            for column in range(0, spec.x.width, LANES):
                store_zero(spec, advance(y, r * spec.x.stride + column))
        for column in range(0, spec.x.width, _PANEL):
            to = advance(y, row * spec.x.stride + column)
            for k in range(0, spec.x.width, _DEPTH):
                a = advance(x, row * spec.x.stride + k)
                b = advance(by, k * spec.x.square.stride + column)
                depth = min(_DEPTH, spec.x.width - k)
                for r in range(0, rows, spec.by_square.rows):
                    a_r, to_r = advance(a, r * spec.x.stride), advance(to, r * spec.x.stride)
                    multiply(spec.by_square, NO_STRIDES, a_r, b, to_r, depth)
