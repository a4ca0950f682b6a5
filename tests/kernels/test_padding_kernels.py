"""The kernels that pad maps, against `neocog.reference` in float64; see `cases`."""

import numpy as np
from cases import (
    BORDERS,
    IMAGES,
    double,
    example,
    generator,
    magnitude,
    once,
    real,
    sizes,
    whole,
    wild,
)
from hypothesis import given
from hypothesis import strategies as st
from kernel_caller import assert_within, blank, call, maps, read, rounding

from neocog import reference
from neocog.kernels.compiler.spec import kind_of
from neocog.kernels.elementwise.padding import Padding, kinds, pad_backward, pad_forward
from neocog.kernels.layout import FeatureMap
from neocog.layers.padding import PADDING_MODES


@st.composite
def pads(draw):
    """(N, C, H, W, mode, ((top, bottom), (left, right)), borders of x and y, dense)."""
    mode = draw(st.sampled_from(PADDING_MODES))
    shape = draw(IMAGES), draw(st.integers(1, 70)), draw(st.integers(1, 9)), draw(st.integers(1, 9))
    sides = []
    for size in shape[2:]:
        most = {"reflect": size - 1, "circular": size}.get(mode, 12)
        sides.append((draw(st.integers(0, most)), draw(st.integers(0, most))))
    return *shape, mode, tuple(sides), (draw(BORDERS), draw(BORDERS)), draw(st.booleans())


def padding(case):
    _, c, h, w, mode, (rows, columns), (of_x, of_y), dense = case
    return Padding(
        FeatureMap(h, w, c, *of_x, dense),
        FeatureMap(h + sum(rows), w + sum(columns), c, *of_y, dense),
        rows[0],
        columns[0],
        mode,
    )


def with_cases(test):
    sides = ((2, 1), (0, 3))
    for c, mode in ((3, "reflect"), (17, "zeros"), (9, "circular"), (4, "replicate")):
        test = example(case=(2, c, 3, 5, mode, sides, ((1, 2), (0, 1)), True))(test)
    return test


@sizes(80)
@with_cases
@given(case=pads())
def test_pad_forward(case):
    spec, (n, c, h, w, mode, sides, *_) = padding(case), case
    x = wild(generator(case), n, c, h, w)
    y = blank(spec.y, n)
    call(pad_forward, spec, count=n, x=maps(spec.x, x), y=y)
    np.testing.assert_array_equal(read(spec.y, y), reference.pad2d_forward(x, sides, mode))


@sizes(80)
@with_cases
@given(case=pads())
def test_pad_backward(case):
    spec, (n, c, h, w, mode, sides, *_) = padding(case), case
    backward, shape = reference.pad2d_backward, (n, c, h, w)
    for kind in (whole, real):
        dy = kind(generator(case), n, c, spec.y.height, spec.y.width)
        dx = blank(spec.x, n)
        call(pad_backward, spec, count=n, dy=maps(spec.y, dy), dx=dx)
        expected = backward(double(dy), shape, sides, mode)
        bound = np.zeros_like(expected)
        if kind is real:
            copies = max(map(spec.rows.count, range(h))) * max(map(spec.columns.count, range(w)))
            bound = rounding(copies - 1, backward(magnitude(dy), shape, sides, mode))
        assert_within(read(spec.x, dx), expected, bound)


@once
@sizes(20)
@given(case=pads())
def test_every_kind_is_listed(case):
    listed = [(kernel, kind_of(spec)) for kernel, spec in kinds()]
    kind = kind_of(padding(case))
    assert listed == [(pad_forward, kind), (pad_backward, kind)]
