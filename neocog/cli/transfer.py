"""``neocog train --transfer``: from a network that was trained on other pictures."""

import time
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace

from neocog.cli.choices import say_held_out, say_pictures
from neocog.cli.loading import check_no_options, say_not_kept, say_notes
from neocog.cli.targets import agreed, check_learnable, check_loss
from neocog.cli.terminal import loading_progress, say, say_compiling
from neocog.cli.training_setup import Setup, Wanted, check_classes, pictures_of
from neocog.cli.transfer_default import MODEL
from neocog.data import Data, load_data
from neocog.data.finding import Found
from neocog.engine import announced
from neocog.errors import NeocogError, printable
from neocog.evaluation import NumbersEvaluation, target_evaluation
from neocog.layers import image_shape
from neocog.loading import open_saved, without_weights
from neocog.losses import has_targets
from neocog.models import PHOTOGRAPHS
from neocog.models.enlarging import enlarging_layers, small_side
from neocog.models.named import is_new
from neocog.network import Network
from neocog.preprocessing import Preprocessing
from neocog.pretrained import PACKAGES, open_pretrained
from neocog.settings.override import override, short_names
from neocog.settings.recipe import OF_RECIPES, Recipe
from neocog.training.run_folder import RunFolder
from neocog.transfer.depth import Choice, choose
from neocog.transfer.head import Head
from neocog.transfer.steps import Steps
from neocog.transfer.task import OF_HEADS, Task, settings_for, views_for

__all__ = ["TransferSetup", "set_up_transfer"]

_FROM_NOTHING = {"width", "initialization", "normalize"}


@dataclass(frozen=True)
class TransferSetup(Setup):
    """What a fine-tuning starts from; its network is the one that becomes of it.

    Attributes:
        task: the network, and what it learns from.
        choice: what learns.
        weights: where they are from.
    """

    task: Task
    choice: Choice
    weights: str

    def begin(self, folder: RunFolder) -> Steps | None:
        """Fit the head alone, or give the training by steps that is left.

        Args:
            folder: of the run, which is told what learns.
        """
        task, steps, head = self.task, None, None
        began, progress = time.perf_counter(), loading_progress("views")
        features = task.cache(self.choice, on_disk=True, progress=progress)
        with announced(say_compiling):
            if self.choice.depth == "head":
                head = task.fit_head(features, progress)
                say(
                    f"The head: {_reached(head, task)} in cross-validation on the training "
                    f"pictures, with the strength {head.strength:.3g}."
                )
            else:
                steps = task.steps(self.choice, features)
        say_not_kept(features.why_not_kept)
        facts = {
            "weights": self.weights,
            **asdict(self.choice),
            "views": task.views,
            "preparing_seconds": time.perf_counter() - began,
            **({} if head is None else {"strength": head.strength}),
        }
        folder.note_transfer(facts, None if steps is not None else {*OF_HEADS, *OF_RECIPES})
        return steps


def _reached(head: Head, task: Task) -> str:
    """How good the head is on pictures that it has not seen."""
    labels, loss = task.data.labels, task.settings.loss
    if not has_targets(loss):
        return f"{100 * float((head.scores.argmax(axis=1) == labels).mean()):.1f} %"
    result = target_evaluation(loss, head.scores, labels, task.network.classes or ())
    if isinstance(result, NumbersEvaluation):
        return f"R² {result.r2:.3f}, mean absolute error {result.mae:.4g}"
    return f"mean average precision {100 * result.mean_precision:.1f} %"


