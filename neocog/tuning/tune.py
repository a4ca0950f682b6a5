"""`tune`: the loop over trials, of one process or of several that share a study."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

from neocog.data.dataset import Data
from neocog.data.loaded import LoadedData
from neocog.errors import FormatError, NeocogError, printable
from neocog.launch import check_alone
from neocog.network import Network
from neocog.settings.override import override
from neocog.settings.recipe import Recipe
from neocog.training.callback import Callback
from neocog.training.experiment import make_network
from neocog.training.run_config import write_config
from neocog.tuning.default_space import default_space
from neocog.tuning.held_out import with_validation
from neocog.tuning.optuna_storage import OptunaStorage
from neocog.tuning.optuna_study import OptunaStudy, Trial
from neocog.tuning.same_study import check_same, described, space_of
from neocog.tuning.space import Parameter, parse_space
from neocog.tuning.starting_point import starting_point
from neocog.tuning.storage_url import StorageUrl, parse_storage
from neocog.tuning.study import Study, TrialResult, is_better
from neocog.tuning.trial import TRIALS, drop_models, folder_of_trial, run_trial
from neocog.validation import instance, real, whole
from neocog.write_errors import why_not_written

__all__ = ["BEST_CONFIG", "storage_of", "tune"]

#: The settings of the best trial in a study's folder, as ``neocog train --config`` takes them.
BEST_CONFIG = "best.toml"

# What a study that is kept elsewhere has in its folder.
_OURS = {BEST_CONFIG, TRIALS}
# Trials in a row that may fail by an error before that is taken for everybody's.
_FAILED_IN_A_ROW = 3


def tune(
    data: Data,
    settings: Recipe | None = None,
    *,
    space: Mapping[str, Any] | None = None,
    trials: int = 20,
    minutes: float | None = None,
    study: str | PathLike[str] | None = None,
    storage: str | None = None,
    network: Callable[[Recipe, Data], Network] | None = None,
    data_options: Mapping[str, Any] | None = None,
    on_trial: Callable[[TrialResult, TrialResult | None], None] | None = None,
    callback: Callback | None = None,
    **changes: Any,
) -> Study:
    """Search for good settings: train with many, and compare them by the validation images.

    The first trial has the settings as they are, as far as the space has them; the others are drawn
    by Optuna's TPE, and end early where they are worse than the median of the others. Trials are
    compared by `settings.monitor` in their best epoch. Test images are never looked at; where there
    are none for validation, a fifth of those for training is held out.

    Called again with the folder of a study, it goes on; several processes may do so at once. Give
    each its share of the cores by `threads` then. With a `storage`, so may several machines that
    share no folder. A trial whose process was killed is given up by the others, and another one
    takes its place. Ctrl+C ends after the current batch.

    Args:
        data: data from `neocog.load_data`.
        settings: settings of all trials, except those that are searched.
        space: values to search, by names that `neocog.settings.override` takes: a text such as
            "1e-4..1e-1:log" or "16,32", a list of values, or a `neocog.tuning.space.Range`. None is
            the space of an existing study, and `neocog.tuning.default_space` for a new one.
        trials: number of trials of the study in the end, including those of earlier calls and of
            other processes.
        minutes: time after which no further trial starts.
        study: folder of the study; None makes a new one under ``runs``.
        storage: URL of where the study is kept, for several machines: ``journal:////shared/tune.log``
            for a file that all reach, ``sqlite:///…`` for processes of one machine,
            ``postgresql://…`` or ``mysql://…`` for servers. The name of the folder is that of the
            study, and each machine's folder has the runs of its own trials. None keeps it in
            the folder.
        network: makes the network of a trial from its settings and the data; None uses
            `settings.model`.
        data_options: description of the data for ``config.toml``.
        on_trial: called with each trial that ends in this process, and the best one so far.
        callback: called during each training.
        **changes: settings that replace those in `settings`.

    Raises:
        NeocogError: bad settings or a bad space, no validation images, the folder of another study,
            three failed trials in a row, or Optuna is not installed.
    """
    loaded = instance("data", data, LoadedData, "a neocog Data, as load_data gives it")
    wanted = "a neocog Recipe, such as neocog.Recipe(epochs=10)"
    base = override(instance("settings", settings or Recipe(), Recipe, wanted), **changes)
    if base.monitor == "loss":
        raise NeocogError(
            "monitor (='loss') is the loss of the training images, by which settings cannot be "
            "chosen: take validation_loss or validation_accuracy."
        )
    url = storage_of(storage, study)
    most = whole("trials", trials, 1, 1_000_000)
    seconds = None if minutes is None else 60 * real("minutes", minutes, above=0)
    kept = with_validation(Data.of(loaded))
    asked = None if space is None else parse_space(space, base)
    folder = _folder(study, kept.name)
    where = OptunaStorage(folder, url)
    search = _Search(folder, where, base, asked, kept, network or make_network, data_options)
    return search.run(most, seconds, on_trial, callback)


class _Search:
    """A study that this process takes part in."""

    def __init__(
        self,
        folder: Path,
        storage: OptunaStorage,
        base: Recipe,
        asked: Mapping[str, Parameter] | None,
        data: Data,
        make: Callable[[Recipe, Data], Network],
        options: Mapping[str, Any] | None,
    ) -> None:
        self._folder, self._base, self._data, self._options = folder, base, data, options
        self._make = partial(_made, make, data)
        usual = default_space(base, min(data.train.images.shape[1:3]))
        before = None
        if storage.has_study:
            before = OptunaStudy(folder, storage, base.monitor, base.seed).description
        if asked is None and before is not None:
            asked = parse_space(space_of(before), base)
        self._space: Mapping[str, Parameter] = usual if asked is None else asked
        _check_networks(self._space, base, self._make)
        first = starting_point(self._space, base)
        self._described = described(self._space, base, data)
        if before is not None:  # before a study of another measure is opened for this one
            check_same(folder, before, self._described)
        _make_folder(folder, storage)
        self._study = OptunaStudy(folder, storage, base.monitor, base.seed, first)
        with self._study.locked():
            if self._study.description is None:
                self._study.describe(self._described)

    def _check_same(self) -> None:
        """Raise `NeocogError` where another machine began the same study of something else."""
        check_same(self._folder, self._study.description or {}, self._described)

    def run(
        self,
        most: int,
        seconds: float | None,
        on_trial: Callable[[TrialResult, TrialResult | None], None] | None,
        callback: Callback | None,
    ) -> Study:
        """Take trials until there are so many, or the time is over; gives what was found."""
        began, failed = time.monotonic(), 0
        interrupted = False
        while seconds is None or time.monotonic() - began < seconds:
            try:
                self._check_same()
                for number in self._study.release_dead():
                    drop_models(folder_of_trial(self._folder, number))
                trial = self._study.ask(self._space, most)
                if trial is None:
                    break
                result = self._run_trial(trial, callback)
                if on_trial is not None:
                    on_trial(result, self._result().best)
            except KeyboardInterrupt:
                interrupted = True
                break
            if result.outcome == "interrupted":
                interrupted = True
                break
            failed = failed + 1 if result.outcome == "failed" else 0
            if failed == _FAILED_IN_A_ROW:
                raise NeocogError(f"{failed} trials in a row failed; the last: {result.reason}")
        # Locked: another process may end a better trial between the two.
        with self._study.locked():
            found = self._result(interrupted)
            self._write_best(found)
        return found

    def _result(self, interrupted: bool = False) -> Study:
        texts = {name: str(one) for name, one in self._space.items()}
        return Study(
            self._folder,
            self._base.monitor,
            self._base,
            texts,
            self._study.results(),
            interrupted,
            self._study.importance(),
        )

    def _run_trial(self, trial: Trial, callback: Callback | None) -> TrialResult:
        """One trial, from its settings to what is kept of it."""
        folder = folder_of_trial(self._folder, trial.number)
        result = TrialResult(trial.number, trial.values, "interrupted")
        try:
            try:
                settings = override(self._base, **trial.values)
                with trial.alive():
                    result = run_trial(
                        trial.number,
                        trial.values,
                        lambda: self._make(settings),
                        self._data,
                        settings,
                        folder,
                        trial.report,
                        options=self._options,
                        callback=callback,
                    )
            except NeocogError as error:
                result = TrialResult(trial.number, trial.values, "failed", reason=str(error))
        finally:  # whatever was raised, no trial stays under way
            self._study.tell(trial, result)
            self._keep(result, folder)
        return result

    def _keep(self, result: TrialResult, folder: Path) -> None:
        """Keep the models of the best trial alone, and its settings as such."""
        with self._study.locked():
            found = self._result()
            best = found.best
            if best is None or best.number != result.number:
                drop_models(folder)
                return
            self._write_best(found)
            for other in self._study.results():
                if other.value is not None and is_better(
                    best.value or 0.0, other.value, self._base.monitor
                ):
                    drop_models(folder_of_trial(self._folder, other.number))

    def _write_best(self, found: Study) -> None:
        """Write the settings of the best trial, whichever machine it ran on."""
        if found.best_settings is None:
            return
        try:
            write_config(self._folder / BEST_CONFIG, found.best_settings, self._options)
        except OSError as error:
            raise FormatError(why_not_written(self._folder / BEST_CONFIG, error)) from error


def _made(make: Callable[[Recipe, Data], Network], data: Data, settings: Recipe) -> Network:
    return make(settings, data)


def _folder(study: str | PathLike[str] | None, name: str) -> Path:
    if study is not None:
        try:
            return Path(study)
        except TypeError:
            raise NeocogError("study must be the path of a folder.") from None
    stamp = time.strftime("%Y%m%d-%H%M%S")
    at = 1
    while True:
        folder = Path("runs") / f"tune-{printable(name)}-{stamp}{'' if at == 1 else f'-{at}'}"
        if not folder.exists():
            return folder
        at += 1


def storage_of(storage: str | None, study: str | PathLike[str] | None) -> StorageUrl | None:
    """The storage that is asked for.

    Raises:
        NeocogError: it is none, there is no name for the study, or torchrun has started several
            processes.
    """
    check_alone("tune")
    if storage is None:
        return None
    if study is None:
        raise NeocogError(
            "A storage goes with the folder of a study, whose name is that of the study in it: "
            "give study (--study), too."
        )
    return parse_storage(storage)


def _make_folder(folder: Path, storage: OptunaStorage) -> None:
    """Make the folder of a study, unless it is there; refuse one that holds something else."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        others = [
            path.name
            for path in folder.iterdir()
            if not path.name.startswith(".") and not storage.keeps(path)
        ]
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise FormatError(
            f"The folder of the study, {printable(str(folder))}, cannot be made: {why}. Choose "
            "another with --study."
        ) from error
    ours = storage.has_study if storage.is_in_folder else not {*others} - _OURS
    if others and not ours:
        raise FormatError(
            f"{folder} holds something, and no study; name a new or empty folder, or that of one."
        )


def _check_networks(
    space: Mapping[str, Parameter], base: Recipe, make: Callable[[Recipe], Network]
) -> None:
    """Raise `NeocogError` where a network that is searched cannot be made for these images."""
    for name in ("model", "width"):
        if name in space:
            for value in space[name].extremes:
                try:
                    make(override(base, **{name: value}))
                except NeocogError as error:
                    raise NeocogError(f"space {name}={space[name]}: {error}") from error
