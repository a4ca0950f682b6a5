"""`fit` in each of several processes that torchrun has started.

Rank 0 trains as one process would, and it alone writes, prints and calls back. The others, with the
same network and data, compute their parts of its batches, and in the end have its weights.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from neocog.data.images import Dataset, as_dataset
from neocog.errors import DataError, NeocogError
from neocog.launch import Launch
from neocog.network import Network
from neocog.training.data_mark import data_mark, mark_in_words
from neocog.training.history import History
from neocog.training.run_state import network_mark
from neocog.training.sample_weights import check_sample_weights

if TYPE_CHECKING:
    from neocog.torch_engine.processes import Processes

__all__ = ["RankZeroFailedError", "fit_together", "processes_of"]

Weights = Sequence[float] | NDArray[Any] | None


class RankZeroFailedError(NeocogError):
    """What rank 0 was doing has failed, and it has said why itself."""


def processes_of(launch: Launch | None) -> "Processes | None":
    """The processes that train together, of which this is one; None where it trains alone.

    Raises:
        NeocogError: PyTorch is not installed, or the processes do not meet.
    """
    if launch is None or launch.count == 1:
        return None
    if find_spec("torch") is None:
        raise NeocogError(
            "Processes that train together need PyTorch, which is not installed: pip install "
            "'neocog[torch]'."
        )
    # What PyTorch would print of a lost connection is its own stack, beside the error it raises.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    from neocog.torch_engine.processes import joined

    return joined(launch)


def fit_together(
    processes: "Processes | None",
    network: Network,
    data: Dataset,
    sample_weights: Weights,
    train: Callable[[], History],
) -> History:
    """Train alone, lead the others, or follow rank 0.

    Args:
        processes: that train together, if there are any.
        network: gets rank 0's weights.
        data: the same in all processes.
        sample_weights: the same in all processes.
        train: what one process would do alone.

    Returns:
        Rank 0's history.

    Raises:
        RankZeroFailedError: in the processes that follow.
        NeocogError: what `train` raises; a process is lost, or has other data or another network.
    """
    if processes is None:
        return train()
    if processes.rank:
        return _follow(processes, network, data, sample_weights)
    try:
        processes.tell("begin", _marks(network, data, sample_weights))
        history = train()
    except BaseException as error:
        with suppress(NeocogError):  # of a process that is lost, which was the error
            processes.tell("end", {"error": str(error) or type(error).__name__})
        raise
    with suppress(NeocogError):  # nobody is needed any more
        processes.tell("end", {"history": history.to_dict()}, state=network.state_dict())
    return history


def _marks(network: Network, data: Dataset, sample_weights: Weights) -> dict[str, Any]:
    data = as_dataset(data, "fit(network, data.train)")
    if len(data) == 0:
        raise DataError("There are no images to train on.")
    weights = check_sample_weights(sample_weights, len(data))
    return {"data": data_mark(data, weights), "network": network_mark(network)}


def _follow(
    processes: "Processes", network: Network, data: Dataset, sample_weights: Weights
) -> History:
    from neocog.torch_engine.following import arrays_of, follow

    message = processes.hear()
    if message.word == "begin":
        data = as_dataset(data, "fit(network, data.train)")
        _check_same(processes.rank, message.about, _marks(network, data, sample_weights))
        weights = check_sample_weights(sample_weights, len(data))
        parts = network.graph, network.preprocessing, data.images, data.labels, weights
        message = follow(processes, *parts)
    if "error" in message.about:
        raise RankZeroFailedError(f"Rank 0 has failed: {message.about['error']}")
    network.load_state_dict(arrays_of(message, "state"))
    return History.from_dict(message.about["history"])


def _check_same(rank: int, theirs: Any, own: dict[str, Any]) -> None:
    """Raise `NeocogError` unless this process has rank 0's network and data."""
    if theirs["network"] != own["network"]:
        raise NeocogError(f"Rank {rank} has another network than rank 0: both need the same.")
    if theirs["data"] != own["data"]:
        raise NeocogError(
            f"Rank {rank} has {mark_in_words(own['data'])}, and rank 0 has "
            f"{mark_in_words(theirs['data'])}: all processes need the same images, labels and "
            "weights."
        )
