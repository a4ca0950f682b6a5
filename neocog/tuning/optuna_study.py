"""Optuna's study: what is drawn next, what was found, which trials end early.

Any number of processes, also of several machines, share a study, which is kept where
`neocog.tuning.optuna_storage` says. Settings are drawn by TPE. Its random numbers are those of the
seed and of the trial's place among those that count, so that a search comes to the same trials
however often it was interrupted.

A process that is killed leaves its trial under way. Others on the same machine see that the process
is gone. Those on other machines see that it gives no more signs of life.
"""

import time
import warnings
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from neocog.errors import FormatError, NeocogError, printable
from neocog.signals import deferred_signals
from neocog.training.process_identity import is_alive, this_process
from neocog.tuning.heartbeat import beating, is_silent
from neocog.tuning.optuna_storage import OptunaStorage
from neocog.tuning.space import Choices, Parameter, Range
from neocog.tuning.study import TrialResult

try:
    import optuna
    from optuna.exceptions import UpdateFinishedTrialError
    from optuna.trial import TrialState
except ImportError as error:  # `optuna_storage` has said so before
    raise NeocogError("Optuna is not installed.") from error

__all__ = ["OptunaStudy", "Trial"]

_LOCK = ".neocog-study-lock"
_LOCK_SECONDS = 60
# Trials that are drawn at random before TPE begins, and that must have been to an epoch before
# another one is stopped in it.
_AT_RANDOM, _TO_COMPARE = 6, 4
_FEWEST_FOR_IMPORTANCE = 4
# What is noted of the study, and of a trial.
_DESCRIPTION, _OUTCOME, _PROCESS, _SIGN = "neocog", "outcome", "process", "sign of life"
_SURPLUS = "surplus"


class Trial:
    """A trial under way.

    Attributes:
        number: of it.
        values: of the settings that are searched, by their full names.
    """

    def __init__(self, inner: Any, values: Mapping[str, Any], storage: OptunaStorage) -> None:
        self.inner = inner
        self._storage = storage
        self.number: int = inner.number
        self.values = values

    def report(self, value: float, epoch: int) -> bool:
        """Note the measure after an epoch; gives whether it is so bad that the trial should end.

        That is where its best so far is worse than the median of what others had by that epoch, or
        where others have given it up.
        """
        with deferred_signals(), self._storage.guarded():
            try:
                self.inner.report(value, epoch)
            except UpdateFinishedTrialError:
                return True
            return bool(self.inner.should_prune())

    @contextmanager
    def alive(self) -> Iterator[None]:
        """Give signs of life, so that processes of other machines do not give it up."""
        with beating(lambda now: self.inner.set_user_attr(_SIGN, now)):
            yield


