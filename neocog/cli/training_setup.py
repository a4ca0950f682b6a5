"""The settings, data and network of a training run, from the command line."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from neocog.cli.choices import say_choices, say_held_out, say_pictures
from neocog.cli.loading import check_no_options, find_pictures, say_notes
from neocog.cli.terminal import loading_progress
from neocog.data import Data, load_data
from neocog.data.finding import Found
from neocog.errors import DataError, NeocogError, printable
from neocog.files import exists
from neocog.layers import image_shape
from neocog.models import split_python_file
from neocog.models.named import make_model
from neocog.network import Network
from neocog.preprocessing import Resize
from neocog.settings.override import override, short_names
from neocog.settings.recipe import Recipe
from neocog.settings.setting import setting_of
from neocog.settings.toml import read_toml
from neocog.training.choices import MODEL, choose_recipe
from neocog.training.experiment import make_network

__all__ = ["Setup", "Wanted", "read_config", "set_up", "with_free"]


@dataclass(frozen=True)
class Wanted:
    """What the command line asks for.

    Attributes:
        recipe: the settings that were asked for.
        source: of the data.
        options: the options of the data that were given.
        data_dir: the folder of cifar10, if one was given.
        changes: settings that replace those chosen to suit pictures; None if nothing is chosen.
    """

    recipe: Recipe
    source: str
    options: Mapping[str, Any]
    data_dir: str | None = None
    changes: Mapping[str, Any] | None = None

    @property
    def data_table(self) -> dict[str, Any]:
        """The source of the data and its options, for ``config.toml``."""
        place = {"data_dir": self.data_dir} if self.data_dir else {}
        return {"source": self.source, **place, **self.options}


@dataclass(frozen=True)
class Setup:
    """What a training run starts from."""

    recipe: Recipe
    data: Data
    network: Network


def read_config(path: str) -> Wanted:
    """What the ``config.toml`` of a run asks for."""
    description = read_toml(path, "configuration of a run")
    data = description.pop("data", {})
    if not isinstance(data, dict) or not isinstance(data.get("source", ""), str):
        raise NeocogError(f"{path}: data must be a table with the source of the data.")
    try:
        recipe = Recipe.from_dict(description)
    except NeocogError as error:
        raise NeocogError(f"{path}: {error}") from error
    options = {key: value for key, value in data.items() if key not in ("source", "data_dir")}
    return Wanted(recipe, data.get("source", "shapes"), options, data.get("data_dir"))


def with_free(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """The settings of a run to continue, with changes to those that may change."""
    free = {one.name for one in fields(recipe) if setting_of(one).free}
    short = short_names(type(recipe))
    for name in changes:
        if name not in free:
            option = short.get(name, name).replace("_", "-")
            known = ", ".join(f"--{one.replace('_', '-')}" for one in sorted(free))
            raise NeocogError(
                f"--{option} cannot change when a run is continued, as it would be another run. "
                f"These can: {known}. For a new run take --config."
            )
    return override(recipe, **changes)


def set_up(wanted: Wanted) -> Setup:
    """Load the data, choose the settings that were not given, and make the network."""
    recipe = wanted.recipe
    _check_model(recipe)
    # Checked first, so that mistakes are reported before data are loaded or anything is written.
    source, data_dir = wanted.source, wanted.data_dir
    found = None
    if data_dir is None:
        found = find_pictures(source, wanted.options, recipe.threads)
    if found is None:
        check_no_options(source, wanted.options)
        data = load_data(source, data_dir=data_dir, progress=loading_progress())
        network = make_network(recipe, data)
    else:
        recipe, found = _chosen(found, recipe, wanted.changes)
        say_pictures(found)
        data = Data.of(found.load())
        network = make_network(recipe, data)
        network.preprocessing = replace(network.preprocessing, resize=found.resize)
        say_notes(data)
        say_held_out(data, found)
        say_choices(recipe, network)
    network.name_classes(data.classes)
    return Setup(recipe, data, network)


def _chosen(found: Found, base: Recipe, changes: Mapping[str, Any] | None) -> tuple[Recipe, Found]:
    """The recipe for these pictures, and the pictures in the shape of its network.

    Args:
        found: the pictures.
        base: the recipe that was asked for.
        changes: settings that replace chosen ones; None if a recipe was asked for.

    Raises:
        NeocogError: there are fewer than two classes, or the network cannot take the pictures.
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
    """Raise `NeocogError` for a model that cannot exist, whatever the data are."""
    file = split_python_file(recipe.model)
    if file is None:
        make_model(recipe.model, width=recipe.width)
    elif not exists(file[0]):
        raise NeocogError(f"--model {recipe.model}: there is no such file.")
