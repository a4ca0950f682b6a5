"""`fine_tune`: a network that knows many photographs learns the classes of some others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from neocog.data.images import Dataset
from neocog.data.progress import Progress
from neocog.errors import NeocogError
from neocog.formats.checkpoint import Checkpoint
from neocog.losses import has_targets
from neocog.network import Network
from neocog.settings.recipe import DEPTHS
from neocog.settings.training import TrainingSettings
from neocog.training.callback import Callback
from neocog.training.fit import fit
from neocog.training.history import History
from neocog.transfer.cut import upper_of
from neocog.transfer.depth import Choice, choose
from neocog.transfer.head import Head
from neocog.transfer.task import Task
from neocog.validation import choice, flag, instance, real, refuse

__all__ = ["FineTuned", "fine_tune"]


@dataclass(frozen=True, eq=False)
class FineTuned:
    """The result of `neocog.fine_tune`.

    Attributes:
        network: a new network for the classes of the pictures.
        choice: the depth, where the network was cut, and what was expected.
        views: the set of views.
        head: the last layer's fit, for the head alone.
        accuracy: in cross-validation of the head alone on the training pictures, from 0 to 1; None
            for targets, and where more has learned: `neocog.evaluate` measures on other pictures.
        history: of the training by steps; None for the head alone.
        computed: features and maps that were computed; the others were in the cache.
        why_not_kept: why the cache has nothing of them; empty if it has, or was not to.
    """

    network: Network
    choice: Choice
    views: str
    head: Head | None = field(repr=False)
    accuracy: float | None
    history: History | None = field(repr=False)
    computed: int
    why_not_kept: str = ""

    @property
    def depth(self) -> str:
        """What has learned: "head", "blocks" or "all"."""
        return self.choice.depth


def fine_tune(
    network: Network,
    data: Dataset,
    depth: str = "auto",
    *,
    validation: Dataset | None = None,
    classes: tuple[str, ...] | None = None,
    views: str | None = None,
    place: str | None = None,
    minutes: float = 2.0,
    settings: TrainingSettings | None = None,
    cache: bool = True,
    callback: Callback | Sequence[Callback] | None = None,
    progress: Progress | None = None,
    on_choice: Callable[[Choice], None] | None = None,
    resume: Checkpoint | None = None,
    **changes: Any,
) -> FineTuned:
    """Make a classifier of some pictures from a network that was trained on many others.

    The network's last linear layer is exchanged for one of the new classes. What else learns is the
    depth:

    - ``"head"``: the last layer alone. Its features are computed once, and it is fitted to its
      optimum, with the strength of its penalty chosen by cross-validation. Takes seconds.
    - ``"blocks"``: everything behind a place in the middle. The maps at that place are computed
      once for each view of each picture, and the part behind it trained on them.
    - ``"all"``: all layers, the lower ones at smaller rates.
    - ``"auto"``: one of these, by the number of pictures and the minutes.

    Features and maps are kept in the cache folder by the pictures' content, so that later calls
    compute only what is new. The result is the same, bit for bit, with any number of threads.

    Args:
        network: with weights, ending in a linear layer. It stays as it is.
        data: the pictures, of the network's input shape, and their classes, as for `neocog.fit`.
            Pictures at most about half as large are enlarged by layers in front of the network,
            which so takes them as they are.
        depth: as above.
        validation: pictures that are evaluated after every epoch, as in `neocog.fit`.
        classes: names of the classes, to travel with the network.
        views: what the training pictures are seen in: "whole" as they are, with "mirror" images,
            with "flips" in four ways, or with "crops"; "mirror" if None, or "whole" where all are
            gray.
        place: the layer behind which all learn, for "blocks"; chosen by the minutes if None.
        minutes: what "auto" and "blocks" may take, by an estimate for two cores.
        settings: of the steps; `threads`, `seed` and `loss` apply to all depths. The default is
            AdamW in batches of 32 with a one-cycle schedule, over which each picture is seen eight
            times, or more often where that would be fewer than 250 steps.
        cache: whether features are kept on the disk, and found there.
        callback: told how the training by steps goes, as in `neocog.fit`.
        progress: called with the task, how much is done, and how much there is: "features" or
            "maps" of pictures; and fits for the "strength" of the head's penalty, at most, and for
            the "head".
        on_choice: called with what is to be done, before it begins.
        resume: a state of the training by steps, from `TrainingRun.state` of a run with the same
            arguments.
        **changes: settings in the place of those in `settings`, as in `neocog.fit`.

    Raises:
        ArchitectureError: the network has no weights, does not end in a linear layer, or cannot be
            cut at the place.
        DataError: pictures that do not fit the network, or fewer than two of a class.
        NeocogError: bad arguments, or too little memory.
    """
    task = Task.of(network, data, validation, classes, views, settings, changes)
    choice("depth", depth, DEPTHS)
    for name, told in (("progress", progress), ("on_choice", on_choice)):
        if told is not None and not callable(told):
            raise refuse(name, told, "a function, or None")
    on_disk = flag("cache", cache)
    seconds = 60 * real("minutes", minutes, above=0, wanted="a number above 0, such as 2")
    chosen = choose(task.network.graph, task.counts(seconds), depth, place)
    if chosen.place is not None:
        upper_of(task.network.graph, chosen.place)  # a wrong place is said at once
    if resume is not None:
        instance("resume", resume, Checkpoint, "a neocog checkpoint, or None")
        if chosen.depth == "head":
            raise NeocogError("resume is for training by steps, and only the last layer learns.")
    if on_choice is not None:
        on_choice(chosen)
    features = task.cache(chosen, on_disk, progress)
    head = history = accuracy = None
    found = task.network
    if chosen.depth == "head":
        head = task.fit_head(features, progress)
        if not has_targets(task.settings.loss):
            accuracy = float((head.scores.argmax(axis=1) == task.data.labels).mean())
    else:
        steps = task.steps(chosen, features)
        history = fit(
            steps.network,
            steps.train,
            steps.settings,
            validation=steps.validation,
            callback=callback,
            resume=resume,
        )
        found = steps.whole(steps.network)
    return FineTuned(
        found,
        chosen,
        task.views,
        head,
        accuracy,
        history,
        features.computed,
        features.why_not_kept,
    )
