"""Runs one kernel alone, on buffers laid out as the engine lays them out.

Values go in and come out in PyTorch's shapes. Around every buffer, and between the images of a
map, stand guards that no kernel may write to, and whose NaN would show in a result that used them.
They are signaling NaNs, each another one: a kernel that adds to them, or copies them from one
buffer's guard to another's, leaves other bits. What a kernel must write is NaN before; borders and
padding, which must stay zero, are zero.
"""

import numba
import numpy as np

from neocog.kernels.codegen.denormals import flush_denormals, restore_denormals
from neocog.kernels.codegen.pointers import function_pointer_call, longs_at
from neocog.kernels.codegen.vector_types import LANES
from neocog.kernels.compiler.jit import KERNEL_ARGUMENTS, compiled_kernel
from neocog.kernels.compiler.numba_passes import KernelCompiler
from neocog.kernels.compiler.spec import numbers_of
from neocog.kernels.layout import padded

#: The unit roundoff of float32: a sum, product or fused multiply-add is right within this factor.
UNIT = 2.0**-24
#: The smallest normal float32; what is below may be treated as zero.
TINY = 2.0**-126

_GUARD = 256

_call = function_pointer_call(KERNEL_ARGUMENTS)


@numba.njit(pipeline_class=KernelCompiler)
def _drive(address, numbers, operands, first, count, flush):
    before = flush_denormals() if flush else 0
    _call(address, longs_at(numbers), longs_at(operands), first, count)
    if flush:
        restore_denormals(before)


class Buffer:
    """Items of so many numbers each, between guards."""

    _made = 0

    def __init__(self, items, size, dtype=np.float32):
        length = items * size + 2 * _GUARD
        if dtype == np.float32:
            Buffer._made += 1
            numbers = np.arange(length) + 10_007 * Buffer._made
            self._whole = (0x7F800001 + numbers % 0x3FFFFF).astype(np.uint32).view(dtype)
        else:
            self._whole = np.full(length, np.nan if dtype == np.float64 else 77, dtype)
        self._before = self._whole.copy()
        self.items = self._whole[_GUARD:-_GUARD].reshape(items, size)

    def address(self, item=0):
        return self.items.ctypes.data + item * self.items.strides[0]

    def check(self):
        for guard in (slice(_GUARD), slice(-_GUARD, None)):
            same = self._whole[guard].tobytes() == self._before[guard].tobytes()
            assert same, "written beyond a buffer"

    def untouched(self, at):
        """Whether the numbers at these places of every item are what they were at first."""
        before = self._before[_GUARD:-_GUARD].reshape(self.items.shape)
        return self.items[:, at].tobytes() == before[:, at].tobytes()


def call(kernel, spec, operands=(), count=1, *, first=0, flush=False, **named):
    """Run the kernel for items first … first + count.

    An operand is a `Buffer`, (Buffer, the item it begins at), or None.
    """
    operands = kernel.in_order(named) if named else operands
    places = [o if isinstance(o, tuple) else (o, 0) for o in operands]
    compiled = compiled_kernel(kernel, spec)
    numbers = numbers_of(compiled.sizes, spec)
    table = np.array([0 if b is None else b.address(item) for b, item in places], np.int64)
    _drive(compiled.address, numbers.ctypes.data, table.ctypes.data, first, count, flush)
    for buffer, _ in places:
        if buffer is not None:
            buffer.check()


def flat(values, dtype=np.float32):
    """Numbers in a row, as one item."""
    values = np.asarray(values, dtype).ravel()
    buffer = Buffer(1, len(values), dtype)
    buffer.items[0] = values
    return buffer


def step(images, *, begin=0, taken=0, total=0, done=0):
    """What kernels are told of the step."""
    return flat([begin, images, taken, total, done], np.int64)


# Feature maps, [N, C, H, W]


def places(m):
    """Where in one image's map the numbers [C, H, W] stand."""
    c, h, w = np.ogrid[: m.channels, : m.height, : m.width]
    return m.start + h * m.row + w * m.pixel + c


