"""The settings of training that decide which program is built."""

from dataclasses import dataclass, field
from functools import partial

from neocog.engine.update_plan import UpdatePlan
from neocog.kernels.input.augmented import Augment
from neocog.settings.training import TrainingSettings

__all__ = ["ProgramOptions"]


@dataclass(frozen=True)
class ProgramOptions:
    """What a training program does besides the forward and backward pass.

    Attributes:
        update_plan: how parameters move.
        augment: how images are varied, if they are.
        settings: the settings of training.
        of_score: whether to differentiate the label's score instead of the loss.
        stored: height and width of the stored images, if they are cropped to the network's.
        sample_weighted: whether images have weights.
    """

    update_plan: UpdatePlan
    augment: Augment | None = None
    settings: TrainingSettings = field(default_factory=TrainingSettings)
    of_score: bool = False
    stored: tuple[int, int] | None = None
    sample_weighted: bool = False

    @classmethod
    def of(
        cls,
        settings: TrainingSettings,
        *,
        moves_momentum: bool = False,
        of_score: bool = False,
        stored: tuple[int, int] | None = None,
        sample_weighted: bool = False,
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
            settings,
            of_score,
            stored,
            sample_weighted,
        )

    @property
    def mixup(self) -> float:
        """The α that images are mixed with; 0 if they are not."""
        return self.augment.mixup if self.augment else 0.0
