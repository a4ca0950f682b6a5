"""Sums, products and concatenations of several inputs; channels selected and reordered.

y = Σ xₖ            dxₖ = dy
y = Π xₖ            dxₖ = dy · Π_{j ≠ k} xⱼ, summed over a channel if xₖ is one number per channel
y = (x₁, x₂, …)     dxₖ = the channels of dy that came from xₖ
y = x[a … b]        dx = dy in these channels, 0 in the others
y[i g + j] = x[j n + i] of g groups of n channels; the inverse is that of n groups
"""

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "add_backward",
    "add_forward",
    "concat_backward",
    "concat_forward",
    "multiply_backward",
    "multiply_forward",
    "shuffle_channels",
    "slice_backward",
    "slice_forward",
]

Array = NDArray[Any]


def add_forward(xs: Sequence[Array]) -> Array:
    """The sum of the inputs [N, …], from the first to the last."""
    return reduce(np.add, xs)


def add_backward(dy: Array, count: int) -> tuple[Array, ...]:
    """∂loss/∂x for each of `count` inputs."""
    return (dy,) * count


def multiply_forward(xs: Sequence[Array]) -> Array:
    """The product of the inputs [N, C, H, W], of which some may be [N, C, 1, 1]; or [N, C]."""
    return reduce(np.multiply, xs)


def multiply_backward(dy: Array, xs: Sequence[Array]) -> tuple[Array, ...]:
    """∂loss/∂x for each input."""
    found = []
    for k, x in enumerate(xs):
        dx = reduce(np.multiply, [*xs[:k], *xs[k + 1 :]], dy)
        if x.shape != dy.shape:
            dx = dx.sum(axis=(2, 3), keepdims=True)
        found.append(dx)
    return tuple(found)


def concat_forward(xs: Sequence[Array]) -> Array:
    """The channels of the inputs [N, C, …], concatenated."""
    return np.concatenate(xs, axis=1)


def concat_backward(dy: Array, xs: Sequence[Array]) -> tuple[Array, ...]:
    """∂loss/∂x for each input: its channels of dy."""
    ends = np.cumsum([x.shape[1] for x in xs])
    return tuple(np.split(dy, ends[:-1], axis=1))


def slice_forward(x: Array, start: int, stop: int) -> Array:
    """Channels start … stop of x [N, C, H, W]."""
    return x[:, start:stop]


def slice_backward(dy: Array, x: Array, start: int, stop: int) -> Array:
    """∂loss/∂x."""
    dx = np.zeros_like(x)
    dx[:, start:stop] = dy
    return dx


def shuffle_channels(x: Array, groups: int) -> Array:
    """Channels of `groups` groups in turn; with C / groups groups this is the inverse."""
    n, c, h, w = x.shape
    return x.reshape(n, groups, c // groups, h, w).swapaxes(1, 2).reshape(x.shape)
