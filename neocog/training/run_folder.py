"""What a training run leaves behind: weights, model, history, and how it all came about."""

import json
import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from neocog.data import Data
from neocog.errors import FormatError, NeocogError, printable
from neocog.evaluation import AnyEvaluation
from neocog.files import exists, write_bytes, writing_together
from neocog.formats import save_pth, write_model
from neocog.network import Network
from neocog.run_files import BEST, CONFIG, HISTORY, LAST, LOG, RUN, WEIGHTS, model_of_run
from neocog.settings.codec import to_plain
from neocog.settings.training import TrainingSettings
from neocog.trained_on import training_notes
from neocog.training.checkpoints import Checkpoints, Newest
from neocog.training.history import History
from neocog.training.machine import machine, versions
from neocog.training.new_folder import (
    check_empty,
    make_folder,
    not_made,
    remove_empty,
    take_away,
)
from neocog.training.process_identity import this_process
from neocog.training.run_config import update_run_config, write_run_config
from neocog.training.run_lock import RunLock
from neocog.training.run_process import read_info, tidy_up
from neocog.training.run_records import PARTS
from neocog.write_errors import why_not_written

__all__ = ["RunFolder"]

# Numbers in brackets, one a line, as JSON is indented; no string has a line break in it.
_ROW = re.compile(r"\[\n([-+.,\deE\s]+)\]")


