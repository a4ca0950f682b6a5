"""What the files of a run folder are called."""

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

#: The network of the best epoch, where there were validation data, and that of the last one.
BEST, LAST = "best.safetensors", "last.safetensors"
#: The last epoch's weights alone, for PyTorch.
WEIGHTS = "cnn_model.pth"
#: Every setting; the losses; how it came about and ended; what was said; the page for people.
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
    """The file of the network that a run gives: the best one, or else the last; None without."""
    return next((folder / name for name in (BEST, LAST) if exists(folder / name)), None)
