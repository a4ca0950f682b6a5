"""`Study`: what a search has found so far, trial by trial."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from neocog.settings.override import override
from neocog.settings.recipe import Recipe

__all__ = ["Study", "TrialResult", "is_better"]


def is_better(value: float, than: float | None, monitor: str) -> bool:
    """Whether a value of the measure is better than another one; than none, any is."""
    if than is None:
        return True
    return value > than if monitor == "validation_accuracy" else value < than


@dataclass(frozen=True)
class TrialResult:
    """A training with one choice of the settings that are searched.

    Attributes:
        number: from 0.
        values: what was drawn for it, by full names of settings.
        outcome: "finished", "pruned" where it was stopped early as not promising, "diverged",
            "failed", "interrupted", "cut off" where its process ended without a word, or "running".
        value: the measure in its best epoch; None unless it finished.
        epochs: that it trained.
        seconds: that it took, with validation.
        reason: why it diverged or failed, if it did.
    """

    number: int
    values: Mapping[str, Any]
    outcome: str
    value: float | None = None
    epochs: int = 0
    seconds: float = 0.0
    reason: str | None = None

    @property
    def counts(self) -> bool:
        """Whether it is one of the trials that were asked for: it was not taken away halfway."""
        return self.outcome not in ("interrupted", "cut off")

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain data."""
        return {**asdict(self), "values": dict(self.values)}


@dataclass(frozen=True)
class Study:
    """What `neocog.tune` gives.

    Attributes:
        path: the study's folder.
        monitor: the measure that trials are compared by.
        settings: settings of all trials, except those that are searched.
        space: the values to search, as texts, by full names of settings.
        trials: all trials in order, including those of other processes.
        interrupted: whether Ctrl+C or a signal ended the search.
        importance: share of the differences between trials that each setting explains; shares add
            up to 1. Empty with fewer than four finished trials.
    """

    path: Path
    monitor: str
    settings: Recipe
    space: Mapping[str, str]
    trials: tuple[TrialResult, ...]
    interrupted: bool = False
    importance: Mapping[str, float] = field(default_factory=dict)

    @property
    def ranked(self) -> list[TrialResult]:
        """The finished trials, the best first."""
        sign = -1 if self.monitor == "validation_accuracy" else 1
        finished = [trial for trial in self.trials if trial.value is not None]
        return sorted(finished, key=lambda trial: (sign * (trial.value or 0.0), trial.number))

    @property
    def best(self) -> TrialResult | None:
        """The best trial; None where none has finished."""
        return next(iter(self.ranked), None)

    @property
    def best_settings(self) -> Recipe | None:
        """The settings of the best trial, for `neocog.fit`; None where none has finished."""
        best = self.best
        return None if best is None else override(self.settings, **best.values)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain data."""
        return {
            "path": str(self.path),
            "monitor": self.monitor,
            "space": dict(self.space),
            "best": self.best and self.best.to_dict(),
            "trials": [trial.to_dict() for trial in self.trials],
            "importance": dict(self.importance),
            "interrupted": self.interrupted,
        }

    def __repr__(self) -> str:
        best = f", best {self.monitor} {self.best.value:.4g}" if self.best else ""
        return f"<Study of {len(self.trials)} trials{best}, in {self.path}>"
