"""The gradient of a convolution's input behind pooling, from the winners, against its formula."""

from dataclasses import dataclass

import numpy as np
import pytest
from cases import (
    double,
    example,
    generator,
    magnitude,
    real,
    sizes,
    whole,
    winner_offsets,
)
from hypothesis import given
from hypothesis import strategies as st
from kernel_caller import (
    Buffer,
    assert_within,
    blank,
    call,
    maps,
    parameter,
    places,
    read,
    rounding,
    weight_places,
)

from neocog import reference
from neocog.kernels.compiler.spec import kind_of
from neocog.kernels.convolution import winner_input_gradient
from neocog.kernels.convolution.winner_input_gradient import (
    WinnerInputGradient,
    conv2d_backward_input_of_winners,
)
from neocog.kernels.layout import ConvolutionWeight, FeatureMap


@dataclass(frozen=True)
class Case:
    """A convolution without padding, pooled to `rows` × `columns`, of an x `more` larger."""

    n: int
    c: int
    k: int
    kernel: tuple[int, int]
    rows: int
    columns: int
    more: tuple[int, int] = (0, 0)
    stride: tuple[int, int] = (1, 1)
    border: tuple[int, int] = (0, 0)
    gated: bool = False
    dense: bool = False

    @property
    def x_map(self):
        sizes = (
            (2 * places - 1) * s + kernel + more
            for places, s, kernel, more in zip(
                (self.rows, self.columns), self.stride, self.kernel, self.more, strict=True
            )
        )
        return FeatureMap(*sizes, self.c, *self.border, self.dense)

    @property
    def out(self):
        """Size of what is pooled."""
        x = self.x_map
        sizes = zip((x.height, x.width), self.kernel, self.stride, strict=True)
        return tuple((size - kernel) // s + 1 for size, kernel, s in sizes)


@st.composite
def cases(draw):
    pair = st.tuples(st.integers(0, 2), st.integers(0, 2))
    stride = draw(st.tuples(st.integers(1, 2), st.integers(1, 3)))
    more = draw(pair)
    return Case(
        draw(st.integers(1, 3)),
        draw(st.integers(1, 70)),
        draw(st.integers(1, 40)),
        draw(st.tuples(st.integers(1, 5), st.integers(1, 4))),
        draw(st.integers(1, 4)),
        draw(st.integers(1, 5)),
        # Two places more would make another region.
        tuple(min(extra, 2 * s - 1) for extra, s in zip(more, stride, strict=True)),
        stride,
        draw(pair),
        draw(st.booleans()),
    )


LISTED = [kind_of(spec) for _, spec in winner_input_gradient.kinds()]


@sizes(40)
@example(case=Case(2, 6, 16, (5, 5), 5, 5, gated=True))
@example(case=Case(2, 9, 16, (3, 3), 3, 4, gated=True))
@example(case=Case(1, 33, 5, (1, 2), 1, 1, border=(1, 2)))
@example(case=Case(3, 17, 24, (3, 2), 2, 3, (1, 1), (2, 1), (2, 0), gated=True))
@example(case=Case(2, 3, 5, (3, 3), 2, 3, gated=True, dense=True))
@given(case=cases())
@pytest.mark.parametrize("kind", [whole, real])
def test_conv2d_backward_input_of_winners(kind, case):
    rng, x_map = generator(case), case.x_map
    dy_map = FeatureMap(case.rows, case.columns, case.k)
    dy = kind(rng, case.n, case.k, case.rows, case.columns)
    winner = rng.integers(0, 4, dy.shape)
    winners = Buffer(case.n, dy_map.size, np.int32)
    winners.items[:, places(dy_map)] = winner_offsets(x_map, winner, case.stride)
    weight = kind(rng, case.k, case.c, *case.kernel)
    w = ConvolutionWeight(case.k, case.c, *case.kernel).flipped
    flipped = parameter(w.size, weight_places(w), weight.swapaxes(0, 1)[..., ::-1, ::-1])
    x = np.maximum(whole(rng, case.n, case.c, x_map.height, x_map.width), 0)
    dx = blank(x_map, case.n)
    spec = WinnerInputGradient(dy_map, x_map, w, *case.stride, case.gated)
    assert kind_of(spec) in LISTED
    of = {"dy": maps(dy_map, dy), "winners": winners, "weight": flipped, "dx": dx}
    call(conv2d_backward_input_of_winners, spec, count=case.n, **of, gate=maps(x_map, x))

    def formula(slopes, of_weight):
        spread = reference.max_pool2d_backward(slopes, winner, (case.n, case.k, *case.out))
        return reference.conv2d_backward_input(spread, of_weight, x.shape, stride=case.stride)

    expected = formula(double(dy), double(weight))
    terms = case.k * case.kernel[0] * case.kernel[1]
    bound = rounding(terms + 2, formula(magnitude(dy), magnitude(weight)))
    bound = bound if kind is real else np.zeros_like(expected)
    if case.gated:
        expected = reference.relu_backward(expected, double(x))
    assert_within(read(x_map, dx), expected, bound)
