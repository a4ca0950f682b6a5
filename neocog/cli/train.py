"""``neocog train``."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from neocog.cli.display import Display
from neocog.cli.following import follow_training, lead_training, say_all_is_done
from neocog.cli.loading import taken_out
from neocog.cli.lr_finding import take_find, with_found_lr, write_curve
from neocog.cli.paths import out_path
from neocog.cli.terminal import say, say_compiling
from neocog.cli.training_setup import Setup, Wanted, continued, read_config, set_up, wanted_of
from neocog.cli.transfer import TransferSetup, set_up_transfer
from neocog.cli.transfer_default import with_default
from neocog.data import Dataset
from neocog.engine import announced
from neocog.engines import choose_engine
from neocog.errors import DataError, NeocogError
from neocog.evaluation import AnyEvaluation, images_to_calibrate, result_line
from neocog.evaluation import calibrate as calibrate_network
from neocog.evaluation import evaluate as evaluate_network
from neocog.formats.checkpoint import Checkpoint
from neocog.launch import launch
from neocog.loading import name_of_run
from neocog.models.named import is_new
from neocog.network import Network
from neocog.network_files import check_savable, load_model
from neocog.report.run import write_run_report
from neocog.run_files import BEST, CONFIG, LAST
from neocog.run_info import read_info
from neocog.settings.recipe import Recipe
from neocog.signals import Ended, deferred_signals, termination_signals
from neocog.training.early_stopping import EarlyStopping, best_epoch
from neocog.training.fit import fit
from neocog.training.history import History
from neocog.training.lr_finder import LrCurve
from neocog.training.new_folder import check_empty
from neocog.training.restarting import check_restartable, goes_on_in
from neocog.training.run_folder import RunFolder
from neocog.training.saving import Saving
from neocog.training.together import processes_of
from neocog.transfer.steps import Steps

__all__ = ["train"]


def train(
    data: str | None,
    recipe: str | None,
    config: str | None,
    resume: str | None,
    out: str | None,
    data_dir: str | None,
    **changes: Any,
) -> int:
    """Train, evaluate and save a network; print the losses as the note does."""
    launched = launch()
    processes = processes_of(launched)
    if processes is not None and processes.rank:
        return follow_training(processes)
    options = taken_out(changes)
    finds_lr = take_find(changes, resume)
    if resume is not None:
        _check_alone(resume, data=data, recipe=recipe, config=config, out=out, data_dir=data_dir)
        return _resume(Path(resume), options, changes)
    check_restartable(launched, out)
    if out is not None and goes_on_in(launched, Path(out)):
        if read_info(out).get("status") == "finished":  # a process was lost when all was done
            say_all_is_done(processes)
            print(f"Results: {out}")
            return 0
        return _resume(Path(out), {}, {})
    wanted = wanted_of(data, recipe, config, data_dir, options, changes)
    if processes is None and not finds_lr:
        wanted = with_default(wanted)
    if wanted.recipe.transfer is not None:
        _check_transfer(several=processes is not None, finds_lr=finds_lr)
    begins = set_up if wanted.recipe.transfer is None else set_up_transfer
    setup = begins(wanted)
    check_savable(setup.network)
    to_calibrate = images_to_calibrate(setup.data) if setup.recipe.calibrate else None
    name = f"{name_of_run(setup.recipe.model)}-{setup.data.name}"
    path = out and out_path(out)
    EarlyStopping(setup.recipe, has_validation=bool(setup.data.validation))
    if not finds_lr:
        folder = RunFolder.create(path, name, setup.recipe, setup.data, wanted.data_table)
        return _train(setup, replace(wanted, recipe=setup.recipe), to_calibrate, folder, None)
    if path is not None and Path(path).exists():
        check_empty(Path(path))  # before the test, which takes some seconds
    setup, curve = with_found_lr(setup)
    folder = RunFolder.create(path, name, setup.recipe, setup.data, wanted.data_table)
    return _train(setup, replace(wanted, recipe=setup.recipe), to_calibrate, folder, None, curve)


def _check_transfer(*, several: bool, finds_lr: bool) -> None:
    """Raise `NeocogError` for what does not go with ``--transfer``."""
    if several:
        raise NeocogError("--transfer trains in one process: leave torchrun out.")
    if finds_lr:
        raise NeocogError("--lr find is for training from nothing: leave it out with --transfer.")


def _check_alone(resume: str, **others: Any) -> None:
    """Raise `NeocogError` for an option that the resumed run's folder already determines."""
    for name, value in others.items():
        if value is not None:
            option = "the data" if name == "data" else f"--{name.replace('_', '-')}"
            raise NeocogError(f"--resume {resume} has all of that from before: leave {option} out.")


