"""What a network takes to train: memory, and the time of each of its layers."""

from typing import Any

import numpy as np

from neocog.engine.lowering import lower
from neocog.engine.memory import memory_needed
from neocog.engine.program_options import ProgramOptions
from neocog.engine.schedule import training_plan
from neocog.engine.trainer import Optimizer, Trainer
from neocog.engine.update_plan import UpdatePlan
from neocog.network import Network

__all__ = ["training_memory", "training_times"]


def training_memory(network: Network, batch_size: int, threads: int, optimizer: Optimizer) -> int:
    """Bytes that a training works in, beside the data; nothing is compiled or allocated.

    Args:
        network: with or without weights.
        batch_size: images a step.
        threads: workers.
        optimizer: by what rule each parameter moves.

    Raises:
        ArchitectureError: for a network that cannot be trained.
    """
    ops = lower(network, training=True)
    plan = training_plan(ops, batch_size, ProgramOptions(UpdatePlan(optimizer.rule_for)))
    return memory_needed(plan, threads, batch_size)


def training_times(
    network: Network, batch_size: int, optimizer: Optimizer, **settings: Any
) -> dict[str, float]:
    """Microseconds that each layer takes of a step, on one thread with warm caches.

    In the order of the step's way forward; what runs as one has the name of its first layer. The
    images are noise. What is no layer is called ``input``, ``loss`` and ``update``.

    Args:
        network: with weights; they are left alone.
        batch_size: images a step.
        optimizer: by what rule each parameter moves.
        **settings: further arguments of `Trainer`.
    """
    rng = np.random.default_rng(0)
    channels, height, width = network.input_shape
    images = rng.integers(0, 256, (batch_size, height, width, channels), np.uint8)
    labels = rng.integers(0, network.output_shape[0], batch_size)
    trainer = Trainer(
        network,
        images,
        labels,
        batch_size=batch_size,
        optimizer=optimizer,
        threads=1,
        **settings,
    )
    trainer.run(np.arange(batch_size))
    found: dict[str, float] = {}
    for what, microseconds in trainer.profile():
        layer = what.partition(":")[0]
        found[layer] = found.get(layer, 0.0) + microseconds
    return found
