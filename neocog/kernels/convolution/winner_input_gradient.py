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
from neocog.kernels.codegen.pointers import advance
from neocog.kernels.codegen.vector_types import FLOATS, INTS, LANES
from neocog.kernels.compiler.jit import always_inlined, kernel
from neocog.kernels.compiler.operands import maybe
from neocog.kernels.compiler.spec import Spec
from neocog.kernels.layout import ConvolutionWeight, FeatureMap

__all__ = ["WinnerInputGradient", "conv2d_backward_input_of_winners", "kinds"]

#: Taps of a kernel row that are unrolled: the first that divides the row.
_TAPS = (5, 3, 1)


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

    constants = ("taps", "partial")

    @property
    def taps(self) -> int:
        """Taps of a kernel row that are computed together."""
        return 1 if self.partial else next(n for n in _TAPS if self.w.kernel_w % n == 0)

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


@block(nothing)
def scatter(emit, spec, dy, w, dx):
    """Add dy · weight of some taps of a kernel row to one vector of some pixels of dx."""
    slope = emit.broadcast(dy)
    for n in range(spec.taps):
        weight = emit.load(w, emit.offset((-n, spec.w.tap_size)))
        at = emit.offset((n, spec.dx.pixel))
        if spec.partial:
            total = emit.fma(slope, weight, emit.load_lanes(dx, at, spec.dx.pixel))
            emit.store_lanes(total, dx, at, spec.dx.pixel)
        else:
            emit.store(emit.fma(slope, weight, emit.load(dx, at)), dx, at)


@always_inlined
def scatter_window(spec, dy, w, dx):
    """Add one winner's dy times the weight of its output channel to its window of dx."""
    for of_block in range(spec.w.blocks):
        for v in range(spec.w.vectors):
            lanes = v * LANES
            from_w = advance(w, of_block * spec.w.block_size + spec.last_tap + lanes)
            to = advance(dx, of_block * spec.w.block + lanes)
            for i in range(spec.w.kernel_h):
                for j in range(0, spec.w.kernel_w, spec.taps):
                    tap = i * spec.w.kernel_w + j
                    at = advance(to, i * spec.dx.row + j * spec.dx.pixel)
                    scatter(spec, dy, advance(from_w, -tap * spec.w.tap_size), at)


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
    dy = FeatureMap(1, 1, 1)
    for taps, dense in (*((n, False) for n in _TAPS), (1, True)):
        dx = FeatureMap(2, taps + 1, 1, dense=dense)
        w = ConvolutionWeight(1, 1, 1, taps)
        yield conv2d_backward_input_of_winners, WinnerInputGradient(dy, dx, w)