class RunFolder:
    """A folder with all that a run leaves behind.

    ``config.toml`` has every setting, ``run.json`` how the run came about, which process it belongs
    to, and how it ended. After each epoch ``last.safetensors``, ``cnn_model.pth`` and
    ``history.csv`` are written, all of them or none, and ``best.safetensors`` where that epoch was
    the best; see `neocog.files.writing_together`. ``checkpoints`` is what a run goes on from.

    Attributes:
        path: of the folder.
        checkpoints: of the run.
        was_finished: whether a run that is opened again had been finished.
        holds_results: whether a model was saved.
        has_begun: whether a run is under way in it; a folder that was opened again stays as it was
            until then.
    """

    def __init__(
        self, path: Path, info: dict[str, Any], data: Data | None, made: list[Path], lock: RunLock
    ) -> None:
        self.path = path
        self.checkpoints = Checkpoints(path)
        self.was_finished = info.get("status") == "finished"
        self._made = made
        self._lock = lock
        self._data = data
        self._info = info
        self.has_begun = False
        self.holds_results = exists(path / LAST)

    @classmethod
    def create(
        cls,
        path: str | Path | None,
        name: str,
        settings: TrainingSettings,
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
            options: the source of the data and the options they were loaded with, as the command
                line has them; None where nobody knows.

        Raises:
            FormatError: the folder holds something already, or cannot be made.
            NeocogError: another process is just using it.
        """
        folder, made = make_folder(path, name)
        lock = RunLock(folder)
        try:
            lock.acquire()
            if path is not None:
                check_empty(folder)  # again: another process may have been faster
            created = cls(folder, _new_info(settings, data), data, made, lock)
            created.has_begun = True
            created._write_info()  # first, so that what a kill leaves here is known as a run
            write_run_config(folder, settings, options)
            return created
        except BaseException as error:
            if lock.held:
                take_away(folder, made, lock)
            else:
                remove_empty(made)
            if isinstance(error, OSError):
                raise not_made(path, error) from error
            raise

    @classmethod
    def reopen(cls, path: str | Path) -> "RunFolder":
        """The folder of a run that is to go on; `begin` says that it does.

        Args:
            path: of the folder.

        Raises:
            FormatError: it is no run's folder, or cannot be written to.
            NeocogError: another process is just using it.
        """
        folder = Path(path)
        if not read_info(folder):
            shown = printable(str(folder), 300)
            what = "has no" if folder.is_dir() else "is no folder with a"
            raise FormatError(f"{shown} is no folder of a run: it {what} {RUN}.")
        lock = RunLock(folder)
        lock.acquire()
        try:
            tidy_up(folder)
            return cls(folder, read_info(folder), None, [], lock)
        except BaseException as error:
            lock.release()
            if isinstance(error, OSError):
                raise FormatError(why_not_written(folder, error)) from error
            raise

    def newest(self) -> Newest:
        """The newest checkpoint that is whole; see `Checkpoints.newest`.

        Raises:
            FormatError: there is none, with what to do then.
        """
        if not self.checkpoints.saved():
            raise FormatError(
                f"{self.path} has no checkpoint to go on from: its training ended before the first "
                f"step. Begin anew: neocog train --config {self.path / CONFIG}"
            )
        return self.checkpoints.newest()

    def use_data(self, data: Data) -> None:
        """Say what a run that goes on is trained on.

        Raises:
            NeocogError: it was trained on others.
        """
        before = self._info.get("data")
        if isinstance(before, dict) and before.get("fingerprint") != data.fingerprint:
            raise NeocogError(
                f"{self.path} was trained on {printable(str(before.get('name')))}, whose pictures "
                "were others than they are now. A run goes on with the data it began with: start "
                f"a new one with --config {self.path / CONFIG}."
            )
        self._data = data

    def begin(self, settings: TrainingSettings) -> None:
        """Say that a run that was opened again goes on; nothing, of one that is new."""
        if self.has_begun:
            return
        recipe = self._info.get("settings")
        before = recipe if isinstance(recipe, dict) else {}
        for name in ("signal", "error", *PARTS):
            self._info.pop(name, None)
        self._info |= {
            "status": "running",
            "process": this_process(),
            "settings": {**before, **to_plain(settings)},
        }
        self.has_begun = True
        try:
            update_run_config(self.path, settings)
        except OSError as error:
            raise self._not_written(error) from error
        self._write_info()

    def note_progress(self, history: History) -> None:
        """Say in ``run.json`` how far the run has come, for who lists runs that were killed."""
        self._info |= _progress(history)
        self._write_info()

    def note_transfer(self, facts: Mapping[str, Any], used: Collection[str] | None) -> None:
        """Say in ``run.json`` what learns of a network that has seen others.

        Args:
            facts: about that, as plain data.
            used: names of the settings that apply, where not all do; the others are left out.
        """
        self._info["transfer"] = dict(facts)
        if used is not None:
            kept = {"recipe", *used}
            settings = self._info["settings"]
            self._info["settings"] = {k: v for k, v in settings.items() if k in kept}
        self._write_info()

    def save(
        self, network: Network, history: History, tta: str | None = None, *, is_best: bool = False
    ) -> None:
        """Write the weights, the model and the history so far: all of them, or none.

        What is said of the data, and `tta`, go into the model's file, so that it can be evaluated
        as it was trained. The best model is written by itself, before the others.
        """
        try:
            parts = network.parts(self._notes(tta))
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
        try:
            write_model(network.parts(self._notes(tta)), path)
        except OSError as error:
            raise self._not_written(error) from error

    def _notes(self, tta: str | None) -> dict[str, Any]:
        """What the models' files say of the data, and of the views of the evaluation."""
        notes = training_notes(self._data) if self._data is not None else {}
        return notes | ({"tta": tta} if tta else {})

    @property
    def goes_on(self) -> bool:
        """Whether there is a checkpoint to go on from, of a run that has taken steps."""
        with suppress(FormatError):
            return any(steps > 0 for steps, _path in self.checkpoints.saved())
        return False

    def take_away(self) -> None:
        """Remove a run that has nothing to go on from."""
        take_away(self.path, self._made, self._lock)

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
        result: AnyEvaluation | None,
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
            **_progress(history, result.seconds if result else None),
            part: result.to_dict() if result else None,
        }
        self._write_info()
        self._lock.release()

    def fail(self, error: BaseException, by: str | None = None) -> None:
        """Say in ``run.json`` how it failed; without results, take away all that was made.

        Raises nothing of its own: a disk that is full now is seldom the first to say so.
        """
        if not self.has_begun:
            self._lock.release()
            return
        if not self.holds_results and not self.goes_on:
            take_away(self.path, self._made, self._lock)
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


def _progress(history: History, evaluation_seconds: float | None = None) -> dict[str, Any]:
    return {
        "timings": {
            "compile_seconds": history.compile_seconds,
            "training_seconds": history.seconds,
            "microseconds_a_step": 1e6 * history.seconds / max(1, history.steps),
            "evaluation_seconds": evaluation_seconds,
        },
        "steps": history.steps,
        "memory_bytes": history.memory,
        "engine": history.engine,
        "epochs": [asdict(epoch) for epoch in history.epochs],
    }


def _new_info(settings: TrainingSettings, data: Data | None) -> dict[str, Any]:
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
        "settings": {"recipe": getattr(settings, "name", ""), **to_plain(settings)},
        "machine": machine(),
        "versions": versions(),
    }
