"""`fine_tune`: a network that knows many photographs learns the classes of some others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from neocog.class_names import class_names
from neocog.data.images import Dataset
from neocog.data.progress import Progress
from neocog.formats.checkpoint import Checkpoint
from neocog.layers import Conv2d, Linear
from neocog.losses import has_targets
from neocog.network import Network, check_network
from neocog.settings.optimizers import AdamW, Group
from neocog.settings.override import override
from neocog.settings.schedules import OneCycle
from neocog.settings.training import TrainingSettings
from neocog.training.callback import Callback
from neocog.training.fit import fit
from neocog.training.history import History
from neocog.transfer.blocks import Blocks, upper_part
from neocog.transfer.cut import lower_of, places, upper_of, with_outputs
from neocog.transfer.depth import DEPTHS, PASSES, Choice, Counts, choose
from neocog.transfer.feature_cache import FeatureCache, picture_keys
from neocog.transfer.features import Features
from neocog.transfer.folding import Folding
from neocog.transfer.head import Head, fit_head
from neocog.transfer.pictures import are_gray, check_pictures, outputs_of
from neocog.transfer.views import VIEW_SETS, check_views
from neocog.validation import choice, flag, instance, real, refuse

__all__ = ["FineTuned", "fine_tune"]

#: Settings of depths that train by steps. Rates are for a head that is at its optimum already.
_STEPS = TrainingSettings(
    batch_size=32,
    optimizer=AdamW(lr=1e-3, weight_decay=0.02),
    schedule=OneCycle(),
    label_smoothing=0.05,
)
# Lower layers' rate, as a part of the upper ones', where all learn.
_LOWER = 0.1
# The part of the multiply-adds that lower layers have.
_LOWER_PART = 0.5


@dataclass(frozen=True, eq=False)
class FineTuned:
    """The result of `neocog.fine_tune`.

    Attributes:
        network: a new network for the classes of the pictures.
        choice: the depth, where the network was cut, and what was expected.
        views: the set of views.
        head: the last layer's fit, which the other depths begin with.
        accuracy: in cross-validation of the head on the training pictures, from 0 to 1; None for
            targets. Deeper changes are measured by `neocog.evaluate` on other pictures.
        history: of the training by steps; None for the head alone.
        computed: features and maps that were computed; the others were in the cache.
        why_not_kept: why the cache has nothing of them; empty if it has, or was not to.
    """

    network: Network
    choice: Choice
    views: str
    head: Head = field(repr=False)
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
    - ``"blocks"``: then everything behind a place in the middle. The maps at that place are
      computed once for each view of each picture, and the part behind it trained on them.
    - ``"all"``: after the head, all layers, the lower ones at smaller rates.
    - ``"auto"``: one of these, by the number of pictures and the minutes.

    Features and maps are kept in the cache folder by the pictures' content, so that later calls
    compute only what is new. The result is the same, bit for bit, with any number of threads.

    Args:
        network: with weights, ending in a linear layer. It stays as it is.
        data: the pictures, of the network's input shape, and their classes, as for `neocog.fit`.
        depth: as above.
        validation: pictures that are evaluated after every epoch, as in `neocog.fit`.
        classes: names of the classes, to travel with the network.
        views: what the training pictures are seen in: "none" but themselves, "mirror" images,
            "flips" in four ways, or "crops"; "mirror" if None, or "none" where all are gray.
        place: the layer behind which all learn, for "blocks"; chosen by the minutes if None.
        minutes: what "auto" and "blocks" may take, by an estimate for two cores.
        settings: of the steps; `threads`, `seed` and `loss` apply to all depths. The default is
            AdamW in batches of 32 with a one-cycle schedule, over which each picture is seen eight
            times.
        cache: whether features are kept on the disk, and found there.
        callback: told how the training by steps goes, as in `neocog.fit`.
        progress: called with the task ("features" or "maps"), how many are done, and how many
            there are.
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
    task = _Task.of(network, data, validation, classes, views, settings, changes)
    choice("depth", depth, DEPTHS)
    for name, told in (("progress", progress), ("on_choice", on_choice)):
        if told is not None and not callable(told):
            raise refuse(name, told, "a function, or None")
    on_disk = flag("cache", cache)
    seconds = 60 * real("minutes", minutes, above=0, wanted="a number above 0, such as 2")
    chosen = choose(task.network.graph, task.counts(seconds), depth, place)
    if chosen.place is not None:
        upper_of(task.network.graph, chosen.place)  # a wrong place is said at once
    if on_choice is not None:
        on_choice(chosen)
    # Deeper changes need a head only to begin with, of the pictures as they are.
    seen_in = task.view_names if chosen.depth == "head" else ("whole",)
    features = task.cache(None, on_disk, counted(progress, "features", len(seen_in)))
    head = task.fit_head(features, seen_in)
    computed, why, history = features.computed, features.why_not_kept, None
    if chosen.place is not None:
        maps = task.cache(chosen.place, on_disk, counted(progress, "maps", len(task.view_names)))
        blocks = task.blocks(chosen.place, maps)
        history = task.train_blocks(blocks, callback, resume)
        computed, why = computed + maps.computed, why or maps.why_not_kept
    elif chosen.depth == "all":
        history = task.train_all(callback, resume)
    accuracy = None
    if not has_targets(task.settings.loss):
        accuracy = float((head.scores.argmax(axis=1) == task.data.labels).mean())
    return FineTuned(task.network, chosen, task.views, head, accuracy, history, computed, why)


@dataclass(frozen=True, eq=False)
class _Task:
    """Arguments that were checked, and the network that becomes of them."""

    network: Network
    data: Dataset
    validation: Dataset | None
    views: str
    settings: TrainingSettings

    @classmethod
    def of(
        cls,
        network: Network,
        data: Dataset,
        validation: Dataset | None,
        classes: tuple[str, ...] | None,
        views: str | None,
        settings: TrainingSettings | None,
        changes: dict[str, Any],
    ) -> "_Task":
        network = check_network(network)
        train = check_pictures(network, data, "fine_tune(network, data.train)")
        held_out = None
        if validation is not None:
            held_out = check_pictures(network, validation, "validation=data.validation")
        if views is None:
            views = "none" if are_gray(train.images) else "mirror"
        views = check_views(views)
        base = settings
        if base is None:
            passes = PASSES / len(VIEW_SETS[views])
            base = replace(_STEPS, epochs=int(passes) if passes == int(passes) else passes)
        how = override(
            instance("settings", base, TrainingSettings, "a neocog TrainingSettings"), **changes
        )
        if has_targets(how.loss) and settings is None and "label_smoothing" not in changes:
            how = replace(how, label_smoothing=0.0)
        names = None if classes is None else class_names(classes)
        own = with_outputs(network, outputs_of(train, how.loss, names))
        own.classes, own.loss = names, how.loss
        return cls(own, train, held_out, views, how)

    @property
    def view_names(self) -> tuple[str, ...]:
        return VIEW_SETS[self.views]

    def counts(self, seconds: float) -> Counts:
        classes = 1 if has_targets(self.settings.loss) else self.network.output_shape[0]
        held_out = 0 if self.validation is None else len(self.validation)
        return Counts(len(self.data), classes, len(self.view_names), held_out, seconds)

    def cache(
        self, place: str | None, on_disk: bool, progress: Callable[[int, int], None] | None
    ) -> FeatureCache:
        """What gives features or maps, and how far it is with the training pictures."""
        found = FeatureCache(Features(self.network, place, self.settings.threads), on_disk)
        if progress is not None:
            found.on_progress = lambda: progress(found.computed, len(self.data))
        return found

    def fit_head(self, cache: FeatureCache, views: tuple[str, ...]) -> Head:
        """Fit the last layer, and write it into the network."""
        keys = picture_keys(self.data.images)
        of_views = [cache.of(self.data.images, view, keys) for view in views]
        outputs = self.network.output_shape[0]
        head = fit_head(of_views, self.data.labels, outputs, self.settings.loss, self.settings.seed)
        last = self.network.graph.nodes[-1].name
        state = self.network.state_dict()
        state |= {f"{last}.weight": head.weight, f"{last}.bias": head.bias}
        self.network.load_state_dict(state)
        return head

    def blocks(self, place: str, cache: FeatureCache) -> Blocks:
        return upper_part(self.network, place, self.view_names, self.data, self.validation, cache)

    def train_blocks(
        self,
        blocks: Blocks,
        callback: Callback | Sequence[Callback] | None,
        resume: Checkpoint | None,
    ) -> History:
        history = fit(
            blocks.upper,
            blocks.train,
            self.settings,
            validation=blocks.validation,
            callback=callback,
            resume=resume,
        )
        blocks.into(self.network)
        return history

    def train_all(
        self, callback: Callback | Sequence[Callback] | None, resume: Checkpoint | None
    ) -> History:
        """All layers, those of the lower half at a smaller rate; mirrored at random."""
        graph, rate = self.network.graph, self.settings.optimizer.lr
        half = [one for one in places(graph) if one.below <= _LOWER_PART * (one.below + one.behind)]
        lower = lower_of(graph, half[-1].name).leaves if half else {}
        groups = tuple(
            Group(f"{name}.*", lr=_LOWER * rate)
            for name, layer in lower.items()
            if isinstance(layer, Conv2d | Linear)
        )
        optimizer = self.settings.optimizer
        optimizer = replace(optimizer, groups=(*optimizer.groups, *groups))
        flip = "random" if self.views != "none" else None
        passes = self.settings.epochs * len(self.view_names)
        how = replace(
            self.settings,
            optimizer=optimizer,
            augmentation=replace(self.settings.augmentation, flip=flip),
            epochs=passes,
        )
        folding, state = Folding(graph), self.network.state_dict()
        whole = Network.from_graph(folding.graph, preprocessing=self.network.preprocessing)
        whole.load_state_dict(folding.folded(state))
        history = fit(
            whole,
            self.data,
            how,
            validation=self.validation,
            callback=callback,
            resume=resume,
        )
        self.network.load_state_dict(folding.unfolded(state, whole.state_dict()))
        return history


def counted(progress: Progress | None, what: str, views: int) -> Callable[[int, int], None] | None:
    """A progress function of the pictures that are computed in so many views."""
    if progress is None:
        return None
    return lambda done, pictures: progress(what, done, views * pictures)