def _resume(path: Path, options: dict[str, Any], changes: dict[str, Any]) -> int:
    """Continue a run from its newest intact checkpoint."""
    if options:
        _check_alone(str(path), **options)
    folder = RunFolder.reopen(path)  # at once, where it is in use
    with _giving_back(folder):
        before = read_config(path / CONFIG, needs=("source", "model"))
        recipe = continued(before.recipe, changes)
        newest = folder.newest()
        for sentence in newest.damaged:
            say(sentence)
        wanted = Wanted(recipe, before.source, before.options, before.data_dir)
        wanted = _as_it_began(folder, wanted)
        begins = set_up if recipe.transfer is None else set_up_transfer
        setup = replace(begins(wanted), recipe=recipe)
        folder.use_data(setup.data)
        to_calibrate = images_to_calibrate(setup.data) if recipe.calibrate else None
        say(f"Going on from step {newest.steps:,}.")
    return _train(setup, wanted, to_calibrate, folder, newest.checkpoint)


def _as_it_began(folder: RunFolder, wanted: Wanted) -> Wanted:
    """What a run is set up from that goes on: its own network, where it trains a saved one further.

    The file of the saved one may have been removed since.
    """
    last = folder.path / LAST
    if is_new(wanted.recipe.model) or not last.exists() or wanted.recipe.transfer is not None:
        return wanted
    return replace(wanted, recipe=replace(wanted.recipe, model=str(last)))


@contextmanager
def _giving_back(folder: RunFolder) -> Iterator[None]:
    """Let others have the folder if anything is wrong before the run goes on."""
    try:
        yield
    except BaseException:
        folder.release()
        raise


def _train(
    setup: Setup,
    wanted: Wanted,
    to_calibrate: Dataset | None,
    folder: RunFolder,
    resume: Checkpoint | None,
    curve: LrCurve | None = None,
) -> int:
    with termination_signals() as ended:
        try:
            if curve is not None:
                write_curve(folder.path, curve)
            lead_training(processes_of(launch()), wanted)
            return _run(setup, to_calibrate, folder, ended, resume)
        except BaseException as error:
            with deferred_signals():
                folder.fail(error, ended.by.name if ended.by else None)
            if folder.has_begun and folder.holds_results:
                say(f"What was finished before is in {folder.path}")
            if folder.has_begun and folder.goes_on:
                _say_how_to_go_on(folder)
            raise


