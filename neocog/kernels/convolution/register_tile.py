def tile_sizes(vectors: int, pixels: int = 1) -> tuple[int, int, int]:
    """Places of the register tiles that a kernel has, from the largest to the smallest.

    Each place needs `pixels` · `vectors` sums. Less than the smallest would take as long.
    """
    most = max(1, SUMS // (vectors * pixels))
    least = -(-_LEAST_SUMS // (vectors * pixels))
    some, few = (min(most, max(least, -(-most * part // 3))) for part in (2, 1))
    return most, some, few


class Tile:
    """What specs have in common whose results are computed in register tiles.

    They have the weight `w`, `pool`, `relu`, `gated`, and `accumulate`.
    """

    w: ConvolutionWeight
    pool: bool
    relu: bool
    gated: bool
    accumulate: bool

    @property
    def pixels(self) -> int:
        """Pixels before pooling that make one pixel of y."""
        return 4 if self.pool else 1

    @property
    def most(self) -> int:
        """Places of a large tile."""
        return tile_sizes(self.w.vectors, self.pixels)[0]

    @property
    def some(self) -> int:
        """Places of a medium tile."""
        return tile_sizes(self.w.vectors, self.pixels)[1]

    @property
    def few(self) -> int:
        """Places of a small tile."""
        return tile_sizes(self.w.vectors, self.pixels)[2]

    @property
    def has_some(self) -> bool:
        """Whether there is a medium tile."""
        return self.few < self.some < self.most

    @property
    def has_few(self) -> bool:
        """Whether there is a small tile."""
        return self.few < self.most

    @property
    def most_sums(self) -> int:
        """Vectors of sums of a large tile."""
        return self.most * self.pixels * self.w.vectors

    @property
    def some_sums(self) -> int:
        """Vectors of sums of a medium tile."""
        return self.some * self.pixels * self.w.vectors

    @property
    def few_sums(self) -> int:
        """Vectors of sums of a small tile."""
        return self.few * self.pixels * self.w.vectors

    @property
    def depth(self) -> int:
        """Channels whose weights are in registers together."""
        fitting = (REGISTERS - SUMS - 2) // self.w.vectors
        return next(n for n in (4, 2, 1) if n <= max(1, fitting))

    @property
    def table_size(self) -> int:
        """Numbers of a table of places in three maps."""
        return 3 * self.most

    @property
    def kept_size(self) -> int:
        """Floats of a large tile."""
        return self.most_sums * LANES

    @property
    def floor(self) -> float:
        """The least result."""
        return 0.0 if self.relu else -inf

    @property
    def gate_limit(self) -> float:
        """Where the gate is at most this, the result is zero; nothing is at most NaN."""
        return 0.0 if self.gated else nan

    @property
    def adds(self) -> float:
        """What y is multiplied with before the result is added: one or zero."""
        return 1.0 if self.accumulate else 0.0

    @property
    def other(self) -> FeatureMap:
        """The gate, or with pooling the map of the winners; y itself where there is neither."""
        if self.pool:
            return self.y.bare
        return self.gate if self.gated else self.y

    @property
    def reads_other(self) -> bool:
        """Whether there are a gate or winners."""
        return self.gated or (self.pool and self.winners)

    @property
    def is_passed(self) -> bool:
        """Whether the gate or y is read."""
        return self.gated or self.accumulate


_TILE_CONSTANTS = ("w.vectors", "w.block", "pool", "pixels", "most", "some", "few", "has_some", "has_few",
    "most_sums", "some_sums", "few_sums", "kept_size", "table_size", "depth")


