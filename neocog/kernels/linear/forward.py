"""Fully connected layers, forward; `gradient` has the gradients.

    N images    I inputs, whole vectors of them    O outputs    L lanes of a vector

    z[n, o] = bias[o] + Σ_i  x[n, i] · weight[o, i]

For small batches, workers split a layer by its inputs instead of by images: then each weight is
read and written by one core only, and stays in its cache (the kernels of parts and slices). For a
single image they split a large layer by its outputs.

Forward pass and gradients run along the inputs. The weight's layout is [I / L][O][L], so that each
pass streams through it from start to end. Rows of 4,096 inputs, a power of two apart, would map to
the same few sets of the cache.

Sums of some images × some outputs are held in registers. A block of outputs is applied to all
images before the next one, so that large weights are read once.
"""

from collections.abc import Iterator
from typing import Any

from neocog.kernels.codegen.block import accumulators, block, nothing
from neocog.kernels.codegen.pointers import advance, stack_floats, zeros
from neocog.kernels.codegen.vector_types import FLOATS, LANES, LONGS
from neocog.kernels.compiler.jit import always_inlined, inlined, kernel
from neocog.kernels.compiler.operands import maybe
from neocog.kernels.compiler.spec import Spec
from neocog.kernels.layout import FeatureMap
from neocog.kernels.linear.tiling import FullyConnected

__all__ = [
    "kinds",
    "linear_forward",
    "linear_forward_outputs",
    "linear_forward_parts",
    "linear_sum_parts",
]

# Floats that take the place of a bias.
_NO_BIAS = 16


@block(accumulators)
def add_products(emit, tile, spec, sums, x, w):
    """Add x · weight of one vector of inputs."""
    sums = list(sums)
    values = [emit.load(x, n * spec.x.size) for n in range(tile.images)]
    for o in range(tile.width):
        weight = emit.load(w, o * LANES)
        for n in range(tile.images):
            at = n * tile.width + o
            sums[at] = emit.fma(values[n], weight, sums[at])
    return sums


@block(nothing)
def finish(emit, tile, spec, sums, bias, z):
    """Sum the lanes, add the bias, and write the outputs."""
    lowest = emit.constant(spec.lowest)
    totals = emit.sums(sums)
    for n in range(tile.images):
        for o in range(0, tile.width, LANES):
            some = min(LANES, tile.width - o)
            value = emit.lanes(totals, n * tile.width + o, some)
            value = emit.add(value, emit.load_first(bias, o, some))
            value = emit.select(emit.greater(lowest, value), lowest, value)  # NaN stays NaN
            emit.store_first(value, z, n * spec.z.size + o, some)


@always_inlined
def forward_tile(tile, spec, x, w, bias, z, vectors_):
    """Some outputs of some images, from `vectors_` vectors of inputs."""
    sums = zeros(tile.sums)
    for v in range(vectors_):
        at = advance(w, v * spec.outputs * LANES)
        sums = add_products(tile, spec, sums, advance(x, v * LANES), at)
    finish(tile, spec, sums, bias, z)


@inlined
def forward_outputs(tile, spec, x, weight, bias, z, first, images, vectors_):
    """The outputs of a tile, of which `first` is the first, of all whole tiles of images."""
    w, b = advance(weight, first * LANES), advance(bias, first * spec.bias)
    for n in range(0, images - tile.images + 1, tile.images):
        to = advance(z, n * spec.z.size + first)
        forward_tile(tile, spec, advance(x, n * spec.x.size), w, b, to, vectors_)


@inlined
def forward_blocks(tile, spec, x, weight, bias, z, first, count, vectors_):
    """`count` blocks of outputs of the images of one tile, two blocks at a time if possible."""
    n, of, wide = 0, tile.images, 2 * tile.width
    while n + 2 <= count and first + n * tile.width + wide <= spec.outputs:
        at = first + n * tile.width
        forward_outputs(tile.twice, spec, x, weight, bias, z, at, of, vectors_)
        n += 2
    while n < count:
        at = min(first + n * tile.width, spec.outputs - tile.width)
        forward_outputs(tile, spec, x, weight, bias, z, at, of, vectors_)
        n += 1


@inlined
def forward_few(six, five, one, spec, x, weight, bias, z, vectors_):
    """All outputs of the images of one tile."""
    forward_blocks(six, spec, x, weight, bias, z, 0, spec.sixes, vectors_)
    forward_blocks(five, spec, x, weight, bias, z, 6 * spec.sixes, spec.fives, vectors_)
    forward_blocks(one, spec, x, weight, bias, z, 0, spec.ones, vectors_)


