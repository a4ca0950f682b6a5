"""What `fit` gives back: the losses it logged, the epochs, and how long they took."""

import csv
import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Epoch", "History", "Logged"]


@dataclass(frozen=True)
class Logged:
    """The mean loss of the batches since the last line; `seconds` since the first step."""

    epoch: int
    batch: int
    loss: float
    seconds: float


@dataclass(frozen=True)
class Epoch:
    """An epoch that is finished.

    Attributes:
        epoch: its number, from 1.
        loss: the mean loss of all its batches.
        seconds: that its steps took.
        lr: the learning rate of its last step.
        validation_loss: of the validation data, by the network as it is saved; None without them.
        validation_accuracy: of the same, from 0 to 1.
    """

    epoch: int
    loss: float
    seconds: float
    lr: float | None = None
    validation_loss: float | None = None
    validation_accuracy: float | None = None


@dataclass
class History:
    """A training run in numbers.

    Attributes:
        logged: every `log_every` batches, the mean loss since the last time.
        epochs: the finished epochs.
        steps: steps taken.
        compile_seconds: preparing the program, with compiling kernels that were not on disk.
        seconds: the steps alone, from the first to the last.
        interrupted: whether Ctrl+C or a signal ended it before the last epoch's end.
        stopped: whether a callback ended it before the last epoch; see `neocog.Callback.stop`.
        memory: bytes the program worked in, beside the data.
        engine: what computed, on which device, and why.
    """

    logged: list[Logged] = field(default_factory=list)
    epochs: list[Epoch] = field(default_factory=list)
    steps: int = 0
    compile_seconds: float = 0.0
    seconds: float = 0.0
    interrupted: bool = False
    stopped: bool = False
    memory: int = 0
    engine: str = ""

    def reopen(self, epoch: int, log_every: int) -> None:
        """Forget that an epoch, the latest, was finished: it goes on, as part of a longer run."""
        if self.epochs and self.epochs[-1].epoch == epoch:
            self.epochs.pop()
            # What was logged at its end only, as it had fewer batches.
            self.logged = [e for e in self.logged if e.epoch < epoch or e.batch % log_every == 0]

    @property
    def losses(self) -> list[float]:
        """The logged losses."""
        return [entry.loss for entry in self.logged]

    def to_dict(self) -> dict[str, Any]:
        """The history as plain data; `from_dict` is the way back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> "History":
        """The history that `to_dict` described."""
        logged = [Logged(**one) for one in description["logged"]]
        epochs = [Epoch(**one) for one in description["epochs"]]
        return cls(**{**description, "logged": logged, "epochs": epochs})

    def __repr__(self) -> str:
        loss = f", loss={self.logged[-1].loss:.4g}" if self.logged else ""
        early = ", interrupted" if self.interrupted else ", stopped" if self.stopped else ""
        return (
            f"<History of {self.steps} steps: {len(self.epochs)} epochs, {len(self.logged)} losses"
            f"{loss}, {self.seconds:.1f} s{early}>"
        )

    def to_csv(self) -> str:
        """The logged losses as a table with the columns epoch, batch, loss, seconds."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["epoch", "batch", "loss", "seconds"])
        for e in self.logged:
            writer.writerow([e.epoch, e.batch, f"{e.loss:.9g}", f"{e.seconds:.6f}"])
        return text.getvalue()
