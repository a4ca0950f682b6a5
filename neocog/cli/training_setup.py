"""The settings, data and network of a training run, from the command line."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from neocog.cli.choices import say_choices, say_held_out, say_pictures
from neocog.cli.given_weights import settled
from neocog.cli.loading import check_no_options, find_pictures, say_notes
from neocog.cli.targets import agreed, check_has_targets, check_learnable, check_loss, labels_by
from neocog.cli.terminal import loading_progress, say
from neocog.data import Data, load_data
from neocog.data.finding import Found
from neocog.engines import choose_engine
from neocog.errors import DataError, NeocogError, printable
from neocog.files import exists
from neocog.launch import launch
from neocog.layers import image_shape
from neocog.loading import open_saved
from neocog.matching import fitting, in_order_of, mismatch
from neocog.models import split_python_file
from neocog.models.named import is_new, make_model
from neocog.network import Network
from neocog.preprocessing import Resize
from neocog.settings.override import override
from neocog.settings.recipe import Recipe
from neocog.training.choices import MODEL, choose_recipe
from neocog.training.experiment import make_network
from neocog.training.fixed_settings import check_fixed_settings
from neocog.training.run_config import read_run_config

__all__ = [
    "Setup",
    "Wanted",
    "check_classes",
    "continued",
    "pictures_of",
    "read_config",
    "set_up",
    "wanted_of",
]


@dataclass(frozen=True)
class Wanted:
    """What the command line asks for.

    Attributes:
        recipe: the settings that were asked for.
        source: of the data.
        options: the options of the data that were given.
        data_dir: the folder of cifar10, if one was given.
        changes: settings that replace those chosen to suit pictures; None if nothing is chosen.
        found: the pictures, where they were looked for already.
    """

    recipe: Recipe
    source: str
    options: Mapping[str, Any]
    data_dir: str | None = None
    changes: Mapping[str, Any] | None = None
    found: Found | None = None

    @property
    def data_table(self) -> dict[str, Any]:
        """The source and its options, for ``config.toml``; paths as they are from anywhere."""
        place = {"data_dir": str(Path(self.data_dir).absolute())} if self.data_dir else {}
        source = str(Path(self.source).absolute()) if exists(self.source) else self.source
        return {"source": source, **place, **self.options}


@dataclass(frozen=True)
class Setup:
    """What a training run starts from."""

    recipe: Recipe
    data: Data
    network: Network


def read_config(path: Path, *, needs: Collection[str] = ()) -> Wanted:
    """What the ``config.toml`` of a run asks for.

    Args:
        path: of the file.
        needs: what it must say of "source", the data, and "model", the network.
    """
    recipe, data, said = read_run_config(path)
    data = dict(data or {})
    source, data_dir = data.pop("source", None), data.pop("data_dir", None)
    if not all(text is None or isinstance(text, str) for text in (source, data_dir)):
        raise NeocogError(f"{path}: the source of the data must be a text.")
    missing = [
        name
        for name, there in (("source", source is not None), ("model", "model" in said))
        if name in needs and not there
    ]
    if missing:
        words = " and ".join({"source": "the data", "model": "the network"}[n] for n in missing)
        raise NeocogError(
            f"{path} is of a run by neocog.fit, and does not say {words}. Continue the run with "
            "neocog.fit(…, resume=…), or begin another one: neocog train DATA --model NAME "
            f"--config {path}"
        )
    return Wanted(recipe, source or "shapes", data, data_dir)


def wanted_of(
    data: str | None,
    recipe: str | None,
    config: str | None,
    data_dir: str | None,
    options: dict[str, Any],
    changes: dict[str, Any],
) -> Wanted:
    """What the arguments of a command that trains ask for: a recipe, or a run's configuration."""
    options, changes = agreed(options, changes)
    if config is not None:
        if recipe is not None:
            raise NeocogError("--config has all settings, so --recipe goes without it.")
        named = ["model"] if "model" not in changes else []
        before = read_config(Path(config), needs=[*named, *(["source"] if data is None else [])])
        changes = settled(changes, before.recipe.transfer)
        same = data is None
        how = override(before.recipe, **changes)
        source = before.source if data is None else data
        check_has_targets(source, how.loss)
        return Wanted(
            how,
            source,
            {**(before.options if same else {}), **labels_by(how.loss), **options},
            data_dir or (before.data_dir if same else None),
        )
    base = Recipe.load(recipe or "note")
    changes = settled(changes, base.transfer)
    how = override(base, **changes)
    source = "shapes" if data is None else data
    check_has_targets(source, how.loss)
    return Wanted(how, source, options, data_dir, None if recipe else changes)