class OptunaStudy:
    """A study, which is made if it is new.

    Args:
        folder: of it, which exists.
        storage: where it is kept.
        monitor: the measure that trials are compared by.
        seed: of what is drawn.
        first: the values of the trial at the first place; of others it is drawn like all.
    """

    def __init__(
        self,
        folder: Path,
        storage: OptunaStorage,
        monitor: str,
        seed: int,
        first: Mapping[str, Any] | None = None,
    ) -> None:
        self._folder, self._storage = folder, storage
        with deferred_signals(), storage.guarded(), _quiet():
            opened = storage.open()
            if storage.name not in optuna.get_all_study_names(opened):
                maximize = monitor == "validation_accuracy"
                optuna.create_study(
                    storage=opened,
                    study_name=storage.name,
                    load_if_exists=True,  # another process may just have made it
                    direction="maximize" if maximize else "minimize",
                )
            self._study = optuna.load_study(
                storage=opened,
                study_name=storage.name,
                sampler=_Sampler(seed, first or {}),
                pruner=optuna.pruners.MedianPruner(n_startup_trials=_TO_COMPARE, n_warmup_steps=1),
            )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes of this study waiting for a moment; signals wait, too."""
        lock = FileLock(self._folder.absolute() / _LOCK, timeout=_LOCK_SECONDS)
        with deferred_signals():
            try:
                lock.acquire()
            except Timeout:
                raise NeocogError(
                    f"Another process keeps {self._folder / _LOCK} locked for longer than "
                    f"{_LOCK_SECONDS} s. Is it stopped?"
                ) from None
            except (NotImplementedError, OSError):  # a file system without locks
                yield
                return
            try:
                yield
            finally:
                lock.release()

    @property
    def description(self) -> Mapping[str, Any] | None:
        """What the study is of, as it was described; None where it is new."""
        with self._storage.guarded():
            found = self._study.user_attrs.get(_DESCRIPTION)
        if found is not None and not isinstance(found, dict):
            raise FormatError("The study does not say what it is of: it is of another program.")
        return found

    def describe(self, description: Mapping[str, Any]) -> None:
        """Write down what the study is of."""
        with self._storage.guarded():
            self._study.set_user_attr(_DESCRIPTION, dict(description))

    # Trials

    def ask(self, space: Mapping[str, Parameter], most: int) -> Trial | None:
        """The next trial, which is then under way; None where there are so many that count."""
        with deferred_signals(), self._storage.guarded():
            if sum(_counts(one) for one in self._study.get_trials(deepcopy=False)) >= most:
                return None
            inner = self._study.ask()
            if _place(self._study, inner.number) >= most:  # another process was faster
                inner.set_user_attr(_OUTCOME, {"outcome": _SURPLUS})
                self._study.tell(inner, state=TrialState.FAIL)
                return None
            inner.set_user_attr(_PROCESS, this_process())
            inner.set_user_attr(_SIGN, time.time())
            values = {name: _draw(inner, name, one) for name, one in space.items()}
            return Trial(inner, values, self._storage)

    def tell(self, trial: Trial, result: TrialResult) -> None:
        """Write down how a trial ended."""
        state = {"finished": TrialState.COMPLETE, "pruned": TrialState.PRUNED}.get(result.outcome)
        if result.outcome == "diverged":  # so that its neighborhood is not tried again
            state = TrialState.PRUNED
        kept = result.to_dict()
        del kept["number"], kept["values"], kept["value"]
        given_up = suppress(ValueError, UpdateFinishedTrialError)  # by others, meanwhile
        with deferred_signals(), self._storage.guarded(), given_up:
            trial.inner.set_user_attr(_OUTCOME, kept)
            if state is TrialState.COMPLETE:
                self._study.tell(trial.inner, result.value)
            else:
                self._study.tell(trial.inner, state=state or TrialState.FAIL)

    def release_dead(self) -> list[int]:
        """Give up trials whose processes have ended without a word; gives their numbers.

        A new trial then takes its place, with the same values where the seed decides.
        """
        gone = []
        with deferred_signals(), self._storage.guarded():
            for one in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                alive = is_alive(one.user_attrs.get(_PROCESS))
                if alive is None:  # it is of another machine
                    alive = not is_silent(one.user_attrs.get(_SIGN))
                if not alive:
                    with suppress(ValueError):  # another process has just done so
                        self._study.tell(one.number, state=TrialState.FAIL)
                        gone.append(one.number)
        return gone

    def results(self) -> tuple[TrialResult, ...]:
        """All trials, in their order."""
        with self._storage.guarded():
            trials = self._study.get_trials(deepcopy=False)
            found = [_result(one) for one in trials]
        return tuple(one for one in found if one.outcome != _SURPLUS)

    def importance(self) -> dict[str, float]:
        """How much of what makes trials good each setting explains, by PED-ANOVA; the most first.

        Empty with too few finished trials, or where all are alike.
        """
        with self._storage.guarded(), warnings.catch_warnings():
            # Of Optuna 4, in which it is new.
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            done = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
            if len(done) < _FEWEST_FOR_IMPORTANCE:
                return {}
            try:
                found = optuna.importance.get_param_importances(
                    self._study, evaluator=optuna.importance.PedAnovaImportanceEvaluator()
                )
            except (ValueError, RuntimeError):
                return {}
        return {name: float(part) for name, part in found.items() if np.isfinite(part)}


class _Sampler(optuna.samplers.BaseSampler):  # type: ignore[misc]
    """TPE whose random numbers follow from the seed and the trial's place."""

    def __init__(self, seed: int, first: Mapping[str, Any]) -> None:
        self._seed = seed
        self._first = first

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
        """None: each setting is drawn for itself."""
        return {}

    def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
        """Nothing."""
        return {}

    def sample_independent(self, study: Any, trial: Any, name: str, distribution: Any) -> Any:
        """A value of one setting."""
        place = _place(study, trial.number)
        if place == 0 and name in self._first:
            return self._first[name]
        entropy = (self._seed & (2**64 - 1), place, zlib.crc32(name.encode()))
        seed = int(np.random.SeedSequence(entropy).generate_state(1)[0])
        tpe = optuna.samplers.TPESampler(seed=seed, n_startup_trials=_AT_RANDOM)
        return tpe.sample_independent(study, trial, name, distribution)


def _draw(trial: Any, name: str, parameter: Parameter) -> Any:
    if isinstance(parameter, Choices):
        return trial.suggest_categorical(name, parameter.values)
    return _suggest_number(trial, name, parameter)


def _suggest_number(trial: Any, name: str, parameter: Range) -> float:
    low, high, log = parameter.low, parameter.high, parameter.log
    suggest = trial.suggest_int if isinstance(low, int) else trial.suggest_float
    found: float = suggest(name, low, high, log=log)
    return found


def _place(study: Any, number: int) -> int:
    """How many trials that count there are before one."""
    trials = study.get_trials(deepcopy=False)
    return sum(_counts(one) for one in trials if one.number < number)


def _counts(trial: Any) -> bool:
    result = _result(trial)
    return result.counts and result.outcome != _SURPLUS


def _result(trial: Any) -> TrialResult:
    """What Optuna has of a trial; of another program's, or a damaged one, what fits."""
    kept = trial.user_attrs.get(_OUTCOME)
    kept = kept if isinstance(kept, dict) else {}
    if not trial.state.is_finished():
        kept = {"outcome": "running"}
    outcome = str(kept.get("outcome", "cut off"))
    reason = kept.get("reason")
    return TrialResult(
        trial.number,
        dict(trial.params),
        printable(outcome),
        float(trial.value) if outcome == "finished" and trial.value is not None else None,
        int(kept.get("epochs", 0)),
        float(kept.get("seconds", 0.0)),
        printable(str(reason), 500) if reason is not None else None,
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna from writing what it does to stderr."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
