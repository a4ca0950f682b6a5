"""``neocog tune``."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from neocog.cli.loading import taken_out
from neocog.cli.paths import out_path
from neocog.cli.run_tables import cut, duration, percent, setting, short_names, table, three_digits
from neocog.cli.terminal import counted, drawing, is_terminal, say, say_compiling
from neocog.cli.training_setup import set_up, wanted_of
from neocog.data import Data
from neocog.errors import NeocogError
from neocog.network import Network
from neocog.network_files import check_savable
from neocog.settings.recipe import Recipe
from neocog.signals import termination_signals
from neocog.training.callback import Callback
from neocog.training.experiment import make_network
from neocog.training.history import Epoch, History
from neocog.tuning.space import parse_assignments, parse_space
from neocog.tuning.study import Study, TrialResult
from neocog.tuning.tune import BEST_CONFIG, storage_of
from neocog.tuning.tune import tune as search

__all__ = ["tune"]

_SHOWN = 5
_LONGEST_CELL = 20


def tune(
    data: str | None,
    recipe: str | None,
    config: str | None,
    data_dir: str | None,
    space: list[str] | None,
    trials: int,
    minutes: float | None,
    study: str | None,
    storage: str | None,
    json_: bool,
    **changes: Any,
) -> int:
    """Search for good settings; print the best trials."""
    storage_of(storage, study)  # before the data are loaded: what is wrong here is wrong at once
    options = taken_out(changes)
    wanted = wanted_of(data, recipe, config, data_dir, options, changes)
    if wanted.recipe.transfer is not None:
        raise NeocogError("--config is of a run with --transfer, whose settings are not searched.")
    assignments = None if space is None else parse_assignments(space)
    if assignments is not None and wanted.changes is None:
        # Before the data are loaded: what is wrong here is wrong at once.
        parse_space(assignments, wanted.recipe)
    setup = set_up(wanted)
    check_savable(setup.network)
    resize = setup.network.preprocessing.resize

    def network(settings: Recipe, images: Data) -> Network:
        made = make_network(settings, images)
        made.preprocessing = replace(made.preprocessing, resize=resize)
        return made

    display = _Display(setup.recipe.monitor)
    with termination_signals() as ended:
        found = search(
            setup.data,
            setup.recipe,
            space=assignments,
            trials=trials,
            minutes=minutes,
            study=None if study is None else out_path(study),
            storage=storage,
            network=network,
            data_options=wanted.data_table,
            on_trial=display.trial_done,
            callback=display,
        )
    if json_:
        print(json.dumps(found.to_dict()))
    else:
        _print(found)
    if not found.interrupted:
        return 0
    say(f"{f'Ended by {ended.by.name}' if ended.by else 'Interrupted'}. The study is whole.")
    say(f"Go on with the same command and: --study {found.path}")
    return ended.by.exit_code if ended.by else 130


class _Display(Callback):
    """Prints a line per trial, and on a terminal the progress of the current one."""

    def __init__(self, monitor: str) -> None:
        self._monitor = monitor

    def compiling(self, kernels: int) -> None:
        """Say that kernels are being compiled."""
        say_compiling(kernels)

    def epoch_done(self, epoch: Epoch, history: History) -> None:
        """Redraw the line of the current trial."""
        if is_terminal():
            value = _measured(getattr(epoch, self._monitor), self._monitor)
            print(f"\r  epoch {epoch.epoch}: {value}\x1b[K", end="", file=drawing(), flush=True)

    def trial_done(self, trial: TrialResult, best: TrialResult | None) -> None:
        """Say how a trial ended."""
        if is_terminal():
            print("\r\x1b[K", end="", file=drawing(), flush=True)
        names = short_names(list(trial.values))
        values = zip(names, trial.values.values(), strict=True)
        parts = ", ".join(f"{name} {_cell(value)}" for name, value in values)
        line = f"Trial {trial.number}: {parts}: {_ending(trial, self._monitor)}"
        if best is not None:
            is_best = best.number == trial.number
            value = _measured(best.value, self._monitor)
            line += " (the best so far)" if is_best else f" (best: {value}, trial {best.number})"
        say(line)


def _ending(trial: TrialResult, monitor: str) -> str:
    if trial.outcome == "finished":
        return f"{monitor.replace('_', ' ')} {_measured(trial.value, monitor)}"
    if trial.outcome == "pruned":
        return f"pruned after {counted(trial.epochs, 'epoch')}"
    return f"{trial.outcome}: {trial.reason}" if trial.outcome == "failed" else trial.outcome


def _measured(value: float | None, monitor: str) -> str:
    return percent(value) if monitor == "validation_accuracy" else three_digits(value)


def _cell(value: Any) -> str:
    text = f"{value:.3g}" if isinstance(value, float) else setting(value)
    return cut(text, _LONGEST_CELL)


def _print(found: Study) -> None:
    """Print the best trials, the importance of settings, and where the best settings are."""
    best = found.ranked[:_SHOWN]
    if not best:
        print("No trial has finished.")
        return
    names = list(found.space)
    columns = [
        ["trial", *(str(trial.number) for trial in best)],
        [
            found.monitor.replace("_", " "),
            *(_measured(trial.value, found.monitor) for trial in best),
        ],
        *(
            [title, *(_cell(trial.values.get(name)) for trial in best)]
            for name, title in zip(names, short_names(names), strict=True)
        ),
        ["time", *(duration(trial.seconds) for trial in best)],
    ]
    for line in table(columns, [True] * len(columns)):
        print(line)
    print(f"\n{_counts(found)}")
    if found.importance:
        titles = short_names(list(found.importance))
        parts = zip(titles, found.importance.values(), strict=True)
        print("What made the difference: " + ", ".join(f"{n} {100 * v:.0f} %" for n, v in parts))
    print(f"Settings of the best: {Path(found.path) / BEST_CONFIG}")


def _counts(found: Study) -> str:
    outcomes = [trial.outcome for trial in found.trials]
    counts = {outcome: outcomes.count(outcome) for outcome in dict.fromkeys(outcomes)}
    parts = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
    return f"{counted(len(outcomes), 'trial')}: {parts}"
