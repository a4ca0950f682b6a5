"""The end: cross-entropy in training, probabilities otherwise."""

from neocog.engine.builder import FLOAT, Builder
from neocog.engine.plan import Scope
from neocog.engine.tensor import Tensor
from neocog.kernels.augmentation import AUGMENT_SETTINGS
from neocog.kernels.cross_entropy import CrossEntropy
from neocog.kernels.cross_entropy import cross_entropy as cross_entropy_kernel
from neocog.kernels.layout import padded
from neocog.kernels.softmax import Softmax, score_of_label, softmax, softmax_cross_entropy

__all__ = ["cross_entropy", "probabilities"]


def cross_entropy(b: Builder, z: Tensor) -> None:
    """Each image's loss, and δ = y − t as the gradient of the scores z."""
    b.plan.buffer("losses", 8, Scope.BATCH)
    bare = z.gradient_map.bare
    dz = b.map("loss.dz", bare, transient=True)
    operands = (z.name, dz, "losses", "order", "labels", "step")
    how = b.method
    if how is not None and how.of_score:
        b.emit(score_of_label, Softmax(z.channels), operands, "loss")
    elif how is None or how.plain:
        b.emit(softmax_cross_entropy, Softmax(z.channels), operands, "loss")
    else:
        classes, augment, samples = None, None, None
        if how.weighted:
            classes = b.floats("class_weights", padded(z.channels))
        if how.mixup:
            augment = b.plan.buffer("augment", len(AUGMENT_SETTINGS) * 8, Scope.SHARED)
        if how.sample_weighted:
            samples = b.plan.buffer("sample_weights", FLOAT, Scope.WHOLE)
        stage = CrossEntropy(
            z.channels,
            how.smoothing,
            how.weighted,
            how.mixup,
            how.updating.accumulate,
            how.sample_weighted,
        )
        b.emit(cross_entropy_kernel, stage, (*operands, classes, augment, samples), "loss")
    b.give_gradient(z, dz, bare, keep=False)
    b.judge()


def probabilities(b: Builder, z: Tensor) -> None:
    """Scores and probabilities, for the caller."""
    for name in ("scores", "probabilities"):
        b.plan.buffer(name, z.channels * FLOAT, Scope.OUTSIDE)
    operands = (z.name, "scores", "probabilities")
    b.emit(softmax, Softmax(z.channels), operands, "softmax")
