"""What a network takes to train: memory, and the time of each of its layers."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from neocog.engine.cores import useful_threads
from neocog.engine.lowering import lower
from neocog.engine.memory import memory_needed
from neocog.engine.program_options import ProgramOptions
from neocog.engine.schedule import training_plan
from neocog.engine.trainer import Trainer
from neocog.network import Network
from neocog.settings.training import TrainingSettings

__all__ = ["training_memory", "training_times"]


def training_memory(network: Network, settings: TrainingSettings) -> int:
    """Bytes that a training works in, beside the data; nothing is compiled or allocated.

    Args:
        network: with or without weights.
        settings: of the training.

    Raises:
        ArchitectureError: for a network that cannot be trained.
    """
    ops = lower(network, training=True)
    batch_size = settings.batch_size
    plan = training_plan(ops, batch_size, ProgramOptions.of(settings))
    return memory_needed(plan, useful_threads(settings.threads), batch_size)


def training_times(
    network: Network,
    settings: TrainingSettings,
    on_compile: Callable[[int], None] | None = None,
) -> dict[str, float]:
    """Microseconds that each layer takes of a step, on one thread with warm caches.

    In the order of the step's way forward; what runs as one has the name of its first layer. The
    images are noise. What is no layer is called ``input``, ``loss`` and ``update``.

    Args:
        network: with weights; they are left alone.
        settings: of the training.
        on_compile: told how many kernels are compiled first, if any are.
    """
    batch_size = settings.batch_size
    rng = np.random.default_rng(0)
    channels, height, width = network.input_shape
    images = rng.integers(0, 256, (batch_size, height, width, channels), np.uint8)
    labels = rng.integers(0, network.output_shape[0], batch_size)
    trainer = Trainer(network, images, labels, replace(settings, threads=1), on_compile=on_compile)
    trainer.run(np.arange(batch_size))
    found: dict[str, float] = {}
    for what, microseconds in trainer.profile():
        layer = what.partition(":")[0]
        found[layer] = found.get(layer, 0.0) + microseconds
    return found
