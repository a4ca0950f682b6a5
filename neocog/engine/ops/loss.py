"""The end: a loss in training, probabilities otherwise."""

from typing import Any

from neocog.engine.builder import FLOAT, Builder
from neocog.engine.plan import Scope
from neocog.engine.program_options import ProgramOptions
from neocog.engine.tensor import Tensor
from neocog.kernels.input.augmented import AUGMENT_SETTINGS
from neocog.kernels.layout import padded
from neocog.kernels.loss.binary_cross_entropy import binary_cross_entropy
from neocog.kernels.loss.cross_entropy import CrossEntropy, cross_entropy
from neocog.kernels.loss.label_score import score_of_label
from neocog.kernels.loss.softmax import Softmax, softmax
from neocog.kernels.loss.squared_error import squared_error
from neocog.kernels.loss.targets import Targets
from neocog.settings.training import TrainingSettings

__all__ = ["add_loss", "probabilities"]

# Losses with a target for every output.
_OF_TARGETS = {"binary-cross-entropy": binary_cross_entropy, "mse": squared_error}


def add_loss(builder: Builder, z: Tensor) -> None:
    """Add the loss of each image and the gradient of the scores z, such as δ = y − t."""
    builder.plan.buffer("losses", 8, Scope.BATCH)
    bare = z.gradient_map.bare
    dz = builder.map("loss.dz", bare, transient=True)
    options = builder.options or ProgramOptions.of(TrainingSettings())
    operands = {"z": z.name, "dz": dz, "losses": "losses", "order": "order", "step": "step"}
    if options.of_score:
        builder.emit(score_of_label, Softmax(z.channels), "loss", **operands, labels="labels")
    elif options.settings.loss in _OF_TARGETS:
        of_targets = _targets(options, z.channels)
        operands |= {"targets": "labels"} | _optional(builder, of_targets)
        if of_targets.weighted:
            operands["pos_weight"] = builder.floats("pos_weight", padded(z.channels))
        builder.emit(_OF_TARGETS[options.settings.loss], of_targets, "loss", **operands)
    else:
        of_classes = _cross_entropy(options, z.channels)
        operands |= {"labels": "labels"} | _optional(builder, of_classes)
        if of_classes.weighted:
            operands["class_weights"] = builder.floats("class_weights", padded(z.channels))
        builder.emit(cross_entropy, of_classes, "loss", **operands)
    builder.give_gradient(z, dz, bare, keep=False)
    builder.check_loss()


def _optional(builder: Builder, spec: Any) -> dict[str, str]:
    """The operands that a loss needs for mixed labels and for weights of images."""
    operands = {}
    if spec.mixes:
        size = len(AUGMENT_SETTINGS) * 8
        operands["augment"] = builder.plan.buffer("augment", size, Scope.SHARED)
    if spec.sample_weighted:
        operands["sample_weights"] = builder.plan.buffer("sample_weights", FLOAT, Scope.WHOLE)
    return operands


def _targets(options: ProgramOptions, outputs: int) -> Targets:
    settings = options.settings
    return Targets(
        outputs,
        settings.augmentation.mixup,
        settings.accumulate,
        options.sample_weighted,
        settings.pos_weight is not None,
    )


def _cross_entropy(options: ProgramOptions, classes: int) -> CrossEntropy:
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