def _run(
    setup: Setup,
    to_calibrate: Dataset | None,
    folder: RunFolder,
    ended: Ended,
    resume: Checkpoint | None,
) -> int:
    """Train, evaluate and print; returns the exit code."""
    recipe, data, network = setup.recipe, setup.data, setup.network
    steps: Steps | None = Steps(network, data.train, data.validation, recipe)
    began = time.perf_counter()
    if isinstance(setup, TransferSetup):
        steps = setup.begin(folder)
    if steps is None:
        history = History(seconds=time.perf_counter() - began)
    else:
        history = _fit(steps, data.classes, folder, resume)
        network = steps.whole(steps.network)
        setup = replace(setup, network=network)
    if history.interrupted or ended.by:  # `ended.by` if the signal came during the last save
        return _interrupted(setup, history, folder, ended)
    if steps is None:
        with deferred_signals():
            folder.save(network, history, recipe.tta)
    print("Training stopped early." if history.stopped else "Training finished.")
    part, images = data.held_out
    result = None
    try:
        network = _best(network, history, recipe, folder)
        network.use_engine(choose_engine(recipe))
        if to_calibrate is not None and _calibrated(network, to_calibrate, recipe.threads):
            with deferred_signals():
                folder.save_again(network, recipe.tta)
        if len(images):
            with announced(say_compiling):
                result = evaluate_network(network, images, tta=recipe.tta, threads=recipe.threads)
    except KeyboardInterrupt:
        return _interrupted(setup, history, folder, ended)
    with deferred_signals():
        folder.finish(history, result, "finished", part=part)
    if result is not None:
        print(result_line(result, part))
    else:
        say("Nothing was held out, so nothing says how good it is.")
    code = _report(folder, network, history, result, part, images, ended)
    print(f"Results: {folder.path}")
    return code


def _fit(
    steps: Steps, classes: tuple[str, ...], folder: RunFolder, resume: Checkpoint | None
) -> History:
    display = Display(steps.settings)
    tta = getattr(steps.settings, "tta", None)
    try:
        return fit(
            steps.network,
            steps.train,
            steps.settings,
            validation=steps.validation,
            classes=classes,
            callback=[Saving(folder, tta, steps.whole), display],
            resume=resume,
        )
    finally:
        display.close()


def _best(network: Network, history: History, recipe: Recipe, folder: RunFolder) -> Network:
    """The network of the best epoch if it was saved; else that of the last epoch."""
    best = best_epoch(history.epochs, recipe)
    if best is None or not (folder.path / BEST).exists():
        return network
    number, count = history.epochs[best].epoch, len(history.epochs)
    print(f"Best epoch: {number} of {count}, by the {recipe.monitor.replace('_', ' ')}")
    return load_model(folder.path / BEST)


def _report(
    folder: RunFolder,
    network: Network,
    history: History,
    result: AnyEvaluation | None,
    part: str,
    images: Dataset,
    ended: Ended,
) -> int:
    """Write the page; a run is no less finished where that fails. Gives the exit code."""
    try:
        write_run_report(
            folder.path,
            network,
            evaluation=result,
            data=images if len(images) else None,
            part=part,
            history=history,
            defaults=Recipe().to_dict(),
        )
    except NeocogError as error:
        say(f"There is no report: {error}")
    except KeyboardInterrupt:
        say(f"The report was left out. Write it with: neocog report {folder.path}")
        return ended.by.exit_code if ended.by else 130
    return 0


def _calibrated(network: Network, images: Dataset, threads: int | None) -> bool:
    """Fit the temperature; returns whether one was found. Without one the network is unchanged."""
    try:
        with announced(say_compiling):
            found = calibrate_network(network, images, threads=threads)
    except DataError as error:
        say(f"Not calibrated. {error}")
        return False
    print(
        f"Temperature: {found.temperature:.4g} (validation loss {found.loss:.4f}, "
        f"before: {found.loss_before:.4f})"
    )
    return True


def _interrupted(setup: Setup, history: History, folder: RunFolder, ended: Ended) -> int:
    """Keep what there is; gives the exit code of the signal."""
    if history.steps == 0:  # nothing that anybody would want to keep
        raise ended.by or KeyboardInterrupt
    with deferred_signals():
        folder.save(setup.network, history, setup.recipe.tta)
        folder.finish(history, None, "interrupted", ended.by.name if ended.by else None)
    word = f"Ended by {ended.by.name}" if ended.by else "Interrupted"
    say(f"{word}. The weights so far are in {folder.path}")
    _say_how_to_go_on(folder)
    return ended.by.exit_code if ended.by else 130


def _say_how_to_go_on(folder: RunFolder) -> None:
    say(f"Go on with: neocog train --resume {folder.path}")
