"""The transforms of Winograd convolution, as straight-line vector code; see `forward`.

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

The paper's points 0, ±1, ±2, ∞ have twice the error; the error of these is less than twice that of
the direct sum. As points come in pairs, the sums of even and odd powers are computed once for both.
"""

from collections.abc import Callable, Iterator
from math import sqrt
from typing import Any

__all__ = [
    "output_transform",
    "part_of",
    "places",
    "transform_gradient",
    "transform_input",
    "transform_weight",
    "transposed_weight_transform",
]

_A, _B = sqrt(0.5), sqrt(2.0)

_Values = list[Any]
#: A transform of a row of values.
_Transform = Callable[[Any, _Values], _Values]
#: The pointer to row i and column j.
_Grid = Callable[[int, int], Any]


def _sum(emit: Any, *terms: tuple[float, Any]) -> Any:
    """Σ factor · value, starting with the factors 1, which need no multiplication."""
    (factor, total), *rest = sorted(terms, key=lambda t: abs(t[0] - 1) > 0)
    if factor != 1:
        total = emit.mul(emit.constant(factor), total)
    for factor, value in rest:
        if factor == 1:
            total = emit.add(total, value)
        elif factor == -1:
            total = emit.sub(total, value)
        else:
            total = emit.fma(emit.constant(factor), value, total)
    return total


def _pair(emit: Any, even: Any, factor: float, odd: Any) -> _Values:
    return [_sum(emit, (1, even), (factor, odd)), _sum(emit, (1, even), (-factor, odd))]


def _halves(emit: Any, m: _Values) -> _Values:
    """Sum and difference of each pair of points."""
    return [
        _sum(emit, (1, m[at]), (sign, m[at + 1]))
        for at in range(1, len(m) - 1, 2)
        for sign in (1, -1)
    ]


def _input(emit: Any, x: _Values) -> _Values:
    """Bᵀ x."""
    if len(x) == 4:
        first, last = _sum(emit, (1, x[0]), (-1, x[2])), _sum(emit, (1, x[3]), (-1, x[1]))
        return [first, *_pair(emit, x[2], 1, x[1]), last]
    even, odd = _sum(emit, (1, x[4]), (-2, x[2])), _sum(emit, (1, x[3]), (-2, x[1]))
    near = _pair(emit, even, _A, odd)
    even, odd = _sum(emit, (1, x[4]), (-0.5, x[2])), _sum(emit, (1, x[3]), (-0.5, x[1]))
    far = _pair(emit, even, _B, odd)
    first = _sum(emit, (1, x[0]), (1, x[4]), (-2.5, x[2]))
    return [first, *near, *far, _sum(emit, (1, x[1]), (1, x[5]), (-2.5, x[3]))]


def _output(emit: Any, m: _Values) -> _Values:
    """Aᵀ m."""
    even, odd, *far = _halves(emit, m)
    if not far:
        return [_sum(emit, (1, m[0]), (1, even)), _sum(emit, (1, odd), (1, m[3]))]
    far_even, far_odd = far
    return [
        _sum(emit, (1, m[0]), (1, even), (1, far_even)),
        _sum(emit, (_A, odd), (_B, far_odd)),
        _sum(emit, (0.5, even), (2, far_even)),
        _sum(emit, (1, m[5]), (_A / 2, odd), (2 * _B, far_odd)),
    ]


def _gradient(emit: Any, d: _Values) -> _Values:
    """A d."""
    if len(d) == 2:
        return [d[0], *_pair(emit, d[0], 1, d[1]), d[1]]
    even, odd = _sum(emit, (1, d[0]), (0.5, d[2])), _sum(emit, (1, d[1]), (0.5, d[3]))
    near = _pair(emit, even, _A, odd)
    even, odd = _sum(emit, (1, d[0]), (2, d[2])), _sum(emit, (1, d[1]), (2, d[3]))
    return [d[0], *near, *_pair(emit, even, _B, odd), d[3]]