def set_up_transfer(wanted: Wanted) -> TransferSetup:
    """Open the network, load the pictures in its shape, and choose what learns.

    Raises:
        NeocogError: the network has no weights, or the pictures are too few.
    """
    changes, asked = wanted.changes, wanted.recipe
    _check_settings(changes or {})
    check_loss(asked)
    said = asked.model if changes is None else changes.get("model")
    model, network, about = _opened(said, asked.pretrained)
    data, network.preprocessing = _loaded(wanted, network)
    check_learnable(data, asked.loss)
    views = views_for(data.train, asked.transfer_views)
    recipe = asked
    if changes is not None:
        chosen = Recipe(**vars(settings_for(views, len(data.train))), name="transfer", model=model)
        recipe = override(chosen, **{**changes, "model": model})
    recipe = replace(recipe, model=model, transfer_views=views)
    held_out = data.validation if len(data.validation) else None
    task = Task.of(network, data.train, held_out, data.classes, views, recipe, {})
    counts = task.counts(60 * recipe.transfer_minutes)
    choice = choose(task.network.graph, counts, str(recipe.transfer))
    say(f"Network: {about} [--model, --pretrained]")
    if enlarging_layers(task.network.graph) != enlarging_layers(network.graph):
        say(_enlarged(data, task.network))
    say(f"Views: {views} [--views]")
    say(f"{choice} [--transfer, --time]")
    if choice.depth == "head" and changes is not None:
        _say_unused(changes, wanted)
    return TransferSetup(recipe, data, task.network, task, choice, about)


def _say_unused(given: Collection[str], wanted: Wanted) -> None:
    """Name the options that are of training by steps, of which there are none."""
    follows = agreed(dict(wanted.options), {})[1]
    unused = [name for name in given if name not in {*OF_HEADS, *OF_RECIPES, *follows}]
    if unused:
        short = {full: name for name, full in short_names(Recipe).items()}
        options = ", ".join(f"--{short.get(name, name).replace('_', '-')}" for name in unused)
        say(f"Not used, as only the last layer learns: {options} [--transfer blocks]")


def _check_settings(given: Collection[str]) -> None:
    """Raise `NeocogError` for settings of networks that begin from nothing."""
    for name in _FROM_NOTHING & set(given):
        option = {"initialization": "init"}.get(name, name)
        raise NeocogError(f"--{option} is for training from nothing: leave it out with --transfer.")


def _opened(model: str | None, source: str | None) -> tuple[str, Network, str]:
    """A network with weights: its name or file, itself, and what people are told of it.

    Args:
        model: its name, or a saved one; None if nobody has said.
        source: of its weights; None for those of its package, or its own.
    """
    if source is not None:
        # A recipe names a network even where its user has not.
        named = model if model in PHOTOGRAPHS else None
        found = open_pretrained(source, model=named, needs_head=False)
        return found.model, found.network, found.notes[0].removesuffix(".")
    model = MODEL if model is None else model
    if model in PACKAGES:  # also where a folder is called so
        found = open_pretrained(model)
        return model, found.network, found.notes[0].removesuffix(".")
    if is_new(model):
        raise NeocogError(f"{without_weights(model)} --pretrained can say where its weights are.")
    network, notes = open_saved(model)
    for note in notes:
        say(note)
    return model, network, printable(model)


def _loaded(wanted: Wanted, network: Network) -> tuple[Data, Preprocessing]:
    """The pictures in the network's shape, and its preprocessing with how they were made so."""
    found = pictures_of(wanted)
    if found is None:
        check_no_options(wanted.source, wanted.options)
        loaded = load_data(wanted.source, data_dir=wanted.data_dir, progress=loading_progress())
        return loaded, network.preprocessing
    check_classes(found)
    shape = image_shape(network.input_shape)
    side = small_side(shape, found.survey.shorter_side)
    if side is not None and not found.options.size:
        one = found.survey.one_size
        height, width = (side, side) if one is None else (one[1], one[0])
        return _decoded(found.made((shape[0], height, width)), network)
    options = found.options
    if (options.size and options.size != shape[1:]) or options.channels not in (None, shape[0]):
        raise NeocogError(
            f"The network takes images of the shape {shape} (channels, height, width): leave "
            "--size and --channels out."
        )
    own = network.preprocessing.resize
    return _decoded(found.made(shape, own if options.resize is None else None), network)


def _decoded(found: Found, network: Network) -> tuple[Data, Preprocessing]:
    say_pictures(found)
    data = Data.of(found.load())
    say_notes(data)
    say_held_out(data, found)
    return data, replace(network.preprocessing, resize=found.resize)


def _enlarged(data: Data, network: Network) -> str:
    height, width = data.train.images.shape[1:3]
    _channels, down, across = network.graph.shapes[enlarging_layers(network.graph)[0]]
    return (
        f"Pictures of {width} × {height} are small for this network, which enlarges them itself, "
        f"to {across} × {down}."
    )
