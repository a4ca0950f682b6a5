"""Pictures of shapes, drawn from integer hashes.

H rows, W columns, 3 channels of 0 to 255; x and y in pixels from the middle of the picture.

    picture = noise(occlusion(shape(distractors(background))))

A picture is a function of (key, index), so ranges may be drawn in any order and by any number of
threads. It is the same on every machine: besides integers there are only float64 sums, products,
quotients and comparisons, rounded by IEEE 754. So there is no sin, exp or pow, rotations use
rational points of the circle, and no flag allows LLVM to contract or reorder.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numba import float64, int64, uint8, uint64

from neocog.kernels.codegen.arrays import stack_array
from neocog.kernels.compiler.jit import Compilable, inlined
from neocog.kernels.compiler.python_function import python_function

__all__ = ["CLASSES", "draw_shapes", "kinds"]

CLASSES = (
    "ring",
    "disc",
    "square",
    "triangle",
    "cross",
    "star",
    "crescent",
    "arrow",
    "stripes",
    "checker",
)
RING, DISC, SQUARE, TRIANGLE, CROSS, STAR, CRESCENT, ARROW, STRIPES, CHECKER = range(10)

SIZE = 32
MIDDLE = (SIZE - 1) / 2
LATTICE = 9  # random values along one side of a texture

# Difficulty: set so that one convolution and one linear layer reach 80 to 86 % accuracy, and three
# convolutions over 95 %. Rotations, shifts and sizes matter most for the small network: with any
# angle, shifts up to 9 and radii of 8 to 13 it reached 37 %; with 17 degrees and 3 pixels, 92 %.
TURN = 0.22  # tangent of half the angle: up to 25 degrees to either side
SHIFT = 3.5  # pixels from the middle
RADIUS_LEAST, RADIUS_MOST = 8.5, 12.5
CONTRAST = 150.0  # between shape and background, summed over the channels

# The splitmix64 generator (Steele, Lea and Flood 2014).
GAMMA = np.uint64(0x9E3779B97F4A7C15)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)
S27, S30, S31, S11 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(11)
TEN_BITS = np.uint64(1023)


_new_picture = stack_array(float64, SIZE, SIZE, 3)
_new_lattice = stack_array(float64, LATTICE, LATTICE)
_new_colors = stack_array(float64, 2, 3)
_new_state = stack_array(uint64, 1)


@inlined
def _mix(z):
    z = (z ^ (z >> S30)) * MIX_1
    z = (z ^ (z >> S27)) * MIX_2
    return z ^ (z >> S31)


@inlined
def _between(state, low, high):
    """The next random number in [low, high)."""
    state[0] += GAMMA
    return low + (high - low) * (np.float64(_mix(state[0]) >> S11) * 2.0**-53)


@inlined
def _inside(kind, u, v, form):
    """Whether (u, v) lies in the shape, scaled to the unit circle; `form` in [0, 1) varies it."""
    rr = u * u + v * v
    if rr > 1.5:
        return False
    if kind == RING:
        hole = 0.5 + 0.2 * form
        return hole * hole < rr < 1.0
    if kind == DISC:
        return rr < 0.9
    if kind == SQUARE:
        return abs(u) < 0.8 and abs(v) < 0.8
    if kind == TRIANGLE:
        return v < 0.5 and 0.8660254 * abs(u) - 0.5 * v < 0.5
    if kind == CROSS:
        arm = 0.2 + 0.12 * form
        return (abs(u) < arm and abs(v) < 1.0) or (abs(v) < arm and abs(u) < 1.0)
    if kind == STAR:
        # Five lines form a pentagram: points in it are outside of at most one of them.
        near = 0.38
        crossed = int(v > near)
        crossed += int(0.95105652 * abs(u) + 0.30901699 * v > near)
        crossed += int(0.58778525 * abs(u) - 0.80901699 * v > near)
        crossed += int(-0.95105652 * abs(u) + 0.30901699 * v > near)
        crossed += int(-0.58778525 * abs(u) - 0.80901699 * v > near)
        return crossed <= 1 and rr < 1.4
    if kind == CRESCENT:
        shift = 0.4 + 0.2 * form
        return rr < 1.0 and (u - shift) * (u - shift) + v * v > 0.65
    if kind == ARROW:
        if u > 0.05:
            return u < 1.0 and abs(v) < 0.8 * (1.0 - u)
        return u > -1.0 and abs(v) < 0.2
    if abs(u) >= 0.9 or abs(v) >= 0.9:
        return False
    cells = 5.0 if kind == STRIPES else 4.0
    column = int((u + 0.9) * (cells / 1.8))
    if kind == STRIPES:
        return column % 2 == 0
    row = int((v + 0.9) * (cells / 1.8))
    return (column + row) % 2 == 0


@inlined
def _tint(state, pair, spread):
    """Two colors at most `spread` apart in each channel."""
    for c in range(3):
        pair[0, c] = _between(state, 10.0, 245.0)
        pair[1, c] = min(max(pair[0, c] + _between(state, -spread, spread), 0.0), 255.0)


@inlined
def _contrast(ground, ink):
    """Distance, over all channels, of the ink from the nearer color of the background."""
    nearest = 765.0
    for g in range(2):
        total = 0.0
        for c in range(3):
            total += abs(ground[g, c] - ink[0, c])
        nearest = min(nearest, total)
    return nearest


@inlined
def _paint_background(state, picture, ground, lattice):
    """One color, a gradient or a texture between two colors."""
    style = _between(state, 0.0, 3.0)
    across = down = rough = 0.0
    if style > 1.0:
        across = _between(state, -0.03, 0.03)
        down = _between(state, -0.03, 0.03)
    if style > 2.0:
        rough = _between(state, 0.5, 1.0)
        for i in range(LATTICE):
            for j in range(LATTICE):
                lattice[i, j] = _between(state, -rough, rough)
    per_pixel = _between(state, 3.0, 8.0) / SIZE
    for y in range(SIZE):
        row = int(y * per_pixel)
        fy = y * per_pixel - row
        for x in range(SIZE):
            level = 0.5 + across * (x - MIDDLE) + down * (y - MIDDLE)
            if rough > 0.0:
                column = int(x * per_pixel)
                fx = x * per_pixel - column
                top = lattice[row, column] * (1.0 - fx) + lattice[row, column + 1] * fx
                low = lattice[row + 1, column] * (1.0 - fx) + lattice[row + 1, column + 1] * fx
                level += top * (1.0 - fy) + low * fy
            level = min(max(level, 0.0), 1.0)
            for c in range(3):
                picture[y, x, c] = ground[0, c] + level * (ground[1, c] - ground[0, c])


@inlined
def _paint_shape(state, picture, ink, kind, cx, cy, radius):
    """A rotated and stretched shape with a gradient between two colors."""
    t = _between(state, -TURN, TURN)
    cos = (1.0 - t * t) / (1.0 + t * t)
    sin = 2.0 * t / (1.0 + t * t)
    per_u = 1.0 / (radius * _between(state, 0.85, 1.15))
    per_v = 1.0 / (radius * _between(state, 0.85, 1.15))
    form = _between(state, 0.0, 1.0)
    reach = 1.4 * radius
    x_from, x_to = max(int(cx - reach), 0), min(int(cx + reach) + 2, SIZE)
    y_from, y_to = max(int(cy - reach), 0), min(int(cy + reach) + 2, SIZE)
    for y in range(y_from, y_to):
        for x in range(x_from, x_to):
            covered = 0
            for sample in range(4):
                # Four points in a pixel, no two of them in one row or column.
                dx = x - cx + (sample * 0.25 - 0.375)
                dy = y - cy + ((sample * 2 % 5) * 0.25 - 0.375)
                u = (cos * dx + sin * dy) * per_u
                v = (cos * dy - sin * dx) * per_v
                covered += int(_inside(kind, u, v, form))
            if covered:
                cover = 0.25 * covered
                level = min(max(0.5 + 0.5 * (x - cx) * per_u, 0.0), 1.0)
                for c in range(3):
                    color = ink[0, c] + level * (ink[1, c] - ink[0, c])
                    picture[y, x, c] += cover * (color - picture[y, x, c])


@inlined
def _paint_bar(state, picture, cx, cy, length, width):
    """A straight bar of one color around (cx, cy)."""
    t = _between(state, -1.0, 1.0)
    cos = (1.0 - t * t) / (1.0 + t * t)
    sin = 2.0 * t / (1.0 + t * t)
    red = _between(state, 0.0, 255.0)
    green = _between(state, 0.0, 255.0)
    blue = _between(state, 0.0, 255.0)
    reach = length + width
    x_from, x_to = max(int(cx - reach), 0), min(int(cx + reach) + 1, SIZE)
    y_from, y_to = max(int(cy - reach), 0), min(int(cy + reach) + 1, SIZE)
    for y in range(y_from, y_to):
        for x in range(x_from, x_to):
            dx, dy = x - cx, y - cy
            if abs(cos * dx + sin * dy) < length and abs(cos * dy - sin * dx) < width:
                picture[y, x, 0] = red
                picture[y, x, 1] = green
                picture[y, x, 2] = blue


@inlined
def _add_noise(state, picture, image, strength):
    """Add triangular noise and round to uint8; one hash serves a pixel's three channels."""
    for y in range(SIZE):
        for x in range(SIZE):
            state[0] += GAMMA
            bits = _mix(state[0])
            for c in range(3):
                noise = np.float64(bits & TEN_BITS) - np.float64((bits >> np.uint64(10)) & TEN_BITS)
                bits >>= np.uint64(20)
                value = picture[y, x, c] + strength * noise
                image[y, x, c] = np.uint8(min(max(value + 0.5, 0.0), 255.0))


