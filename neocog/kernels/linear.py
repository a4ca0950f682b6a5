"""Fully connected: forward, and the gradients of input, weight and bias.

    N images    I inputs, whole vectors of them    O outputs    L lanes of a vector

    z[n, o] = bias[o] + Σ_i  x[n, i] · weight[o, i]              forward
    dx[n, i] = Σ_o  dz[n, o] · weight[o, i]                      gradient of the input
    dw[o, i] = Σ_n  dz[n, o] · x[n, i]                           gradient of the weight

All three run along the inputs. Weights lie as [I / L][O][L], so that each streams through them
once, from the first to the last: rows of 4,096 inputs a power of two apart would fall into the
same few sets of the cache.
"""

from dataclasses import dataclass

from neocog.kernels.compiling import inlined, kernel
from neocog.kernels.convolution import SUMS
from neocog.kernels.layout import FeatureMap, LinearWeight, padded
from neocog.kernels.simd import (
    FLOATS,
    LANES,
    LONGS,
    accumulators,
    advance,
    block,
    nothing,
    pointer,
    zeros,
)

__all__ = [
    "FullyConnected",
    "linear_backward_bias",
    "linear_backward_input",
    "linear_backward_weight",
    "linear_forward",
]


def _even_part(n: int, most: int) -> int:
    """`n` cut into equal parts of at most `most`: the size of one."""
    return -(-n // -(-n // most))


@dataclass(frozen=True)
class FullyConnected:
    """One linear layer on a feature map without a border, laid out as a vector.

    `gated` says that x came out of a ReLU, so that dx is zero where x is.
    """

    x: FeatureMap
    outputs: int
    bias: bool = True
    relu: bool = False
    gated: bool = False

    @property
    def z(self) -> FeatureMap:
        """The outputs, as a map of one pixel."""
        return FeatureMap(1, 1, self.outputs)

    @property
    def w(self) -> LinearWeight:
        """The weight's layout."""
        return LinearWeight(padded(self.x.content), self.outputs)

    @property
    def input_vectors(self) -> int:
        """Vectors of inputs."""
        return self.w.inputs // LANES

    @property
    def pair(self) -> int:
        """Outputs whose sums for two images are in registers together."""
        return _even_part(self.outputs, SUMS // 2)

    @property
    def pair_rest(self) -> int:
        """Outputs that are left over by pairs."""
        return self.outputs % self.pair

    @property
    def pair_sums(self) -> int:
        """Vectors that hold the sums of two images."""
        return 2 * self.pair

    @property
    def pair_rest_sums(self) -> int:
        """The same for the outputs that are left over."""
        return 2 * self.pair_rest

    @property
    def single(self) -> int:
        """Outputs whose sums for one image are in registers together."""
        return _even_part(self.outputs, SUMS)

    @property
    def single_rest(self) -> int:
        """Outputs that are left over by single images."""
        return self.outputs % self.single

    @property
    def span(self) -> int:
        """Input vectors whose gradients are in registers together."""
        return min(4, self.input_vectors)

    @property
    def span_rest(self) -> int:
        """Input vectors that are left over by spans."""
        return self.input_vectors % self.span

    @property
    def span_sums(self) -> int:
        """Vectors that hold the gradients of two images."""
        return 2 * self.span

    @property
    def span_rest_sums(self) -> int:
        """The same for the inputs that are left over."""
        return 2 * self.span_rest

    @property
    def slice(self) -> int:
        """Input vectors of one item of the weight's gradient."""
        return 2 if self.input_vectors % 2 == 0 else 1

    @property
    def slices(self) -> int:
        """How many items the weight's gradient has."""
        return self.input_vectors // self.slice

    @property
    def outer_sums(self) -> int:
        """Vectors that hold the gradient of one slice and `pair` outputs."""
        return self.slice * self.pair

    @property
    def outer_rest_sums(self) -> int:
        """The same for the outputs that are left over."""
        return self.slice * self.pair_rest

    @property
    def slice_size(self) -> int:
        """Weights of one item."""
        return self.slice * self.outputs * LANES


# Forward


def _add_products(e, s, sums, x, w, images):
    outputs = len(sums) // images
    sums = list(sums)
    values = [e.load(x, n * s.x.size) for n in range(images)]
    for o in range(outputs):
        weight = e.load(w, o * LANES)
        for n in range(images):
            sums[o * images + n] = e.fma(values[n], weight, sums[o * images + n])
    return sums


@block(accumulators)
def add_products_of_two(e, s, sums, x, w):
    """Add x · weight of one vector of inputs, for two images."""
    return _add_products(e, s, sums, x, w, 2)


@block(accumulators)
def add_products_of_one(e, s, sums, x, w):
    """Add x · weight of one vector of inputs, for one image."""
    return _add_products(e, s, sums, x, w, 1)


def _finish(e, s, sums, bias, z, images):
    for o in range(len(sums) // images):
        for n in range(images):
            total = e.sum(sums[o * images + n])
            if s.bias:
                total = e.add_float(total, e.load_float(bias, o))
            if s.relu:
                total = e.relu_float(total)
            e.store_float(total, z, n * s.z.size + o)


@block(nothing)
def finish_two(e, s, sums, bias, z):
    """Fold the sums, add the bias, and write the outputs of two images."""
    _finish(e, s, sums, bias, z, 2)


@block(nothing)
def finish_one(e, s, sums, bias, z):
    """Fold the sums, add the bias, and write the outputs of one image."""
    _finish(e, s, sums, bias, z, 1)


@inlined
def forward_two(s, sums, x, w, bias, z):
    """Some outputs of two images."""
    for v in range(s.input_vectors):
        sums = add_products_of_two(
            s, sums, advance(x, v * LANES), advance(w, v * s.outputs * LANES)
        )
    finish_two(s, sums, bias, z)


@inlined
def forward_one(s, sums, x, w, bias, z):
    """Some outputs of one image."""
    for v in range(s.input_vectors):
        sums = add_products_of_one(
            s, sums, advance(x, v * LANES), advance(w, v * s.outputs * LANES)
        )
    finish_one(s, sums, bias, z)


@kernel
def linear_forward(s, operands, first, count):
    """z from x, weight and bias, two images at a time so that weights are read half as often.

    An output is the same sum in the same order whether its image has a partner or not.
    Operands: x, weight, bias, z.
    """
    weight = pointer(operands, 1, FLOATS)
    bias = pointer(operands, 2, FLOATS)
    for n in range(0, count - 1, 2):
        x = advance(pointer(operands, 0, FLOATS), n * s.x.size)
        z = advance(pointer(operands, 3, FLOATS), n * s.z.size)
        for o in range(0, s.outputs - s.pair_rest, s.pair):
            w, b, to = advance(weight, o * LANES), advance(bias, o), advance(z, o)
            forward_two(s, zeros(s.pair_sums), x, w, b, to)
        if s.pair_rest > 0:
            o = s.outputs - s.pair_rest
            w, b, to = advance(weight, o * LANES), advance(bias, o), advance(z, o)
            forward_two(s, zeros(s.pair_rest_sums), x, w, b, to)
    if count % 2 == 1:
        x = advance(pointer(operands, 0, FLOATS), (count - 1) * s.x.size)
        z = advance(pointer(operands, 3, FLOATS), (count - 1) * s.z.size)
        for o in range(0, s.outputs - s.single_rest, s.single):
            w, b, to = advance(weight, o * LANES), advance(bias, o), advance(z, o)
            forward_one(s, zeros(s.single), x, w, b, to)
        if s.single_rest > 0:
            o = s.outputs - s.single_rest
            w, b, to = advance(weight, o * LANES), advance(bias, o), advance(z, o)
            forward_one(s, zeros(s.single_rest), x, w, b, to)


# Gradient of the input


def _add_slopes(e, s, sums, dz, w, images):
    sums = list(sums)
    slopes = [e.broadcast(dz, n * s.z.size) for n in range(images)]
    for v in range(len(sums) // images):
        weight = e.load(w, v * s.outputs * LANES)
        for n in range(images):
            sums[v * images + n] = e.fma(slopes[n], weight, sums[v * images + n])
    return sums


@block(accumulators)
def add_slopes_of_two(e, s, sums, dz, w):
    """Add dz · weight of one output, for two images."""
    return _add_slopes(e, s, sums, dz, w, 2)


@block(accumulators)
def add_slopes_of_one(e, s, sums, dz, w):
    """Add dz · weight of one output, for one image."""
    return _add_slopes(e, s, sums, dz, w, 1)


def _finish_input(e, s, sums, x, dx, images):
    zero = e.constant(0.0)
    for v in range(len(sums) // images):
        for n in range(images):
            value = sums[v * images + n]
            if s.gated:
                shut = e.at_most(e.load(x, n * s.x.size + v * LANES), zero)
                value = e.select(shut, zero, value)
            e.store(value, dx, n * s.x.size + v * LANES)


@block(nothing)
def finish_input_of_two(e, s, sums, x, dx):
    """Write dx of two images, zero where x came out of a ReLU as zero."""
    _finish_input(e, s, sums, x, dx, 2)


@block(nothing)
def finish_input_of_one(e, s, sums, x, dx):
    """Write dx of one image, zero where x came out of a ReLU as zero."""
    _finish_input(e, s, sums, x, dx, 1)


@inlined
def input_of_two(s, sums, dz, w, x, dx):
    """dx of some inputs of two images."""
    for o in range(s.outputs):
        sums = add_slopes_of_two(s, sums, advance(dz, o), advance(w, o * LANES))
    finish_input_of_two(s, sums, x, dx)


@inlined
def input_of_one(s, sums, dz, w, x, dx):
    """dx of some inputs of one image."""
    for o in range(s.outputs):
        sums = add_slopes_of_one(s, sums, advance(dz, o), advance(w, o * LANES))
    finish_input_of_one(s, sums, x, dx)


@kernel
def linear_backward_input(s, operands, first, count):
    """dx from dz and weight, two images at a time.

    Operands: dz, weight, dx (laid out as x), x.
    """
    weight = pointer(operands, 1, FLOATS)
    for n in range(0, count - 1, 2):
        dz = advance(pointer(operands, 0, FLOATS), n * s.z.size)
        dx = advance(pointer(operands, 2, FLOATS), n * s.x.size)
        x = advance(pointer(operands, 3, FLOATS), n * s.x.size)
        for v in range(0, s.input_vectors - s.span_rest, s.span):
            w, at = advance(weight, v * s.outputs * LANES), v * LANES
            input_of_two(s, zeros(s.span_sums), dz, w, advance(x, at), advance(dx, at))
        if s.span_rest > 0:
            v = s.input_vectors - s.span_rest
            w, at = advance(weight, v * s.outputs * LANES), v * LANES
            input_of_two(s, zeros(s.span_rest_sums), dz, w, advance(x, at), advance(dx, at))
    if count % 2 == 1:
        dz = advance(pointer(operands, 0, FLOATS), (count - 1) * s.z.size)
        dx = advance(pointer(operands, 2, FLOATS), (count - 1) * s.x.size)
        x = advance(pointer(operands, 3, FLOATS), (count - 1) * s.x.size)
        for v in range(0, s.input_vectors - s.span_rest, s.span):
            w, at = advance(weight, v * s.outputs * LANES), v * LANES
            input_of_one(s, zeros(s.span), dz, w, advance(x, at), advance(dx, at))
        if s.span_rest > 0:
            v = s.input_vectors - s.span_rest
            w, at = advance(weight, v * s.outputs * LANES), v * LANES
            input_of_one(s, zeros(s.span_rest), dz, w, advance(x, at), advance(dx, at))


# Gradient of weight and bias


@block(accumulators)
def add_outer(e, s, sums, x, dz):
    """Add dz · x of one image, for one slice of inputs and some outputs."""
    sums = list(sums)
    values = [e.load(x, v * LANES) for v in range(s.slice)]
    for o in range(len(sums) // s.slice):
        slope = e.broadcast(dz, o)
        for v in range(s.slice):
            sums[o * s.slice + v] = e.fma(slope, values[v], sums[o * s.slice + v])
    return sums


@block(nothing)
def keep_outer(e, s, sums, dw):
    """Write the gradient of one slice of inputs and some outputs."""
    for at, value in enumerate(sums):
        e.store(value, dw, (at % s.slice * s.outputs + at // s.slice) * LANES)


@inlined
def outer(s, sums, x, dz, dw, images):
    """The gradient of one slice of inputs and some outputs, summed over the batch in order."""
    for n in range(images):
        sums = add_outer(s, sums, advance(x, n * s.x.size), advance(dz, n * s.z.size))
    keep_outer(s, sums, dw)


@kernel
def linear_backward_weight(s, operands, first, count):
    """dw of slices first … first + count of the inputs, from all images of the batch.

    Operands: x, dz, dw, the step (its second number is the images in the batch).
    """
    dz = pointer(operands, 1, FLOATS)
    images = pointer(operands, 3, LONGS)[1]
    for part in range(first, first + count):
        x = advance(pointer(operands, 0, FLOATS), part * s.slice * LANES)
        dw = advance(pointer(operands, 2, FLOATS), part * s.slice_size)
        for o in range(0, s.outputs - s.pair_rest, s.pair):
            to = advance(dw, o * LANES)
            outer(s, zeros(s.outer_sums), x, advance(dz, o), to, images)
        if s.pair_rest > 0:
            o = s.outputs - s.pair_rest
            to = advance(dw, o * LANES)
            outer(s, zeros(s.outer_rest_sums), x, advance(dz, o), to, images)


@block(accumulators)
def add_outputs(e, s, sums, dz):
    """Add one vector of dz."""
    return [e.add(sums[0], e.load(dz))]


@block(nothing)
def keep_outputs(e, s, sums, db):
    """Write one vector of the bias gradient."""
    e.store(sums[0], db)


@kernel
def linear_backward_bias(s, operands, first, count):
    """db[o] = Σ_n dz[n, o]. Operands: dz, db, the step."""
    images = pointer(operands, 2, LONGS)[1]
    for o in range(0, s.z.pixel, LANES):
        dz = advance(pointer(operands, 0, FLOATS), o)
        sums = zeros(1)
        for n in range(images):
            sums = add_outputs(s, sums, advance(dz, n * s.z.size))
        keep_outputs(s, sums, advance(pointer(operands, 1, FLOATS), o))
