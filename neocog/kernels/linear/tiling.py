"""How a fully connected layer is cut into what registers hold; see `forward`."""

from dataclasses import dataclass, replace
from math import inf
from typing import Any

from neocog.kernels.codegen.vector_types import LANES, REGISTERS
from neocog.kernels.compiler.spec import Spec
from neocog.kernels.layout import FeatureMap, LinearWeight, padded

__all__ = ["FullyConnected", "Tile", "blocks_of_outputs"]

# Parts of the inputs with separate sums where workers split a layer by its inputs; a fixed number,
# so that the sum does not depend on the number of workers.
_MOST_PARTS = 8

# Images whose sums are in registers together. Of 16 registers, six outputs of two images take 12
# for sums, two for x and one for the weight.
_IMAGES = 4 if REGISTERS > 16 else 2


@dataclass(frozen=True)
class Tile:
    """Sums in registers, of `images` × `width` outputs or vectors of inputs.

    For the gradient of the weight, which is a sum over images, `images` are vectors of inputs.
    """

    images: int
    width: int

    @property
    def sums(self) -> int:
        """The number of sums."""
        return self.images * self.width

    def of(self, images: int) -> "Tile":
        """The same for another number of images."""
        return replace(self, images=images)

    @property
    def twice(self) -> "Tile":
        """The same with twice the width."""
        return replace(self, width=2 * self.width)

    @property
    def narrow(self) -> "Tile":
        """The same with a width of one."""
        return replace(self, width=1)


@dataclass(frozen=True)
class FullyConnected(Spec):
    """One linear layer on a feature map without a border, laid out as a vector.

    With `gated` x is the output of a ReLU, so that dx is zero where x is. `batch` is the most
    images in a step, if the parts of z have separate sums.

    Outputs are computed six and five at a time. Nearly every number is a sum of sixes and fives;
    for the others two fives overlap, and what both compute is the same.
    """

    x: FeatureMap
    outputs: int
    bias: bool = True
    relu: bool = False
    gated: bool = False
    batch: int = 0

    constants = ("six", "five", "one", "span")

    @property
    def six(self) -> Tile:
        """Sums of six outputs."""
        return Tile(_IMAGES, 6)

    @property
    def five(self) -> Tile:
        """Sums of five outputs."""
        return Tile(_IMAGES, 5)

    @property
    def one(self) -> Tile:
        """Sums of one output."""
        return Tile(_IMAGES, 1)

    @property
    def span(self) -> Tile:
        """Sums of the gradient of some vectors of inputs."""
        return Tile(_IMAGES, 4)

    @property
    def z(self) -> FeatureMap:
        """The outputs, as a map of one pixel."""
        return FeatureMap(1, 1, self.outputs)

    @property
    def w(self) -> LinearWeight:
        """The weight's layout."""
        return LinearWeight(padded(self.x.content), self.outputs)

    @property
    def lowest(self) -> float:
        """What no output is below."""
        return 0.0 if self.relu else -inf

    @property
    def bias_step(self) -> int:
        """Floats from one output's bias to the next; 0 if zeros take its place."""
        return int(self.bias)

    @property
    def fives(self) -> int:
        """Blocks of five outputs."""
        whole = -self.outputs % 6
        if 5 * whole <= self.outputs:
            return whole
        return -(-self.outputs // 5) if self.outputs > 4 else 0

    @property
    def sixes(self) -> int:
        """Blocks of six outputs."""
        return max(0, self.outputs - 5 * self.fives) // 6

    @property
    def blocks(self) -> int:
        """Blocks of outputs; none of a layer whose outputs are computed one by one."""
        return self.sixes + self.fives

    @property
    def ones(self) -> int:
        """Outputs that are computed one by one."""
        return self.outputs if self.outputs < 5 else 0

    @property
    def input_vectors(self) -> int:
        """Vectors of inputs."""
        return self.w.inputs // LANES

    @property
    def part(self) -> int:
        """Input vectors of one part of the forward sum; the last part may have fewer."""
        return -(-self.input_vectors // _MOST_PARTS)

    @property
    def parts(self) -> int:
        """The number of parts."""
        return -(-self.input_vectors // self.part)

    @property
    def vector_size(self) -> int:
        """Weights of one vector of inputs, an item of the weight's gradient."""
        return self.outputs * LANES


def blocks_of_outputs(spec: Any) -> Any:
    """For blocks: each tile of outputs, with the first of its outputs and how many tiles there are.

    The last tile of fives may begin within the one before it.
    """
    fives_begin = 6 * spec.sixes
    return (spec.six, 0, spec.sixes), (spec.five, fives_begin, spec.fives), (spec.one, 0, spec.ones)
