"""The trainer of rank 0, which has the other processes do what it does.

What changes a trainer's state is said to the others first, and the steps are taken together. What
only asks for it, such as `state`, concerns rank 0 alone, as all have the same weights.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neocog.engine.running import Run
from neocog.layers import Graph
from neocog.preprocessing import Preprocessing
from neocog.settings.codec import to_plain
from neocog.settings.training import TrainingSettings
from neocog.torch_engine.processes import Processes
from neocog.torch_engine.trainer import TorchTrainer

__all__ = ["LeadingTrainer"]

Floats = NDArray[np.float32]


class LeadingTrainer(TorchTrainer):
    """Takes training steps together with the trainers of other processes.

    Args:
        processes: of which this is rank 0; the others `follow`.
        graph, state, preprocessing, images, labels, settings: see `TorchTrainer`; the images are
            those that the others have.
        **how: see `TorchTrainer`.
    """

    def __init__(
        self,
        processes: Processes,
        graph: Graph,
        state: Mapping[str, NDArray[Any]],
        preprocessing: Preprocessing,
        images: NDArray[np.uint8],
        labels: NDArray[Any],
        settings: TrainingSettings,
        **how: Any,
    ) -> None:
        self._processes: Processes | None = None
        about = {
            "settings": to_plain(settings),
            "moves_momentum": how.get("moves_momentum", False),
            "dropout_seed": how.get("dropout_seed"),
        }
        processes.tell("make", about, state=state)
        how = {**how, "processes": processes}
        super().__init__(graph, state, preprocessing, images, labels, settings, **how)
        self._processes = processes

    def set_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Replace every parameter and running statistic, of all processes."""
        if self._processes is not None:
            self._processes.tell("set state", state=state)
        super().set_state(state)

    def set_optimizer_state(self, state: dict[str, Floats]) -> None:
        """Replace what the optimizer remembers, in all processes."""
        if self._processes is not None:
            self._processes.tell("set optimizer state", state=state)
        super().set_optimizer_state(state)

    def start(
        self,
        order: NDArray[np.int64],
        record: NDArray[np.float64],
        rates: NDArray[np.float64] | None = None,
        *,
        first: int = 0,
        until: int | None = None,
    ) -> Run:
        """Begin to take a step for each batch of `order`, in all processes."""
        self.end()
        if self._processes is not None:
            about = {
                "steps": self.steps,
                "epochs": self.epochs,
                "first": first,
                "until": until,
                "batches": len(record),
            }
            arrays = {"order": order} | ({} if rates is None else {"rates": rates})
            self._processes.tell("start", about, run=arrays)
        return super().start(order, record, rates, first=first, until=until)

    def end(self) -> int:
        """End the run under way after its current batch; gives the batches that are done.

        Raises:
            NeocogError: another process was lost meanwhile, and with it half a batch.
        """
        run = self._run
        done = super().end()
        if run is not None:
            run.finish()
        return done