def maps(m, values):
    """Feature maps that hold the values, with zeros in borders and padding."""
    buffer = Buffer(len(values), m.size)
    buffer.items[:, : padded(m.content)] = 0
    buffer.items[:, places(m)] = values
    return buffer


def blank(m, count):
    """Feature maps for a kernel to write, with all that it must not leave as it is NaN."""
    buffer = Buffer(count, m.size)
    inside = buffer.items[:, : padded(m.content)]
    inside[:] = 0
    h, w, lane = np.ogrid[: m.height, : m.width, : m.pixel]
    inside[:, m.start + h * m.row + w * m.pixel + lane] = np.nan
    return buffer


def read(m, buffer, *, finite=True):
    """The values of feature maps, after a look at all that must be zero.

    Where values are not finite, neither is the padding that was computed from them.
    """
    at = places(m)
    rest = np.ones(m.size, bool)
    rest[at] = False
    inside, between = rest.copy(), rest
    inside[padded(m.content) :] = False
    between[: padded(m.content)] = False
    if not finite:
        h, w, lane = np.ogrid[: m.height, : m.width, : m.pixel]
        inside[m.start + h * m.row + w * m.pixel + lane] = False
    zeros = buffer.items[:, inside]
    np.testing.assert_array_equal(zeros, np.zeros_like(zeros), "borders and padding must be zero")
    assert buffer.untouched(between), "written between two images"
    return buffer.items[:, at]


# Weights


def weight_places(w):
    """Where in a convolution's packed weight the numbers [K, C / groups, i, j] stand."""
    inputs, outputs = w.in_channels // w.groups, w.out_channels // w.groups
    blocks = -(-outputs // w.block)
    k, c, i, j = np.ogrid[: w.out_channels, :inputs, : w.kernel_h, : w.kernel_w]
    block = k // outputs * blocks + k % outputs // w.block
    tap = (block * w.kernel_h + i) * w.kernel_w + j
    return (tap * inputs + c) * w.block + k % outputs % w.block


def linear_places(x, outputs):
    """Where in a linear layer's packed weight [outputs, C · H · W] stand, for an input map x."""
    inputs = places(x).reshape(1, -1)
    o = np.arange(outputs)[:, None]
    return (inputs // LANES * outputs + o) * LANES + inputs % LANES


def bias_places(outputs):
    return np.arange(outputs)


def parameter(size, at, values):
    """A packed parameter that holds the values, and zeros elsewhere."""
    buffer = Buffer(1, size)
    buffer.items[:] = 0
    buffer.items[0, at] = values
    return buffer


def read_parameter(buffer, at):
    """The values of a packed parameter; all else must be zero."""
    rest = np.ones(buffer.items.shape[1], bool)
    rest[at] = False
    zeros = buffer.items[0, rest]
    np.testing.assert_array_equal(zeros, np.zeros_like(zeros), "padding must be zero")
    return buffer.items[0, at]


# Comparing


def assert_within(actual, expected, bound):
    """|actual − expected| ≤ bound for each number; NaN and infinities as expected."""
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    assert actual.shape == expected.shape
    bound = np.broadcast_to(bound, actual.shape)
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(actual[~finite], expected[~finite])
    error = np.abs(actual[finite] - expected[finite])
    too_far = ~(error <= bound[finite])
    if too_far.any():
        worst = np.nanargmax(np.where(too_far, error / bound[finite], 0))
        raise AssertionError(
            f"{too_far.sum()} of {actual.size} numbers are out of bounds, the worst with "
            f"{actual[finite][worst]} where {expected[finite][worst]} ± {bound[finite][worst]} "
            "is expected"
        )


def rounding(operations, magnitude):
    """The most that so many roundings, one after another, can change a sum.

    `magnitude` is the sum of the absolute values of all that is added (N. J. Higham, "Accuracy and
    Stability of Numerical Algorithms", chapter 3), to which every flush of a number that is too
    small for float32 adds `TINY`.
    """
    return operations * UNIT / (1 - operations * UNIT) * magnitude + operations * TINY
