"""Which engine trains a network, and which predicts: neocog's own or PyTorch's, on which device.

`Engine` is what `training/` asks of an engine. `neocog.engine.Trainer` and
`neocog.torch_engine.trainer.TorchTrainer` are checked against it where `make_trainer` returns them.
`Predicts` is what networks ask for predictions, and `make_predictor` returns it.
PyTorch is imported only where it is asked for, or where there is a GPU that it could use.
"""

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from neocog.engine import Trainer
from neocog.engine.predictor import Predictor
from neocog.errors import NeocogError
from neocog.launch import Launch
from neocog.layers import Graph
from neocog.preprocessing import Preprocessing
from neocog.settings.training import TrainingSettings

if TYPE_CHECKING:
    from neocog.torch_engine.processes import Processes

__all__ = [
    "Chosen",
    "Engine",
    "Predicts",
    "UnderWay",
    "choose_engine",
    "choose_for_predictions",
    "make_predictor",
    "make_trainer",
]

Floats = NDArray[np.float32]

# What drivers of NVIDIA and of AMD make on Linux. Elsewhere PyTorch itself is asked.
_DRIVERS = (Path("/dev/nvidiactl"), Path("/dev/dxg"), Path("/dev/kfd"))
# Multiply-adds, some 20 s of neocog's kernels on two cores, from which on predictions are worth the
# seconds that PyTorch takes to begin.
_WORTH_A_GPU = 10**12


class UnderWay(Protocol):
    """Steps that are being taken in another thread."""

    def wait(self, seconds: float) -> bool:
        """Wait at most `seconds`; gives whether they have ended."""

    def finish(self) -> int:
        """Wait for the end; gives the batches that are done, or raises what went wrong."""


class Predicts(Protocol):
    """Scores and probabilities of images; any number of threads may ask at once."""

    def predict(self, images: NDArray[np.uint8], threads: int | None = None) -> Floats:
        """Scores, and softmax of them, float32 [2, n, outputs]; see `neocog.engine.predictor`."""


