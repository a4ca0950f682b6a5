"""Gradients of a fully connected layer's input, weight and bias.

    N images    I inputs, whole vectors of them    O outputs    L lanes of a vector

    dx[n, i] = Σ_o  dz[n, o] · weight[o, i]
    dw[o, i] = Σ_n  dz[n, o] · x[n, i]                           db[o] = Σ_n  dz[n, o]

All run along the inputs, as do the forward kernels of `linear`.
"""

from neocog.kernels.codegen.block import accumulators, block, nothing
from neocog.kernels.codegen.pointers import advance, pointer, zeros
from neocog.kernels.codegen.vector_types import FLOATS, LANES, LONGS
from neocog.kernels.compiler.jit import inlined, kernel

__all__ = [
    "linear_backward_bias",
    "linear_backward_input",
    "linear_backward_input_slices",
    "linear_backward_weight",
]


# Gradient of the input


def _add_slopes(emit, spec, sums, dz, w, images):
    sums = list(sums)
    slopes = [emit.broadcast(dz, n * spec.z.size) for n in range(images)]
    for v in range(len(sums) // images):
        weight = emit.load(w, v * spec.outputs * LANES)
        for n in range(images):
            sums[v * images + n] = emit.fma(slopes[n], weight, sums[v * images + n])
    return sums


@block(accumulators)
def add_slopes_of_two(emit, spec, sums, dz, w):
    """Add dz · weight of one output, for two images."""
    return _add_slopes(emit, spec, sums, dz, w, 2)


@block(accumulators)
def add_slopes_of_one(emit, spec, sums, dz, w):
    """Add dz · weight of one output, for one image."""
    return _add_slopes(emit, spec, sums, dz, w, 1)


def _finish_input(emit, spec, sums, x, dx, images):
    zero = emit.constant(0.0)
    for v in range(len(sums) // images):
        for n in range(images):
            value = sums[v * images + n]
            if spec.gated:
                shut = emit.at_most(emit.load(x, n * spec.x.size + v * LANES), zero)
                value = emit.select(shut, zero, value)
            emit.store(value, dx, n * spec.x.size + v * LANES)


@block(nothing)
def finish_input_of_two(emit, spec, sums, x, dx):
    """Write dx of two images, zero where x is the zero of a ReLU."""
    _finish_input(emit, spec, sums, x, dx, 2)


@block(nothing)
def finish_input_of_one(emit, spec, sums, x, dx):
    """Write dx of one image, zero where x is the zero of a ReLU."""
    _finish_input(emit, spec, sums, x, dx, 1)


@inlined
def input_of_two(spec, sums, dz, w, x, dx):
    """dx of some inputs of two images."""
    for o in range(spec.outputs):
        sums = add_slopes_of_two(spec, sums, advance(dz, o), advance(w, o * LANES))
    finish_input_of_two(spec, sums, x, dx)


@inlined
def input_of_one(spec, sums, dz, w, x, dx):
    """dx of some inputs of one image."""
    for o in range(spec.outputs):
        sums = add_slopes_of_one(spec, sums, advance(dz, o), advance(w, o * LANES))
    finish_input_of_one(spec, sums, x, dx)


@inlined
def input_of_images(spec, dz, weight, dx, x, images, vectors_):
    """dx of `vectors_` vectors of inputs, for some images, two at a time."""
    spans = vectors_ // spec.span * spec.span
    for n in range(0, images - 1, 2):
        dz_two, dx_two = advance(dz, n * spec.z.size), advance(dx, n * spec.x.size)
        x_two = advance(x, n * spec.x.size)
        for v in range(0, spans, spec.span):
            w, at = advance(weight, v * spec.outputs * LANES), v * LANES
            sums = zeros(spec.span_sums)
            input_of_two(spec, sums, dz_two, w, advance(x_two, at), advance(dx_two, at))
        for v in range(spans, vectors_):
            w, at = advance(weight, v * spec.outputs * LANES), v * LANES
            input_of_two(spec, zeros(2), dz_two, w, advance(x_two, at), advance(dx_two, at))
    if images % 2 == 1:
        n = images - 1
        dz_one, dx_one = advance(dz, n * spec.z.size), advance(dx, n * spec.x.size)
        x_one = advance(x, n * spec.x.size)
        for v in range(0, spans, spec.span):
            w, at = advance(weight, v * spec.outputs * LANES), v * LANES
            sums = zeros(spec.span)
            input_of_one(spec, sums, dz_one, w, advance(x_one, at), advance(dx_one, at))
        for v in range(spans, vectors_):
            w, at = advance(weight, v * spec.outputs * LANES), v * LANES
            input_of_one(spec, zeros(1), dz_one, w, advance(x_one, at), advance(dx_one, at))


@kernel
def linear_backward_input(spec, operands, first, count):
    """dx from dz and weight. Operands: dz, weight, dx (laid out as x), x."""
    dz, weight = pointer(operands, 0, FLOATS), pointer(operands, 1, FLOATS)
    dx, x = pointer(operands, 2, FLOATS), pointer(operands, 3, FLOATS)
    input_of_images(spec, dz, weight, dx, x, count, spec.input_vectors)


@kernel
def linear_backward_input_slices(spec, operands, first, count):
    """dx of slices first … first + count of the inputs, for the whole batch.

    Operands: dz, weight, dx (laid out as x), x, the step.
    """
    start = first * spec.slice
    weight = advance(pointer(operands, 1, FLOATS), start * spec.outputs * LANES)
    dx = advance(pointer(operands, 2, FLOATS), start * LANES)
    x = advance(pointer(operands, 3, FLOATS), start * LANES)
    images = pointer(operands, 4, LONGS)[1]
    dz = pointer(operands, 0, FLOATS)
    input_of_images(spec, dz, weight, dx, x, images, count * spec.slice)


# Gradient of weight and bias


@block(accumulators)
def add_outer(emit, spec, sums, x, dz):
    """Add dz · x of one image, for one slice of inputs and some outputs."""
    sums = list(sums)
    values = [emit.load(x, v * LANES) for v in range(spec.slice)]
    for o in range(len(sums) // spec.slice):
        slope = emit.broadcast(dz, o)
        for v in range(spec.slice):
            sums[o * spec.slice + v] = emit.fma(slope, values[v], sums[o * spec.slice + v])
    return sums


@block(nothing)
def keep_outer(emit, spec, sums, dw):
    """Write the gradient of one slice of inputs and some outputs."""
    for at, value in enumerate(sums):
        emit.store(value, dw, (at % spec.slice * spec.outputs + at // spec.slice) * LANES)


@inlined
def outer(spec, sums, x, dz, dw, images):
    """The gradient of one slice of inputs and some outputs, summed over the batch in order."""
    for n in range(images):
        sums = add_outer(spec, sums, advance(x, n * spec.x.size), advance(dz, n * spec.z.size))
    keep_outer(spec, sums, dw)


@kernel
def linear_backward_weight(spec, operands, first, count):
    """dw of slices first … first + count of the inputs, from all images of the batch.

    Operands: x, dz, dw, the step (its second number is the images in the batch).
    """
    dz = pointer(operands, 1, FLOATS)
    images = pointer(operands, 3, LONGS)[1]
    for part in range(first, first + count):
        x = advance(pointer(operands, 0, FLOATS), part * spec.slice * LANES)
        dw = advance(pointer(operands, 2, FLOATS), part * spec.slice_size)
        for o in range(0, spec.outputs - spec.pair_rest, spec.pair):
            to = advance(dw, o * LANES)
            outer(spec, zeros(spec.outer_sums), x, advance(dz, o), to, images)
        if spec.pair_rest > 0:
            o = spec.outputs - spec.pair_rest
            to = advance(dw, o * LANES)
            outer(spec, zeros(spec.outer_rest_sums), x, advance(dz, o), to, images)


@block(accumulators)
def add_outputs(emit, spec, sums, dz):
    """Add one vector of dz."""
    return [emit.add(sums[0], emit.load(dz))]


@block(nothing)
def keep_outputs(emit, spec, sums, db):
    """Write one vector of the bias gradient."""
    emit.store(sums[0], db)


@kernel
def linear_backward_bias(spec, operands, first, count):
    """db[o] = Σ_n dz[n, o]. Operands: dz, db, the step."""
    images = pointer(operands, 2, LONGS)[1]
    for o in range(0, spec.z.pixel, LANES):
        dz = advance(pointer(operands, 0, FLOATS), o)
        sums = zeros(1)
        for n in range(images):
            sums = add_outputs(spec, sums, advance(dz, n * spec.z.size))
        keep_outputs(spec, sums, advance(pointer(operands, 1, FLOATS), o))
