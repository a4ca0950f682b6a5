"""Shapes and numbers that kernels are tested with, and what every kernel test uses."""

import os
import zlib
from math import inf, nan

import hypothesis
import numpy as np
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from kernel_caller import maps, places

# A width that was asked for (`test_widths.py`) has fewer examples, and a plain pytest, which leaves
# thorough tests out, has fewer examples and kinds of kernels.
ANOTHER_WIDTH = bool(os.environ.get("NEOCOG_LANES"))
THOROUGH = bool(os.environ.get("NEOCOG_THOROUGH"))

#: A test, or a parameter, that is not repeated in other widths.
once = pytest.mark.own_width


def sizes(examples):
    """Examples of sizes, which a kernel reads when it runs: many cost less than one kernel."""
    examples = examples * 5 if THOROUGH and not ANOTHER_WIDTH else examples
    phases = (Phase.explicit, Phase.generate)
    return settings(max_examples=examples, deadline=None, derandomize=True, phases=phases)


def example(*arguments, once=False, **values):
    """An example for Hypothesis; `once`: not in other widths, nor in a plain pytest."""
    if once and (ANOTHER_WIDTH or not THOROUGH):
        return lambda test: test
    return hypothesis.example(*arguments, **values)


def in_every_width(examples, count):
    """The examples, of which the first are enough in other widths."""
    return examples[:count] if ANOTHER_WIDTH else examples


CHANNELS = st.sampled_from([1, 3, 5, 8, 17, 24, 33])
SIZES = st.sampled_from([1, 2, 3, 5, 6, 9, 13])
IMAGES = st.sampled_from([1, 2, 3, 5])
KERNELS = st.tuples(st.integers(1, 5), st.integers(1, 5))
PADDINGS = st.tuples(st.integers(0, 4), st.integers(0, 4))
BORDERS = st.tuples(st.integers(0, 2), st.integers(0, 2))


def whole(rng, *shape):
    """Small whole numbers, so that there are ties and every float32 operation is exact."""
    return rng.integers(-3, 4, shape).astype(np.float32)


def real(rng, *shape):
    """Numbers of very different sizes."""
    return (rng.normal(size=shape) * 10.0 ** rng.uniform(-3, 1, shape)).astype(np.float32)


def wild(rng, *shape):
    """Whole numbers with a few that are not finite."""
    values = whole(rng, *shape)
    for value in (nan, inf, -inf):
        values.flat[rng.integers(values.size)] = value
    return values


def generator(*seed):
    return np.random.default_rng(zlib.crc32(repr(seed).encode()))


def double(values):
    return None if values is None else values.astype(np.float64)


def magnitude(values):
    return None if values is None else np.abs(values.astype(np.float64))


def in_parts(count):
    """The items 0 … count in two calls, as (first, items), unless there is only one."""
    return [(0, count)] if count == 1 else [(0, count // 2), (count // 2, count - count // 2)]


def winner_offsets(x_map, winner, stride=(1, 1)):
    """Winners 0 … 3 as the offsets that kernels keep."""
    return winner // 2 * stride[0] * x_map.row + winner % 2 * stride[1] * x_map.pixel


def unwritten(m, count):
    """For kernels that write numbers one by one and leave the padding alone."""
    return maps(m, np.full((count, *places(m).shape), nan))


@st.composite
def feature_maps(draw):
    """(N, C, H, W, border before, border after, dense)."""
    c = draw(CHANNELS)
    dense = c <= 5 and draw(st.booleans())
    return draw(IMAGES), c, draw(SIZES), draw(SIZES), draw(BORDERS), draw(BORDERS), dense
