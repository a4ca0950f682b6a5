"""What a training run leaves behind: weights, model, history, and how it all came about."""

import json
import platform
import time
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from neocog import __version__
from neocog.engine import VECTOR_FLOATS, available_threads
from neocog.errors import FormatError
from neocog.evaluation import Evaluation
from neocog.files import write_bytes
from neocog.formats import save, save_model
from neocog.network import Network
from neocog.training.history import History

__all__ = ["RunFolder"]


class RunFolder:
    """A folder with ``cnn_model.pth``, ``model.safetensors``, ``history.csv`` and ``run.json``.

    Each file is written whole or not at all, and again after each epoch, so that a run that is
    cut off leaves its last finished epoch.
    """

    def __init__(self, path: Path, settings: dict[str, Any], made: list[Path]) -> None:
        self.path = path
        self._made = made
        self.holds_results = False
        self._info: dict[str, Any] = {
            "status": "running",
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "settings": settings,
            "machine": machine(),
            "versions": versions(),
        }
        self._write_info()

    @classmethod
    def create(cls, path: str | Path | None, name: str, settings: dict[str, Any]) -> "RunFolder":
        """Make the folder: `path`, which must be new or empty, or a new one under ``runs``.

        Raises:
            FormatError: the folder holds something already, or cannot be made.
        """
        try:
            if path is not None:
                folder = Path(path)
                if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
                    raise FormatError(
                        f"{folder} holds something already; name a new or empty folder, so that "
                        "nothing is overwritten."
                    )
                made = _missing(folder)
                folder.mkdir(parents=True, exist_ok=True)
            else:
                stamp = time.strftime("%Y%m%d-%H%M%S")
                at = 1
                while True:
                    suffix = "" if at == 1 else f"-{at}"
                    folder = Path("runs") / f"{name}-{stamp}{suffix}"
                    made = _missing(folder)
                    try:
                        folder.mkdir(parents=True)
                        break
                    except FileExistsError:
                        at += 1
            return cls(folder, settings, made)
        except OSError as error:
            raise FormatError(
                f"The folder for the results, {path or 'runs'}, cannot be made: "
                f"{error.strerror or error}. Choose another with --out."
            ) from error

    def save(self, network: Network, history: History, data: str, tta: str | None = None) -> None:
        """Write the weights, the model and the history so far.

        `data` and `tta` go into the model's file, so that it can be evaluated as it was trained.
        """
        training = {"data": data, **({"tta": tta} if tta else {})}
        try:
            save(network, self.path / "cnn_model.pth")
            save_model(network, self.path / "model.safetensors", training=training)
            write_bytes(self.path / "history.csv", history.to_csv().encode())
        except OSError as error:
            raise FormatError(f"{self.path}: {error.strerror or error}.") from error
        self.holds_results = True

    def finish(self, history: History, result: Evaluation | None, status: str) -> None:
        """Say in ``run.json`` how it ended."""
        self._info |= {
            "status": status,
            "timings": {
                "compile_seconds": history.compile_seconds,
                "training_seconds": history.seconds,
                "microseconds_a_step": 1e6 * history.seconds / max(1, history.steps),
                "evaluation_seconds": result.seconds if result else None,
            },
            "steps": history.steps,
            "memory_bytes": history.memory,
            "epochs": [{"loss": e.loss, "seconds": e.seconds} for e in history.epochs],
            "test": result.to_dict() if result else None,
        }
        self._write_info()

    def fail(self, error: BaseException) -> None:
        """Say in ``run.json`` how it failed; without results, take away all that was made."""
        if self.holds_results:
            if isinstance(error, KeyboardInterrupt):
                self._info |= {"status": "interrupted"}
            else:
                self._info |= {"status": "failed", "error": str(error)}
            self._write_info()
            return
        (self.path / "run.json").unlink(missing_ok=True)
        for folder in self._made:
            try:
                folder.rmdir()
            except OSError:  # another run has put something there
                return

    def _write_info(self) -> None:
        text = json.dumps(self._info, indent=2) + "\n"
        try:
            write_bytes(self.path / "run.json", text.encode())
        except OSError as error:
            raise FormatError(f"{self.path}: {error.strerror or error}.") from error


def _missing(folder: Path) -> list[Path]:
    """The folder and those above it that do not exist yet, innermost first."""
    return [path for path in (folder, *folder.parents) if not path.exists()]


def versions() -> dict[str, str]:
    """Of Python and of all that computes."""
    found = {"python": platform.python_version(), "neocog": __version__}
    for name in ("numpy", "numba", "llvmlite"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """The processor, its cores, and the width of the vectors the kernels use."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": available_threads(),
        "vector_floats": VECTOR_FLOATS,
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
