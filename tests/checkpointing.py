"""Checkpoints for tests, and whether two are the same to the bit."""

import numpy as np

from neocog.formats.checkpoint import Checkpoint


def checkpoint_of(value: int) -> Checkpoint:
    """One that tells which it is, in each of its arrays and values."""
    generator = np.random.default_rng(value)
    return Checkpoint(
        {
            "fc.weight": generator.standard_normal((3, 5)).astype(np.float32),
            "steps": np.array(value, np.int64),
            "stream": generator.integers(0, 2**32, 7, np.uint32),
            "none": np.empty((0, 2), np.float64),
            "frozen": np.array([True, False, value % 2 == 0]),
        },
        {"steps": value, "history": [[value / 3, None], ["Größe", True]], "best": {"at": value}},
    )


def same(one: Checkpoint, other: Checkpoint) -> bool:
    """Whether two have the same names, types, shapes, bits and values."""
    return one.values == other.values and (
        [(name, a.dtype, a.shape, a.tobytes()) for name, a in one.arrays.items()]
        == [(name, a.dtype, a.shape, a.tobytes()) for name, a in other.arrays.items()]
    )
