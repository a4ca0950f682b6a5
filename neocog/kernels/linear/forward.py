"""Fully connected layers, forward; `linear_gradient` has the gradients.

    N images    I inputs, whole vectors of them    O outputs    L lanes of a vector

    z[n, o] = bias[o] + Σ_i  x[n, i] · weight[o, i]

For small batches, workers split a layer by its inputs instead of by images: then each weight is
read and written by one core only, and stays in its cache (the kernels of parts and slices).

Forward pass and gradients run along the inputs. The weight's layout is [I / L][O][L], so that each
pass streams through it from start to end. Rows of 4,096 inputs, a power of two apart, would map to
the same few sets of the cache.
"""

from dataclasses import dataclass

from neocog.kernels.codegen.block import accumulators, block, nothing
from neocog.kernels.codegen.pointers import advance, pointer, zeros
from neocog.kernels.codegen.vector_types import FLOATS, LANES, LONGS
from neocog.kernels.compiler.jit import inlined, kernel
from neocog.kernels.convolution.register_tile import SUMS
from neocog.kernels.layout import FeatureMap, LinearWeight, padded

__all__ = [
    "FullyConnected",
    "linear_forward",
    "linear_forward_parts",
    "linear_sum_parts",
]

# Parts of the inputs with separate sums where workers split a layer by its inputs; a fixed number,
# so that the sum does not depend on the number of workers.
MOST_PARTS = 8


