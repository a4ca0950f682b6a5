"""How a network is trained, as far as the program depends on it."""

from dataclasses import dataclass
from functools import partial

from neocog.engine.update_plan import UpdatePlan
from neocog.kernels.augmentation import Augment
from neocog.settings.training import TrainingSettings

__all__ = ["ProgramOptions"]


@dataclass(frozen=True)
class ProgramOptions:
    """What a training program does beside forward and back.

    Attributes:
        update_plan: how parameters move.
        augment: how images are varied, if they are.
        label_smoothing: from 0 to 1.
        weighted: whether classes have weights.
        of_score: whether the label's score stands in place of the loss, for a look at its gradient.
        stored: height and width of the images that are cropped, if another than the network's.
    """

    update_plan: UpdatePlan
    augment: Augment | None = None
    label_smoothing: float = 0.0
    weighted: bool = False
    of_score: bool = False
    stored: tuple[int, int] | None = None

    @classmethod
    def of(
        cls,
        settings: TrainingSettings,
        *,
        moves_momentum: bool = False,
        of_score: bool = False,
        stored: tuple[int, int] | None = None,
    ) -> "ProgramOptions":
        """What a training's settings ask of its program; `moves_momentum` as its rates do."""
        augmentation = settings.augmentation
        return cls(
            UpdatePlan(
                partial(settings.optimizer.rule_for, moves_momentum=moves_momentum),
                settings.clip_norm is not None,
                settings.accumulate,
                settings.averaging.kind if settings.averaging else "",
            ),
            Augment.of(augmentation) if augmentation.changes else None,
            settings.label_smoothing,
            settings.class_weights is not None,
            of_score,
            stored,
        )

    @property
    def mixup(self) -> float:
        """The α that images are mixed with; 0 if they are not."""
        return self.augment.mixup if self.augment else 0.0

    @property
    def plain(self) -> bool:
        """Whether the loss is plain cross-entropy."""
        return not (
            self.label_smoothing or self.weighted or self.mixup or self.update_plan.accumulate > 1
        )