def _weight(side: int) -> _Transform:
    """G w."""

    def transform(emit: Any, w: _Values) -> _Values:
        if side == 4:
            return [w[0], *_pair(emit, _sum(emit, (0.5, w[0]), (0.5, w[2])), 0.5, w[1]), w[2]]
        near = _pair(emit, _sum(emit, (-2 / 3, w[0]), (-1 / 3, w[2])), -2 / 3 * _A, w[1])
        far = _pair(emit, _sum(emit, (1 / 6, w[0]), (1 / 3, w[2])), _B / 6, w[1])
        return [w[0], *near, *far, w[2]]

    return transform


def _transposed_weight(emit: Any, m: _Values) -> _Values:
    """Gᵀ m."""
    even, odd, *far = _halves(emit, m)
    if not far:
        half = _sum(emit, (0.5, even))
        return [
            _sum(emit, (1, m[0]), (1, half)),
            _sum(emit, (0.5, odd)),
            _sum(emit, (1, half), (1, m[3])),
        ]
    far_even, far_odd = far
    return [
        _sum(emit, (1, m[0]), (-2 / 3, even), (1 / 6, far_even)),
        _sum(emit, (-2 / 3 * _A, odd), (_B / 6, far_odd)),
        _sum(emit, (1, m[5]), (-1 / 3, even), (1 / 3, far_even)),
    ]


def _both(emit: Any, transform: _Transform, side: int, place: _Grid) -> Iterator[_Values]:
    """Apply a transform along columns, then along rows, to side × side values.

    Yields row by row, so that each is written before the next needs its registers.
    """
    columns = [transform(emit, [emit.load(place(i, j)) for i in range(side)]) for j in range(side)]
    for row in zip(*columns, strict=True):
        yield transform(emit, list(row))


def places(emit: Any, pointer: Any, row: Any, column: Any) -> _Grid:
    """Pointers to rows and columns with these strides in floats."""
    rows = [emit.opaque(pointer)]

    def place(i: int, j: int) -> Any:
        while len(rows) <= i:
            rows.append(emit.advance(rows[-1], row))
        return emit.advance(rows[i], emit.offset((j, column)))

    return place


def part_of(emit: Any, whole: _Grid, rows: Any, columns: Any, elsewhere: _Grid) -> _Grid:
    """The pointers of `whole` within `rows` and `columns`, else those of `elsewhere`."""

    def place(i: int, j: int) -> Any:
        inside = emit.both(emit.below(i, rows), emit.below(j, columns))
        return emit.select(inside, whole(i, j), elsewhere(i, j))

    return place


def _points(emit: Any, side: int, pointer: Any, spot: Any) -> _Grid:
    """Pointers to the points of a tile, which are `spot` floats apart."""
    return places(emit, pointer, emit.offset((side, spot)), spot)


def output_transform(emit: Any, side: int, m: Any, spot: Any) -> Iterator[_Values]:
    """Aᵀ M A of points that are `spot` floats apart."""
    return _both(emit, _output, side, _points(emit, side, m, spot))


def transposed_weight_transform(emit: Any, side: int, sums: Any, spot: Any) -> Iterator[_Values]:
    """Gᵀ S G of points that are `spot` floats apart."""
    return _both(emit, _transposed_weight, side, _points(emit, side, sums, spot))


def _transform(
    emit: Any, transform: _Transform, size: int, side: int, place: _Grid, to: Any, spot: Any
) -> None:
    """Transform size × size vectors both ways, to side² points `spot` floats apart."""
    at = _points(emit, side, to, spot)
    for i, row in enumerate(_both(emit, transform, size, place)):
        for j, value in enumerate(row):
            emit.store(value, at(i, j))


def transform_input(emit: Any, side: int, place: _Grid, v: Any, spot: Any) -> None:
    """V = Bᵀ x B of one vector of channels; `place` points to the pixels."""
    _transform(emit, _input, side, side, place, v, spot)


def transform_gradient(emit: Any, side: int, place: _Grid, w: Any, spot: Any) -> None:
    """W = A dy Aᵀ of one vector of channels; `place` points to the pixels."""
    _transform(emit, _gradient, side - 2, side, place, w, spot)


def transform_weight(emit: Any, side: int, place: _Grid, u: Any, spot: Any) -> None:
    """U = G w Gᵀ of one vector of channels; `place` points to the taps."""
    _transform(emit, _weight(side), 3, side, place, u, spot)
