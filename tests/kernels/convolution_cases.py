"""Convolutions that kernels are tested with."""

from dataclasses import dataclass, replace

import numpy as np
from cases import (
    BORDERS,
    IMAGES,
    SIZES,
    generator,
    unwritten,
    whole,
    wild,
)
from hypothesis import strategies as st
from kernel_caller import (
    blank,
    maps,
    places,
)

from neocog.kernels.convolution.tiling import Convolution
from neocog.kernels.convolution.weight_gradient import WeightGradient
from neocog.kernels.convolution.winner_gradient import WinnerGradient
from neocog.kernels.elementwise.limits import LIMITS
from neocog.kernels.layout import ConvolutionWeight, FeatureMap


@dataclass(frozen=True)
class Case:
    """A convolution; `extra` is border that x has beyond its padding, `border` that of the result.

    What `inputs` and `outputs` count are channels of one group.
    """

    n: int
    inputs: int
    size: tuple[int, int]
    outputs: int
    kernel: tuple[int, int]
    rows: tuple[int, int] = (0, 0)
    columns: tuple[int, int] = (0, 0)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    border: tuple[int, int] = (0, 0)
    extra: int = 0
    dense: bool = False
    bias: bool = True
    function: str = "identity"
    gated: bool = False
    accumulate: bool = False
    adds: bool = False

    @property
    def c(self):
        return self.inputs * self.groups

    @property
    def k(self):
        return self.outputs * self.groups

    @property
    def padding(self):
        return self.rows, self.columns

    @property
    def options(self):
        """What the formulas take beside the padding."""
        return {"stride": self.stride, "dilation": self.dilation, "groups": self.groups}

    @property
    def reach(self):
        """From a window's first row and column to its last."""
        pairs = zip(self.kernel, self.dilation, strict=True)
        return tuple((kernel - 1) * dilation for kernel, dilation in pairs)

    @property
    def out(self):
        sizes = zip(self.size, self.padding, self.reach, self.stride, strict=True)
        return tuple((h + sum(p) - reach - 1) // s + 1 for h, p, reach, s in sizes)

    @property
    def x_map(self):
        border = (max(sides) + self.extra for sides in self.padding)
        return FeatureMap(*self.size, self.c, *border, self.dense)

    @property
    def y_map(self):
        return FeatureMap(*self.out, self.k, *self.border)

    @property
    def pooled(self):
        return FeatureMap(*(size // 2 for size in self.out), self.k, *self.border)

    @property
    def w_map(self):
        return ConvolutionWeight(self.k, self.c, *self.kernel, self.groups)

    @property
    def crop(self):
        """How far into x's border the first window begins."""
        return (
            self.x_map.border_h - self.padding[0][0],
            self.x_map.border_w - self.padding[1][0],
        )

    def spec(self, y_map, **others):
        (sh, sw), (dh, dw) = self.stride, self.dilation
        return Convolution(
            self.x_map,
            y_map,
            self.w_map,
            self.bias,
            self.function,
            crop_h=self.crop[0],
            crop_w=self.crop[1],
            stride_h=sh,
            stride_w=sw,
            dilation_h=dh,
            dilation_w=dw,
            **others,
        )

    def gradient_spec(self, dy_map, shard):
        steps = (*self.stride, *self.dilation)
        return WeightGradient(self.x_map, dy_map, self.w_map, self.bias, shard, *steps, *self.crop)

    def winner_spec(self, dy_map, shard):
        steps = (*self.stride, *self.crop)
        return WinnerGradient(self.x_map, dy_map, self.w_map, self.bias, shard, *steps)


CHANNELS = st.sampled_from([1, 3, 5, 8, 17, 24, 33])
SIDES = st.tuples(st.integers(0, 3), st.integers(0, 3))


@st.composite
def cases(draw, pool=False, plain=False, channels=CHANNELS):
    """Random convolutions; `plain` ones have neither dilation nor groups."""
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    stride = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    dilation = (1, 1) if plain else draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    groups = 1 if plain else draw(st.integers(1, 4))
    rows, columns = draw(SIDES), draw(SIDES)
    size = []
    for k, d, s, sides in zip(kernel, dilation, stride, (rows, columns), strict=True):
        least = (k - 1) * d + 1 + (s if pool else 0) - sum(sides)
        size.append(max(draw(SIZES), least))
    inputs, outputs = draw(channels), draw(channels)
    case = Case(draw(IMAGES), inputs, tuple(size), outputs, kernel, rows, columns)
    return replace(
        case,
        stride=stride,
        dilation=dilation,
        groups=groups,
        border=draw(BORDERS),
        extra=draw(st.integers(0, 1)),
        dense=inputs * groups <= 5 and draw(st.booleans()),
        bias=draw(st.booleans()),
        function=draw(st.sampled_from(list(LIMITS))),
        gated=draw(st.booleans()),
        accumulate=draw(st.booleans()),
        adds=draw(st.booleans()),
    )


RGB = Case(3, 3, (9, 13), 16, (3, 3), (1, 1), (1, 1), border=(1, 1), dense=True)
MANY = Case(2, 24, (5, 13), 48, (3, 3), (1, 1), (1, 1), border=(0, 1), function="relu", gated=True)
ONE = Case(1, 1, (1, 1), 1, (1, 1), bias=False)
GROUPS = Case(2, 3, (6, 7), 5, (3, 2), (1, 2), (0, 3), (2, 1), (1, 2), 3, (1, 0), 1)
LARGE_GROUPS = Case(
    1, 17, (3, 5), 33, (2, 2), (0, 1), (1, 0), groups=2, function="relu6", gated=True
)
SPARSE = Case(2, 6, (7, 8), 9, (2, 1), stride=(3, 2), dilation=(2, 3), accumulate=True)
#: The weights of many channels pass before the images; of large maps, bands pass.
HEAVY = Case(2, 96, (3, 3), 96, (3, 3), (1, 1), (1, 1), accumulate=True)


def result(case, kind, values, m):
    """A map for a kernel to write or add to, and what it holds before."""
    n, lanes_left = len(values), case.w_map.lanes_left
    if case.accumulate:
        before = (whole if kind is wild else kind)(generator("before", case), n, *places(m).shape)
        return maps(m, before), before
    return unwritten(m, n) if lanes_left else blank(m, n), np.zeros((n, *places(m).shape))


def conv_data(kind, case):
    rng = generator(kind.__name__, case)
    plain = whole if kind is wild else kind
    weight = plain(rng, case.k, case.inputs, *case.kernel)
    return kind(rng, case.n, case.c, *case.size), weight, plain(rng, case.k) if case.bias else None
