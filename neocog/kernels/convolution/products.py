"""Sums of products in registers: the inside of direct convolutions.

    sum[p, k] = bias[k] + Σ_i Σ_j Σ_c  x[p, i, j, c] · weight[i, j, c, k]

for some places p and one block of output channels k. The channels c of a tap lie side by side, in
x and in the weight. What is unrolled are `unroll` of them; taps and the rest are loops, whose
lengths and strides are read. Every sum is one chain of fused multiply-adds in the order of i, j, c.

The offsets of the places come from a table (`places`).
"""

from typing import Any

from neocog.kernels.codegen.loops import either_way, repeat
from neocog.kernels.codegen.vector_types import LANES
from neocog.kernels.convolution.register_tile import LINE

__all__ = ["sums_of_products"]

# Places whose products alternate, so that they do not wait for each other.
_TOGETHER = 4


def _pixels(emit, spec, x, xs, n):
    """Pointers to the pixels of the n-th place: with pooling four, else one."""
    if spec.x_step:
        place = emit.advance(x, n * spec.x_step)
    else:
        place = emit.advance(x, emit.load_long(xs, n))
        # Products by one vector read x themselves: best at an address without an index.
        place = emit.opaque(place) if spec.w.vectors == 1 else place
    if not spec.pool:
        return [place]
    others = (spec.right, spec.below, spec.right + spec.below)
    return [place, *(emit.advance(place, to) for to in others)]


def _multiply(emit, spec, places, x, xs, w, sums, channels):
    """Add one tap of the channels at these offsets.

    The weights of a few channels stay in registers, so that each place's pointer is loaded once for
    all of them and needs a register no longer than that.
    """
    vectors = spec.w.vectors
    together = max(1, _TOGETHER // vectors)
    # LLVM would keep the offsets in registers even where there are not enough.
    xs = emit.opaque(xs) if spec.most >= 8 or spec.straight else xs
    depth = min(spec.depth, 3) if spec.straight else spec.depth
    for begin in range(0, len(channels), depth):
        some = channels[begin : begin + depth]
        results: list[Any] = []
        rows = range(begin, begin + len(some))
        weight = [[emit.load(w, (c * vectors + v) * LANES) for v in range(vectors)] for c in rows]
        for first in range(0, places, together):
            of = range(first, min(first + together, places))
            pixels = [pixel for n in of for pixel in _pixels(emit, spec, x, xs, n)]
            at = len(results)
            these = list(sums[at : at + len(pixels) * vectors])
            for channel, factors in zip(some, weight, strict=True):
                for n, pixel in enumerate(pixels):
                    value = emit.broadcast(pixel, channel)
                    for to, factor in enumerate(factors, n * vectors):
                        these[to] = emit.fma(value, factor, these[to])
            results += emit.settle(these)
        sums = results
    return sums


def _multiply_channels(emit, spec, places, xs, ahead, lines, x, w, sums):
    """Add one tap of all channels."""

    def prefetch(line, _):
        emit.prefetch(w, emit.offset((4, ahead), (4 * LINE, line)))
        return []

    def some(_, values):
        x, w, *sums = values
        repeat(emit, lines, [], prefetch)
        sums = _multiply(emit, spec, places, x, xs, w, sums, range(spec.unroll))
        return [emit.advance(x, 4), emit.advance(w, spec.unroll * spec.w.block), *sums]

    def one(_, values):
        x, w, *sums = values
        sums = _multiply(emit, spec, places, x, xs, w, sums, [0])
        return [emit.advance(x, 1), emit.advance(w, spec.w.block), *sums]

    x, w, *sums = repeat(emit, spec.whole, [x, w, *sums], some)
    if spec.unroll == 4:
        _, _, *sums = repeat(emit, spec.rest, [x, w, *sums], one)
    return sums


def _started(emit, spec, places, bias, lanes):
    """The bias of each channel for each place, or zeros."""
    vectors = spec.w.vectors
    last = (vectors - 1) * LANES
    started = either_way(
        emit,
        spec.bias,
        lambda: [
            *(emit.load(bias, v * LANES) for v in range(vectors - 1)),
            emit.load_lanes(bias, last, lanes),
        ],
        lambda: [emit.constant(0.0)] * vectors,
    )
    return started * (places * (4 if spec.pool else 1))


def sums_of_products(emit, spec, places, x, xs, w, taps, ahead, lines, bias, lanes):
    """The sums of a tile of `places`, over the rows and columns of `taps`.

    `xs` are the places' offsets from x. The last vector of the bias has `lanes` lanes. So many
    `lines` of the weights are prefetched in every step, `ahead` floats further on.
    """
    rows, columns = taps

    def straight(_, values):
        x, w, *sums = values
        sums = _multiply(emit, spec, places, x, xs, w, sums, spec.straight)
        return [emit.advance(x, spec.tap_row), emit.advance(w, spec.w_row), *sums]

    def row(_, values):
        x, w, *sums = values

        def tap(_, values):
            x, w, *sums = values
            sums = _multiply_channels(emit, spec, places, xs, ahead, lines, x, w, sums)
            return [emit.advance(x, spec.tap), emit.advance(w, spec.w_tap), *sums]

        _, _, *sums = repeat(emit, columns, [x, w, *sums], tap, at_least_once=True)
        return [emit.advance(x, spec.tap_row), emit.advance(w, spec.w_row), *sums]

    started = _started(emit, spec, places, bias, lanes)
    body = straight if spec.straight else row
    return repeat(emit, rows, [x, w, *started], body)[2:]