def _even_part(n: int, most: int) -> int:
    """The size of a part when `n` is divided into equal parts of at most `most`."""
    return -(-n // -(-n // most))


@dataclass(frozen=True)
class FullyConnected:
    """One linear layer on a feature map without a border, laid out as a vector.

    With `gated` x is the output of a ReLU, so that dx is zero where x is. `batch` is the most
    images in a step, if the parts of z have separate sums.
    """

    x: FeatureMap
    outputs: int
    bias: bool = True
    relu: bool = False
    gated: bool = False
    batch: int = 0

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
    def part(self) -> int:
        """Input vectors of one part of the forward sum; the last part may have fewer."""
        return -(-self.input_vectors // MOST_PARTS)

    @property
    def parts(self) -> int:
        """The number of parts."""
        return -(-self.input_vectors // self.part)

    @property
    def pair(self) -> int:
        """Outputs with sums in registers, for two images at a time."""
        return _even_part(self.outputs, SUMS // 2)

    @property
    def pair_rest(self) -> int:
        """Outputs that remain, for two images at a time."""
        return self.outputs % self.pair

    @property
    def pair_sums(self) -> int:
        """Vectors of sums of two images."""
        return 2 * self.pair

    @property
    def pair_rest_sums(self) -> int:
        """The same for the remaining outputs."""
        return 2 * self.pair_rest

    @property
    def single(self) -> int:
        """Outputs with sums in registers, for one image."""
        return _even_part(self.outputs, SUMS)

    @property
    def single_rest(self) -> int:
        """Outputs that remain, for one image."""
        return self.outputs % self.single

    @property
    def span(self) -> int:
        """Input vectors with gradients in registers."""
        return min(4, self.input_vectors)

    @property
    def span_sums(self) -> int:
        """Vectors of gradients of two images."""
        return 2 * self.span

    @property
    def slice(self) -> int:
        """Input vectors of one item of the weight's gradient."""
        return 2 if self.input_vectors % 2 == 0 else 1

    @property
    def slices(self) -> int:
        """Items of the weight's gradient."""
        return self.input_vectors // self.slice

    @property
    def outer_sums(self) -> int:
        """Vectors of the gradient of one slice and `pair` outputs."""
        return self.slice * self.pair

    @property
    def outer_rest_sums(self) -> int:
        """The same for the remaining outputs."""
        return self.slice * self.pair_rest

    @property
    def slice_size(self) -> int:
        """Weights of one item."""
        return self.slice * self.outputs * LANES


# Forward


def _add_products(emit, spec, sums, x, w, images):
    outputs = len(sums) // images
    sums = list(sums)
    values = [emit.load(x, n * spec.x.size) for n in range(images)]
    for o in range(outputs):
        weight = emit.load(w, o * LANES)
        for n in range(images):
            sums[o * images + n] = emit.fma(values[n], weight, sums[o * images + n])
    return sums


@block(accumulators)
def add_products_of_two(emit, spec, sums, x, w):
    """Add x · weight of one vector of inputs, for two images."""
    return _add_products(emit, spec, sums, x, w, 2)


@block(accumulators)
def add_products_of_one(emit, spec, sums, x, w):
    """Add x · weight of one vector of inputs, for one image."""
    return _add_products(emit, spec, sums, x, w, 1)


def _finish(emit, spec, sums, bias, z, images):
    for o in range(len(sums) // images):
        for n in range(images):
            total = emit.sum(sums[o * images + n])
            if spec.bias:
                total = emit.add_float(total, emit.load_float(bias, o))
            if spec.relu:
                total = emit.relu_float(total)
            emit.store_float(total, z, n * spec.z.size + o)


@block(nothing)
def finish_two(emit, spec, sums, bias, z):
    """Sum the lanes, add the bias, and write the outputs of two images."""
    _finish(emit, spec, sums, bias, z, 2)


@block(nothing)
def finish_one(emit, spec, sums, bias, z):
    """Sum the lanes, add the bias, and write the outputs of one image."""
    _finish(emit, spec, sums, bias, z, 1)


@inlined
def forward_two(spec, sums, x, w, bias, z, vectors_):
    """Some outputs of two images, from `vectors_` vectors of inputs."""
    for v in range(vectors_):
        sums = add_products_of_two(
            spec, sums, advance(x, v * LANES), advance(w, v * spec.outputs * LANES)
        )
    finish_two(spec, sums, bias, z)


@inlined
def forward_one(spec, sums, x, w, bias, z, vectors_):
    """Some outputs of one image, from `vectors_` vectors of inputs."""
    for v in range(vectors_):
        sums = add_products_of_one(
            spec, sums, advance(x, v * LANES), advance(w, v * spec.outputs * LANES)
        )
    finish_one(spec, sums, bias, z)


@inlined
def forward_images(spec, x, weight, bias, z, images, vectors_):
    """All outputs of some images, two at a time, so that weights are read half as often.

    An output is the same sum in the same order, whether its image is computed alone or in a pair.
    """
    for n in range(0, images - 1, 2):
        x_two, z_two = advance(x, n * spec.x.size), advance(z, n * spec.z.size)
        for o in range(0, spec.outputs - spec.pair_rest, spec.pair):
            w, b, to = advance(weight, o * LANES), advance(bias, o), advance(z_two, o)
            forward_two(spec, zeros(spec.pair_sums), x_two, w, b, to, vectors_)
        if spec.pair_rest > 0:
            o = spec.outputs - spec.pair_rest
            w, b, to = advance(weight, o * LANES), advance(bias, o), advance(z_two, o)
            forward_two(spec, zeros(spec.pair_rest_sums), x_two, w, b, to, vectors_)
    if images % 2 == 1:
        x_one, z_one = (
            advance(x, (images - 1) * spec.x.size),
            advance(z, (images - 1) * spec.z.size),
        )
        for o in range(0, spec.outputs - spec.single_rest, spec.single):
            w, b, to = advance(weight, o * LANES), advance(bias, o), advance(z_one, o)
            forward_one(spec, zeros(spec.single), x_one, w, b, to, vectors_)
        if spec.single_rest > 0:
            o = spec.outputs - spec.single_rest
            w, b, to = advance(weight, o * LANES), advance(bias, o), advance(z_one, o)
            forward_one(spec, zeros(spec.single_rest), x_one, w, b, to, vectors_)


@kernel
def linear_forward(spec, operands, first, count):
    """z from x, weight and bias. Operands: x, weight, bias, z."""
    x, weight = pointer(operands, 0, FLOATS), pointer(operands, 1, FLOATS)
    bias, z = pointer(operands, 2, FLOATS), pointer(operands, 3, FLOATS)
    forward_images(spec, x, weight, bias, z, count, spec.input_vectors)


@kernel
def linear_forward_parts(spec, operands, first, count):
    """The sums over parts first … first + count of the inputs, for the whole batch.

    Operands: x, weight, parts [part][image][O], the step (its second number is the images in the
    batch). `spec` has no bias and no ReLU; those belong to `linear_sum_parts`.
    """
    images = pointer(operands, 3, LONGS)[1]
    for part in range(first, first + count):
        start = part * spec.part
        x = advance(pointer(operands, 0, FLOATS), start * LANES)
        weight = advance(pointer(operands, 1, FLOATS), start * spec.outputs * LANES)
        z = advance(pointer(operands, 2, FLOATS), part * spec.batch * spec.z.size)
        end = min(start + spec.part, spec.input_vectors)
        forward_images(spec, x, weight, weight, z, images, end - start)


@block(accumulators)
def add_scores(emit, spec, sums, z):
    """Add one vector of a part of z."""
    return [emit.add(sums[0], emit.load(z))]


@block(nothing)
def finish_scores(emit, spec, sums, bias, z):
    """Add the bias to one vector of z, and write it."""
    value = emit.add(sums[0], emit.load(bias)) if spec.bias else sums[0]
    emit.store(emit.relu(value) if spec.relu else value, z)


@kernel
def linear_sum_parts(spec, operands, first, count):
    """Sum the parts of z in order, and add the bias. Operands: parts, bias, z."""
    bias = pointer(operands, 1, FLOATS)
    for n in range(count):
        parts = advance(pointer(operands, 0, FLOATS), (first + n) * spec.z.size)
        z = advance(pointer(operands, 2, FLOATS), n * spec.z.size)
        for o in range(0, spec.z.pixel, LANES):
            sums = zeros(1)
            for part in range(spec.parts):
                sums = add_scores(spec, sums, advance(parts, part * spec.batch * spec.z.size + o))
            finish_scores(spec, sums, advance(bias, o), advance(z, o))
