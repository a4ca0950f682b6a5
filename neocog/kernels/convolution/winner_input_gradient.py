"""The gradient of a convolution's input before 2 × 2 max pooling, from the winners only.

    dx[winner[h, w, k] + (i, j), c] = Σ dy[h, w, k] · weight[k, c, i, j]

over all h, w, k and taps with the same position. Only one pixel in four before pooling has a
gradient, and the sum over all of dy also multiplies zeros beyond its edges. So scattering each
winner over its window takes a fifth of the multiplications for 5 × 5 without padding, each with a
load and a store of dx, which stays in the first-level cache. Without padding every window lies
inside dx.

Sums run over pixels row by row and, at each, over output channels, for any number of threads.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from neocog.kernels.codegen.block import block, nothing
from neocog.kernels.codegen.pointers import advance, rolled
from neocog.kernels.codegen.vector_types import FLOATS, INTS, LANES, vectors
from neocog.kernels.compiler.jit import always_inlined, kernel
from neocog.kernels.compiler.operands import maybe
from neocog.kernels.compiler.spec import Spec
from neocog.kernels.layout import ConvolutionWeight, FeatureMap

__all__ = ["WinnerInputGradient", "conv2d_backward_input_of_winners", "kinds"]

#: Square kernels that are unrolled, if a pixel of dx is one vector.
_SIDES = (3, 5)


@dataclass(frozen=True)
class WinnerInputGradient(Spec):
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

    constants = ("side", "partial")

    @property
    def side(self) -> int:
        """That of the kernel, if it is unrolled; else 1."""
        shape, one_vector = (self.w.kernel_h, self.w.kernel_w), self.dx.pixel == LANES
        return next((n for n in _SIDES if shape == (n, n) and one_vector), 1)

    @property
    def tap_back(self) -> int:
        """Floats from one tap of the weight to the one before."""
        return -self.w.tap_size

    @property
    def partial(self) -> bool:
        """Whether a pixel of dx is a partial vector."""
        return self.dx.pixel < LANES

    @property
    def row_step(self) -> int:
        """Floats of dx from one row of dy to the next."""
        return 2 * self.stride_h * self.dx.row

    @property
    def step(self) -> int:
        """Floats of dx from one column of dy to the next."""
        return 2 * self.stride_w * self.dx.pixel

    @property
    def last_tap(self) -> int:
        """Where a block of the weight has the last tap of the flipped kernel."""
        return (self.w.kernel_h * self.w.kernel_w - 1) * self.w.tap_size


@block(nothing)
def clear(emit, spec, dx):
    """One vector of zeros."""
    emit.store(emit.constant(0.0), dx)


@block(lambda *_: vectors(1))
def broadcast(emit, spec, dy):
    """One float of dy in every lane."""
    return [emit.broadcast(dy)]


@block(nothing)
def scatter(emit, spec, slope, w, dx):
    """Add dy · weight of one tap, or of all taps, to one vector of dx's pixels."""
    for _ in range(spec.side):
        for j in range(spec.side):
            weight, at = emit.load(w), j * LANES
            if spec.partial:
                total = emit.fma(slope[0], weight, emit.load_lanes(dx, at, spec.dx.pixel))
                emit.store_lanes(total, dx, at, spec.dx.pixel)
            else:
                emit.store(emit.fma(slope[0], weight, emit.load(dx, at)), dx, at)
            w = emit.opaque(emit.advance(w, spec.tap_back))
        dx = emit.opaque(emit.advance(dx, spec.dx.row))


@always_inlined
def scatter_window(spec, dy, w, dx):
    """Add one winner's dy times the weight of its output channel to its window of dx."""
    slope = broadcast(spec, dy)
    from_w = advance(w, spec.last_tap)
    if spec.side > 1:
        scatter(spec, slope, from_w, dx)
        return
    for of_block in range(spec.w.blocks):
        for v in range(spec.w.vectors):
            lanes = v * LANES
            w_at = advance(from_w, of_block * spec.w.block_size + lanes)
            line = advance(dx, of_block * spec.w.block + lanes)
            for _ in range(spec.w.kernel_h):
                to = line
                for _ in range(rolled(spec.w.kernel_w)):
                    scatter(spec, slope, w_at, to)
                    w_at = advance(w_at, rolled(spec.tap_back))
                    to = advance(to, spec.dx.pixel)
                line = advance(line, spec.dx.row)


@block(nothing)
def apply_gate(emit, spec, gate, dx):
    """Zero dx where the ReLU's output is zero."""
    zero = emit.constant(0.0)
    emit.store(emit.select(emit.at_most(emit.load(gate), zero), zero, emit.load(dx)), dx)


@kernel(dy=FLOATS, winners=INTS, weight=FLOATS, dx=FLOATS, gate=maybe(FLOATS))
def conv2d_backward_input_of_winners(spec, o, first, count):
    """`dy` has no border, `weight` is flipped, and `gate` is x."""
    for n in range(count):
        dy, winners = advance(o.dy, n * spec.dy.size), advance(o.winners, n * spec.dy.size)
        dx = advance(o.dx, n * spec.dx.size)
        for at in range(0, spec.dx.content, LANES):
            clear(spec, advance(dx, at))
        inner = advance(dx, spec.dx.start)
        for row in range(spec.dy.height):
            for column in range(spec.dy.width):
                place = row * spec.dy.row + column * spec.dy.pixel
                to = advance(inner, row * spec.row_step + column * spec.step)
                for k in range(spec.dy.channels):
                    at = place + k
                    window = advance(to, winners[at])
                    scatter_window(
                        spec, advance(dy, at), advance(o.weight, k * spec.w.block), window
                    )
        if spec.gated:
            gate = advance(o.gate, n * spec.dx.size)
            for at in range(0, spec.dx.content, LANES):
                apply_gate(spec, advance(gate, at), advance(dx, at))


def kinds() -> Iterator[tuple[Any, Any]]:
    """A kernel and a small spec for each kind that there is."""
    one = FeatureMap(1, 1, 1)
    for side, dense in (*((side, False) for side in _SIDES), (1, False), (1, True)):
        dx, w = FeatureMap(6, 6, 1, dense=dense), ConvolutionWeight(1, 1, side, side)
        yield conv2d_backward_input_of_winners, WinnerInputGradient(one, dx, w)
