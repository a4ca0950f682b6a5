"""Convolution with zero padding, fused with the bias, max pooling and ReLU that follow.

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

from neocog.kernels.codegen.pointers import advance, stack_floats, stack_longs
from neocog.kernels.codegen.vector_types import FLOATS, INTS, LANES
from neocog.kernels.compiler.jit import kernel
from neocog.kernels.compiler.operands import maybe
from neocog.kernels.convolution.places import Steps
from neocog.kernels.convolution.tiles import compute_pixels, put_rows
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
)
def conv2d_forward(spec, o, first, count):
    """y from x, weight and bias; with pooling, also the winners."""
    images = advance(o.x, spec.x_start)
    results = advance(o.y, spec.y.start)
    # Where there is no gate, y is read in its place, without effect.
    gates = advance(o.gate, spec.gate.start) if spec.gated else results
    others = o.winners if spec.pool else gates
    steps = (
        Steps(spec.x.size, spec.row_step, spec.step),
        Steps(spec.y.size, spec.y.row, spec.y.pixel),
        Steps(spec.other.size, spec.other.row, spec.other.pixel),
    )
    tables = stack_longs(spec.table_size), stack_longs(spec.table_size)
    kept = stack_floats(spec.kept_size)
    put_rows(spec, tables[0], steps)
    size = spec.y.height, spec.y.width
    taps = spec.w.kernel_h, spec.tap_columns
    # With the weight first, tiles go on from one image into the next.
    together = count if spec.weight_first else 1
    each = spec.bands * spec.w.blocks
    begin = first if spec.parts else 0
    end = begin + count if spec.parts else count // max(1, together) * each
    for item in range(begin, end):
        n, band, k = item // each, item // spec.w.blocks % spec.bands, item % spec.w.blocks
        group, block = k // spec.w.group_blocks, k % spec.w.group_blocks
        channel = group * spec.w.group_out + block * spec.w.block
        lanes = spec.last_lanes if block == spec.w.group_blocks - 1 else LANES
        maps = (
            advance(images, group * spec.w.group_in),
            advance(results, channel),
            advance(others, channel),
        )
        row = band * spec.band
        pixels = (min(row + spec.band, spec.y.height) - row) * spec.y.width
        compute_pixels(
            spec,
            tables,
            maps,
            steps,
            (n, row, 0),
            together * pixels,
            size,
            advance(o.weight, k * spec.w.block_size),
            taps,
            row * spec.y.width // spec.most * spec.lines_ahead,
            advance(o.bias, channel),
            lanes,
            kept,
        )


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