@python_function(images=uint8[:, :, :, ::1], labels=int64[::1], key=uint64, start=int64, stop=int64)
def draw_shapes(given):
    """Draw images[start:stop] (uint8 [n, 32, 32, 3]) of the classes in labels (int64 [n]).

    `key` (uint64) encodes the seed and the split.
    """
    images, labels = given.images, given.labels
    picture, lattice, state = _new_picture(), _new_lattice(), _new_state()
    ground, ink = _new_colors(), _new_colors()
    for n in range(given.start, given.stop):
        state[0] = _mix(given.key + _mix(np.uint64(n) * GAMMA))
        _tint(state, ground, 90.0)
        _paint_background(state, picture, ground, lattice)

        _tint(state, ink, 50.0)
        while _contrast(ground, ink) < CONTRAST:
            _tint(state, ink, 50.0)
        radius = _between(state, RADIUS_LEAST, RADIUS_MOST)
        cx = MIDDLE + _between(state, -SHIFT, SHIFT)
        cy = MIDDLE + _between(state, -SHIFT, SHIFT)

        for _ in range(int(_between(state, 0.0, 3.0))):  # chips under the shape
            x, y = _between(state, 0.0, 32.0), _between(state, 0.0, 32.0)
            _paint_bar(state, picture, x, y, _between(state, 1.0, 5.0), 1.0)
        _paint_shape(state, picture, ink, labels[n], cx, cy, radius)
        if _between(state, 0.0, 1.0) < 0.3:  # a bar across it
            x, y = cx + _between(state, -6.0, 6.0), cy + _between(state, -6.0, 6.0)
            _paint_bar(state, picture, x, y, 32.0, _between(state, 0.5, 1.6))
        _add_noise(state, picture, images[n], _between(state, 0.0, 0.05))


def kinds() -> Iterator[tuple[Compilable, Any]]:
    """The one kind."""
    yield draw_shapes, None