@inlined
def forward_images(spec, x, weight, bias, z, images, vectors_):
    """All outputs of some images, from `vectors_` vectors of inputs.

    An output is the same sum in the same order, whichever images and outputs are computed with it.
    Few images have few sums in a block, which would wait for each other, so they take wider blocks.
    """
    for n in range(spec.sixes):
        forward_outputs(spec.six, spec, x, weight, bias, z, 6 * n, images, vectors_)
    for n in range(spec.fives):
        first = min(6 * spec.sixes + 5 * n, spec.outputs - 5)
        forward_outputs(spec.five, spec, x, weight, bias, z, first, images, vectors_)
    for n in range(spec.ones):
        forward_outputs(spec.one, spec, x, weight, bias, z, n, images, vectors_)
    n = images // spec.six.images * spec.six.images
    six, five, one = spec.six, spec.five, spec.one
    if six.images > 2 and images - n >= 2:
        at, to = advance(x, n * spec.x.size), advance(z, n * spec.z.size)
        forward_few(six.of_two, five.of_two, one.of_two, spec, at, weight, bias, to, vectors_)
        n += 2
    if n < images:
        at, to = advance(x, n * spec.x.size), advance(z, n * spec.z.size)
        forward_few(six.of_one, five.of_one, one.of_one, spec, at, weight, bias, to, vectors_)


@inlined
def no_bias(zeros_):
    """Zeros in the place of a bias."""
    for lane in range(_NO_BIAS):
        zeros_[lane] = 0.0
    return zeros_


@kernel(x=FLOATS, weight=FLOATS, bias=maybe(FLOATS), z=FLOATS)
def linear_forward(spec, o, first, count):
    """z from x, weight and bias."""
    bias = o.bias if spec.bias else no_bias(stack_floats(_NO_BIAS))
    forward_images(spec, o.x, o.weight, bias, o.z, count, spec.input_vectors)


@kernel(x=FLOATS, weight=FLOATS, bias=maybe(FLOATS), z=FLOATS)
def linear_forward_outputs(spec, o, first, count):
    """Blocks first … first + count of the outputs of the only image, of `spec.blocks`."""
    bias = o.bias if spec.bias else no_bias(stack_floats(_NO_BIAS))
    six, five, vectors_ = spec.six.of_one, spec.five.of_one, spec.input_vectors
    sixes = max(0, min(first + count, spec.sixes) - first)
    forward_blocks(six, spec, o.x, o.weight, bias, o.z, 6 * first, sixes, vectors_)
    begin = max(0, first - spec.sixes)
    fives = max(0, first + count - spec.sixes) - begin
    at = 6 * spec.sixes + 5 * begin
    forward_blocks(five, spec, o.x, o.weight, bias, o.z, at, fives, vectors_)


@kernel(x=FLOATS, weight=FLOATS, parts=FLOATS, step=LONGS)
def linear_forward_parts(spec, o, first, count):
    """The sums over parts first … first + count of the inputs, for the whole batch.

    `parts` is [part][image][O]; the step's second number is the images in the batch. `spec` has no
    bias and no ReLU; those belong to `linear_sum_parts`.
    """
    bias = no_bias(stack_floats(_NO_BIAS))
    for part in range(first, first + count):
        start = part * spec.part
        x, weight = advance(o.x, start * LANES), advance(o.weight, start * spec.outputs * LANES)
        z = advance(o.parts, part * spec.batch * spec.z.size)
        taken = min(spec.part, spec.input_vectors - start)
        forward_images(spec, x, weight, bias, z, o.step[1], taken)


@block(accumulators)
def add_scores(emit, spec, sums, z):
    """Add one vector of a part of z."""
    return [emit.add(sums[0], emit.load(z))]


@block(nothing)
def finish_scores(emit, spec, sums, bias, z):
    """Add the bias to one vector of z, and write it."""
    lowest, value = emit.constant(spec.lowest), emit.add(sums[0], emit.load(bias))
    emit.store(emit.select(emit.greater(lowest, value), lowest, value), z)


@kernel(parts=FLOATS, bias=maybe(FLOATS), z=FLOATS)
def linear_sum_parts(spec, o, first, count):
    """Sum the parts of z in order, and add the bias."""
    bias = o.bias if spec.bias else no_bias(stack_floats(_NO_BIAS))
    for n in range(count):
        parts = advance(o.parts, (first + n) * spec.z.size)
        z = advance(o.z, n * spec.z.size)
        for at in range(0, spec.z.pixel, LANES):
            sums = zeros(1)
            for part in range(spec.parts):
                sums = add_scores(spec, sums, advance(parts, part * spec.batch * spec.z.size + at))
            finish_scores(spec, sums, advance(bias, at * spec.bias), advance(z, at))


def kinds() -> Iterator[tuple[Any, Spec]]:
    """Every kernel with a spec of each of its kinds."""
    spec = FullyConnected(FeatureMap(1, 1, 1), 1)
    yield linear_forward, spec
    yield linear_forward_outputs, spec
    yield linear_forward_parts, spec
    yield linear_sum_parts, spec
