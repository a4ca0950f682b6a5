"""How a network is trained, as far as the program depends on it."""

from dataclasses import dataclass

from neocog.engine.update_plan import UpdatePlan
from neocog.kernels.augmentation import Augment

__all__ = ["ProgramOptions"]


@dataclass(frozen=True)
class ProgramOptions:
    """What a training program does beside forward and back.

    Attributes:
        update_plan: how parameters move.
        augment: how images are varied, if they are.
        smoothing: of the labels, from 0 to 1.
        weighted: whether classes have weights.
        of_score: whether the label's score stands in place of the loss, for a look at its gradient.
        stored: height and width of the images that are cropped, if another than the network's.
    """

    update_plan: UpdatePlan
    augment: Augment | None = None
    smoothing: float = 0.0
    weighted: bool = False
    of_score: bool = False
    stored: tuple[int, int] | None = None

    @property
    def mixup(self) -> float:
        """The α that images are mixed with; 0 if they are not."""
        return self.augment.mixup if self.augment else 0.0

    @property
    def plain(self) -> bool:
        """Whether the loss is plain cross-entropy."""
        return not (
            self.smoothing or self.weighted or self.mixup or self.update_plan.accumulate > 1
        )
