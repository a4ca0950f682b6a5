"""`TrainingSettings`: everything `neocog.fit` takes besides the network and the data."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from neocog.errors import NeocogError
from neocog.limits import MOST_THREADS
from neocog.settings.augmentation import Augmentation
from neocog.settings.averaging import Averaging
from neocog.settings.optimizers import SGD, Optimizer
from neocog.settings.schedules import Constant, Schedule
from neocog.settings.setting import Settings, setting
from neocog.validation import as_real, as_row, as_whole, real, refuse, shown, whole

__all__ = [
    "BALANCES",
    "ENGINES",
    "LOSSES",
    "MEASURES",
    "PRECISIONS",
    "TrainingSettings",
    "check_threads",
]

#: What computes; see `neocog.engines`.
ENGINES = ("auto", "neocog", "torch")
#: Numbers that PyTorch computes maps with; weights and their updates are always float32.
PRECISIONS = ("float32", "bf16")

#: Ways to balance classes; see `neocog.training.balance`.
BALANCES = ("sample", "weight")
#: What a training can minimize: of one class an image, of several labels, or of numbers.
LOSSES = ("cross-entropy", "binary-cross-entropy", "mse")
#: Measures for early stopping and for choosing the best model.
MEASURES = ("validation_loss", "validation_accuracy", "loss")

_MOST = 1_000_000
_MOST_LOGGED = 1_000_000_000
# The largest float32.
_LEAST_WEIGHT, _MOST_WEIGHT = 1e-45, 3.4e38


def _epochs(name: str, value: object) -> float:
    """Keep a whole number as an int, so that it is written as one."""
    wanted = f"a number above 0, at most {_MOST}, such as 5 or 9.5"
    length = real(name, value, above=0, most=_MOST, wanted=wanted)
    whole_epochs = as_whole(value)
    return length if whole_epochs is None else whole_epochs


def _class_weights(name: str, value: Any) -> tuple[float, ...]:
    return _weights(name, value, "class")


def _pos_weight(name: str, value: Any) -> tuple[float, ...]:
    return _weights(name, value, "output")


def _weights(name: str, value: Any, of: str) -> tuple[float, ...]:
    try:
        row = as_row(value.tolist() if hasattr(value, "tolist") else value)
    except (TypeError, ValueError, RuntimeError):
        row = None
    if not row:
        raise refuse(name, value, f"numbers, one for each {of}")
    numbers = [as_real(one) for one in row]
    if not all(
        number is not None and _LEAST_WEIGHT <= number <= _MOST_WEIGHT for number in numbers
    ):
        raise refuse(name, value, f"positive numbers, one for each {of}")
    return tuple(float(number) for number in numbers if number is not None)


def _freeze_after(name: str, value: object) -> dict[str, int]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise refuse(name, value, "epochs by names of parameters, as in {'conv1.bias': 3}")
    return {
        str(pattern): whole(f"{name}[{shown(pattern)}]", epochs, 1, _MOST)
        for pattern, epochs in value.items()
    }


def _pattern_and_epochs(text: str) -> dict[str, int]:
    pattern, _, epochs = text.rpartition("=")
    return {pattern: int(epochs)}


def _seed(name: str, value: object) -> int:
    number = as_whole(value)
    if number is None:
        raise refuse(name, value, "a whole number")
    if not -(2**63) <= number < 2**64:
        raise NeocogError(f"{name} (={shown(number)}) must lie between -2**63 and 2**64 - 1.")
    return number


def _device(name: str, value: object) -> str:
    if isinstance(value, str) and re.fullmatch(r"cpu|mps|cuda(:[0-9]{1,3})?", value):
        return str(value)
    raise refuse(name, value, "cpu, cuda, cuda:1 (the second GPU) or mps")


@dataclass(frozen=True)
class TrainingSettings(Settings):
    """How a network is trained.

    An epoch of n images in batches of b has ⌈n / b⌉ batches, the last of which may have fewer
    images. 9.5 epochs are nine epochs and then half of the batches of another. A step of the
    optimizer takes `accumulate` batches; its gradient is the mean of their gradients.
    """

    epochs: float = setting(
        5, check=_epochs, free=True, help="passes over the data, such as 5 or 9.5"
    )
    batch_size: int = setting(4, low=1, high=_MOST, help="images per batch")
    optimizer: Optimizer = setting(
        default_factory=lambda: SGD(0.001, momentum=0.9), help="how weights are updated"
    )
    schedule: Schedule = setting(default_factory=Constant, help="learning-rate schedule")
    averaging: Averaging | None = setting(
        None, help="average of the weights, which is then what is evaluated and saved"
    )
    augmentation: Augmentation = setting(
        default_factory=Augmentation, help="random changes of training images"
    )
    loss: str = setting(
        "cross-entropy",
        choices=LOSSES,
        help="what is minimized; for several labels an image binary-cross-entropy, for numbers mse",
    )
    label_smoothing: float = setting(
        0.0,
        low=0,
        high=1,
        wanted="a number from 0 to 1, such as 0.1",
        help="fraction of each label that is spread evenly over all classes",
    )
    class_weights: tuple[float, ...] | None = setting(
        None,
        check=_class_weights,
        text=lambda text: tuple(float(part) for part in text.split(",")),
        metavar="W,W,…",
        help="weight of each class in the loss",
    )
    pos_weight: tuple[float, ...] | None = setting(
        None,
        check=_pos_weight,
        text=lambda text: tuple(float(part) for part in text.split(",")),
        metavar="W,W,…",
        help="weight of what is true of each output, in binary-cross-entropy",
    )
    standardize_targets: bool = setting(
        False,
        help="with mse: train on targets with mean 0 and deviation 1, which also the losses are of",
    )
    balance: str | None = setting(
        None,
        choices=BALANCES,
        help="balance the classes: sample each equally often, or weight its loss",
    )
    clip_norm: float | None = setting(
        None,
        above=0,
        wanted="a positive number, such as 1.0, or None",
        text=lambda text: float(text) or None,
        help="clip the gradient to this norm; 0: no clipping",
    )
    accumulate: int = setting(1, low=1, high=_MOST, help="batches per step of the optimizer")
    freeze_after: Mapping[str, int] = setting(
        default_factory=dict,
        check=_freeze_after,
        text=_pattern_and_epochs,
        metavar="PATTERN=EPOCHS",
        help="freeze the parameters that match the pattern after so many epochs",
    )
    seed: int = setting(0, check=_seed, help="seed of all random numbers")
    threads: int | None = setting(
        None,
        free=True,
        low=1,
        high=MOST_THREADS,
        help="worker threads (default: as many as this process may use)",
    )
    engine: str = setting(
        "auto",
        choices=ENGINES,
        free=True,
        help="what computes: neocog's kernels, PyTorch, or what suits this machine",
    )
    device: str | None = setting(
        None,
        check=_device,
        free=True,
        help="where PyTorch computes: cpu, cuda, cuda:1, mps (default: a GPU, if there is one)",
    )
    precision: str = setting(
        "float32", choices=PRECISIONS, help="numbers that PyTorch computes maps with"
    )
    compile: bool = setting(False, free=True, help="have PyTorch compile the network first")
    sync_batch_norm: bool = setting(
        False,
        free=True,
        help="with torchrun: normalize over the whole batch, not over the part of each process",
    )
    log_every: int = setting(
        2000, free=True, low=1, high=_MOST_LOGGED, help="batches between two printed losses"
    )
    monitor: str = setting(
        "validation_loss",
        choices=MEASURES,
        help="measure that decides which epoch is best and when to stop early",
    )
    patience: int | None = setting(
        None,
        free=True,
        low=1,
        high=_MOST,
        help="stop after this many epochs without improvement",
    )
    min_delta: float = setting(
        0.0, low=0, help="smallest change of the measure that counts as improvement"
    )
    checkpoint_minutes: float = setting(
        5.0, free=True, low=0, help="minutes between checkpoints; 0: only at the end of epochs"
    )
    checkpoint_steps: int | None = setting(
        None, free=True, low=1, help="steps of the optimizer between checkpoints"
    )
    keep_checkpoints: int = setting(
        3, free=True, low=1, high=1000, help="how many of the latest checkpoints to keep"
    )

    def check_together(self) -> None:
        """Refuse settings that do not go together: of losses, engines and weights of classes."""
        self._check_loss()
        self._check_engine()
        if self.balance == "weight" and self.class_weights is not None:
            raise NeocogError(
                'balance (="weight") makes class_weights of its own: give one or the other.'
            )

    def _check_engine(self) -> None:
        if self.engine != "neocog":
            return
        given = {
            "device": self.device not in (None, "cpu"),
            "precision": self.precision != "float32",
            "compile": self.compile,
        }
        for name, asks_for_torch in given.items():
            if asks_for_torch:
                raise NeocogError(
                    f"{name} (={shown(getattr(self, name))}) is for engine='torch': neocog's own "
                    "engine computes in float32 on the CPU. Leave one of the two out."
                )

    def _check_loss(self) -> None:
        if self.pos_weight is not None and self.loss != "binary-cross-entropy":
            raise NeocogError(
                f"pos_weight (={shown(self.pos_weight)}) is for binary-cross-entropy: leave it out "
                f"with loss={self.loss!r}."
            )
        if self.standardize_targets and self.loss != "mse":
            raise NeocogError(
                f"standardize_targets is for loss='mse': leave it out with loss={self.loss!r}."
            )
        if self.loss == "cross-entropy":
            return
        for name in ("label_smoothing", "class_weights", "balance"):
            if getattr(self, name):
                raise NeocogError(
                    f"{name} (={shown(getattr(self, name))}) is for cross-entropy, which has one "
                    f"class an image: leave it out with loss={self.loss!r}."
                )
        if self.loss == "mse" and self.augmentation.mixup:
            raise NeocogError(
                f"mixup (={self.augmentation.mixup:g}) mixes labels: leave it out with loss='mse'."
            )
        if self.loss == "mse" and self.monitor == "validation_accuracy":
            raise NeocogError(
                "monitor (='validation_accuracy') does not go with loss='mse', which has no "
                "accuracy: 'validation_loss' does."
            )


def check_threads(threads: int | None) -> int | None:
    """Check a number of workers, None for as many as can run at once; raises `NeocogError`."""
    return TrainingSettings(threads=threads).threads
