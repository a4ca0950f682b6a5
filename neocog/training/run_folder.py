"""What a training run leaves behind: weights, model, history, and how it all came about."""

import json
import platform
import re
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from neocog.data import Data
from neocog.engine import VECTOR_FLOATS, available_threads
from neocog.errors import FormatError, NeocogError, printable
from neocog.evaluation import Evaluation
from neocog.files import exists, leftovers, write_bytes, writing_together
from neocog.formats import save_pth, write_model
from neocog.network import Network
from neocog.run_files import BEST, CONFIG, HISTORY, LAST, LOG, LR, RUN, WEIGHTS, model_of_run
from neocog.settings.recipe import Recipe
from neocog.settings.toml import write_toml
from neocog.trained_on import training_notes
from neocog.training.checkpoints import CHECKPOINTS, Checkpoints
from neocog.training.history import History
from neocog.training.process_identity import this_process
from neocog.training.run_lock import LOCK, RunLock
from neocog.training.run_process import read_info, settle, tidy_up
from neocog.version import __version__
from neocog.write_errors import why_not_written

__all__ = ["RunFolder", "check_new_folder"]

# Numbers in brackets, one a line, as JSON is indented; no string has a line break in it.
_ROW = re.compile(r"\[\n([-+.,\deE\s]+)\]")


