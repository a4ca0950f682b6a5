"""Sums of products in registers: the inside of direct convolutions.

    sum[p, k] = bias[k] + Σ_i Σ_j Σ_c  x[p, i, j, c] · weight[i, j, c, k]

for some places p and one block of output channels k. The channels c of a tap lie side by side, in
x and in the weight. What is unrolled are `unroll` of them; taps and the rest are loops, whose
lengths and strides are read. Every sum is one chain of fused multiply-adds in the order of i, j, c.

The offsets of the places come from a table (`places`). Reading it costs nothing beside the products
of eight channels.
"""

from neocog.kernels.codegen.control import either_way, repeat
from neocog.kernels.codegen.vector_types import LANES

__all__ = ["sums_of_products"]

#: Channels in the one step between the unrolled ones and the single ones.
SOME = 4


def _pixels(emit, spec, place):
    """Pointers to the pixels of a place: with pooling four, else one."""
    if not spec.pool:
        return [place]
    return [place, *(emit.advance(place, to) for to in (spec.right, spec.below, spec.opposite))]


def _multiply(emit, spec, places, x, xs, w, sums, channels):
    """Add one tap of the channels at these offsets.

    The weights of a few channels stay in registers, so that each place's pointer is loaded once for
    all of them and needs a register no longer than that.
    """
    vectors, sums = spec.w.vectors, list(sums)
    # LLVM would keep the offsets in registers even where there are not enough.
    xs = emit.opaque(xs) if spec.most >= 8 else xs
    for begin in range(0, len(channels), spec.depth):
        some = range(begin, min(begin + spec.depth, len(channels)))
        weight = [[emit.load(w, (c * vectors + v) * LANES) for v in range(vectors)] for c in some]
        at = 0
        for n in range(places):
            place = emit.advance(x, emit.load_long(xs, n))
            # Each product by one vector reads x itself, for which an address without index is best.
            place = emit.opaque(place) if vectors == 1 else place
            for pixel in _pixels(emit, spec, place):
                these = sums[at : at + vectors]
                for c, of_channel in zip(some, weight, strict=True):
                    value = emit.broadcast(pixel, channels[c])
                    pairs = zip(of_channel, these, strict=True)
                    these = [emit.fma(value, factor, total) for factor, total in pairs]
                sums[at : at + vectors] = emit.settle(these)
                at += vectors
    return sums


def _multiply_channels(emit, spec, places, xs, ahead, lines, x, w, sums):
    """Add one tap of all channels."""
    steps = [
        (spec.whole, [c + c // 3 if spec.rgb else c for c in range(spec.unroll)]),
        (spec.rest_some, list(range(3 if spec.rgb else SOME))),
        (spec.rest_one, [0]),
    ]
    for times, channels in steps[: 2 if spec.rgb else 3 if spec.unroll == 8 else 1]:

        def step(_, values, channels=channels):
            x, w, *sums = values
            if spec.unroll == 8 and len(channels) == 8:

                def prefetch(line, _):
                    emit.prefetch(w, emit.offset((4, ahead), (4 * spec.line, line)))
                    return []

                repeat(emit, lines, [], prefetch)
            sums = _multiply(emit, spec, places, x, xs, w, sums, channels)
            passed = 8 if spec.rgb else len(channels)
            of_w = len(channels) * spec.w.vectors * LANES
            return [emit.advance(x, passed), emit.advance(w, of_w), *sums]

        x, w, *sums = repeat(emit, times, [x, w, *sums], step)
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


def sums_of_products(emit, spec, places, x, xs, w, rows, columns, ahead, lines, bias, lanes):
    """The sums of a tile of `places`, over `rows` × `columns` taps.

    `xs` are the places' offsets from x. The last vector of the bias has `lanes` lanes; `ahead` is
    how many floats further on weights are prefetched, if they are.
    """

    def row(_, values):
        x, w, *sums = values

        def tap(_, values):
            x, w, *sums = values
            sums = _multiply_channels(emit, spec, places, xs, ahead, lines, x, w, sums)
            return [emit.advance(x, spec.tap), emit.advance(w, spec.w_tap), *sums]

        _, _, *sums = repeat(emit, columns, [x, w, *sums], tap, at_least_once=True)
        return [emit.advance(x, spec.tap_row), emit.advance(w, spec.w_row), *sums]

    started = _started(emit, spec, places, bias, lanes)
    return repeat(emit, rows, [x, w, *started], row, at_least_once=True)[2:]
