"""Measures training and prediction of the note's network, and of PyTorch if it is installed.

Both sides start from the same weights and see the same images in the same order, taking turns in
one process. That they compute the same is checked. Times are medians over the rounds and do not
include compilation.
"""

import time
from dataclasses import dataclass
from importlib.util import find_spec
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog import models
from neocog.data.images import Dataset
from neocog.engine import Trainer, available_threads
from neocog.errors import NeocogError
from neocog.network import Network
from neocog.settings.optimizers import SGD
from neocog.settings.training import TrainingSettings

__all__ = ["Measured", "Row", "benchmark", "picture_seconds"]

_LR, _MOMENTUM = 0.001, 0.9
# float32 sums in another order, over some hundred steps.
_LOSS_BOUND = 2e-3
_PROBABILITY_BOUND = 1e-5
# A network's time for one picture is the median of as many as this takes, at least three.
_SECONDS_A_NETWORK = 0.5


@dataclass(frozen=True)
class Measured:
    """Seconds per round: the median and the extremes."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, seconds: list[float]) -> "Measured":
        """Summarize the seconds of the rounds."""
        return cls(median(seconds), min(seconds), max(seconds))


def picture_seconds(network: Network, threads: int | None = None) -> float:
    """Seconds in which a network scores one picture, the median of some, after one that compiles.

    Args:
        network: initialized here if it has no weights.
        threads: as in `neocog.fit`.
    """
    if not network.initialized:
        network.initialize(0)
    channels, height, width = network.input_shape
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (1, height, width, channels), dtype=np.uint8)
    network.predict_scores(picture, threads=threads)
    seconds: list[float] = []
    while len(seconds) < 3 or sum(seconds) < _SECONDS_A_NETWORK:
        begin = time.perf_counter()
        network.predict_scores(picture, threads=threads)
        seconds.append(time.perf_counter() - begin)
    return median(seconds)


@dataclass(frozen=True)
class Row:
    """One benchmark: seconds per step or call, ours and PyTorch's, and the largest difference."""

    name: str
    unit: str
    neocog: Measured
    torch: Measured | None = None
    torch_threads: int = 0
    difference: float = 0.0

    @property
    def ratio(self) -> float | None:
        """The speed relative to PyTorch's."""
        return self.torch.median / self.neocog.median if self.torch else None

    def to_dict(self) -> dict[str, Any]:
        """The row as plain data."""
        return {
            "name": self.name,
            "unit": self.unit,
            "neocog_us": _microseconds(self.neocog),
            "torch_us": _microseconds(self.torch) if self.torch else None,
            "torch_threads": self.torch_threads or None,
            "ratio": self.ratio,
            "difference": self.difference,
        }


def _microseconds(m: Measured) -> dict[str, float]:
    return {"median": m.median * 1e6, "least": m.least * 1e6, "most": m.most * 1e6}


def benchmark(
    data: Dataset | None = None, *, threads: int | None = None, rounds: int = 5
) -> list[Row]:
    """Measure training with batches of 4 and 64, and prediction of 1 and 1,000 images.

    Images are bytes in memory, and normalizing them is part of a step on both sides; for "floats
    prepared", PyTorch gets float32 images that were normalized before.

    Args:
        data: images of 32 × 32 × 3 in ten classes; random bytes by default.
        threads: neocog's workers; PyTorch uses 1 or this many, whichever is faster.
        rounds: number of times that each side is measured.

    Raises:
        NeocogError: the two sides did not compute the same.
    """
    workers = threads or available_threads()
    data = data or _noise(20_000)
    network = models.simple_cnn()
    network.initialize(0)
    other: Any = None
    if find_spec("torch") is not None:
        from neocog.torch_engine.baseline import Baseline

        other = Baseline(network.state_dict(), data.images[:20_000], data.labels[:20_000])
    choices = sorted({1, workers})
    rows = [
        _training(network, data, batch, workers, choices, rounds, other, prepared)
        for batch, prepared in ((4, False), (4, True), (64, False), (64, True))
        if other or not prepared
    ]
    rows += [
        _prediction(network, data.images[:count], workers, choices, rounds, other)
        for count in (1, 1000)
    ]
    return rows


def _noise(count: int) -> Dataset:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    return Dataset(images, rng.integers(0, 10, count))


def _training(
    network: Network,
    data: Dataset,
    batch: int,
    workers: int,
    choices: list[int],
    rounds: int,
    other: Any,
    prepared: bool,
) -> Row:
    images = min(20_000, len(data))
    order = np.random.default_rng(1).permutation(images)
    few = order[: batch * (300 if batch < 16 else 40)]
    trainer = Trainer(
        network.graph,
        network.state_dict(),
        network.preprocessing,
        data.images,
        data.labels,
        TrainingSettings(batch_size=batch, optimizer=SGD(_LR, _MOMENTUM), threads=workers),
    )
    start = trainer.optimizer_state(), trainer.state()
    ours: list[float] = []
    theirs: dict[int, list[float]] = {n: [] for n in choices}
    losses: NDArray[np.float64] = np.zeros(0)
    expected: list[float] = []
    for _ in range(rounds):
        trainer.set_optimizer_state(start[0])
        trainer.set_state(start[1])
        began = time.perf_counter()
        losses = trainer.run(order)
        ours.append((time.perf_counter() - began) / len(losses))
        for n in choices if other else []:
            seconds, expected = other.train(few, batch, _LR, _MOMENTUM, n, prepared=prepared)
            theirs[n].append(seconds)
    difference = float(np.abs(losses[: len(expected)] - expected).max()) if expected else 0.0
    _must_agree(f"losses of batches of {batch}", difference, _LOSS_BOUND)
    name = f"train, batch {batch}" + (", floats prepared" if prepared else "")
    return _row(name, "step", ours, theirs if other else {}, difference)


def _prediction(
    network: Network,
    images: NDArray[np.uint8],
    workers: int,
    choices: list[int],
    rounds: int,
    other: Any,
) -> Row:
    count = len(images)
    found = network.predict_proba(images, threads=workers)
    ours: list[float] = []
    theirs: dict[int, list[float]] = {n: [] for n in choices}
    expected = found
    for _ in range(rounds):
        repeat = 3000 if count == 1 else 20
        began = time.perf_counter()
        for _ in range(repeat):
            network.predict_proba(images, threads=workers)
        ours.append((time.perf_counter() - began) / repeat)
        for n in choices if other else []:
            seconds, expected = other.predict(count, 500 if count == 1 else 5, n)
            theirs[n].append(seconds)
    difference = float(np.abs(found - expected).max())
    _must_agree(f"probabilities of {count} images", difference, _PROBABILITY_BOUND)
    return _row(f"predict, batch {count:,}", "call", ours, theirs if other else {}, difference)


def _row(
    name: str,
    unit: str,
    ours: list[float],
    theirs: dict[int, list[float]],
    difference: float,
) -> Row:
    if not theirs:
        return Row(name, unit, Measured.of(ours))
    threads, best = min(theirs.items(), key=lambda item: median(item[1]))
    return Row(name, unit, Measured.of(ours), Measured.of(best), threads, difference)


def _must_agree(what: str, difference: float, bound: float) -> None:
    if not difference <= bound:
        raise NeocogError(
            f"The {what} differ from PyTorch's by {difference:.2g}, more than {bound}: the "
            "benchmark would compare two different computations."
        )
