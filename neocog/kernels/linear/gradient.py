"""Gradients of a fully connected layer's input, weight and bias.

    N images    I inputs, whole vectors of them    O outputs    L lanes of a vector

    dx[n, i] = Σ_o  dz[n, o] · weight[o, i]
    dw[o, i] = Σ_n  dz[n, o] · x[n, i]                           db[o] = Σ_n  dz[n, o]

All run along the inputs, as does the `forward` pass, and each number is one sum in one order,
whichever are computed with it.
"""

from collections.abc import Iterator
from typing import Any

from neocog.kernels.codegen.block import accumulators, block, nothing
from neocog.kernels.codegen.pointers import advance, rolled, zeros
from neocog.kernels.codegen.vector_types import FLOATS, LANES, LONGS
from neocog.kernels.compiler.jit import always_inlined, inlined, kernel
from neocog.kernels.compiler.spec import Spec
from neocog.kernels.layout import FeatureMap
from neocog.kernels.linear.tiling import FullyConnected

__all__ = [
    "kinds",
    "linear_backward_bias",
    "linear_backward_input",
    "linear_backward_input_slices",
    "linear_backward_weight",
]


# Gradient of the input


@block(accumulators)
def add_slopes(emit, tile, spec, sums, dz, w):
    """Add dz · weight of one output."""
    sums = list(sums)
    weights = [emit.load(w, v * spec.vector_size) for v in range(tile.width)]
    for n in range(tile.images):
        slope = emit.broadcast(dz, n * spec.z.size)
        for v in range(tile.width):
            at = n * tile.width + v
            sums[at] = emit.fma(slope, weights[v], sums[at])
    return sums


@block(nothing)
def keep_input(emit, tile, spec, sums, dx):
    """Write dx."""
    for at, value in enumerate(sums):
        n, v = divmod(at, tile.width)
        emit.store(value, dx, n * spec.x.size + v * LANES)


@block(nothing)
def keep_gated_input(emit, tile, spec, sums, x, dx):
    """Write dx, zero where x is the zero of a ReLU."""
    zero = emit.constant(0.0)
    for at, value in enumerate(sums):
        n, v = divmod(at, tile.width)
        shut = emit.at_most(emit.load(x, n * spec.x.size + v * LANES), zero)
        emit.store(emit.select(shut, zero, value), dx, n * spec.x.size + v * LANES)


@always_inlined
def input_tile(tile, spec, dz, w, x, dx):
    """dx of some inputs of some images."""
    sums = zeros(tile.sums)
    for o in range(spec.outputs):
        sums = add_slopes(tile, spec, sums, advance(dz, o), advance(w, o * LANES))
    if rolled(spec.gated):
        keep_gated_input(tile, spec, sums, x, dx)
    else:
        keep_input(tile, spec, sums, dx)


@always_inlined
def input_span(tile, spec, dz, weight, x, dx, images, v):
    """dx of the vectors of a tile, of which `v` is the first, of all whole tiles of images."""
    w = advance(weight, v * spec.vector_size)
    for n in range(0, images - tile.images + 1, tile.images):
        at = n * spec.x.size + v * LANES
        input_tile(tile, spec, advance(dz, n * spec.z.size), w, advance(x, at), advance(dx, at))


@inlined
def input_of_tiles(tile, spec, dz, weight, x, dx, images, vectors_):
    """dx of all whole tiles of images; the last tile of vectors may begin within another one."""
    if vectors_ >= tile.width:
        for v in range(0, vectors_, tile.width):
            input_span(tile, spec, dz, weight, x, dx, images, min(v, vectors_ - tile.width))
    else:
        for v in range(vectors_):
            input_span(tile.narrow, spec, dz, weight, x, dx, images, v)


@inlined
def input_of_images(spec, dz, weight, x, dx, images, vectors_):
    """dx of `vectors_` vectors of inputs, of some images."""
    input_of_tiles(spec.span, spec, dz, weight, x, dx, images, vectors_)
    n = images // spec.span.images * spec.span.images
    if spec.span.images > 2 and images - n >= 2:
        of, at = advance(dz, n * spec.z.size), n * spec.x.size
        x_two, dx_two = advance(x, at), advance(dx, at)
        input_of_tiles(spec.span.of_two.twice, spec, of, weight, x_two, dx_two, 2, vectors_)
        n += 2
    if n < images:
        of, at = advance(dz, n * spec.z.size), n * spec.x.size
        x_one, dx_one = advance(x, at), advance(dx, at)
        input_of_tiles(spec.span.of_one.twice, spec, of, weight, x_one, dx_one, 1, vectors_)


