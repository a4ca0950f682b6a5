"""The image kernels alone against `neocog.reference` in float64; see `cases`."""

import numpy as np
from cases import BORDERS, generator, in_parts, sizes, unwritten
from hypothesis import example, given
from hypothesis import strategies as st
from kernel_caller import (
    assert_within,
    call,
    flat,
    read,
    rounding,
    step,
)

from neocog import reference
from neocog.kernels.compiler.spec import kind_of
from neocog.kernels.input import image
from neocog.kernels.input.image import Images, load_images
from neocog.kernels.layout import FeatureMap


@sizes(150)
@example(n=3, c=3, size=(6, 13), border=(1, 1), gathered=True)
@example(n=5, c=1, size=(1, 1), border=(0, 0), gathered=False)
@given(
    n=st.integers(1, 5),
    c=st.integers(1, 8),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    border=BORDERS,
    gathered=st.booleans(),
)
def test_load_images(n, c, size, border, gathered):
    h, w = size
    x_map = FeatureMap(h, w, c, *border, True)
    rng = generator(n, c, size)
    bytes_ = rng.integers(0, 256, (3 * n, h, w, c), dtype=np.uint8)
    bytes_.flat[:2] = 0, 255
    mean, std = tuple(rng.uniform(0, 1, c)), tuple(rng.uniform(0.1, 1, c))
    pixel = np.zeros((2, w, x_map.pixel), np.float32)
    pixel[0, :, :c] = 1 / (255 * np.array(std))
    pixel[1, :, :c] = -np.array(mean) / np.array(std)
    scale, shift = pixel
    order = rng.integers(0, 3 * n, 3 * n)
    x = unwritten(x_map, n)
    # The second batch of the epoch; its images 0 … n, and what comes after them is fetched.
    of = {
        "data": flat(bytes_, np.uint8),
        "order": flat(order, np.int64) if gathered else None,
        "step": step(n, begin=n, total=3 * n),
        "scale": flat(scale),
        "shift": flat(shift),
    }
    spec = Images(x_map, gathered)
    for first, count in in_parts(n):
        call(load_images, spec, count=count, first=first, x=(x, first), **of)
    taken = bytes_[order[n : 2 * n]] if gathered else bytes_[n : 2 * n]
    expected = reference.preprocess(taken, mean, std)
    # Scale and shift are rounded, then the product and the sum.
    parts = taken / 255 / np.array(std) + np.array(mean) / np.array(std)
    assert_within(read(x_map, x), expected, rounding(3, parts.transpose(0, 3, 1, 2)))


@given(c=st.integers(1, 70), gathered=st.booleans(), dense=st.booleans())
def test_no_image_needs_another_kind(c, gathered, dense):
    [(kernel, spec)] = image.kinds()
    assert kernel is load_images
    assert kind_of(Images(FeatureMap(9, 7, c, 1, 1, dense), gathered)) == kind_of(spec)


def test_pixels_of_images_take_one_two_or_four_floats():
    assert [FeatureMap(5, 7, c, dense=True).pixel for c in (1, 2, 3, 4)] == [1, 2, 4, 4]
