"""The end: cross-entropy in training, probabilities otherwise."""

from neocog.engine.builder import FLOAT, Builder
from neocog.engine.plan import Scope
from neocog.engine.program_options import ProgramOptions
from neocog.engine.tensor import Tensor
from neocog.kernels.input.augmented import AUGMENT_SETTINGS
from neocog.kernels.layout import padded
from neocog.kernels.loss.cross_entropy import CrossEntropy
from neocog.kernels.loss.cross_entropy import cross_entropy as cross_entropy_kernel
from neocog.kernels.loss.label_score import score_of_label
from neocog.kernels.loss.softmax import Softmax, softmax
from neocog.settings.training import TrainingSettings

__all__ = ["cross_entropy", "probabilities"]


def cross_entropy(builder: Builder, z: Tensor) -> None:
    """Add the loss of each image, and δ = y − t, the gradient of the scores z."""
    builder.plan.buffer("losses", 8, Scope.BATCH)
    bare = z.gradient_map.bare
    dz = builder.map("loss.dz", bare, transient=True)
    operands = {"z": z.name, "dz": dz} | {
        name: name for name in ("losses", "order", "labels", "step")
    }
    options = builder.options or ProgramOptions.of(TrainingSettings())
    if options.of_score:
        builder.emit(score_of_label, Softmax(z.channels), "loss", **operands)
    else:
        spec = _spec(options, z.channels)
        if spec.weighted:
            operands["class_weights"] = builder.floats("class_weights", padded(z.channels))
        if spec.mixes:
            size = len(AUGMENT_SETTINGS) * 8
            operands["augment"] = builder.plan.buffer("augment", size, Scope.SHARED)
        if spec.sample_weighted:
            plan = builder.plan
            operands["sample_weights"] = plan.buffer("sample_weights", FLOAT, Scope.WHOLE)
        builder.emit(cross_entropy_kernel, spec, "loss", **operands)
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
    operands = {"z": z.name, "scores": "scores", "p": "probabilities"}
    builder.emit(softmax, Softmax(z.channels), "softmax", **operands)
