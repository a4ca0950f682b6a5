"""Names of the files in a run folder."""

from pathlib import Path

from neocog.files import exists

__all__ = [
    "BEST",
    "CONFIG",
    "HISTORY",
    "LAST",
    "LOG",
    "LR",
    "REPORT",
    "RUN",
    "WEIGHTS",
    "model_of_run",
]

#: The network of the best epoch, if there were validation data, and that of the last epoch.
BEST, LAST = "best.safetensors", "last.safetensors"
#: The weights of the last epoch, for PyTorch.
WEIGHTS = "cnn_model.pth"
#: The settings; the losses; a record of the run; its messages; the report.
CONFIG, HISTORY, RUN, LOG, REPORT = (
    "config.toml",
    "history.csv",
    "run.json",
    "log.txt",
    "report.html",
)
#: The rates and losses of ``--lr find``.
LR = "lr.csv"


def model_of_run(folder: Path) -> Path | None:
    """The model file of a run: the best one, or else the last; None if there is none."""
    return next((folder / name for name in (BEST, LAST) if exists(folder / name)), None)
