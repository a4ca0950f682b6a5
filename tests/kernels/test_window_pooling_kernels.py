"""The kernels that pool windows, against `neocog.reference` in float64; see `cases`."""

from typing import NamedTuple

import numpy as np
from cases import (
    BORDERS,
    IMAGES,
    double,
    example,
    generator,
    in_every_width,
    magnitude,
    once,
    real,
    sizes,
    whole,
    wild,
)
from hypothesis import given
from hypothesis import strategies as st
from kernel_caller import Buffer, assert_within, blank, call, maps, places, read, rounding

from neocog import reference
from neocog.kernels.compiler.spec import kind_of
from neocog.kernels.layout import FeatureMap
from neocog.kernels.pooling import average_pooling, max_pooling
from neocog.kernels.pooling.average_pooling import avg_pool_backward, avg_pool_forward
from neocog.kernels.pooling.max_pooling import max_pool_backward, max_pool_forward
from neocog.kernels.pooling.windows import Side, WindowGradient, WindowPooling, adaptive_side


class Case(NamedTuple):
    """Windows of a kernel, or, with an `output`, those of adaptive pooling."""

    images: int
    shape: tuple
    borders: tuple
    dense: tuple
    kernel: tuple = ()
    stride: tuple = ()
    padding: tuple = ()
    ceil_mode: bool = False
    divisor: int = 0
    output: tuple = ()

    @property
    def windows(self):
        """What the reference of windows with a kernel needs to know."""
        return self.kernel, self.stride, self.padding

    @property
    def sides(self):
        if self.output:
            return [adaptive_side(*side) for side in zip(self.shape[1:], self.output, strict=True)]
        # The reference counts windows, and is tested against PyTorch.
        empty = np.zeros((1, *self.shape), bool)
        pooled, _ = reference.max_pool2d_forward(empty, *self.windows, ceil_mode=self.ceil_mode)
        return list(map(Side, self.shape[1:], pooled.shape[2:], *self.windows))

    def spec(self, of=WindowPooling, **flags):
        c, h, w = self.shape
        sides = self.sides
        pooled = tuple(side.windows for side in sides)
        each = zip(((h, w), pooled, pooled, (h, w)), self.borders, self.dense, strict=True)
        return of(*(FeatureMap(*size, c, *b, d) for size, b, d in each), *sides, **flags)


