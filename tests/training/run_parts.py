"""A network with all that has a state, and runs of it that stop and go on, for tests of runs."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

import neocog
from neocog import BatchNorm2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU
from neocog.data import Dataset
from neocog.formats.checkpoint import Checkpoint
from neocog.settings.override import override
from neocog.settings.training import TrainingSettings
from neocog.training.run import TrainingRun

IMAGES = 30
#: Eight batches an epoch, the last of two images.
BATCH = 4


def network() -> neocog.Network:
    return neocog.Network(
        input_shape=(3, 8, 8),
        conv=Conv2d(3, 8, 3, padding=1),
        norm=BatchNorm2d(8),
        relu=ReLU(),
        pool=MaxPool2d(2),
        flatten=Flatten(),
        dropout=Dropout(0.3),
        fc=Linear(8 * 4 * 4, 4),
    )


def data(seed: int = 0, count: int = IMAGES) -> Dataset:
    rng = np.random.default_rng(seed)
    return Dataset(rng.integers(0, 256, (count, 8, 8, 3), np.uint8), rng.integers(0, 4, count))


def settings(**changes: Any) -> TrainingSettings:
    return override(TrainingSettings(epochs=2, batch_size=BATCH), **changes)


def new_run(how: TrainingSettings, weights: NDArray[Any] | None = None) -> TrainingRun:
    return TrainingRun(network(), data(), how, sample_weights=weights)


def advance(run: TrainingRun, batches: int | None = None) -> TrainingRun:
    """Take so many batches more, or all; where it must, it ends within a step of the optimizer."""
    left = batches
    while not run.is_done and left != 0:
        if run.epoch_is_done:
            run.next_epoch()
        # The engine's runs end after any batch that is asked for, as where Ctrl+C comes.
        until = run.batches if left is None else min(run.batches, run.batch + left)
        before = run.batch
        take_until(run, until)
        left = None if left is None else left - (run.batch - before)
    return run


def take_until(run: TrainingRun, batch: int) -> None:
    """Take the batches of the epoch up to one, whole step or not."""
    start = run.trainer.start

    def shorter(*parts: Any, until: int | None = None, **rest: Any) -> Any:
        return start(*parts, until=min(batch, until or batch), **rest)

    run.trainer.start = shorter  # type: ignore[method-assign]
    try:
        run.step()
    finally:
        del run.trainer.start


def resumed(
    checkpoint: Checkpoint, how: TrainingSettings, weights: NDArray[Any] | None = None
) -> TrainingRun:
    run = new_run(how, weights)
    run.load_state(checkpoint)
    return run


def end_of(run: TrainingRun) -> dict[str, Any]:
    """Everything that a run has come to, to the bit."""
    checkpoint = run.state()
    history = checkpoint.values["history"]
    return {
        "arrays": {k: (v.shape, v.tobytes()) for k, v in checkpoint.arrays.items()},
        "place": [checkpoint.values[k] for k in ("epoch", "batch", "steps")],
        "steps": history["steps"],
    }
