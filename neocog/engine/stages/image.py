"""The first stage: bytes become the network's input."""

from dataclasses import dataclass

from neocog.engine.builder import FLOAT, Builder
from neocog.engine.plan import Scope
from neocog.engine.stages.base import Stage
from neocog.kernels.augmentation import AUGMENT_SETTINGS, Augmented, load_augmented
from neocog.kernels.image import Images, load_images

__all__ = ["LoadStage"]

_INT, _LONG = 4, 8


@dataclass(eq=False)
class LoadStage(Stage):
    """Gathers, augments and normalises images; y is the input, and there is no x."""

    def forward(self, b: Builder) -> None:
        """Bytes to floats."""
        x = self.y.map
        b.map("input", x)
        for name in ("scale", "shift"):
            b.plan.buffer(name, x.width * x.pixel * FLOAT, Scope.SHARED)
        images = b.plan.buffer("images", x.height * x.width * x.channels, Scope.WHOLE)
        b.plan.buffer("step", 5 * _LONG, Scope.WORKER)
        order = None
        if b.training:
            order = b.plan.buffer("order", _LONG, Scope.WHOLE)
            b.plan.buffer("labels", _LONG, Scope.WHOLE)
        operands = (images, order, "step", "scale", "shift", "input")
        stage = Images(x, b.training)
        augment = b.method.augment if b.method else None
        if augment is None:
            b.emit(load_images, stage, operands, "input")
            return
        settings = b.plan.buffer("augment", len(AUGMENT_SETTINGS) * _LONG, Scope.SHARED)
        other = b.floats("other", x.size, Scope.WORKER) if augment.mixes else None
        augmented = Augmented(stage, augment, b.method.stored if b.method else None)
        scratch: list[str | None] = [None, None]
        if augmented.scratch.bytes:
            numbers = augmented.scratch.numbers * _INT
            scratch[0] = b.plan.buffer("pictures", augmented.scratch.bytes, Scope.WORKER)
            scratch[1] = b.plan.buffer("taps", numbers, Scope.WORKER) if numbers else None
        b.emit(load_augmented, augmented, (*operands, settings, other, *scratch), "input")

    def backward(self, b: Builder) -> None:
        """Nothing: images do not learn."""
