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
from neocog.kernels.codegen.loops import either_way, repeat
from neocog.kernels.codegen.pointers import advance, zeros
from neocog.kernels.codegen.vector_types import FLOATS, LANES, LONGS
from neocog.kernels.compiler.jit import kernel
from neocog.kernels.compiler.spec import Spec
from neocog.kernels.layout import FeatureMap
from neocog.kernels.linear.tiling import FullyConnected, blocks_of_outputs

__all__ = [
    "kinds",
    "linear_backward_bias",
    "linear_backward_input",
    "linear_backward_input_slices",
    "linear_backward_weight",
]


# Gradient of the input


def _input_span(emit, tile, spec, given, images, first):
    """dx of the vectors of a tile, of which `first` is the first, of all whole tiles of images."""
    dz, weight, x, dx, _ = given
    w, zero = emit.advance(weight, first * spec.vector_size), emit.constant(0.0)
    with emit.loop(0, images - (tile.images - 1), tile.images) as image:
        slopes = emit.advance(dz, image * spec.z.size)

        def add_products(o, sums):
            of, at = emit.advance(slopes, o), emit.advance(w, o * LANES)
            weights = [emit.load(at, v * spec.vector_size) for v in range(tile.width)]
            for n in range(tile.images):
                slope = emit.broadcast(of, n * spec.z.size)
                for v in range(tile.width):
                    at = n * tile.width + v
                    sums[at] = emit.fma(slope, weights[v], sums[at])
            return sums

        sums = repeat(emit, spec.outputs, [zero] * tile.sums, add_products, at_least_once=True)
        begin = image * spec.x.size + first * LANES
        places = [
            begin + n * spec.x.size + v * LANES
            for n in range(tile.images)
            for v in range(tile.width)
        ]

        def open_only():
            """Zero where x is the zero of a ReLU."""
            shut = (emit.at_most(emit.load(x, place), zero) for place in places)
            return [emit.select(*one) for one in zip(shut, [zero] * tile.sums, sums, strict=True)]

        for place, value in zip(
            places, either_way(emit, spec.gated, open_only, lambda: sums), strict=True
        ):
            emit.store(value, dx, place)


def _input_of_tiles(emit, tile, spec, given, images):
    """dx of all whole tiles of images; the last tile of vectors may begin within another one."""
    vectors_ = given[-1]
    wide = emit.choose(vectors_ < tile.width, 0, vectors_)
    with emit.loop(0, wide, tile.width) as v:
        _input_span(emit, tile, spec, given, images, emit.smaller(v, vectors_ - tile.width))
    with emit.loop(wide, vectors_) as v:
        _input_span(emit, tile.narrow, spec, given, images, v)


@block(nothing)
def input_of_images(emit, spec, dz, weight, x, dx, images, vectors_):
    """dx of `vectors_` vectors of inputs, of some images."""
    _input_of_tiles(emit, spec.span, spec, (dz, weight, x, dx, vectors_), images)
    few = spec.span.images // 2
    while few > 0:
        done = emit.multiple(images, 2 * few)
        with emit.when(done < emit.multiple(images, few)):
            at = done * spec.x.size
            given = emit.advance(dz, done * spec.z.size), weight, emit.advance(x, at)
            tile = spec.span.of(few).twice
            _input_of_tiles(emit, tile, spec, (*given, emit.advance(dx, at), vectors_), few)
        few //= 2


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


def _outer_tile(emit, tile, spec, x, dz, dw, images):
    """The gradient of some vectors of inputs and some outputs, summed over the batch in order."""

    def add_products(n, sums):
        of, slopes = emit.advance(x, n * spec.x.size), emit.advance(dz, n * spec.z.size)
        values = [emit.load(of, v * LANES) for v in range(tile.images)]
        for o in range(tile.width):
            slope = emit.broadcast(slopes, o)
            for v in range(tile.images):
                at = v * tile.width + o
                sums[at] = emit.fma(slope, values[v], sums[at])
        return sums

    sums = repeat(emit, images, [emit.constant(0.0)] * tile.sums, add_products, at_least_once=True)
    for at, value in enumerate(sums):
        v, o = divmod(at, tile.width)
        emit.store(value, dw, v * spec.vector_size + o * LANES)


def _outer_outputs(emit, spec, vectors_, x, dz, dw, images):
    """The gradient of some vectors of inputs and all outputs."""
    for tile, first, count in blocks_of_outputs(spec):
        with emit.loop(0, count) as n:
            o = emit.smaller(first + n * tile.width, spec.outputs - tile.width)
            slopes, to = emit.advance(dz, o), emit.advance(dw, o * LANES)
            _outer_tile(emit, tile.of(vectors_), spec, x, slopes, to, images)


@block(nothing)
def outer_products(emit, spec, x, dz, dw, first, count, images):
    """The gradient of vectors first … first + count of the inputs."""
    most = spec.six.images
    whole = emit.multiple(count, most)
    for vectors_, begin, end in ((most, 0, whole), (1, whole, count)):
        with emit.loop(begin, end, vectors_) as v:
            at = first + v
            to = emit.advance(dw, at * spec.vector_size)
            _outer_outputs(emit, spec, vectors_, emit.advance(x, at * LANES), dz, to, images)


@kernel(x=FLOATS, dz=FLOATS, dw=FLOATS, step=LONGS)
def linear_backward_weight(spec, o, first, count):
    """dw of vectors first … first + count of the inputs, from all images of the batch.

    The step's second number is the images in the batch.
    """
    outer_products(spec, o.x, o.dz, o.dw, first, count, o.step[1])


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
