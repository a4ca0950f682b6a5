"""What training a network costs: memory, and the time of each of its layers."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.engine.cores import useful_threads
from neocog.engine.lowering import lower
from neocog.engine.memory import memory_needed
from neocog.engine.program_options import ProgramOptions
from neocog.engine.schedule import training_plan
from neocog.engine.trainer import Trainer
from neocog.layers import Graph
from neocog.preprocessing import Preprocessing
from neocog.settings.training import TrainingSettings

__all__ = ["training_memory", "training_times"]


def training_memory(graph: Graph, settings: TrainingSettings) -> int:
    """Bytes that a training works in, beside the data; nothing is compiled or allocated.

    Args:
        graph: the network.
        settings: of the training.

    Raises:
        ArchitectureError: for a network that cannot be trained.
    """
    ops = lower(graph, training=True)
    batch_size = settings.batch_size
    plan = training_plan(ops, batch_size, ProgramOptions.of(settings))
    return memory_needed(plan, useful_threads(settings.threads), batch_size)


def training_times(
    graph: Graph,
    state: Mapping[str, NDArray[Any]],
    settings: TrainingSettings,
    on_compile: Callable[[int], None] | None = None,
) -> dict[str, float]:
    """Microseconds that each layer takes of a step, on one thread with warm caches.

    In the order of the forward pass. Fused layers are listed under the name of the first. The rest
    of the step is called ``input``, ``loss`` and ``update``. The images are noise.

    Args:
        graph: the network.
        state: its parameters and buffers by name.
        settings: of the training.
        on_compile: told how many kernels are compiled first, if any are.
    """
    batch_size = settings.batch_size
    rng = np.random.default_rng(0)
    channels, height, width = graph.input_shape
    images = rng.integers(0, 256, (batch_size, height, width, channels), np.uint8)
    labels = rng.integers(0, graph.output_shape[0], batch_size)
    preprocessing = Preprocessing((0.5,) * channels, (0.5,) * channels)
    alone = replace(settings, threads=1)
    trainer = Trainer(graph, state, preprocessing, images, labels, alone, on_compile=on_compile)
    trainer.run(np.arange(batch_size))
    times: dict[str, float] = {}
    for label, microseconds in trainer.profile():
        layer = label.partition(":")[0]
        times[layer] = times.get(layer, 0.0) + microseconds
    return times