class RunFolder:
    """A folder with all that a run leaves behind.

    ``config.toml`` has every setting, ``run.json`` how the run came about, which process it belongs
    to, and how it ended. After each epoch ``last.safetensors``, ``cnn_model.pth`` and
    ``history.csv`` are written, all of them or none, and ``best.safetensors`` where that epoch was
    the best; see `neocog.files.writing_together`. ``checkpoints`` is what a run goes on from.
    """

    def __init__(
        self, path: Path, info: dict[str, Any], data: Data | None, made: list[Path], lock: RunLock
    ) -> None:
        self.path = path
        self._made = made
        self._lock = lock
        self._data = data
        self._info = info
        self.holds_results = exists(path / LAST)
        self._write_info()

    @classmethod
    def create(
        cls,
        path: str | Path | None,
        name: str,
        settings: Recipe,
        data: Data | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> "RunFolder":
        """Make the folder: `path`, which must be new or empty, or a new one under ``runs``.

        Args:
            path: where, or None.
            name: of the folder, where `path` does not say it; the time is added.
            settings: of the training, for ``config.toml`` and ``run.json``.
            data: what is trained on. Their name, their source with the options that choose its
                pictures, and their fingerprint are kept.
            options: with which the data were loaded, as the command line has them.

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
            description = {**settings.to_dict(), "data": dict(options or {})}
            write_bytes(folder / CONFIG, write_toml(description).encode())
            return cls(folder, _new_info(settings, data), data, made, lock)
        except BaseException as error:
            if lock.held:
                _take_away(folder, made, lock)
            else:
                _remove_empty(made)
            if isinstance(error, OSError):
                raise _not_made(path, error) from error
            raise

    @classmethod
    def reopen(cls, path: str | Path, data: Data | None = None) -> "RunFolder":
        """The folder of a run that goes on.

        Args:
            path: of the folder.
            data: what it is trained on; they must be those it began with.

        Raises:
            FormatError: it is no run's folder, or cannot be written to.
            NeocogError: another process is just using it, or the data are others.
        """
        folder = Path(path)
        info = read_info(folder)
        if not info:
            raise FormatError(f"{folder} is no folder of a run: it has no {RUN}.")
        _check_same_data(folder, info, data)
        lock = RunLock(folder)
        lock.acquire()
        try:
            tidy_up(folder)
            info |= {"status": "running", "process": this_process()}
            info.pop("signal", None)
            info.pop("error", None)
            return cls(folder, info, data, [], lock)
        except BaseException as error:
            lock.release()
            if isinstance(error, OSError):
                raise FormatError(why_not_written(folder, error)) from error
            raise

    def save(
        self, network: Network, history: History, tta: str | None = None, *, is_best: bool = False
    ) -> None:
        """Write the weights, the model and the history so far: all of them, or none.

        What is said of the data, and `tta`, go into the model's file, so that it can be evaluated
        as it was trained. The best model is written by itself, before the others.
        """
        training = training_notes(self._data) if self._data is not None else {}
        training |= {"tta": tta} if tta else {}
        try:
            parts = network.parts(training)
            if is_best:
                write_model(parts, self.path / BEST)
            with writing_together(self.path, LAST) as folder:
                save_pth(parts.state, folder / WEIGHTS, network.input_shape)
                write_model(parts, folder / LAST)
                write_bytes(folder / HISTORY, history.to_csv().encode())
        except OSError as error:
            # Some may be there already, and the rest beside them.
            self.holds_results = self.holds_results or exists(self.path / LAST)
            raise self._not_written(error) from error
        self.holds_results = True

    def save_again(self, network: Network, tta: str | None = None) -> None:
        """Replace the model that the run gives, as after it was calibrated."""
        path = model_of_run(self.path) or self.path / LAST
        training = training_notes(self._data) if self._data is not None else {}
        try:
            notes = training | ({"tta": tta} if tta else {})
            write_model(network.parts(notes), path)
        except OSError as error:
            raise self._not_written(error) from error

    @property
    def goes_on(self) -> bool:
        """Whether there is a checkpoint to go on from, of a run that has taken steps."""
        with suppress(FormatError):
            return any(steps > 0 for steps, _path in Checkpoints(self.path).saved())
        return False

    def release(self) -> None:
        """Let others have the folder, which stays as it was."""
        self._lock.release()

    def log(self, line: str) -> None:
        """Append a line to ``log.txt``, with the time."""
        now = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
        try:
            with (self.path / LOG).open("a", encoding="utf-8") as file:
                file.write(f"{now}  {line}\n")
        except OSError as error:
            raise self._not_written(error) from error

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
            "epochs": [asdict(epoch) for epoch in history.epochs],
            part: result.to_dict() if result else None,
        }
        self._write_info()
        self._lock.release()

    def fail(self, error: BaseException, by: str | None = None) -> None:
        """Say in ``run.json`` how it failed; without results, take away all that was made.

        Raises nothing of its own: a disk that is full now is seldom the first to say so.
        """
        if not self.holds_results and not self.goes_on:
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
            write_bytes(self.path / RUN, text.encode())
        except OSError as error:
            raise self._not_written(error) from error

    def _not_written(self, error: OSError) -> FormatError:
        return FormatError(why_not_written(self.path, error))


def _new_info(settings: Recipe, data: Data | None) -> dict[str, Any]:
    """What ``run.json`` says of a run that has just begun."""
    described = data and {
        "name": data.name,
        "source": data.source,
        "options": dict(data.options),
        "fingerprint": data.fingerprint,
    }
    return {
        "status": "running",
        "process": this_process(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": described,
        "settings": {"recipe": settings.name, **settings.to_dict()},
        "machine": machine(),
        "versions": versions(),
    }


def _check_same_data(folder: Path, info: dict[str, Any], data: Data | None) -> None:
    before = info.get("data")
    if data is None or not isinstance(before, dict):
        return
    if before.get("fingerprint") != data.fingerprint:
        raise NeocogError(
            f"{folder} was trained on {printable(str(before.get('name')))}, whose pictures were "
            "others than they are now. A run goes on with the data it began with: start a new one "
            f"with --config {folder / CONFIG}."
        )


def _not_made(path: str | Path | None, error: OSError) -> FormatError:
    return FormatError(
        f"The folder for the results, {path or 'runs'}, cannot be made: "
        f"{error.strerror or error}. Choose another with --out."
    )


def _take_away(folder: Path, made: list[Path], lock: RunLock) -> None:
    """Remove a run without results, and the folders that were made for it."""
    with suppress(OSError):
        for name in (RUN, CONFIG, LOG, LR):
            (folder / name).unlink(missing_ok=True)
        for path in (*leftovers(folder), *folder.glob("events.*"), folder / CHECKPOINTS):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    lock.release()
    _remove_empty(made)


def _remove_empty(made: list[Path]) -> None:
    with suppress(OSError):
        for path in made:  # until one in which another run has put something
            path.rmdir()


def check_new_folder(path: str | Path) -> None:
    """Raise `FormatError` if there is something in the folder that a run is to be made in."""
    if (folder := Path(path)).exists():
        _check_empty(folder)


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
