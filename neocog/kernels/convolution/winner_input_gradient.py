"""The gradient of a convolution's input before 2 × 2 max pooling, from the winners only.

    dx[winner[h, w, k] + (i, j), c] = Σ dy[h, w, k] · weight[k, c, i, j]

over all h, w, k and taps with the same position. Only one pixel in four before pooling has a
gradient, and the sum over all of dy also multiplies zeros beyond its edges. So scattering each
winner over its window takes a fifth of the multiplications for 5 × 5 without padding, each with a
load and a store of dx, which stays in the first-level cache. Without padding every window lies
inside dx.

Sums run over pixels row by row and, at each, over output channels, for any number of threads.
"""

from dataclasses import dataclass

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.pointers import advance, pointer, rolled
from neocog.kernels.codegen.vector_types import FLOATS, INTS, LANES
from neocog.kernels.compiler.jit import kernel
from neocog.kernels.layout import ConvolutionWeight, FeatureMap

__all__ = ["WinnerInputGradient", "conv2d_backward_input_of_winners"]


@dataclass(frozen=True)
class WinnerInputGradient:
    """From the pooled map's gradient dy, without border, to dx; `w` is the flipped weight.

    Winners are offsets within x, so dx must have x's layout. With `gated` dx is zero wherever x,
    the output of a ReLU, is zero.
    """

    dy: FeatureMap
    dx: FeatureMap
    w: ConvolutionWeight
    stride_h: int = 1
    stride_w: int = 1
    gated: bool = False

    @property
    def row_step(self) -> int:
        """Floats of dx from one row of dy to the next."""
        return 2 * self.stride_h * self.dx.row

    @property
    def step(self) -> int:
        """Floats of dx from one column of dy to the next."""
        return 2 * self.stride_w * self.dx.pixel


@block(nothing)
def clear(emit, spec, dx):
    """One vector of zeros."""
    emit.store(emit.constant(0.0), dx)


@block(nothing)
def scatter(emit, spec, dy, winner, w, dx):
    """Add one winner's dy times the weight of its output channel, tap by tap.

    dx points to the region's first pixel, dy, winner and w to the output channel.
    """
    slope = emit.broadcast(dy)
    to = emit.advance(dx, emit.load_offset(winner, 0))
    w_map = spec.w
    for i in range(w_map.kernel_h):
        for j in range(w_map.kernel_w):
            tap = w_map.kernel_h * w_map.kernel_w - 1 - (i * w_map.kernel_w + j)
            for n in range(w_map.blocks * w_map.vectors):
                of_block, v = divmod(n, w_map.vectors)
                weight = emit.load(
                    w, of_block * w_map.block_size + tap * w_map.tap_size + v * LANES
                )
                at = i * spec.dx.row + j * spec.dx.pixel + n * LANES
                # A pixel of a dense map is a partial vector.
                total = emit.fma(slope, weight, emit.load_first(to, at, spec.dx.pixel))
                emit.store_first(total, to, at, spec.dx.pixel)


@block(nothing)
def apply_gate(emit, spec, gate, dx):
    """Zero dx where the ReLU's output is zero."""
    zero = emit.constant(0.0)
    emit.store(emit.select(emit.at_most(emit.load(gate), zero), zero, emit.load(dx)), dx)


@kernel
def conv2d_backward_input_of_winners(spec, operands, first, count):
    """Operands: dy (no border), winners, flipped weight, dx, x (gated)."""
    slopes, won = pointer(operands, 0, FLOATS), pointer(operands, 1, INTS)
    weight = pointer(operands, 2, FLOATS)
    for n in range(count):
        dy, winners = advance(slopes, n * spec.dy.size), advance(won, n * spec.dy.size)
        dx = advance(pointer(operands, 3, FLOATS), n * spec.dx.size)
        for at in range(0, spec.dx.content, LANES):
            clear(spec, advance(dx, at))
        inner = advance(dx, spec.dx.start)
        for row in range(spec.dy.height):
            for column in range(spec.dy.width):
                place = (row * spec.dy.width + column) * spec.dy.pixel
                to = advance(inner, row * spec.row_step + column * spec.step)
                for k in range(rolled(spec.dy.channels)):
                    at = advance(dy, place + k)
                    scatter(
                        spec, at, advance(winners, place + k), advance(weight, k * spec.w.block), to
                    )
        if spec.gated:
            gate = advance(pointer(operands, 4, FLOATS), n * spec.dx.size)
            for at in range(0, spec.dx.content, LANES):
                apply_gate(spec, advance(gate, at), advance(dx, at))
