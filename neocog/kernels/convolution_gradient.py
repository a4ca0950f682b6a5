"""Gradients of a convolution's weight and bias.

    dw[i, j, c, k] = Σ_n Σ_h Σ_w  x[n, h + i, w + j, c] · dy[n, h, w, k]        db[k] = Σ dy

(`neocog.reference.conv2d_backward_weight`.) The images of a batch are cut into shards, whose
number the network and the batch fix, never the threads. Each shard has its own sum, and
`conv2d_reduce` adds the shards in their order, so the result is bitwise the same for any number of
threads.

Two ways to a shard's sum. From all of dy: registers hold some rows (j, c) of the gradient × one
block of output channels. Behind pooling, from the winners alone, a quarter of the arithmetic:
registers hold whole kernel rows of an output channel, as vectors along x, where the (j, c) of a
kernel row lie side by side.
"""

from dataclasses import dataclass

from neocog.kernels.compiling import inlined, kernel
from neocog.kernels.convolution import SUMS
from neocog.kernels.layout import ConvolutionWeight, FeatureMap
from neocog.kernels.simd import (
    FLOATS,
    INTS,
    LANES,
    LONGS,
    accumulators,
    advance,
    block,
    nothing,
    pointer,
    vectors,
)

__all__ = [
    "WeightGradient",
    "conv2d_backward_weight",
    "conv2d_backward_weight_of_winners",
    "conv2d_flip_weight",
    "conv2d_reduce",
]

# What a pass over some rows reads again for every output channel should stay in the first-level
# cache, beside the sums.
_BAND_BYTES = 12 * 1024


