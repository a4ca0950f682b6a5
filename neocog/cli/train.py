"""``neocog train``."""

from dataclasses import replace
from typing import Any

from neocog.cli.choices import say_choices, say_held_out, say_pictures
from neocog.cli.display import Display
from neocog.cli.loading import check_no_options, find_pictures, say_notes, taken_out
from neocog.cli.paths import out_path
from neocog.cli.terminal import loading_progress, say, say_compiling
from neocog.data import Data, Dataset, load_data
from neocog.data.finding import Found
from neocog.engine import announced
from neocog.errors import DataError, NeocogError, printable
from neocog.evaluation import accuracy_line, evaluate, images_to_calibrate
from neocog.evaluation import calibrate as calibrate_network
from neocog.files import exists
from neocog.layers import image_shape
from neocog.loading import name_of_run
from neocog.models import split_python_file
from neocog.models.named import make_model
from neocog.network import Network
from neocog.network_files import check_savable
from neocog.preprocessing import Resize
from neocog.settings.override import override
from neocog.settings.recipe import Recipe
from neocog.signals import Ended, deferred_signals, termination_signals
from neocog.training.choices import MODEL, choose_recipe
from neocog.training.experiment import make_network
from neocog.training.fit import fit
from neocog.training.history import History
from neocog.training.run_folder import RunFolder

__all__ = ["train"]


def train(
    data: str,
    recipe: str | None,
    out: str | None,
    data_dir: str | None,
    calibrate: bool = False,
    **changes: Any,
) -> int:
    """Train by a recipe with some changes, evaluate, save; print the losses as the note does."""
    given = taken_out(changes)
    # Before the data are loaded and anything is written: what is wrong here is wrong at once.
    how = override(Recipe.load(recipe or "note"), **changes)
    _check_model(how)
    found = find_pictures(data, given, how.threads) if data_dir is None else None
    if found is None:
        check_no_options(data, given)
        loaded = load_data(data, data_dir=data_dir, progress=loading_progress())
        network = make_network(how, loaded)
    else:
        how, found = _chosen(found, how, None if recipe else changes)
        say_pictures(found)
        loaded = Data.of(found.load())
        network = make_network(how, loaded)
        network.preprocessing = replace(network.preprocessing, resize=found.resize)
        say_notes(loaded)
        say_held_out(loaded, found)
        say_choices(how, network)
    to_calibrate = images_to_calibrate(loaded) if calibrate else None
    network.name_classes(loaded.classes)
    check_savable(network)
    settings: dict[str, Any] = {"data": loaded.name, "recipe": how.name}
    settings |= {key: value for key, value in how.to_dict().items() if key not in ("name", "about")}
    settings |= {"calibrate": True} if calibrate else {}
    name = f"{name_of_run(how.model)}-{loaded.name}"
    folder = RunFolder.create(out and out_path(out), name, settings, loaded)
    with termination_signals() as ended:
        try:
            return _run(how, network, loaded, to_calibrate, folder, ended)
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
    to_calibrate: Dataset | None,
    folder: RunFolder,
    ended: Ended,
) -> int:
    """Train, evaluate and print; gives the exit code."""
    display = Display(folder, network, how.epochs, how.tta)
    try:
        history = fit(
            network,
            loaded.train,
            how,
            classes=loaded.classes,
            callback=display,
        )
    finally:
        display.close()
    if history.interrupted or ended.by:  # the latter where the last epoch was just being saved
        return _interrupted(how, network, history, folder, ended)
    print("Training finished.")
    part, images = loaded.held_out
    result = None
    if len(images):
        try:
            if to_calibrate is not None and _calibrated(network, to_calibrate, how.threads):
                with deferred_signals():
                    folder.save(network, history, how.tta)
            with announced(say_compiling):
                result = evaluate(network, images, tta=how.tta, threads=how.threads)
        except KeyboardInterrupt:
            return _interrupted(how, network, history, folder, ended)
    with deferred_signals():
        folder.finish(history, result, "finished", part=part)
    if result is not None:
        print(accuracy_line(result, part))
    else:
        say("Nothing was held out, so nothing says how good it is.")
    print(f"Results: {folder.path}")
    return 0


def _calibrated(network: Network, images: Dataset, threads: int | None) -> bool:
    """Whether a temperature was found. Where the images have none, the network is as good."""
    try:
        with announced(say_compiling):
            found = calibrate_network(network, images, threads=threads)
    except DataError as error:
        say(f"Not calibrated. {error}")
        return False
    print(
        f"Temperature: {found.temperature:.4g} (expected calibration error "
        f"{100 * found.ece:.2f} %, before: {100 * found.ece_before:.2f} %)"
    )
    return True


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


def _chosen(found: Found, base: Recipe, changes: dict[str, Any] | None) -> tuple[Recipe, Found]:
    """The recipe for these pictures, and them in the shape of its network.

    Args:
        found: the pictures.
        base: the recipe that was asked for.
        changes: to the one that is chosen; None where one was asked for.

    Raises:
        NeocogError: there is nothing to tell apart, or the network does not take the pictures.
    """
    trained = [name for name, n in zip(found.listing.classes, found.class_counts, strict=True) if n]
    if len(trained) < 2:
        have = f"pictures of one class only, {printable(trained[0])}" if trained else "no pictures"
        raise DataError(
            f"{printable(found.listing.name)} has {have} to train on. A network tells at least two "
            "classes apart: put the pictures of each into a folder of its own."
        )
    model, width = base.model, base.width
    if changes is not None:
        model, width = changes.get("model") or MODEL, changes.get("width") or 1.0
    network = make_model(model, len(found.listing.classes), width=width, input_shape=found.shape)
    shape = image_shape(network.input_shape)
    options = found.options
    if (options.size and options.size != shape[1:]) or options.channels not in (None, shape[0]):
        raise NeocogError(
            f"--model {model} takes images of the shape {shape} (channels, height, width): leave "
            "--size and --channels out."
        )
    if changes is not None:
        chosen = choose_recipe(network, found.train_count, model, width)
        rest = {name: value for name, value in changes.items() if name not in ("model", "width")}
        base = override(chosen, **rest)
    own = network.preprocessing.resize
    keeps = options.resize is None and own != Resize()
    return base, found.made(shape, own if keeps else None)


def _check_model(recipe: Recipe) -> None:
    """Raise `NeocogError` for a model that cannot be, whatever the data are."""
    file = split_python_file(recipe.model)
    if file is None:
        make_model(recipe.model, width=recipe.width)
    elif not exists(file[0]):
        raise NeocogError(f"--model {recipe.model}: there is no such file.")
