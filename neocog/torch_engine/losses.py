"""The losses of `neocog.losses`, by PyTorch's functions.

With e the loss of each image and its label, e′ with the label of its partner in mixup, a and a′
their weights, λ mixup's share and W the sum of a times the weight of the class:

    loss = (λ Σ a e + (1 − λ) Σ a′ e′) / W,   0 where all images of the batch have the weight 0

which is what `kernels.loss` computes. Every image is a partner once, so W is the same for both. Of
several processes each has the sum over its part of the batch, divided by the W of the whole.
"""

from dataclasses import dataclass

import torch
from torch.nn import functional

from neocog.losses import check_weights, has_targets
from neocog.settings.training import TrainingSettings

__all__ = ["BatchLoss", "Mixing"]


@dataclass(frozen=True)
class Mixing:
    """How a batch is mixed: its share λ, and the rotation by which images have partners."""

    share: float
    rotation: int


class BatchLoss:
    """The mean loss of a batch.

    Args:
        settings: of the training.
        outputs: of the network.
        device: where scores and labels are.
    """

    def __init__(self, settings: TrainingSettings, outputs: int, device: torch.device) -> None:
        self._loss = settings.loss
        self._smoothing = settings.label_smoothing

        def weights(name: str, given: tuple[float, ...] | None) -> torch.Tensor | None:
            if given is None:
                return None
            return torch.from_numpy(check_weights(name, outputs, given)).to(device)

        self._classes = weights("class_weights", settings.class_weights)
        self._positive = weights("pos_weight", settings.pos_weight)

    def __call__(
        self,
        scores: torch.Tensor,
        labels: torch.Tensor,
        sample_weights: torch.Tensor | None = None,
        mixing: Mixing | None = None,
        part: slice = slice(None),
    ) -> torch.Tensor:
        """The mean loss, or what a part of the batch has of it.

        Args:
            scores: [p, outputs] of the part, of any floating type.
            labels: int64 [n], or targets float32 [n, outputs], of the batch.
            sample_weights: float32 [n], of the batch.
            mixing: of the batch, if it is mixed.
            part: of the batch.
        """
        scores = scores.float()
        counted = scores.new_ones(len(labels)) if sample_weights is None else sample_weights
        total = (counted[part] * self._each(scores, labels[part])).sum()
        if mixing is not None:
            partners = labels.roll(-mixing.rotation, 0)[part]
            weights = counted.roll(-mixing.rotation, 0)[part]
            others = (weights * self._each(scores, partners)).sum()
            total = mixing.share * total + (1 - mixing.share) * others
        if self._classes is not None:
            counted = counted * self._classes[labels]
        whole = counted.sum()
        if sample_weights is None:
            return total / whole
        return total / torch.where(whole > 0, whole, torch.inf)

    def _each(self, scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The loss of each image, [n]."""
        if not has_targets(self._loss):
            return functional.cross_entropy(
                scores,
                labels,
                weight=self._classes,
                label_smoothing=self._smoothing,
                reduction="none",
            )
        if self._loss == "mse":
            return functional.mse_loss(scores, labels, reduction="none").mean(1)
        each = functional.binary_cross_entropy_with_logits(
            scores, labels, pos_weight=self._positive, reduction="none"
        )
        return each.mean(1)