@dataclass(frozen=True)
class WeightGradient:
    """The weight gradient of one convolution; with `winners`, dy is the pooled map's, borderless.

    A shard is so many images.
    """

    x: FeatureMap
    dy: FeatureMap
    w: ConvolutionWeight
    bias: bool
    winners: bool
    shard: int

    @property
    def row_step(self) -> int:
        """Floats of x from one row of dy to the next."""
        return self.x.row * (2 if self.winners else 1)

    @property
    def step(self) -> int:
        """Floats of x from one column of dy to the next."""
        return self.x.pixel * (2 if self.winners else 1)

    @property
    def band(self) -> int:
        """Rows of dy that are taken at a time."""
        return max(1, min(self.dy.height, _BAND_BYTES // (4 * (self.row_step + self.dy.row))))

    @property
    def partial_size(self) -> int:
        """Floats of one shard's weight sum."""
        if self.winners:
            return self.w.out_channels * self.w.kernel_h * self.line * LANES
        return self.w.size

    # From winners

    @property
    def line(self) -> int:
        """Vectors that hold one kernel row of all channels."""
        return -(-self.w.kernel_w * self.x.pixel // LANES)

    @property
    def half(self) -> bool:
        """Whether the last of them need only be half: fewer loads that cross a cache line."""
        return 0 < self.w.kernel_w * self.x.pixel % LANES <= LANES // 2

    @property
    def whole(self) -> bool:
        """Whether all kernel rows of an output channel fit into registers."""
        return self.w.kernel_h * self.line <= SUMS

    @property
    def together(self) -> int:
        """Output channels whose sums are in registers together."""
        most = SUMS // (self.w.kernel_h * self.line) if self.whole else 1
        return next(n for n in range(most, 0, -1) if self.w.out_channels % n == 0)

    @property
    def piece(self) -> int:
        """Vectors of a kernel row that are in registers together, where not all rows fit."""
        return min(self.line, SUMS)

    @property
    def piece_rest(self) -> int:
        """Vectors of the last piece, if it is a smaller one."""
        return self.line % self.piece

    # From all of dy

    @property
    def runs(self) -> int:
        """Stretches of x that one kernel row reads: one where its pixels have no padding."""
        return 1 if self.x.pixel == self.w.in_channels else self.w.kernel_w

    @property
    def run(self) -> int:
        """Rows (j, c) of the gradient along one stretch."""
        return self.w.in_channels * (self.w.kernel_w // self.runs)

    @property
    def taken(self) -> int:
        """Rows of the gradient whose sums are in registers together."""
        return min(self.run, SUMS // self.w.vectors)

    @property
    def taken_rest(self) -> int:
        """Rows that are left over at the end of a stretch."""
        return self.run % self.taken


def _winner_sums(s, *_):
    return vectors(s.together * s.w.kernel_h * s.line if s.whole else s.piece)


def _winner_rest(s, *_):
    return vectors(max(1, s.piece_rest))


def _partial_offsets(s, n):
    """Where in the partial sum the first `n` vectors stand that are in registers together."""
    return [at * LANES for at in range(n)]


@block(_winner_sums)
def winner_sums(e, s, partial):
    """The sums so far of `together` output channels, or of one piece of one kernel row."""
    n = s.together * s.w.kernel_h * s.line if s.whole else s.piece
    return [e.load(partial, at) for at in _partial_offsets(s, n)]


@block(_winner_rest)
def winner_rest(e, s, partial):
    """The sums so far of the last piece of a kernel row."""
    return [e.load(partial, at) for at in _partial_offsets(s, max(1, s.piece_rest))]


@block(nothing)
def keep_sums(e, s, sums, partial):
    """Write sums back."""
    for value, at in zip(sums, _partial_offsets(s, len(sums)), strict=True):
        e.store(value, partial, at)


@block(accumulators)
def add_winner(e, s, sums, x, dy, winners):
    """Add dy · x around the winner, for one place of the pooled map.

    x stands at the region's first pixel, dy and winners at the first output channel.
    """
    sums = list(sums)
    each = s.w.kernel_h * s.line if s.whole else len(sums)
    for k in range(len(sums) // each):
        slope = e.broadcast(dy, k)
        winner = e.load_offset(winners, k)
        for v in range(each):
            place = v // s.line * s.x.row + v % s.line * LANES if s.whole else v * LANES
            load = e.load_half if s.whole and s.half and v % s.line == s.line - 1 else e.load
            at = k * each + v
            sums[at] = e.fma(slope, load(e.advance(x, winner), place), sums[at])
    return sums


@inlined
def add_winners(s, sums, x, dy, winners, first_row, last_row):
    """Add every winner of some rows of the pooled map."""
    for row in range(first_row, last_row):
        for column in range(s.dy.width):
            at = (row * s.dy.width + column) * s.dy.pixel
            x_at = advance(x, row * s.row_step + column * s.step)
            sums = add_winner(s, sums, x_at, advance(dy, at), advance(winners, at))
    return sums


@kernel
def conv2d_backward_weight_of_winners(s, operands, first, count):
    """Add the weight and bias gradients of some images to their shards' sums.

    Operands: x, dy (pooled, no border), winners, weight sums [shard][K][i][line · L], bias sums
    [shard][K].
    """
    images = pointer(operands, 0, FLOATS)
    slopes = pointer(operands, 1, FLOATS)
    won = pointer(operands, 2, INTS)
    for n in range(count):
        shard = (first + n) // s.shard
        partial = advance(pointer(operands, 3, FLOATS), shard * s.partial_size)
        bias = advance(pointer(operands, 4, FLOATS), shard * s.dy.pixel)
        if (first + n) % s.shard == 0:
            clear(s, partial, bias)
        x = advance(images, n * s.x.size)
        dy = advance(slopes, n * s.dy.size)
        winners = advance(won, n * s.dy.size)
        if s.bias:
            add_bias(s, bias, dy)
        for row in range(0, s.dy.height, s.band):
            until = min(row + s.band, s.dy.height)
            for k in range(0, s.w.out_channels, s.together):
                d = advance(dy, k)
                w = advance(winners, k)
                if s.whole:
                    to = advance(partial, k * (s.w.kernel_h * s.line * LANES))
                    keep_sums(s, add_winners(s, winner_sums(s, to), x, d, w, row, until), to)
                else:
                    for i in range(s.w.kernel_h):
                        line = advance(partial, (k * s.w.kernel_h + i) * (s.line * LANES))
                        x_line = advance(x, i * s.x.row)
                        for v in range(0, s.line - s.piece_rest, s.piece):
                            to = advance(line, v * LANES)
                            x_at = advance(x_line, v * LANES)
                            sums = add_winners(s, winner_sums(s, to), x_at, d, w, row, until)
                            keep_sums(s, sums, to)
                        if s.piece_rest > 0:
                            v = s.line - s.piece_rest
                            to = advance(line, v * LANES)
                            x_at = advance(x_line, v * LANES)
                            sums = add_winners(s, winner_rest(s, to), x_at, d, w, row, until)
                            keep_sums(s, sums, to)


def _taken(s, *_):
    return vectors(s.taken * s.w.vectors)


def _taken_rest(s, *_):
    return vectors(max(1, s.taken_rest) * s.w.vectors)


@block(_taken)
def taken_sums(e, s, partial):
    """The sums so far of `taken` rows of the gradient."""
    return [e.load(partial, at * LANES) for at in range(s.taken * s.w.vectors)]


@block(_taken_rest)
def taken_rest_sums(e, s, partial):
    """The sums so far of the last rows of a run."""
    return [e.load(partial, at * LANES) for at in range(max(1, s.taken_rest) * s.w.vectors)]


@block(accumulators)
def add_place(e, s, sums, x, dy):
    """Add x · dy for one place of the output and as many weights as there are sums."""
    sums = list(sums)
    slope = [e.load(dy, v * LANES) for v in range(s.w.vectors)]
    for r in range(len(sums) // s.w.vectors):
        value = e.broadcast(x, r)
        for v in range(s.w.vectors):
            at = r * s.w.vectors + v
            sums[at] = e.fma(value, slope[v], sums[at])
    return sums


@inlined
def add_places(s, sums, x, dy, first_row, last_row):
    """Add every place of some rows of the output."""
    for row in range(first_row, last_row):
        for column in range(s.dy.width):
            x_at = advance(x, row * s.x.row + column * s.x.pixel)
            sums = add_place(s, sums, x_at, advance(dy, row * s.dy.row + column * s.dy.pixel))
    return sums


@kernel
def conv2d_backward_weight(s, operands, first, count):
    """Add the weight and bias gradients of some images to their shards' sums.

    Operands: x, dy (inside its border), nothing, weight sums [shard] in the weight's own layout,
    bias sums [shard][K].
    """
    images = pointer(operands, 0, FLOATS)
    slopes = advance(pointer(operands, 1, FLOATS), s.dy.start)
    for n in range(count):
        shard = (first + n) // s.shard
        partial = advance(pointer(operands, 3, FLOATS), shard * s.w.size)
        bias = advance(pointer(operands, 4, FLOATS), shard * s.dy.pixel)
        if (first + n) % s.shard == 0:
            clear(s, partial, bias)
        x = advance(images, n * s.x.size)
        dy = advance(slopes, n * s.dy.size)
        if s.bias:
            add_bias(s, bias, dy)
        for row in range(0, s.dy.height, s.band):
            until = min(row + s.band, s.dy.height)
            for k in range(s.w.blocks):
                d = advance(dy, k * s.w.block)
                for i in range(s.w.kernel_h):
                    for j in range(s.runs):
                        run = (i * s.runs + j) * s.run
                        to = advance(partial, k * s.w.block_size + run * s.w.block)
                        x_run = advance(x, i * s.x.row + j * s.x.pixel)
                        for r in range(0, s.run - s.taken_rest, s.taken):
                            at = advance(to, r * s.w.block)
                            x_at = advance(x_run, r)
                            sums = add_places(s, taken_sums(s, at), x_at, d, row, until)
                            keep_sums(s, sums, at)
                        if s.taken_rest > 0:
                            r = s.run - s.taken_rest
                            at = advance(to, r * s.w.block)
                            x_at = advance(x_run, r)
                            sums = add_places(s, taken_rest_sums(s, at), x_at, d, row, until)
                            keep_sums(s, sums, at)


@inlined
def clear(s, partial, bias):
    """Set a shard's sums to zero."""
    for at in range(0, s.partial_size, LANES):
        store_zero(s, advance(partial, at))
    for at in range(0, s.dy.pixel, LANES):
        store_zero(s, advance(bias, at))


@block(nothing)
def store_zero(e, s, to):
    """Write one vector of zeros."""
    e.store(e.constant(0.0), to)


@block(lambda s, *_: vectors(1))
def one_vector(e, s, source):
    """Load one vector."""
    return [e.load(source)]


@block(accumulators)
def add_vector(e, s, sums, source):
    """Add one vector."""
    return [e.add(sums[0], e.load(source))]


@inlined
def add_bias(s, bias, dy):
    """Add dy, summed over all places, to the bias sums."""
    for k in range(0, s.dy.pixel, LANES):
        sums = one_vector(s, advance(bias, k))
        for row in range(s.dy.height):
            for column in range(s.dy.width):
                sums = add_vector(s, sums, advance(dy, row * s.dy.row + column * s.dy.pixel + k))
        keep_sums(s, sums, advance(bias, k))


@kernel
def conv2d_reduce(s, operands, first, count):
    """Sum the shards, in their order, for blocks first … first + count of output channels.

    Operands: weight sums [shard], bias sums [shard], weight gradient [K / block][i][j][C][block],
    bias gradient [K], the step (its second number is the images in the batch).
    """
    weights = pointer(operands, 0, FLOATS)
    biases = pointer(operands, 1, FLOATS)
    dw = pointer(operands, 2, FLOATS)
    db = pointer(operands, 3, FLOATS)
    images = pointer(operands, 4, LONGS)[1]
    shards = (images + s.shard - 1) // s.shard
    bias_end = (first + count) * s.w.block if s.bias else 0
    for k in range(first * s.w.block, bias_end, LANES):
        sums = one_vector(s, advance(biases, k))
        for shard in range(1, shards):
            sums = add_vector(s, sums, advance(biases, shard * s.dy.pixel + k))
        keep_sums(s, sums, advance(db, k))
    if s.winners:
        # Sum into the first shard's place, then turn [k][i][j, c] into [i][j][c][k].
        lines = s.w.kernel_h * s.line * LANES
        until = min((first + count) * s.w.block, s.w.out_channels)
        for at in range(first * s.w.block * lines, until * lines, LANES):
            sums = one_vector(s, advance(weights, at))
            for shard in range(1, shards):
                sums = add_vector(s, sums, advance(weights, shard * s.partial_size + at))
            keep_sums(s, sums, advance(weights, at))
        for k in range(first * s.w.block, until):
            to = advance(dw, k // s.w.block * s.w.block_size + k % s.w.block)
            for i in range(s.w.kernel_h):
                source = advance(weights, (k * s.w.kernel_h + i) * (s.line * LANES))
                for j in range(s.w.kernel_w):
                    for c in range(s.w.in_channels):
                        tap = (i * s.w.kernel_w + j) * s.w.in_channels + c
                        to[tap * s.w.block] = source[j * s.x.pixel + c]
    else:
        for at in range(first * s.w.block_size, (first + count) * s.w.block_size, LANES):
            sums = one_vector(s, advance(weights, at))
            for shard in range(1, shards):
                sums = add_vector(s, sums, advance(weights, shard * s.w.size + at))
            keep_sums(s, sums, advance(dw, at))


@kernel
def conv2d_flip_weight(s, operands, first, count):
    """The kernel turned by 180° with C and K exchanged, for the input's gradient.

    `s` is the forward convolution; blocks first … first + count of output channels are read.
    Operands: weight [K / block][i][j][C][block], turned [C / turned][i][j][K][turned].
    """
    weight = pointer(operands, 0, FLOATS)
    turned = pointer(operands, 1, FLOATS)
    for k in range(first * s.w.block, min((first + count) * s.w.block, s.w.out_channels)):
        source = advance(weight, k // s.w.block * s.w.block_size + k % s.w.block)
        for i in range(s.w.kernel_h):
            for j in range(s.w.kernel_w):
                tap = (s.w.kernel_h - 1 - i) * s.w.kernel_w + s.w.kernel_w - 1 - j
                for c in range(s.w.in_channels):
                    at = (
                        (c // s.w.turned.block * s.w.kernel_h + i) * s.w.kernel_w + j
                    ) * s.w.out_channels + k
                    value = source[(tap * s.w.in_channels + c) * s.w.block]
                    turned[at * s.w.turned.block + c % s.w.turned.block] = value
