"""Convolution with zero padding, fused with what follows: bias, a sum, max pooling, ReLU.

    H, W size           C input channels        i, j row and column within the kernel
    N images            K output channels       s stride, d dilation

    y[n, h, w, k] = bias[k] + Σ_i Σ_j Σ_c  x[n, s·h + d·i, s·w + d·j, c] · weight[i, j, c, k]

where x includes its border of zeros, of which `crop` rows and columns are skipped, and c runs over
the input channels of k's group (`neocog.reference.conv2d_forward` is this in PyTorch's layout).
With stride 1 the gradient of the input is the same sum over dy with the kernel rotated by 180° and
C and K exchanged, so it runs the same kernel; see `conv2d_flip_weight`.

Registers hold the sums of a tile of output pixels × one block of output channels. With 2 × 2 max
pooling only each region's maximum is stored, and its position, the *winner*: an offset in floats of
x from the region's first pixel. ReLU after the maximum equals ReLU before it.
"""

from collections.abc import Iterator
from typing import Any

from neocog.kernels.codegen.pointers import advance, stack_floats
from neocog.kernels.codegen.vector_types import FLOATS, INTS, LANES
from neocog.kernels.compiler.jit import kernel
from neocog.kernels.compiler.operands import maybe
from neocog.kernels.convolution.tiles import compute_stretch
from neocog.kernels.convolution.tiling import Convolution
from neocog.kernels.layout import ConvolutionWeight, FeatureMap

__all__ = ["conv2d_forward", "kinds"]


@kernel(
    x=FLOATS,
    weight=FLOATS,
    bias=maybe(FLOATS),
    y=FLOATS,
    winners=maybe(INTS),
    gate=maybe(FLOATS),
    addend=maybe(FLOATS),
)
def conv2d_forward(spec, o, first, count):
    """y from x, weight and bias; with pooling, also the winners."""
    images = advance(o.x, spec.x_start)
    results = advance(o.y, spec.y.start)
    # Where there is nothing else, y is read in its place, without effect.
    others = results
    if spec.pool:
        others = o.winners
    elif spec.gated or spec.adds:
        others = advance(o.gate if spec.gated else o.addend, spec.other.start)
    kept = stack_floats(spec.kept_size)
    taps = spec.w.kernel_h, spec.tap_columns
    begin = first if spec.parts else 0
    for item in range(begin, begin + (count if spec.parts else count * spec.bands * spec.w.blocks)):
        if spec.weight_first:
            n, band, k = item % count, 0, item // count
        else:
            n, band, k = (
                item // spec.w.blocks // spec.bands,
                item // spec.w.blocks % spec.bands,
                item % spec.w.blocks,
            )
        group, block = k // spec.w.group_blocks, k % spec.w.group_blocks
        channel = group * spec.w.group_out + block * spec.w.block
        lanes = spec.last_lanes if block == spec.w.group_blocks - 1 else LANES
        w = advance(o.weight, k * spec.w.block_size)
        bias = advance(o.bias, channel)
        x = advance(images, n * spec.x.size + group * spec.w.group_in)
        y = advance(results, n * spec.y.size + channel)
        other = advance(others, n * spec.other.size + channel)
        for row in range(
            band * spec.band, min((band + 1) * spec.band, spec.y.height), spec.stretch_rows
        ):
            maps = (
                advance(x, row * spec.row_step),
                advance(y, row * spec.y.row),
                advance(other, row * spec.other.row),
            )
            rows = min(spec.stretch_rows, spec.y.height - row)
            line = row * spec.y.width // spec.most * spec.lines_ahead
            compute_stretch(spec, maps, rows, spec.y.width, w, taps, line, bias, lanes, kept)


def kinds() -> Iterator[tuple[Any, Any]]:
    """A kernel and a small spec for each kind that there is."""
    deep = FeatureMap(1, 1, LANES)
    gray, rgb = (FeatureMap(1, 1, channels, dense=True) for channels in (1, 3))
    for vectors in (1, 2, 3):
        y = FeatureMap(1, 24, vectors * LANES)
        for x, columns in ((deep, 1), (rgb, 5), (gray, 3), (rgb, 3)):
            w = ConvolutionWeight(y.channels, x.channels, columns, columns)
            for pool in (False, True):
                spec = Convolution(x, y, w, pool=pool)
                if columns != 3 or spec.straight:
                    yield conv2d_forward, spec
