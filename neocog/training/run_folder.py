"""What a training run leaves behind: weights, model, history, and how it all came about."""

import json
import platform
import re
import shutil
import time
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from neocog.data import Data
from neocog.engine import VECTOR_FLOATS, available_threads
from neocog.errors import FormatError
from neocog.evaluation import Evaluation
from neocog.files import exists, leftovers, write_bytes, writing_together
from neocog.formats import save_pth, write_model
from neocog.network import Network
from neocog.trained_on import training_notes
from neocog.training.history import History
from neocog.training.process_identity import this_process
from neocog.training.run_lock import LOCK, RunLock
from neocog.training.run_process import MODEL, settle
from neocog.version import __version__
from neocog.write_errors import why_not_written

__all__ = ["RunFolder"]

# Numbers in brackets, one a line, as JSON is indented; no string has a line break in it.
_ROW = re.compile(r"\[\n([-+.,\deE\s]+)\]")


class RunFolder:
    """A folder with ``cnn_model.pth``, ``model.safetensors``, ``history.csv`` and ``run.json``.

    The first three are written after each epoch, all of them or none, so that a run that is cut off
    leaves its last finished epoch; see `neocog.files.writing_together`. ``run.json`` says how the
    run came about, which process it belongs to, and how it ended.
    """

    def __init__(
        self,
        path: Path,
        settings: dict[str, Any],
        data: Data | None,
        made: list[Path],
        lock: RunLock,
    ) -> None:
        self.path = path
        self._made = made
        self._lock = lock
        self._data = data
        self.holds_results = False
        self._info: dict[str, Any] = {
            "status": "running",
            "process": this_process(),
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "data": {
                "name": data.name,
                "source": data.source,
                "options": dict(data.options),
                "fingerprint": data.fingerprint,
            }
            if data is not None
            else None,
            "settings": settings,
            "machine": machine(),
            "versions": versions(),
        }
        self._write_info()

    @classmethod
    def create(
        cls,
        path: str | Path | None,
        name: str,
        settings: dict[str, Any],
        data: Data | None = None,
    ) -> "RunFolder":
        """Make the folder: `path`, which must be new or empty, or a new one under ``runs``.

        Args:
            path: where, or None.
            name: of the folder, where `path` does not say it; the time is added.
            settings: for ``run.json``.
            data: what is trained on. Their name, their source with the options that choose its
                pictures, and their fingerprint are kept.

        Raises:
            FormatError: the folder holds something already, or cannot be made.
            NeocogError: another process is just using it.
        """
        try:
            if path is not None:
                folder = Path(path)
                if folder.exists():
                    _check_empty(folder)
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
        except OSError as error:
            raise _not_made(path, error) from error
        lock = RunLock(folder)
        try:
            lock.acquire()
            if path is not None:
                _check_empty(folder)  # again: another process may have been faster
            return cls(folder, settings, data, made, lock)
        except BaseException as error:
            if lock.held:
                _take_away(folder, made, lock)
            else:
                _remove_empty(made)
            if isinstance(error, OSError):
                raise _not_made(path, error) from error
            raise

    def save(self, network: Network, history: History, tta: str | None = None) -> None:
        """Write the weights, the model and the history so far: all of them, or none.

        What is said of the data, and `tta`, go into the model's file, so that it can be evaluated
        as it was trained.
        """
        training = training_notes(self._data) if self._data is not None else {}
        training |= {"tta": tta} if tta else {}
        try:
            with writing_together(self.path, MODEL) as folder:
                save_pth(network.state_dict(), folder / "cnn_model.pth", network.input_shape)
                write_model(network.parts(training), folder / MODEL)
                write_bytes(folder / "history.csv", history.to_csv().encode())
        except OSError as error:
            # Some may be there already, and the rest beside them.
            self.holds_results = self.holds_results or exists(self.path / MODEL)
            raise self._not_written(error) from error
        self.holds_results = True

    def finish(
        self,
        history: History,
        result: Evaluation | None,
        status: str,
        by: str | None = None,
        part: str = "test",
    ) -> None:
        """Say in ``run.json`` how it ended, and by which signal, if by one.

        Args:
            history: of the training.
            result: of the evaluation, if there was one.
            status: "finished" or "interrupted".
            by: the signal's name.
            part: of the data that was evaluated.
        """
        self._info |= {
            "status": status,
            **({"signal": by} if by else {}),
            "timings": {
                "compile_seconds": history.compile_seconds,
                "training_seconds": history.seconds,
                "microseconds_a_step": 1e6 * history.seconds / max(1, history.steps),
                "evaluation_seconds": result.seconds if result else None,
            },
            "steps": history.steps,
            "memory_bytes": history.memory,
            "epochs": [{"loss": e.loss, "seconds": e.seconds} for e in history.epochs],
            part: result.to_dict() if result else None,
        }
        self._write_info()
        self._lock.release()

    def fail(self, error: BaseException, by: str | None = None) -> None:
        """Say in ``run.json`` how it failed; without results, take away all that was made.

        Raises nothing of its own: a disk that is full now is seldom the first to say so.
        """
        if not self.holds_results:
            _take_away(self.path, self._made, self._lock)
            return
        if isinstance(error, KeyboardInterrupt):
            self._info |= {"status": "interrupted", **({"signal": by} if by else {})}
        else:
            self._info |= {"status": "failed", "error": str(error)}
        with suppress(FormatError):
            self._write_info()
        self._lock.release()

    def _write_info(self) -> None:
        text = json.dumps(self._info, indent=2) + "\n"
        # Rows of numbers on a line each: those of a thousand classes are a fourth as long so.
        text = _ROW.sub(lambda row: f"[{' '.join(row[1].split())}]", text)
        try:
            write_bytes(self.path / "run.json", text.encode())
        except OSError as error:
            raise self._not_written(error) from error

    def _not_written(self, error: OSError) -> FormatError:
        return FormatError(why_not_written(self.path, error))


def _not_made(path: str | Path | None, error: OSError) -> FormatError:
    return FormatError(
        f"The folder for the results, {path or 'runs'}, cannot be made: "
        f"{error.strerror or error}. Choose another with --out."
    )


def _take_away(folder: Path, made: list[Path], lock: RunLock) -> None:
    """Remove a run without results, and the folders that were made for it."""
    with suppress(OSError):
        (folder / "run.json").unlink(missing_ok=True)
        for path in leftovers(folder):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    lock.release()
    _remove_empty(made)


def _remove_empty(made: list[Path]) -> None:
    with suppress(OSError):
        for path in made:  # until one in which another run has put something
            path.rmdir()


def _check_empty(folder: Path) -> None:
    """Raise `FormatError` if there is something in it, or it is no folder."""
    if folder.is_dir():
        old = leftovers(folder)
        if all(path in old or path.name == LOCK for path in folder.iterdir()):
            return
        if (stands := settle(folder)) is not None:
            raise FormatError(
                f"{folder} holds a run already: {stands} Name a new or empty folder, so that "
                "nothing is overwritten."
            )
    raise FormatError(
        f"{folder} holds something already; name a new or empty folder, so that nothing is "
        "overwritten."
    )


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
