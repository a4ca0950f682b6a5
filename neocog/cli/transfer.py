"""``neocog train --transfer``: from a network that was trained on other pictures."""

from dataclasses import dataclass, replace

from neocog.cli.choices import say_held_out, say_pictures
from neocog.cli.loading import check_no_options, find_pictures, say_notes
from neocog.cli.terminal import loading_progress, say
from neocog.cli.training_setup import Setup, Wanted
from neocog.data import Data, load_data
from neocog.errors import NeocogError, printable
from neocog.layers import image_shape
from neocog.loading import open_saved
from neocog.models.named import is_new
from neocog.network import Network
from neocog.preprocessing import Preprocessing
from neocog.pretrained import PACKAGES, open_pretrained
from neocog.settings.override import override
from neocog.settings.recipe import Recipe
from neocog.transfer.depth import Choice, choose
from neocog.transfer.steps import Steps
from neocog.transfer.task import Task, counted, settings_for, views_for

__all__ = ["TransferSetup", "set_up_transfer"]

#: The network, where nobody has said which.
MODEL = "efficientnet-lite0"


@dataclass(frozen=True)
class TransferSetup(Setup):
    """What a fine-tuning starts from; its network is the one that becomes of it.

    Attributes:
        task: the network, and what it learns from.
        choice: what learns.
    """

    task: Task
    choice: Choice

    def begin(self) -> Steps | None:
        """Fit the head; gives the training by steps that is left, None if there is none."""
        task, progress = self.task, loading_progress()
        views = task.view_names if self.choice.depth == "head" else ("whole",)
        features = task.cache(None, True, counted(progress, "features", len(views)))
        head = task.fit_head(features, views)
        accuracy = float((head.scores.argmax(axis=1) == task.data.labels).mean())
        say(
            f"The head alone: {100 * accuracy:.1f} % in cross-validation on the training pictures, "
            f"with the strength {head.strength:.3g}."
        )
        maps = None
        if self.choice.place is not None:
            told = counted(progress, "maps", len(task.view_names))
            maps = task.cache(self.choice.place, True, told)
        steps = task.steps(self.choice, maps)
        for one in (features, maps):
            if one is not None and one.why_not_kept:
                say(
                    f"Features are not kept on the disk, and computed again next time: "
                    f"{one.why_not_kept}"
                )
                break
        return steps


def set_up_transfer(wanted: Wanted) -> TransferSetup:
    """Open the network, load the pictures in its shape, and choose what learns.

    Raises:
        NeocogError: the network has no weights, or the pictures are too few.
    """
    changes, asked = wanted.changes, wanted.recipe
    model = asked.model if changes is None else changes.get("model", MODEL)
    network = _opened(model)
    data, network.preprocessing = _loaded(wanted, network)
    views = views_for(data.train, asked.transfer_views)
    recipe = asked
    if changes is not None:
        chosen = Recipe(**vars(settings_for(views)), name="transfer", model=model)
        recipe = override(chosen, **{**changes, "model": model})
    recipe = replace(recipe, transfer_views=views)
    held_out = data.validation if len(data.validation) else None
    task = Task.of(network, data.train, held_out, data.classes, views, recipe, {})
    counts = task.counts(60 * recipe.transfer_minutes)
    choice = choose(task.network.graph, counts, str(recipe.transfer))
    say(f"Network: {printable(model)} [--model]")
    say(f"Views: {views} [--views]")
    say(f"{choice} [--transfer, --time]")
    return TransferSetup(recipe, data, task.network, task, choice)


def _opened(model: str) -> Network:
    """A network with weights: one by name whose weights are installed, or a saved one."""
    if model in PACKAGES:
        return open_pretrained(model).network
    if is_new(model):
        raise NeocogError(
            f"--transfer starts from a network that was trained, and {printable(model)} has no "
            f"weights. Leave --model out for {MODEL}, or name one of {', '.join(PACKAGES)} or a "
            "saved network."
        )
    network, notes = open_saved(model)
    for note in notes:
        say(note)
    return network


def _loaded(wanted: Wanted, network: Network) -> tuple[Data, Preprocessing]:
    """The pictures in the network's shape, and its preprocessing with how they were made so."""
    found = None
    if wanted.data_dir is None:
        found = find_pictures(wanted.source, wanted.options, wanted.recipe.threads)
    if found is None:
        check_no_options(wanted.source, wanted.options)
        loaded = load_data(wanted.source, data_dir=wanted.data_dir, progress=loading_progress())
        return loaded, network.preprocessing
    shape = image_shape(network.input_shape)
    options = found.options
    if (options.size and options.size != shape[1:]) or options.channels not in (None, shape[0]):
        raise NeocogError(
            f"The network takes images of the shape {shape} (channels, height, width): leave "
            "--size and --channels out."
        )
    own = network.preprocessing.resize
    found = found.made(shape, own if options.resize is None else None)
    say_pictures(found)
    data = Data.of(found.load())
    say_notes(data)
    say_held_out(data, found)
    return data, replace(network.preprocessing, resize=found.resize)
