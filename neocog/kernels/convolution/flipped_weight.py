"""The flipped weight of a convolution, with which the input's gradient is one.

    flipped[k, c, i, j] = weight[c, k, I − 1 − i, J − 1 − j]

where each group exchanges its own channels c and k.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from neocog.kernels.codegen.pointers import advance
from neocog.kernels.codegen.vector_types import FLOATS, LANES
from neocog.kernels.compiler.jit import kernel
from neocog.kernels.compiler.spec import Spec
from neocog.kernels.convolution.transposition import transpose_tile
from neocog.kernels.layout import ConvolutionWeight

__all__ = ["FlippedWeight", "conv2d_flip_weight", "kinds"]


@dataclass(frozen=True)
class FlippedWeight(Spec):
    """The weight that is flipped."""

    w: ConvolutionWeight

    @property
    def flipped(self) -> ConvolutionWeight:
        """Its layout after that."""
        return self.w.flipped


@kernel(weight=FLOATS, flipped=FLOATS)
def conv2d_flip_weight(spec, o, first, count):
    """Flip the blocks first … first + count of the weight.

    `weight` is [group][K / block][i][j][C][block], `flipped` [group][C / block][i][j][K][block].
    """
    of, to = spec.w, spec.flipped
    for k_block in range(first, first + count):
        group, place = k_block // of.group_blocks, k_block % of.group_blocks
        group_to = advance(o.flipped, group * to.group_blocks * to.block_size)
        for k in range(place * of.block, min((place + 1) * of.block, of.group_out), LANES):
            source = advance(o.weight, k_block * of.block_size + k % of.block)
            kept = min(LANES, of.group_out - k)
            for tap in range(of.kernel_h * of.kernel_w):
                from_tap = advance(source, (of.kernel_h * of.kernel_w - 1 - tap) * of.tap_size)
                for c_block in range(to.group_blocks):
                    to_block = advance(group_to, c_block * to.block_size + tap * to.tap_size)
                    begin = c_block * to.block
                    for c in range(begin, min(begin + to.block, of.group_in), LANES):
                        transpose_tile(
                            spec,
                            advance(from_tap, c * of.block),
                            of.block,
                            of.group_in - c,
                            advance(to_block, k * to.block + c - begin),
                            to.block,
                            kept,
                        )


def kinds() -> Iterator[tuple[Any, Any]]:
    """A kernel and a small spec for each kind that there is."""
    yield conv2d_flip_weight, FlippedWeight(ConvolutionWeight(1, 1, 1, 1))