class Engine(Protocol):
    """A network in training, as `training/` drives it.

    All arrays are in PyTorch's names and shapes, on the CPU, and copies.

    Attributes:
        steps: of the optimizer, taken so far; on them bias corrections and dropout depend.
        epochs: begun so far; on them augmentation depends.
    """

    steps: int
    epochs: int

    @property
    def memory(self) -> int:
        """Bytes that it works in, beside the data."""

    @property
    def done(self) -> int:
        """Batches of the epoch that the run under way has finished."""

    def state(self) -> dict[str, NDArray[Any]]:
        """The whole state dict, with running statistics."""

    def set_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Replace every parameter and running statistic."""

    def averages(self) -> dict[str, Floats]:
        """The averages of the parameters, of those that have one."""

    def gradients(self) -> dict[str, Floats]:
        """The gradient of the mean loss in the latest step, by parameter."""

    def optimizer_state(self) -> dict[str, Floats]:
        """What the optimizer remembers, as ``conv1.weight.velocity``."""

    def set_optimizer_state(self, state: dict[str, Floats]) -> None:
        """Replace what the optimizer remembers."""

    def start(
        self,
        order: NDArray[np.int64],
        record: NDArray[np.float64],
        rates: NDArray[np.float64] | None = None,
        *,
        first: int = 0,
        until: int | None = None,
    ) -> UnderWay:
        """Begin to take a step for each batch of `order`; see `neocog.engine.Trainer.start`."""

    def stop(self) -> None:
        """Ask the run under way to end after its current batch."""

    def end(self) -> int:
        """End the run under way after its current batch; gives the batches that are done."""

    def finished(self, batches: int, of: int, first: int = 0) -> None:
        """Count what a run did: it has come from batch `first` to `batches` of so many."""


@dataclass(frozen=True)
class Chosen:
    """An engine with its device.

    Attributes:
        engine: "neocog" or "torch".
        device: "cpu", or for PyTorch also "cuda", "cuda:1" or "mps".
        name: of both in words, as in "PyTorch 2.13.0 on cuda (NVIDIA H200)".
        why: it was chosen, as in "there is a GPU".
    """

    engine: str
    device: str
    name: str
    why: str

    def __str__(self) -> str:
        return f"{self.name}, as {self.why}"


def choose_engine(settings: TrainingSettings, launch: Launch | None = None) -> Chosen:
    """The engine that settings ask for; with ``engine="auto"`` the one that suits this machine.

    That is PyTorch where it is installed and finds a GPU of NVIDIA's or AMD's, or where a setting
    asks for what only PyTorch has: a device, another precision, compiling. Else it is neocog's own.

    Args:
        settings: of the training.
        launch: how torchrun has started this process, if it trains together with others; they do
            so by PyTorch, and of GPUs each takes one.

    Raises:
        NeocogError: PyTorch is asked for and not installed, or has no such device.
    """
    if launch is not None and launch.count > 1:
        return _shared(settings, launch)
    if settings.engine == "neocog":
        return _own("engine='neocog' asks for it")
    if settings.engine == "torch":
        return _torch(settings, "engine='torch' asks for it")
    if settings.device not in (None, "cpu"):
        return _torch(settings, f"device={settings.device!r} asks for it")
    if settings.precision != "float32":
        return _torch(settings, f"precision={settings.precision!r} asks for it")
    if settings.compile:
        return _torch(settings, "compile=True asks for it")
    if settings.device == "cpu":
        return _own("device='cpu' asks for the CPU")
    if not _may_have_gpu():
        return _own("there is no GPU")
    if find_spec("torch") is None:
        return _own("PyTorch, which could use a GPU, is not installed")
    from neocog.torch_engine.devices import has_gpu

    if not has_gpu():
        return _own("PyTorch finds no GPU")
    return _torch(settings, "there is a GPU")


def choose_for_predictions(
    engine: str, device: str | None, multiply_adds: float = math.inf
) -> Chosen:
    """As `choose_engine`, but "auto" takes a GPU only if there is much to compute.

    Args:
        engine: "auto", "neocog" or "torch".
        device: as in `TrainingSettings`.
        multiply_adds: of all predictions that are to come.
    """
    settings = TrainingSettings(engine=engine, device=device)
    if engine == "auto" and device is None and multiply_adds < _WORTH_A_GPU:
        return _own("there is little to compute")
    return choose_engine(settings)


def _own(why: str) -> Chosen:
    return Chosen("neocog", "cpu", "neocog's own on the CPU", why)


def _torch(settings: TrainingSettings, why: str, local_rank: int | None = None) -> Chosen:
    if find_spec("torch") is None:
        raise NeocogError(
            f"{why.removesuffix(' asks for it')} needs PyTorch, which is not installed: pip "
            "install 'neocog[torch]'. Or leave that out, for neocog's own engine."
        )
    from neocog.torch_engine.devices import chosen_device, device_name

    device = chosen_device(settings.device, settings.precision, local_rank)
    return Chosen("torch", device, device_name(device), why)


def _shared(settings: TrainingSettings, launch: Launch) -> Chosen:
    if settings.engine == "neocog":
        raise NeocogError(
            f"engine (='neocog') trains in one process, and torchrun has started {launch.count}. "
            "Start it without torchrun, where its threads take all cores, or take engine='torch'."
        )
    if settings.device not in (None, "cpu", "cuda"):
        raise NeocogError(
            f"device (={settings.device!r}) is for one process, and torchrun has started "
            f"{launch.count}. Take 'cuda', of which each process takes another one, or 'cpu'."
        )
    chosen = _torch(settings, f"torchrun has started {launch.count} processes", launch.local_rank)
    return replace(chosen, name=f"{chosen.name} in {launch.count} processes")


def _may_have_gpu() -> bool:
    """Whether it is worth the seconds that importing PyTorch takes to ask it."""
    if sys.platform == "darwin":  # its GPU is taken where it is asked for, see docs/engines.md
        return False
    return sys.platform != "linux" or any(driver.exists() for driver in _DRIVERS)


def make_trainer(
    chosen: Chosen,
    graph: Graph,
    state: Mapping[str, NDArray[Any]],
    preprocessing: Preprocessing,
    images: NDArray[np.uint8],
    labels: NDArray[Any],
    settings: TrainingSettings,
    *,
    moves_momentum: bool = False,
    sample_weights: Floats | None = None,
    dropout_seed: int | None = None,
    on_compile: Callable[[int], None] | None = None,
    processes: "Processes | None" = None,
) -> Engine:
    """The network in training on the chosen engine; for arguments see `neocog.engine.Trainer`.

    With `processes`, of which this is rank 0, the others train with it.
    """
    how: dict[str, Any] = {
        "moves_momentum": moves_momentum,
        "sample_weights": sample_weights,
        "dropout_seed": dropout_seed,
        "on_compile": on_compile,
    }
    if chosen.engine == "neocog":
        return Trainer(graph, state, preprocessing, images, labels, settings, **how)
    parts = (graph, state, preprocessing, images, labels, settings)
    if processes is not None:
        from neocog.torch_engine.leading import LeadingTrainer

        return LeadingTrainer(processes, *parts, device=chosen.device, **how)
    from neocog.torch_engine.trainer import TorchTrainer

    return TorchTrainer(*parts, device=chosen.device, **how)


def make_predictor(
    chosen: Chosen | None,
    graph: Graph,
    state: Mapping[str, NDArray[Any]],
    preprocessing: Preprocessing,
) -> Predicts:
    """What predicts on the chosen engine, neocog's own if None; see `neocog.engine.predictor`."""
    if chosen is None or chosen.engine == "neocog":
        return Predictor(graph, state, preprocessing)
    from neocog.torch_engine.predictor import TorchPredictor

    return TorchPredictor(graph, state, preprocessing, device=chosen.device)
