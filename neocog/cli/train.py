"""``neocog train``."""

from typing import Any

from neocog import evaluate, fit, load_data
from neocog.cli.display import Display
from neocog.cli.paths import out_path
from neocog.cli.terminal import counted, loading_progress, say, say_compiling
from neocog.data import Data
from neocog.engine import announced
from neocog.errors import NeocogError
from neocog.files import exists
from neocog.formats import check_savable
from neocog.models import split_python_file
from neocog.network import Network
from neocog.opening import name_of_run
from neocog.signals import Ended, deferred_signals, termination_signals
from neocog.training.fit import check_settings
from neocog.training.history import History
from neocog.training.recipes import Recipe, changed, make_model
from neocog.training.run_folder import RunFolder
from neocog.training.torch_stream import TorchStream

__all__ = ["train"]


def train(
    data: str,
    recipe: str,
    seed: int,
    threads: int | None,
    log_every: int,
    out: str | None,
    data_dir: str | None,
    **changes: Any,
) -> int:
    """Train by a recipe with some changes, evaluate, save; print the losses as the note does."""
    how = changed(Recipe.load(recipe), changes)
    # Before the data are loaded and anything is written: what is wrong here is wrong at once.
    check_settings(how.epochs, how.batch_size, threads, log_every)
    TorchStream(seed)
    _check_model(how)
    loaded = load_data(data, data_dir=data_dir, progress=loading_progress())
    network = how.network(loaded, seed)
    network.name_classes(loaded.classes)
    check_savable(network)
    settings: dict[str, Any] = {"data": loaded.name, "recipe": how.name}
    settings |= {key: value for key, value in how.to_dict().items() if key not in ("name", "about")}
    settings |= {"seed": seed, "threads": threads, "log_every": log_every}
    name = f"{name_of_run(how.model)}-{loaded.name}"
    folder = RunFolder.create(out and out_path(out), name, settings, loaded)
    with termination_signals() as ended:
        try:
            return _run(how, network, loaded, folder, ended, seed, threads, log_every)
        except BaseException as error:
            with deferred_signals():
                folder.fail(error, ended.by.name if ended.by else None)
            if folder.holds_results:
                say(f"What was finished before is in {folder.path}")
            raise


def _run(
    how: Recipe,
    network: Network,
    loaded: Data,
    folder: RunFolder,
    ended: Ended,
    seed: int,
    threads: int | None,
    log_every: int,
) -> int:
    """Train, evaluate and print; gives the exit code."""
    display = Display(folder, network, how.epochs, how.tta)
    try:
        history = fit(
            network,
            loaded.train,
            **how.fit_settings(),
            seed=seed,
            threads=threads,
            log_every=log_every,
            classes=loaded.classes,
            watcher=display,
        )
    finally:
        display.close()
    if history.interrupted or ended.by:  # the latter where the last epoch was just being saved
        return _interrupted(how, network, history, folder, ended)
    print("Training finished.")
    try:
        with announced(say_compiling):
            result = evaluate(network, loaded.test, tta=how.tta, threads=threads)
    except KeyboardInterrupt:
        return _interrupted(how, network, history, folder, ended)
    with deferred_signals():
        folder.finish(history, result, "finished")
    print(f"Test accuracy: {100 * result.accuracy:.2f} % of {counted(len(loaded.test), 'image')}")
    print(f"Results: {folder.path}")
    return 0


def _interrupted(
    how: Recipe, network: Network, history: History, folder: RunFolder, ended: Ended
) -> int:
    """Keep what there is; gives the exit code of the signal."""
    with deferred_signals():
        folder.save(network, history, how.tta)
        folder.finish(history, None, "interrupted", ended.by.name if ended.by else None)
    word = f"Ended by {ended.by.name}" if ended.by else "Interrupted"
    say(f"{word}. The weights so far are in {folder.path}")
    return ended.by.exit_code if ended.by else 130


def _check_model(recipe: Recipe) -> None:
    """Raise `NeocogError` for a model that cannot be, whatever the data are."""
    file = split_python_file(recipe.model)
    if file is None:
        make_model(recipe.model, width=recipe.width)
    elif not exists(file[0]):
        raise NeocogError(f"--model {recipe.model}: there is no such file.")