def continued(before: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """The settings of a run that is continued, of which only some may be others than before."""
    recipe = override(before, **changes)
    check_fixed_settings(before.to_dict(), recipe.to_dict(), Recipe)
    return recipe


def set_up(wanted: Wanted) -> Setup:
    """Load the data, choose the settings that were not given, and make the network."""
    recipe = wanted.recipe
    _check_model(recipe)
    check_loss(recipe)
    choose_engine(recipe, launch())
    # Checked first, so that mistakes are reported before data are loaded or anything is written.
    found = pictures_of(wanted)
    if found is None:
        check_no_options(wanted.source, wanted.options)
        data = load_data(wanted.source, data_dir=wanted.data_dir, progress=loading_progress())
        data, network = _with_network(data, recipe)
    else:
        recipe, found = _chosen(found, recipe, wanted.changes)
        say_pictures(found)
        data, network = _with_network(Data.of(found.load()), recipe)
        check_learnable(data, recipe.loss)
        network.preprocessing = replace(network.preprocessing, resize=found.resize)
        say_notes(data)
        say_held_out(data, found)
        say_choices(recipe, network)
    network.name_classes(data.classes)
    return Setup(recipe, data, network)


def pictures_of(wanted: Wanted) -> Found | None:
    """The pictures that are wanted; None for data of other kinds."""
    if wanted.found is not None or wanted.data_dir is not None:
        return wanted.found
    return find_pictures(wanted.source, wanted.options, wanted.recipe.threads)


def check_classes(found: Found) -> None:
    """Raise `DataError` unless there are pictures of two classes to train on, or targets."""
    counts = zip(found.listing.classes, found.class_counts, strict=False)
    trained = [name for name, count in counts if count]
    if len(trained) < 2 and not found.has_targets:
        have = f"pictures of one class only, {printable(trained[0])}" if trained else "no pictures"
        raise DataError(
            f"{printable(found.listing.name)} has {have} to train on. A network tells at least two "
            "classes apart: put the pictures of each into a folder of its own."
        )


def _with_network(data: Data, recipe: Recipe) -> tuple[Data, Network]:
    """The data and the network; for a saved one, the data with their classes in its order."""
    network = make_network(recipe, data)
    if not is_new(recipe.model):
        data = in_order_of(data, network.classes)
        if (why := mismatch(network, data, recipe.model)) is not None:
            raise NeocogError(why)
    return data, network


def _chosen(found: Found, base: Recipe, changes: Mapping[str, Any] | None) -> tuple[Recipe, Found]:
    """The recipe for these pictures, and the pictures in the shape of its network.

    Args:
        found: the pictures.
        base: the recipe that was asked for.
        changes: settings that replace chosen ones; None if a recipe was asked for.

    Raises:
        NeocogError: there are fewer than two classes, or the network cannot take the pictures.
    """
    check_classes(found)
    model, width = base.model, base.width
    if changes is not None:
        model, width = changes.get("model") or MODEL, changes.get("width") or 1.0
    if saved := not is_new(model):
        network, _notes = open_saved(model)
        fitting(found, network, model)  # before its pictures are decoded
    else:
        count = len(found.listing.classes)
        network = make_model(model, count, width=width, input_shape=found.shape)
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
    keeps = options.resize is None and (saved or own != Resize())
    return base, found.made(shape, own if keeps else None)


def _check_model(recipe: Recipe) -> None:
    """Raise `NeocogError` for a model that cannot exist, whatever the data are.

    How a saved one was read is said here, once.
    """
    if not is_new(recipe.model):
        if recipe.width != 1:
            raise NeocogError(
                f"--width {recipe.width:g} is for models by name; {recipe.model} has its own."
            )
        for note in open_saved(recipe.model)[1]:
            say(note)
        return
    file = split_python_file(recipe.model)
    if file is None:
        make_model(recipe.model, width=recipe.width)
    elif not exists(file[0]):
        raise NeocogError(f"--model {recipe.model}: there is no such file.")
