"""The denormals kernels alone against `neocog.reference` in float64; see `cases`."""

import numpy as np
from kernel_caller import (
    call,
    flat,
    step,
)

from neocog.kernels.codegen.vector_types import LANES
from neocog.kernels.optimizer.update import RATES, Update, sgd_update


def test_denormals_count_as_zero_where_they_are_flushed():
    """As every worker does; `flush` off shows that the numbers would otherwise be there."""
    small = np.float32(1e-40)
    for flush, expected in ((True, 0.0), (False, small)):
        w, g, v = flat(np.zeros(LANES)), flat(np.full(LANES, small)), flat(np.zeros(LANES))
        settings, rates = (
            flat([0.5, *[0.0] * 7], np.float64),
            flat([1.0] + [np.nan] * (RATES - 1), np.float64),
        )
        operands = w, g, settings, rates, step(1), v
        call(sgd_update, Update(LANES), operands, 1, flush=flush)
        np.testing.assert_array_equal(v.items[0], np.full(LANES, expected, np.float32))
    assert small * np.float32(1) == small, "this thread's own arithmetic is as it was"
