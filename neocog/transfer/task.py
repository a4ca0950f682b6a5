"""One fine-tuning: what it starts from, and its parts in order: the choice, the head, the steps."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from neocog.class_names import class_names
from neocog.data.images import Dataset
from neocog.data.progress import Progress
from neocog.layers import Conv2d, Linear
from neocog.losses import has_targets
from neocog.network import Network, check_network
from neocog.settings.optimizers import AdamW, Group
from neocog.settings.override import override
from neocog.settings.schedules import OneCycle
from neocog.settings.training import LOSSES, TrainingSettings
from neocog.transfer.blocks import upper_part
from neocog.transfer.cut import lower_of, places, with_outputs
from neocog.transfer.depth import PASSES, Choice, Counts
from neocog.transfer.feature_cache import FeatureCache, picture_keys
from neocog.transfer.features import Features
from neocog.transfer.folding import Folding
from neocog.transfer.head import Head, fit_head
from neocog.transfer.pictures import are_gray, check_pictures, outputs_of
from neocog.transfer.steps import Steps
from neocog.transfer.views import VIEW_SETS, check_views
from neocog.validation import instance

__all__ = ["Task", "counted", "settings_for", "views_for"]

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


def views_for(data: Dataset, views: str | None) -> str:
    """The set of views: the one that was said, else mirror images of what has colors."""
    if views is None:
        return "whole" if are_gray(data.images) else "mirror"
    return check_views(views)


def settings_for(views: str) -> TrainingSettings:
    """The settings of the steps, where nobody has said any, for pictures in these views."""
    passes = PASSES / len(VIEW_SETS[views])
    return replace(_STEPS, epochs=int(passes) if passes == int(passes) else passes)


@dataclass(frozen=True, eq=False)
class Task:
    """Arguments that were checked, and the network that becomes of them.

    Attributes:
        network: a new one for the classes of the pictures; `fit_head` gives it its last layer.
        data: to train on.
        validation: to evaluate after every epoch.
        views: the set of views of the training pictures.
        settings: of the steps; `threads`, `seed` and `loss` apply to all depths.
    """

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
    ) -> "Task":
        """Check arguments, which are as in `neocog.fine_tune`."""
        network = check_network(network)
        train = check_pictures(network, data, "fine_tune(network, data.train)")
        held_out = None
        if validation is not None:
            held_out = check_pictures(network, validation, "validation=data.validation")
        views = views_for(train, views)
        base = settings
        if base is None:
            loss = changes.get("loss", LOSSES[0])
            base = settings_for(views)
            if isinstance(loss, str) and has_targets(loss):
                base = replace(base, label_smoothing=0.0)
        how = override(
            instance("settings", base, TrainingSettings, "a neocog TrainingSettings"), **changes
        )
        names = None if classes is None else class_names(classes)
        own = with_outputs(network, outputs_of(train, how.loss, names))
        own.classes, own.loss = names, how.loss
        return cls(own, train, held_out, views, how)

    @property
    def view_names(self) -> tuple[str, ...]:
        """The views of the training pictures."""
        return VIEW_SETS[self.views]

    def counts(self, seconds: float) -> Counts:
        """What the choice of a depth depends on besides the network."""
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

    def steps(self, chosen: Choice, maps: FeatureCache | None) -> Steps | None:
        """The training by steps of a choice; None for the head alone.

        Args:
            chosen: the depth and the place.
            maps: gives the maps at the place, for "blocks".
        """
        if chosen.depth == "head":
            return None
        if maps is None:
            return self._all()
        place = str(chosen.place)
        blocks = upper_part(self.network, place, self.view_names, self.data, self.validation, maps)
        return self._steps(
            blocks.folding, blocks.upper, blocks.train, blocks.validation, self.settings
        )

    def _steps(
        self,
        folding: Folding,
        network: Network,
        train: Dataset,
        validation: Dataset | None,
        settings: TrainingSettings,
    ) -> Steps:
        before = self.network.copy()

        def back(trained: Network) -> Network:
            found, state = before.copy(), before.state_dict()
            found.load_state_dict(state | folding.unfolded(state, trained.state_dict()))
            return found

        return Steps(network, train, validation, settings, back)

    def _all(self) -> Steps:
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
        flip = "random" if self.views != "whole" else None
        settings = replace(
            self.settings,
            optimizer=optimizer,
            augmentation=replace(self.settings.augmentation, flip=flip),
            epochs=self.settings.epochs * len(self.view_names),
        )
        folding = Folding(graph)
        whole = Network.from_graph(folding.graph, preprocessing=self.network.preprocessing)
        whole.load_state_dict(folding.folded(self.network.state_dict()))
        return self._steps(folding, whole, self.data, self.validation, settings)


def counted(progress: Progress | None, what: str, views: int) -> Callable[[int, int], None] | None:
    """A progress function of the pictures that are computed in so many views."""
    if progress is None:
        return None
    return lambda done, pictures: progress(what, done, views * pictures)
