"""``neocog train``."""

from typing import Any

from neocog import evaluate, fit, load_data
from neocog.cli.display import Display
from neocog.cli.terminal import download_progress, say
from neocog.errors import NeocogError
from neocog.files import exists
from neocog.models import split_python_file
from neocog.opening import name_of_run
from neocog.training.fit import check_settings
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
    loaded = load_data(data, data_dir=data_dir, progress=download_progress())
    network = how.network(loaded, seed)
    settings: dict[str, Any] = {"data": loaded.name, "recipe": how.name}
    settings |= {key: value for key, value in how.to_dict().items() if key not in ("name", "about")}
    settings |= {"seed": seed, "threads": threads, "log_every": log_every}
    folder = RunFolder.create(out, f"{name_of_run(how.model)}-{loaded.name}", settings)
    display = Display(folder, network, loaded.name, how.epochs, how.tta)
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
        display.close()
        if history.interrupted:
            folder.save(network, history, loaded.name, how.tta)
            folder.finish(history, None, "interrupted")
            say(f"Interrupted. The weights so far are in {folder.path}")
            return 130
        print("Training finished.")
        result = evaluate(network, loaded.test, tta=how.tta, threads=threads)
        folder.finish(history, result, "finished")
    except BaseException as error:
        display.close()
        folder.fail(error)
        if folder.holds_results:
            say(f"What was finished before is in {folder.path}")
        raise
    print(f"Test accuracy: {100 * result.accuracy:.2f} % of {len(loaded.test):,} images")
    print(f"Results: {folder.path}")
    return 0


def _check_model(recipe: Recipe) -> None:
    """Raise `NeocogError` for a model that cannot be, whatever the data are."""
    file = split_python_file(recipe.model)
    if file is None:
        make_model(recipe.model, width=recipe.width)
    elif not exists(file[0]):
        raise NeocogError(f"--model {recipe.model}: there is no such file.")
