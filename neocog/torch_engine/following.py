"""What a process does that trains together with rank 0: as rank 0 says, until that ends."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.engine.running import Run
from neocog.layers import Graph
from neocog.preprocessing import Preprocessing
from neocog.settings.codec import from_plain
from neocog.settings.recipe import Recipe
from neocog.target_scale import scale_of
from neocog.torch_engine.devices import chosen_device
from neocog.torch_engine.processes import Message, Processes
from neocog.torch_engine.trainer import TorchTrainer

__all__ = ["arrays_of", "follow"]


def follow(
    processes: Processes,
    graph: Graph,
    preprocessing: Preprocessing,
    images: NDArray[np.uint8],
    labels: NDArray[Any],
    sample_weights: NDArray[np.float32] | None,
) -> Message:
    """Train together with rank 0; gives its last word, "end".

    Args:
        processes: of which this is not rank 0.
        graph: of the network.
        preprocessing: see `TorchTrainer`, as for the others.
        images: those of rank 0.
        labels: those of rank 0.
        sample_weights: those of rank 0.

    Raises:
        NeocogError: rank 0 is lost, or this process cannot train.
    """
    trainer: TorchTrainer | None = None
    while True:
        message = processes.hear()
        about = message.about
        if message.word == "end":
            return message
        if message.word == "make":
            trainer = None  # both would take twice the memory
            settings = from_plain(Recipe, about["settings"], "Rank 0's settings")
            rank = processes.launch.local_rank
            trainer = TorchTrainer(
                graph,
                arrays_of(message, "state"),
                preprocessing,
                images,
                scale_of(settings, graph, labels).standardized(labels),
                settings,
                device=chosen_device(settings.device, settings.precision, rank),
                sample_weights=sample_weights,
                moves_momentum=about["moves_momentum"],
                dropout_seed=about["dropout_seed"],
                processes=processes,
            )
        elif trainer is not None:
            _do(trainer, message)


def arrays_of(message: Message, group: str) -> dict[str, NDArray[Any]]:
    """The arrays of one of a message's groups, by name."""
    begin = f"{group}/"
    return {n.removeprefix(begin): a for n, a in message.arrays.items() if n.startswith(begin)}


def _do(trainer: TorchTrainer, message: Message) -> None:
    if message.word == "set state":
        trainer.set_state(arrays_of(message, "state"))
    elif message.word == "set optimizer state":
        trainer.set_optimizer_state(arrays_of(message, "state"))
    elif message.word == "start":
        about, arrays = message.about, arrays_of(message, "run")
        trainer.steps, trainer.epochs = about["steps"], about["epochs"]
        record = np.zeros(about["batches"])
        places = {"first": about["first"], "until": about["until"]}
        _finish(trainer.start(arrays["order"], record, arrays.get("rates"), **places))
        trainer.end()


def _finish(run: Run) -> None:
    """Wait for the end, which rank 0 decides; a signal is raised behind it."""
    interrupt: KeyboardInterrupt | None = None
    while True:
        try:
            run.finish()
            break
        except KeyboardInterrupt as error:
            interrupt = interrupt or error
    if interrupt is not None:
        raise interrupt