@st.composite
def cases(draw):
    c = draw(st.integers(1, 4) | st.integers(1, 70))
    h, w = draw(st.tuples(st.integers(1, 14), st.integers(1, 14)))
    borders = tuple(draw(BORDERS) for _ in range(4))
    dense = tuple(draw(st.booleans()) for _ in range(4))
    case = Case(draw(IMAGES), (c, h, w), borders, dense)
    if draw(st.booleans()):
        return case._replace(output=draw(st.tuples(st.integers(1, 9), st.integers(1, 9))))
    kernel, stride, padding = [], [], []
    for size in (h, w):
        taps = draw(st.sampled_from([1, 2, 2, 3, 3, 4, 5, 7]))
        before = draw(st.integers(0, taps // 2))
        # A window must fit; and sometimes it is the whole map.
        taps = min(taps, size + 2 * before) if draw(st.booleans()) else size
        kernel.append(taps)
        padding.append(min(before, taps // 2))
        stride.append(draw(st.sampled_from([taps, 1, 2, 3])))
    return case._replace(
        kernel=tuple(kernel),
        stride=tuple(stride),
        padding=tuple(padding),
        ceil_mode=draw(st.booleans()),
        divisor=draw(st.sampled_from([0, 0, 1, 3, 50])),
    )


B = ((1, 2), (0, 1), (2, 0), (1, 1))
NONE, ALL = (False,) * 4, (True,) * 4
CASES = (
    # The first two are run in every width, so they are of different kinds.
    Case(1, (33, 9, 8), B, NONE, (3, 3), (2, 2), (1, 1)),  # overlapping, clipped
    Case(2, (3, 6, 5), B, ALL, (3, 2), (2, 1), (1, 1)),  # dense
    Case(2, (17, 5, 7), B, NONE, (2, 2), (2, 2), (0, 0)),  # tiled, a row and a column left over
    Case(1, (3, 4, 6), B, (True, False, False, True), (2, 3), (2, 3), (0, 0)),  # two are dense
    Case(2, (24, 8, 8), B, NONE, (8, 8), (8, 8), (0, 0)),  # a whole map
    Case(2, (70, 7, 7), ((0, 0),) * 4, NONE, (7, 7), (7, 7), (0, 0)),  # without a border
    Case(1, (9, 7, 5), B, NONE, (2, 1), (3, 4), (0, 0)),  # places between windows
    Case(1, (9, 6, 5), B, NONE, (2, 2), (2, 2), (1, 0), ceil_mode=True),  # tiled, but not whole
    Case(1, (9, 7, 5), B, NONE, output=(3, 5)),  # adaptive, overlapping rows
)


def with_cases(test):
    for case in in_every_width(CASES, 3):
        test = example(case=case)(test)
    return test


def maxima(case, x):
    """The reference's maxima and winning taps."""
    if not case.output:
        return reference.max_pool2d_forward(x, *case.windows, ceil_mode=case.ceil_mode)
    y, winner = reference.adaptive_max_pool2d_forward(x, case.output)
    rows, columns = case.sides
    row, column = np.divmod(winner, x.shape[3])
    i, j = row - np.array(rows.origins)[:, None], column - np.array(columns.origins)
    return y, i * columns.kernel + j


def maxima_gradient(case, dy, x):
    shape = (len(x), *case.shape)
    if case.output:
        _, winner = reference.adaptive_max_pool2d_forward(x, case.output)
        return reference.adaptive_max_pool2d_backward(dy, winner, shape)
    option = {"ceil_mode": case.ceil_mode}
    _, winner = reference.max_pool2d_forward(x, *case.windows, **option)
    return reference.max_pool2d_backward(dy, winner, shape, *case.windows, **option)


def means(case, x, options):
    if case.output:
        return reference.adaptive_avg_pool2d_forward(x, case.output)
    return reference.avg_pool2d_forward(x, *case.windows, ceil_mode=case.ceil_mode, **options)


def means_gradient(case, dy, options):
    shape = (len(dy), *case.shape)
    if case.output:
        return reference.adaptive_avg_pool2d_backward(dy, shape)
    options = {"ceil_mode": case.ceil_mode, **options}
    return reference.avg_pool2d_backward(dy, shape, *case.windows, **options)


def overlaps(spec):
    """How many windows a place lies in, at most."""
    most = 1
    for side in (spec.rows, spec.columns):
        covered = [range(*each) for each in zip(side.firsts, side.ends, strict=True)]
        most *= max(sum(place in each for each in covered) for place in range(side.size))
    return most


@sizes(60)
@with_cases
@given(case=cases())
def test_max_pool_forward(case):
    for kind, winners in ((whole, True), (wild, True), (real, True), (wild, False)):
        spec = case.spec(winners=winners)
        x = kind(generator(case), case.images, *case.shape)
        y, won = blank(spec.y, len(x)), Buffer(len(x), spec.won.size, np.int32)
        kept = won if winners else None
        call(max_pool_forward, spec, count=len(x), x=maps(spec.x, x), y=y, winners=kept)
        expected, winner = maxima(case, x)
        np.testing.assert_array_equal(read(spec.y, y), expected)
        if winners:
            np.testing.assert_array_equal(won.items[:, places(spec.won)], winner)


@once
def test_minus_infinity_alone_is_a_maximum():
    """And its first tap that lies in the map is the winner."""
    case = Case(1, (5, 4, 4), B, NONE, (3, 3), (2, 2), (1, 1))
    spec = case.spec()
    x = np.full((1, *case.shape), -np.inf, np.float32)
    y, won = blank(spec.y, 1), Buffer(1, spec.won.size, np.int32)
    call(max_pool_forward, spec, x=maps(spec.x, x), y=y, winners=won)
    expected, winner = maxima(case, x)
    np.testing.assert_array_equal(read(spec.y, y), expected)
    np.testing.assert_array_equal(won.items[:, places(spec.won)], winner)


@sizes(60)
@with_cases
@given(case=cases())
def test_max_pool_backward(case):
    spec, rng = case.spec(WindowGradient), generator(case)
    x = whole(rng, case.images, *case.shape)
    _, winner = maxima(case, x)
    won = Buffer(len(winner), spec.won.size, np.int32)
    won.items[:, places(spec.won)] = winner
    for kind in (whole, real, wild):
        dy = kind(rng, *winner.shape)
        dx = blank(spec.dx, len(dy))
        call(max_pool_backward, spec, count=len(dy), dy=maps(spec.dy, dy), winners=won, dx=dx)
        with np.errstate(invalid="ignore"):
            expected = maxima_gradient(case, double(dy), x)
        bound = np.zeros_like(expected)
        if kind is real:
            bound = rounding(overlaps(spec) - 1, maxima_gradient(case, magnitude(dy), x))
        assert_within(read(spec.dx, dx), expected, bound)


@sizes(60)
@with_cases
@given(case=cases())
def test_avg_pool(case):
    for include in [True, False] if any(case.padding) else [True]:
        flags = {"winners": False, "count_include_pad": include, "divisor": case.divisor}
        options = {"count_include_pad": include, "divisor_override": case.divisor or None}
        spec, rng = case.spec(**flags), generator(case, include)
        for kind in (real, wild):
            x = kind(rng, case.images, *case.shape)
            y = blank(spec.y, len(x))
            call(avg_pool_forward, spec, count=len(x), x=maps(spec.x, x), y=y)
            with np.errstate(invalid="ignore"):
                expected = means(case, double(x), options)
            sums = means(case, np.nan_to_num(magnitude(x), posinf=0), options)
            # All are added, 1 / d is rounded, and so is the product with it.
            taps = spec.rows.kernel * spec.columns.kernel
            assert_within(read(spec.y, y), expected, rounding(taps + 2, sums))

            gradient = case.spec(WindowGradient, **flags)
            dy = kind(rng, *expected.shape)
            dx = blank(spec.dx, len(dy))
            call(avg_pool_backward, gradient, count=len(dy), dy=maps(spec.dy, dy), dx=dx)
            with np.errstate(invalid="ignore"):
                expected = means_gradient(case, double(dy), options)
            sums = means_gradient(case, np.nan_to_num(magnitude(dy), posinf=0), options)
            assert_within(read(spec.dx, dx), expected, rounding(2 * overlaps(spec) + 1, sums))


@once
@sizes(100)
@given(case=cases(), winners=st.booleans())
def test_every_kind_is_listed(case, winners):
    def listed(module):
        return {(kernel, kind_of(spec)) for kernel, spec in module.kinds()}

    forward, gradient = case.spec(winners=winners), case.spec(WindowGradient, winners=winners)
    assert (max_pool_forward, kind_of(forward)) in listed(max_pooling)
    assert (max_pool_backward, kind_of(gradient)) in listed(max_pooling)
    mean = case.spec(winners=False)
    assert (avg_pool_forward, kind_of(mean)) in listed(average_pooling)
    assert (avg_pool_backward, kind_of(gradient)) in listed(average_pooling)
    assert len(listed(max_pooling)) + len(listed(average_pooling)) == 16