@kernel(dz=FLOATS, weight=FLOATS, x=FLOATS, dx=FLOATS)
def linear_backward_input(spec, o, first, count):
    """dx, laid out as x, from dz and weight."""
    input_of_images(spec, o.dz, o.weight, o.x, o.dx, count, spec.input_vectors)


@kernel(dz=FLOATS, weight=FLOATS, x=FLOATS, dx=FLOATS, step=LONGS)
def linear_backward_input_slices(spec, o, first, count):
    """dx of vectors first … first + count of the inputs, for the whole batch."""
    weight = advance(o.weight, first * spec.vector_size)
    x, dx = advance(o.x, first * LANES), advance(o.dx, first * LANES)
    input_of_images(spec, o.dz, weight, x, dx, o.step[1], count)


# Gradient of weight and bias


@block(accumulators)
def add_outer(emit, tile, spec, sums, x, dz):
    """Add dz · x of one image, for some vectors of inputs and some outputs."""
    sums = list(sums)
    values = [emit.load(x, v * LANES) for v in range(tile.images)]
    for o in range(tile.width):
        slope = emit.broadcast(dz, o)
        for v in range(tile.images):
            at = v * tile.width + o
            sums[at] = emit.fma(slope, values[v], sums[at])
    return sums


@block(nothing)
def keep_outer(emit, tile, spec, sums, dw):
    """Write the gradient of some vectors of inputs and some outputs."""
    for at, value in enumerate(sums):
        v, o = divmod(at, tile.width)
        emit.store(value, dw, v * spec.vector_size + o * LANES)


@always_inlined
def outer_tile(tile, spec, x, dz, dw, images):
    """The gradient of some vectors of inputs and some outputs, summed over the batch in order."""
    sums = zeros(tile.sums)
    for n in range(images):
        at = advance(dz, n * spec.z.size)
        sums = add_outer(tile, spec, sums, advance(x, n * spec.x.size), at)
    keep_outer(tile, spec, sums, dw)


@always_inlined
def outer_outputs(six, five, one, spec, x, dz, dw, images):
    """The gradient of the vectors of a tile and all outputs."""
    for n in range(spec.sixes):
        o = 6 * n
        outer_tile(six, spec, x, advance(dz, o), advance(dw, o * LANES), images)
    for n in range(spec.fives):
        o = min(6 * spec.sixes + 5 * n, spec.outputs - 5)
        outer_tile(five, spec, x, advance(dz, o), advance(dw, o * LANES), images)
    for o in range(spec.ones):
        outer_tile(one, spec, x, advance(dz, o), advance(dw, o * LANES), images)


@kernel(x=FLOATS, dz=FLOATS, dw=FLOATS, step=LONGS)
def linear_backward_weight(spec, o, first, count):
    """dw of vectors first … first + count of the inputs, from all images of the batch.

    The step's second number is the images in the batch.
    """
    images, v = o.step[1], first
    six, five, one = spec.six, spec.five, spec.one
    while v + six.images <= first + count:
        dw = advance(o.dw, v * spec.vector_size)
        outer_outputs(six, five, one, spec, advance(o.x, v * LANES), o.dz, dw, images)
        v += six.images
    while v < first + count:
        x, dw = advance(o.x, v * LANES), advance(o.dw, v * spec.vector_size)
        outer_outputs(six.of_one, five.of_one, one.of_one, spec, x, o.dz, dw, images)
        v += 1


@block(accumulators)
def add_outputs(emit, spec, sums, dz):
    """Add one vector of dz."""
    return [emit.add(sums[0], emit.load(dz))]


@block(nothing)
def keep_outputs(emit, spec, sums, db):
    """Write one vector of the bias gradient."""
    emit.store(sums[0], db)


@kernel(dz=FLOATS, db=FLOATS, step=LONGS)
def linear_backward_bias(spec, o, first, count):
    """db[o] = Σ_n dz[n, o]."""
    for at in range(0, spec.z.pixel, LANES):
        dz = advance(o.dz, at)
        sums = zeros(1)
        for n in range(o.step[1]):
            sums = add_outputs(spec, sums, advance(dz, n * spec.z.size))
        keep_outputs(spec, sums, advance(o.db, at))


def kinds() -> Iterator[tuple[Any, Spec]]:
    """Every kernel with a spec of each of its kinds."""
    spec = FullyConnected(FeatureMap(1, 1, 1), 1)
    yield linear_backward_input, spec
    yield linear_backward_input_slices, spec
    yield linear_backward_weight, spec
    yield linear_backward_bias, spec
