"""One fine-tuning: what it starts from, and its parts in order: the head, or the steps."""

from dataclasses import dataclass, replace
from typing import Any

from neocog.class_names import class_names
from neocog.data.images import Dataset, as_dataset
from neocog.data.progress import Progress
from neocog.layers import Conv2d, Linear
from neocog.losses import has_targets
from neocog.models.enlarging import for_small
from neocog.network import Network, check_network
from neocog.settings.optimizers import AdamW, Group
from neocog.settings.override import override
from neocog.settings.recipe import VIEW_SETS
from neocog.settings.schedules import OneCycle
from neocog.settings.training import LOSSES, TrainingSettings
from neocog.transfer.blocks import upper_part
from neocog.transfer.cut import lower_of, places, with_outputs
from neocog.transfer.depth import BATCH_SIZE, Choice, Counts, passes_over
from neocog.transfer.feature_cache import FeatureCache, picture_keys
from neocog.transfer.features import Features
from neocog.transfer.head import Head, fit_head
from neocog.transfer.pictures import are_gray, check_pictures, outputs_of
from neocog.transfer.statistics import following_batches
from neocog.transfer.steps import Steps
from neocog.transfer.views import check_views
from neocog.validation import instance

__all__ = ["OF_HEADS", "Task", "settings_for", "views_for"]

#: Settings that a head has, which is not trained by steps.
OF_HEADS = ("loss", "standardize_targets", "seed", "threads")

#: Settings of depths that train by steps.
_STEPS = TrainingSettings(
    batch_size=BATCH_SIZE,
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


def settings_for(views: str, pictures: int) -> TrainingSettings:
    """The settings of the steps, where nobody has said any, for so many pictures in these views."""
    return replace(_STEPS, epochs=max(1, round(passes_over(pictures) / len(VIEW_SETS[views]))))


@dataclass(frozen=True, eq=False)
class Task:
    """Arguments that were checked, and the network that becomes of them.

    Attributes:
        network: a new one for the classes of the pictures, whose last layer is zero; `fit_head`
            gives it its optimum.
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
        found = as_dataset(data, "fine_tune(network, data.train)")
        network = for_small(check_network(network), *found.images.shape[1:3])
        train = check_pictures(network, found)
        held_out = None
        if validation is not None:
            held_out = check_pictures(network, as_dataset(validation, "validation=data.validation"))
        views = views_for(train, views)
        base = settings
        if base is None:
            loss = changes.get("loss", LOSSES[0])
            base = settings_for(views, len(train))
            if isinstance(loss, str) and has_targets(loss):
                base = replace(base, label_smoothing=0.0)
            if loss == "mse":
                base = replace(base, loss=loss, standardize_targets=True)
        how = override(
            instance("settings", base, TrainingSettings, "a neocog TrainingSettings"), **changes
        )
        names = None if classes is None else class_names(classes)
        own = with_outputs(network, outputs_of(train, how.loss, names, held_out))
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
        views = len(self.view_names)
        passes = views * self.settings.epochs
        return Counts(len(self.data), classes, views, held_out, seconds, passes)

    def cache(self, chosen: Choice, on_disk: bool, progress: Progress | None) -> FeatureCache:
        """What gives the features, or the maps, of the training pictures' views.

        Args:
            chosen: the depth; one that needs neither asks for nothing.
            on_disk: whether they are kept there.
            progress: told how many are done.
        """
        features = Features(self.network, chosen.place, self.settings.threads)
        found = FeatureCache(features, on_disk)
        if progress is not None:
            what, each = "features", len(self.view_names) * len(self.data)
            total = each
            if chosen.depth == "blocks":
                what, total = "maps", each + len(self.validation or ())

            told = 0

            def tell() -> None:
                nonlocal told
                if found.again == told:
                    progress(what, found.done, total)
                else:  # the cache takes none
                    told = found.again
                    progress(f"{what}, computed again as they are not kept", told, each)

            found.on_progress = tell
        return found

    def fit_head(self, cache: FeatureCache, progress: Progress | None = None) -> Head:
        """Fit the last layer, and write it into the network."""
        keys = picture_keys(self.data.images)
        of_views = [cache.of(self.data.images, view, keys) for view in self.view_names]
        outputs, how = self.network.output_shape[0], self.settings
        head = fit_head(of_views, self.data.labels, outputs, how.loss, how.seed, progress)
        last = self.network.graph.nodes[-1].name
        state = self.network.state_dict()
        state |= {f"{last}.weight": head.weight, f"{last}.bias": head.bias}
        self.network.load_state_dict(state)
        return head

    def steps(self, chosen: Choice, cache: FeatureCache) -> Steps:
        """The training by steps of a choice that is not the head alone.

        Args:
            chosen: the depth and the place.
            cache: of this choice.
        """
        if chosen.place is None:
            return self._all()
        views = self.view_names
        blocks = upper_part(self.network, chosen.place, views, self.data, self.validation, cache)
        return self._steps(blocks.upper, blocks.train, blocks.validation, self.settings)

    def _steps(
        self,
        network: Network,
        train: Dataset,
        validation: Dataset | None,
        settings: TrainingSettings,
    ) -> Steps:
        before = self.network.copy()

        def back(trained: Network) -> Network:
            found = before.copy()
            found.load_state_dict(before.state_dict() | trained.state_dict())
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
        following = following_batches(graph)
        whole = Network.from_graph(following, preprocessing=self.network.preprocessing)
        whole.load_state_dict(self.network.state_dict())
        return self._steps(whole, self.data, self.validation, settings)
