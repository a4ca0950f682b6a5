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
from neocog.kernels.codegen.loops import repeat
from neocog.kernels.codegen.pointers import advance, stack_floats, zeros
from neocog.kernels.codegen.vector_types import FLOATS, LANES, LONGS
from neocog.kernels.compiler.jit import inlined, kernel
from neocog.kernels.compiler.operands import maybe
from neocog.kernels.compiler.spec import Spec
from neocog.kernels.layout import FeatureMap
from neocog.kernels.linear.tiling import FullyConnected, blocks_of_outputs

__all__ = [
    "kinds",
    "linear_forward",
    "linear_forward_outputs",
    "linear_forward_parts",
    "linear_sum_parts",
]

# Floats that take the place of a bias.
_NO_BIAS = 16


def _finish(emit, tile, spec, sums, bias, z):
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


def _outputs(emit, tile, spec, given, first, images):
    """The outputs of a tile, of which `first` is the first, of all whole tiles of images."""
    x, weight, bias, z, vectors_ = given
    w, b = emit.advance(weight, first * LANES), emit.advance(bias, first * spec.bias_step)
    with emit.loop(0, images - (tile.images - 1), tile.images) as image:
        of = emit.advance(x, image * spec.x.size)

        def add_products(v, sums):
            inputs, weights = emit.advance(of, v * LANES), emit.advance(w, v * spec.vector_size)
            values = [emit.load(inputs, n * spec.x.size) for n in range(tile.images)]
            for o in range(tile.width):
                weight = emit.load(weights, o * LANES)
                for n in range(tile.images):
                    at = n * tile.width + o
                    sums[at] = emit.fma(values[n], weight, sums[at])
            return sums

        zeros = [emit.constant(0.0)] * tile.sums
        sums = repeat(emit, vectors_, zeros, add_products, at_least_once=True)
        _finish(emit, tile, spec, sums, b, emit.advance(z, image * spec.z.size + first))


def _blocks(emit, tile, spec, given, first, count):
    """`count` blocks of outputs of the images of one tile, two blocks at a time if possible.

    The last block may begin within the one before it.
    """
    pairs = 0
    if tile.width > 1:
        wide = tile.twice
        pairs = emit.smaller(count // 2, spec.outputs // wide.width)
        with emit.loop(0, pairs) as n:
            at = emit.smaller(first + n * wide.width, spec.outputs - wide.width)
            _outputs(emit, wide, spec, given, at, tile.images)
    with emit.loop(pairs * 2, count) as n:
        at = emit.smaller(first + n * tile.width, spec.outputs - tile.width)
        _outputs(emit, tile, spec, given, at, tile.images)


@block(nothing)
def forward_images(emit, spec, x, weight, bias, z, images, vectors_):
    """All outputs of some images, from `vectors_` vectors of inputs, which are at least one.

    An output is the same sum in the same order, whichever images and outputs are computed with it.
    Few images have few sums in a block, which would wait for each other, so they take wider blocks.
    """
    for tile, first, count in blocks_of_outputs(spec):
        with emit.loop(0, count) as n:
            at = emit.smaller(first + n * tile.width, spec.outputs - tile.width)
            _outputs(emit, tile, spec, (x, weight, bias, z, vectors_), at, images)
    few = spec.six.images // 2
    while few > 0:
        done = emit.multiple(images, 2 * few)
        with emit.when(done < emit.multiple(images, few)):
            at, to = emit.advance(x, done * spec.x.size), emit.advance(z, done * spec.z.size)
            for tile, first, count in blocks_of_outputs(spec):
                given = at, weight, bias, to, vectors_
                _blocks(emit, tile.of(few), spec, given, first, count)
        few //= 2


@block(nothing)
def forward_blocks(emit, spec, x, weight, bias, z, first, count):
    """Blocks first … first + count of the outputs of one image, of `spec.blocks`."""
    given = x, weight, bias, z, spec.input_vectors
    sixes = emit.bigger(0, emit.smaller(first + count, spec.sixes) - first)
    begin = emit.bigger(0, first - spec.sixes)
    fives = emit.bigger(0, first + count - spec.sixes) - begin
    _blocks(emit, spec.six.of(1), spec, given, 6 * first, sixes)
    _blocks(emit, spec.five.of(1), spec, given, 6 * spec.sixes + 5 * begin, fives)


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
    forward_blocks(spec, o.x, o.weight, bias, o.z, first, count)


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
