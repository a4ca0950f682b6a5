"""What every trainer does with an epoch's order of images."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.errors import DataError

__all__ = ["check_order", "constant_rates", "run_order", "steps_between"]


def check_order(order: NDArray[np.int64], images: int) -> None:
    """Raise `DataError` unless an order has indices of so many images."""
    if len(order) and not 0 <= order.min() <= order.max() < images:
        raise DataError(f"The order has indices outside 0 to {images - 1}.")


def constant_rates(batches: int) -> NDArray[np.float64]:
    """The rates of steps where nothing moves them, float64 [batches, 4]."""
    return np.tile([1.0, np.nan, np.nan, 0.0], (max(1, batches), 1))


def steps_between(first: int, batches: int, of: int, accumulate: int) -> int:
    """Steps of the optimizer from one batch of an epoch to another.

    Args:
        first: batch at which they begin.
        batches: those that are done in the end.
        of: batches of the epoch; its last step takes what is left over.
        accumulate: batches of a step.
    """
    after = -(-batches // accumulate) if batches == of else batches // accumulate
    return after - first // accumulate


def run_order(
    trainer: Any, order: NDArray[np.int64], rates: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """Have a trainer take a step for each batch; gives the mean loss of each finished batch."""
    record = np.full(-(-len(order) // trainer.batch_size), np.nan)
    try:
        trainer.start(order, record, rates).finish()
    finally:
        done = trainer.end()
        trainer.finished(done, len(record))
    return record[:done]
