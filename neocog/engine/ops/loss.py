"""The end: cross-entropy in training, probabilities otherwise."""

from neocog.engine.builder import FLOAT, Builder
from neocog.engine.plan import Scope
from neocog.engine.program_options import ProgramOptions
from neocog.engine.tensor import Tensor
from neocog.kernels.input.augmented import AUGMENT_SETTINGS
from neocog.kernels.layout import padded
from neocog.kernels.loss.cross_entropy import CrossEntropy
from neocog.kernels.loss.cross_entropy import cross_entropy as cross_entropy_kernel
from neocog.kernels.loss.softmax import Softmax, score_of_label, softmax, softmax_cross_entropy
from neocog.settings.training import TrainingSettings

__all__ = ["cross_entropy", "probabilities"]


def cross_entropy(builder: Builder, z: Tensor) -> None:
    """Add the loss of each image, and δ = y − t, the gradient of the scores z."""
    builder.plan.buffer("losses", 8, Scope.BATCH)
    bare = z.gradient_map.bare
    dz = builder.map("loss.dz", bare, transient=True)
    operands = (z.name, dz, "losses", "order", "labels", "step")
    options = builder.options or ProgramOptions.of(TrainingSettings())
    spec = _spec(options, z.channels)
    if options.of_score:
        builder.emit(score_of_label, Softmax(z.channels), operands, "loss")
    elif spec == CrossEntropy(z.channels):
        builder.emit(softmax_cross_entropy, Softmax(z.channels), operands, "loss")
    else:
        classes, augment, samples = None, None, None
        if spec.weighted:
            classes = builder.floats("class_weights", padded(z.channels))
        if spec.mixup:
            augment = builder.plan.buffer("augment", len(AUGMENT_SETTINGS) * 8, Scope.SHARED)
        if spec.sample_weighted:
            samples = builder.plan.buffer("sample_weights", FLOAT, Scope.WHOLE)
        builder.emit(cross_entropy_kernel, spec, (*operands, classes, augment, samples), "loss")
    builder.give_gradient(z, dz, bare, keep=False)
    builder.check_loss()


def _spec(options: ProgramOptions, classes: int) -> CrossEntropy:
    settings = options.settings
    return CrossEntropy(
        classes,
        settings.label_smoothing,
        settings.class_weights is not None,
        settings.augmentation.mixup,
        settings.accumulate,
        options.sample_weighted,
    )


def probabilities(builder: Builder, z: Tensor) -> None:
    """Add the instructions that write scores and probabilities for the caller."""
    for name in ("scores", "probabilities"):
        builder.plan.buffer(name, z.channels * FLOAT, Scope.OUTSIDE)
    operands = (z.name, "scores", "probabilities")
    builder.emit(softmax, Softmax(z.channels), operands, "softmax")
