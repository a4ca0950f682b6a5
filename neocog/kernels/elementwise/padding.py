"""Padding: a copy of a map with more rows and columns around it, and the gradient.

    forward   y[i, j] = x[r_i, c_j], or 0 where r_i or c_j is none
    backward  dx[h, w] = Σ dy[i, j] over all i with r_i = h and j with c_j = w

(`neocog.reference.pad2d_forward`). r and c are tables, in which −1 stands for none; so zeros,
reflected, replicated and circular padding are the same machine code. Between the added columns lies
a copy of a row of x in one piece. The sum for dx begins with the number inside, then come those
of the added columns of its row, then the added rows in their order.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.pointers import advance
from neocog.kernels.codegen.vector_types import FLOATS, LANES
from neocog.kernels.compiler.jit import inlined, kernel
from neocog.kernels.compiler.spec import Spec
from neocog.kernels.layout import FeatureMap
from neocog.layers.padding import padding_sources

__all__ = ["Padding", "kinds", "pad_backward", "pad_forward"]


@dataclass(frozen=True)
class Padding(Spec):
    """From a map x to the padded map y; for the gradient, from y to x.

    Attributes:
        x, y: the maps, both dense or none.
        top, left: how many rows and columns are added before.
        mode: what stands there, one of `neocog.layers.padding.PADDING_MODES`.
        begin, of: where y is but a part of the rows: the first one, and how many there are in all,
            or 0.
    """

    x: FeatureMap
    y: FeatureMap
    top: int
    left: int
    mode: str
    begin: int = 0
    of: int = 0

    @property
    def rows(self) -> tuple[int, ...]:
        """Where each row of y comes from; −1 for zeros."""
        bottom = (self.of or self.y.height) - self.x.height - self.top
        sources = padding_sources(self.mode, self.x.height, self.top, bottom)
        return sources[self.begin : self.begin + self.y.height]

    @property
    def columns(self) -> tuple[int, ...]:
        """Where each column of y comes from; −1 for zeros."""
        right = self.y.width - self.x.width - self.left
        return padding_sources(self.mode, self.x.width, self.left, right)

    @property
    def floats(self) -> int:
        """Floats of a row of x."""
        return self.x.width * self.x.pixel

    @property
    def wide(self) -> int:
        """Floats of a row of y."""
        return self.y.width * self.y.pixel


@block(nothing)
def copy_lanes(emit, spec, x, y, n):
    """Copy a vector, or its first `n` lanes."""
    emit.store_lanes(emit.load_lanes(x, 0, n), y, 0, n)


@block(nothing)
def copy_vector(emit, spec, x, y):
    """Copy a vector."""
    emit.store(emit.load(x), y)


@block(nothing)
def add_lanes(emit, spec, x, y, n):
    """Add the first `n` lanes of a vector."""
    emit.store_lanes(emit.add(emit.load_lanes(y, 0, n), emit.load_lanes(x, 0, n)), y, 0, n)


@block(nothing)
def add_vector(emit, spec, x, y):
    """Add a vector."""
    emit.store(emit.add(emit.load(y), emit.load(x)), y)


@block(nothing)
def clear_lanes(emit, spec, y, n):
    """Zeros in the first `n` lanes of a vector."""
    emit.store_lanes(emit.constant(0.0), y, 0, n)


@inlined
def copy(spec, x, y, floats):
    """Copy floats that lie side by side."""
    whole = floats // LANES * LANES
    for at in range(0, whole, LANES):
        copy_vector(spec, advance(x, at), advance(y, at))
    if whole < floats:
        copy_lanes(spec, advance(x, whole), advance(y, whole), floats - whole)


@inlined
def add(spec, x, y, floats):
    """Add floats that lie side by side to others."""
    whole = floats // LANES * LANES
    for at in range(0, whole, LANES):
        add_vector(spec, advance(x, at), advance(y, at))
    if whole < floats:
        add_lanes(spec, advance(x, whole), advance(y, whole), floats - whole)


@inlined
def clear(spec, y, floats):
    """Zeros in floats that lie side by side."""
    for at in range(0, floats, LANES):
        clear_lanes(spec, advance(y, at), floats - at)


@inlined
def copy_columns(spec, x, y, begin, end):
    """The added columns begin … end of a row of y."""
    for j in range(begin, end):
        to = advance(y, j * spec.y.pixel)
        if spec.columns[j] < 0:
            clear(spec, to, spec.y.pixel)
        else:
            copy(spec, advance(x, spec.columns[j] * spec.x.pixel), to, spec.y.pixel)


@kernel(x=FLOATS, y=FLOATS)
def pad_forward(spec, o, first, count):
    """y, except for its border, from x."""
    for n in range(count):
        x_map = advance(o.x, n * spec.x.size + spec.x.start)
        y_map = advance(o.y, n * spec.y.size + spec.y.start)
        for i in range(spec.y.height):
            y = advance(y_map, i * spec.y.row)
            if spec.rows[i] < 0:
                clear(spec, y, spec.wide)
            else:
                x = advance(x_map, spec.rows[i] * spec.x.row)
                copy_columns(spec, x, y, 0, spec.left)
                copy(spec, x, advance(y, spec.left * spec.y.pixel), spec.floats)
                copy_columns(spec, x, y, spec.left + spec.x.width, spec.y.width)


@inlined
def add_columns(spec, dy, dx, begin, end):
    """Add the added columns begin … end of a row of dy."""
    for j in range(begin, end):
        if spec.columns[j] >= 0:
            to = advance(dx, spec.columns[j] * spec.x.pixel)
            add(spec, advance(dy, j * spec.y.pixel), to, spec.y.pixel)


@inlined
def add_rows(spec, dy_map, dx_map, begin, end):
    """Add the added rows begin … end of dy."""
    for i in range(begin, end):
        if spec.rows[i] >= 0:
            dy = advance(dy_map, i * spec.y.row)
            dx = advance(dx_map, spec.rows[i] * spec.x.row)
            add(spec, advance(dy, spec.left * spec.y.pixel), dx, spec.floats)
            add_columns(spec, dy, dx, 0, spec.left)
            add_columns(spec, dy, dx, spec.left + spec.x.width, spec.y.width)


@kernel(dy=FLOATS, dx=FLOATS)
def pad_backward(spec, o, first, count):
    """dx, except for its border, from dy; in the spec, dx is x and dy is y."""
    for n in range(count):
        dy_map = advance(o.dy, n * spec.y.size + spec.y.start)
        dx_map = advance(o.dx, n * spec.x.size + spec.x.start)
        for h in range(spec.x.height):
            dy = advance(dy_map, (spec.top + h) * spec.y.row)
            dx = advance(dx_map, h * spec.x.row)
            copy(spec, advance(dy, spec.left * spec.y.pixel), dx, spec.floats)
            add_columns(spec, dy, dx, 0, spec.left)
            add_columns(spec, dy, dx, spec.left + spec.x.width, spec.y.width)
        add_rows(spec, dy_map, dx_map, 0, spec.top)
        add_rows(spec, dy_map, dx_map, spec.top + spec.x.height, spec.y.height)


def kinds() -> Iterator[tuple[Any, Any]]:
    """Each kernel with a spec of its only kind."""
    spec = Padding(FeatureMap(1, 1, 1), FeatureMap(1, 1, 1), 0, 0, "zeros")
    yield pad_forward, spec
    yield pad_backward, spec
