"""Depthwise convolutions to test kernels with, and where their weights lie."""

from dataclasses import dataclass, replace

import numpy as np
from cases import ANOTHER_WIDTH, BORDERS, IMAGES, THOROUGH, example, generator, whole, wild
from hypothesis import strategies as st

from neocog.kernels.convolution.depthwise_tiling import (
    Depthwise,
    DepthwiseGradient,
    convolution_axis,
    gradient_axis,
)
from neocog.kernels.layout import FeatureMap, padded


@dataclass(frozen=True)
class Side:
    """Rows or columns: the size, the kernel, and the zeros around."""

    size: int
    kernel: int
    stride: int = 1
    dilation: int = 1
    before: int = 0
    after: int = 0

    @property
    def out(self):
        reach = self.dilation * (self.kernel - 1) + 1
        return (self.size + self.before + self.after - reach) // self.stride + 1

    @property
    def forward(self):
        return convolution_axis(self.kernel, self.stride, self.dilation, self.before)

    @property
    def backward(self):
        return gradient_axis(self.kernel, self.stride, self.dilation, self.before)


@dataclass(frozen=True)
class Case:
    """A convolution; `more` widens the borders of x, y, dy and dx, `dense` are those maps."""

    images: int
    channels: int
    sides: tuple[Side, Side]
    more: tuple[tuple[int, int], ...] = ((0, 0), (0, 1), (2, 0), (1, 1))
    dense: tuple[bool, ...] = (False,) * 4
    bias: bool = True

    @property
    def shape(self):
        return (self.images, self.channels, *(side.size for side in self.sides))

    @property
    def out_shape(self):
        return (self.images, self.channels, *(side.out for side in self.sides))

    @property
    def kernel(self):
        return tuple(side.kernel for side in self.sides)

    @property
    def called(self):
        """How the reference calls the convolution."""
        return {
            "padding": tuple((side.before, side.after) for side in self.sides),
            "stride": tuple(side.stride for side in self.sides),
            "dilation": tuple(side.dilation for side in self.sides),
            "groups": self.channels,
        }

    def _map(self, which, sizes, borders):
        border = (least + more for least, more in zip(borders, self.more[which], strict=True))
        return FeatureMap(*sizes, self.channels, *border, self.dense[which])

    @property
    def x(self):
        sides = self.sides
        return self._map(0, self.shape[2:], [max(side.before, side.after) for side in sides])

    @property
    def dy(self):
        borders = [side.backward.border(side.size, side.out) for side in self.sides]
        return self._map(2, self.out_shape[2:], borders)

    def forward(self, **options):
        y = self._map(1, self.out_shape[2:], (0, 0))
        axes = (side.forward for side in self.sides)
        return Depthwise(self.x, y, *axes, self.kernel[1], bias=self.bias, **options)

    @property
    def input_gradient(self):
        axes = (side.backward for side in self.sides)
        return Depthwise(self.dy, self._map(3, self.shape[2:], (0, 0)), *axes, self.kernel[1])

    def weight_gradient(self, shard=1):
        down, across = self.sides
        steps = (down.stride, across.stride, down.dilation, across.dilation)
        sides = (*self.kernel, *steps, down.before, across.before)
        return DepthwiseGradient(self.x, self.dy, *sides, self.bias, shard)

    @property
    def weight_size(self):
        return self.kernel[0] * self.kernel[1] * padded(self.channels)

    @property
    def weight_places(self):
        """Where in the packed weight the numbers [C, 1, i, j] stand."""
        c, _, i, j = np.ogrid[: self.channels, :1, : self.kernel[0], : self.kernel[1]]
        return (i * self.kernel[1] + j) * padded(self.channels) + c

    @property
    def bias_places(self):
        return np.arange(self.channels)

    def data(self, kind):
        """x, weight as in PyTorch, and bias."""
        rng = generator(kind.__name__, self)
        other = whole if kind is wild else kind
        x, w = kind(rng, *self.shape), other(rng, self.channels, 1, *self.kernel)
        return x, w, other(rng, self.channels) if self.bias else None


@st.composite
def _sides(draw, kernel, stride, dilation):
    size = draw(st.integers(1, 19))
    before, after = draw(st.integers(0, 4)), draw(st.integers(0, 4))
    missing = dilation * (kernel - 1) + 1 - size - before - after
    return Side(size, kernel, stride, dilation, before + max(0, missing), after)


# The larger ones differ in how often a line is repeated, which no width changes.
SQUARES = [3, 5, 7] if THOROUGH and not ANOTHER_WIDTH else [3]


@st.composite
def depthwise(draw):
    """Half of them with a square kernel that has machine code of its own."""
    if draw(st.booleans()):
        # The others compile machine code of their own, for the same formulas.
        side = draw(st.sampled_from(SQUARES))
        stride = draw(st.sampled_from([1, 2] if THOROUGH else [1]))
        down = across = side, stride, 1
    else:
        down, across = (
            (draw(st.integers(1, 4)), draw(st.integers(1, 3)), draw(st.integers(1, 3)))
            for _ in range(2)
        )
        across = (2 * across[0], *across[1:])  # no width with machine code of its own
    channels = draw(st.integers(1, 70))
    dense = tuple(channels <= 5 and draw(st.booleans()) for _ in range(4))
    sides = draw(_sides(*down)), draw(_sides(*across))
    borders = tuple(draw(BORDERS) for _ in range(4))
    return Case(draw(IMAGES), channels, sides, borders, dense, draw(st.booleans()))


WIDE = ((1, 0), (0, 1), (2, 3), (1, 1))
CASES = (
    Case(2, 17, (Side(7, 3, 1, 1, 1, 1), Side(9, 3, 1, 1, 1, 1))),
    Case(1, 8, (Side(13, 2, 3, 2), Side(13, 2, 5, 1, 4))),
    Case(2, 33, (Side(6, 3, 1, 1, 1, 1), Side(30, 3, 1, 1, 1, 1)), WIDE, bias=False),
    Case(1, 9, (Side(1, 1), Side(1, 1)), bias=False),
    Case(3, 3, (Side(6, 3, 1, 1, 1, 1), Side(5, 2, 3, 1, 0, 1)), dense=(True,) * 4),
)
if THOROUGH:
    CASES += (Case(1, 8, (Side(9, 3, 2, 1, 1, 1), Side(13, 3, 2, 1, 0, 1)), WIDE),)
if 5 in SQUARES:
    CASES += (
        Case(1, 24, (Side(5, 5, 1, 1, 2, 2), Side(6, 5, 1, 1, 2, 3))),
        Case(1, 24, (Side(12, 5, 2, 1, 1, 2), Side(11, 5, 2, 1, 2, 2))),
        Case(1, 5, (Side(9, 7, 1, 1, 3, 3), Side(6, 7, 1, 1, 3, 3)), dense=(True, False) * 2),
        Case(2, 5, (Side(9, 7, 2, 1, 3, 3), Side(20, 7, 2, 1, 3, 3))),
        Case(1, 5, (Side(4, 7, 2, 1, 3, 3), Side(3, 13, 1, 1, 6, 6))),
    )


def with_cases(**others):
    def decorate(test):
        for case in CASES[:2] if ANOTHER_WIDTH else CASES:
            test = example(case=case, **others)(test)
        return test

    return decorate


def with_images(case, images, channels):
    """The same convolution of so many images and channels."""
    return replace(case, images=images, channels=channels)
