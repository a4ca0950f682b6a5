"""The transforms of Winograd convolution, as straight-line vector code; see `winograd`.

    V = Bᵀ x B        U = G w Gᵀ        y = Aᵀ M A        W = A dy Aᵀ        dw = Gᵀ S G

A. Lavin and S. Gray, "Fast algorithms for convolutional neural networks", CVPR 2016: the
Cook–Toom algorithm of one dimension, done along both. For tiles of 2 × 2 outputs it multiplies at
the points 0, ±1, ∞, for 4 × 4 at 0, ±a, ±b, ∞ with a = √½ and b = √2:

         1   0  −5/2   0   1   0              1    0    0            1   1    1   1    1   0
         0  −b   −2    a   1   0            −⅔  −⅔a   −⅓            0   a   −a   b   −b   0
    Bᵀ = 0   b   −2   −a   1   0       G =  −⅔   ⅔a   −⅓      Aᵀ =  0   ½    ½   2    2   0
         0  −a   −½    b   1   0             ⅙   b/6   ⅓            0  a/2 −a/2  2b  −2b  1
         0   a   −½   −b   1   0             ⅙  −b/6   ⅓
         0   1    0  −5/2  0   1              0    0    1

The paper's points 0, ±1, ±2, ∞ leave twice the error; these leave less than twice that of the
direct sum. As the points come in pairs, even and odd powers are added up once for both.

What is known to be zero, because a tile hangs over the map's edge, is None and costs nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import Any

from neocog.kernels.simd import block, nothing

__all__ = [
    "Patch",
    "keep_spots",
    "load_spots",
    "output_transform",
    "transform_gradient",
    "transform_input",
    "transform_weight",
    "turned_weight_transform",
]

_A, _B = sqrt(0.5), sqrt(2.0)

# A vector, or None for zeros; and a transform of some of them in a row.
_Values = list[Any]
_Transform = Callable[[Any, _Values], _Values]


@dataclass(frozen=True)
class Patch:
    """Part of a map that a tile covers: rows × columns, from one to the next so many floats.

    `side` is the number of points along a side of the tile, 6 or 4, and `spot` the floats from one
    of its side² transformed numbers to the next.
    """

    side: int
    rows: int
    columns: int
    row: int
    column: int
    spot: int


def _sum(e: Any, *terms: tuple[float, Any]) -> Any:
    """Σ factor · value; those with the factor 1 first, which need no multiplication."""
    there = sorted((t for t in terms if t[1] is not None), key=lambda t: abs(t[0] - 1) > 0)
    if not there:
        return None
    (factor, total), *rest = there
    if factor != 1:
        total = e.mul(e.constant(factor), total)
    for factor, value in rest:
        if factor == 1:
            total = e.add(total, value)
        elif factor == -1:
            total = e.sub(total, value)
        else:
            total = e.fma(e.constant(factor), value, total)
    return total


def _pair(e: Any, even: Any, factor: float, odd: Any) -> _Values:
    return [_sum(e, (1, even), (factor, odd)), _sum(e, (1, even), (-factor, odd))]


def _halves(e: Any, m: _Values) -> _Values:
    """Sum and difference of each pair of points."""
    return [
        _sum(e, (1, m[at]), (sign, m[at + 1])) for at in range(1, len(m) - 1, 2) for sign in (1, -1)
    ]


def _input(e: Any, x: _Values) -> _Values:
    """Bᵀ x."""
    if len(x) == 4:
        first, last = _sum(e, (1, x[0]), (-1, x[2])), _sum(e, (1, x[3]), (-1, x[1]))
        return [first, *_pair(e, x[2], 1, x[1]), last]
    even, odd = _sum(e, (1, x[4]), (-2, x[2])), _sum(e, (1, x[3]), (-2, x[1]))
    near = _pair(e, even, _A, odd)
    even, odd = _sum(e, (1, x[4]), (-0.5, x[2])), _sum(e, (1, x[3]), (-0.5, x[1]))
    far = _pair(e, even, _B, odd)
    first = _sum(e, (1, x[0]), (1, x[4]), (-2.5, x[2]))
    return [first, *near, *far, _sum(e, (1, x[1]), (1, x[5]), (-2.5, x[3]))]


def _output(e: Any, m: _Values) -> _Values:
    """Aᵀ m."""
    even, odd, *far = _halves(e, m)
    if not far:
        return [_sum(e, (1, m[0]), (1, even)), _sum(e, (1, odd), (1, m[3]))]
    far_even, far_odd = far
    return [
        _sum(e, (1, m[0]), (1, even), (1, far_even)),
        _sum(e, (_A, odd), (_B, far_odd)),
        _sum(e, (0.5, even), (2, far_even)),
        _sum(e, (1, m[5]), (_A / 2, odd), (2 * _B, far_odd)),
    ]


def _gradient(e: Any, d: _Values) -> _Values:
    """A d."""
    if len(d) == 2:
        return [d[0], *_pair(e, d[0], 1, d[1]), d[1]]
    even, odd = _sum(e, (1, d[0]), (0.5, d[2])), _sum(e, (1, d[1]), (0.5, d[3]))
    near = _pair(e, even, _A, odd)
    even, odd = _sum(e, (1, d[0]), (2, d[2])), _sum(e, (1, d[1]), (2, d[3]))
    return [d[0], *near, *_pair(e, even, _B, odd), d[3]]


def _weight(side: int) -> _Transform:
    """G w."""

    def transform(e: Any, w: _Values) -> _Values:
        if side == 4:
            return [w[0], *_pair(e, _sum(e, (0.5, w[0]), (0.5, w[2])), 0.5, w[1]), w[2]]
        near = _pair(e, _sum(e, (-2 / 3, w[0]), (-1 / 3, w[2])), -2 / 3 * _A, w[1])
        far = _pair(e, _sum(e, (1 / 6, w[0]), (1 / 3, w[2])), _B / 6, w[1])
        return [w[0], *near, *far, w[2]]

    return transform


def _turned_weight(e: Any, m: _Values) -> _Values:
    """Gᵀ m."""
    even, odd, *far = _halves(e, m)
    if not far:
        half = _sum(e, (0.5, even))
        return [_sum(e, (1, m[0]), (1, half)), _sum(e, (0.5, odd)), _sum(e, (1, half), (1, m[3]))]
    far_even, far_odd = far
    return [
        _sum(e, (1, m[0]), (-2 / 3, even), (1 / 6, far_even)),
        _sum(e, (-2 / 3 * _A, odd), (_B / 6, far_odd)),
        _sum(e, (1, m[5]), (-1 / 3, even), (1 / 3, far_even)),
    ]


def _both(e: Any, transform: _Transform, side: int, value: Callable[[int, int], Any]) -> Any:
    """A transform along the columns, then along the rows, of side × side values: rows of them."""
    columns = [transform(e, [value(i, j) for i in range(side)]) for j in range(side)]
    return [transform(e, list(row)) for row in zip(*columns, strict=True)]


def _patch(e: Any, p: Patch, source: Any) -> Callable[[int, int], Any]:
    def value(i: int, j: int) -> Any:
        inside = i < p.rows and j < p.columns
        return e.load(source, i * p.row + j * p.column) if inside else None

    return value


def load_spots(e: Any, p: Patch, source: Any) -> Callable[[int, int], Any]:
    """What loads one of the transformed numbers."""
    return lambda i, j: e.load(source, (i * p.side + j) * p.spot)


def keep_spots(e: Any, p: Patch, rows: Any, to: Any) -> None:
    """Write transformed numbers."""
    for i, row in enumerate(rows):
        for j, value in enumerate(row):
            value = e.constant(0.0) if value is None else value
            e.store(value, to, (i * p.side + j) * p.spot)


def output_transform(e: Any, p: Patch, value: Callable[[int, int], Any]) -> Any:
    """Aᵀ M A, of which the patch's rows and columns are meant."""
    return _both(e, _output, p.side, value)


def turned_weight_transform(e: Any, p: Patch, value: Callable[[int, int], Any]) -> Any:
    """Gᵀ S G."""
    return _both(e, _turned_weight, p.side, value)


@block(nothing)
def transform_input(e, p, x, v):
    """V = Bᵀ x B of one vector of channels, x standing at the tile's first pixel."""
    keep_spots(e, p, _both(e, _input, p.side, _patch(e, p, x)), v)


@block(nothing)
def transform_gradient(e, p, dy, w):
    """W = A dy Aᵀ of one vector of channels, dy standing at the tile's first pixel."""
    keep_spots(e, p, _both(e, _gradient, p.side - 2, _patch(e, p, dy)), w)


@block(nothing)
def transform_weight(e, p, w, u):
    """U = G w Gᵀ of one vector of channels, w being a patch of 3 × 3."""
    keep_spots(e, p, _both(e, _weight(p.side), 3, _patch(e, p, w)), u)
