"""The first operation: bytes become the network's input."""

from dataclasses import dataclass

from neocog.engine.builder import FLOAT, Builder
from neocog.engine.ops.base import Op
from neocog.engine.plan import Scope
from neocog.kernels.input.augmentation import AUGMENT_SETTINGS, Augmented, load_augmented
from neocog.kernels.input.image import Images, load_images

__all__ = ["LoadOp"]

_INT, _LONG = 4, 8


@dataclass(eq=False)
class LoadOp(Op):
    """Gathers, augments and normalizes images; y is the input, and there is no x."""

    def forward(self, builder: Builder) -> None:
        """Convert the images' bytes to normalized floats."""
        x = self.y.map
        builder.map("input", x)
        for name in ("scale", "shift"):
            builder.plan.buffer(name, x.width * x.pixel * FLOAT, Scope.SHARED)
        images = builder.plan.buffer("images", x.height * x.width * x.channels, Scope.WHOLE)
        builder.plan.buffer("step", 5 * _LONG, Scope.WORKER)
        order = None
        if builder.training:
            order = builder.plan.buffer("order", _LONG, Scope.WHOLE)
            builder.plan.buffer("labels", _LONG, Scope.WHOLE)
        operands = (images, order, "step", "scale", "shift", "input")
        spec = Images(x, builder.training)
        augment = builder.options.augment if builder.options else None
        if augment is None:
            builder.emit(load_images, spec, operands, "input")
            return
        settings = builder.plan.buffer("augment", len(AUGMENT_SETTINGS) * _LONG, Scope.SHARED)
        other = builder.floats("other", x.size, Scope.WORKER) if augment.mixes else None
        augmented = Augmented(spec, augment, builder.options.stored if builder.options else None)
        scratch: list[str | None] = [None, None]
        if augmented.scratch.bytes:
            numbers = augmented.scratch.numbers * _INT
            scratch[0] = builder.plan.buffer("pictures", augmented.scratch.bytes, Scope.WORKER)
            scratch[1] = builder.plan.buffer("taps", numbers, Scope.WORKER) if numbers else None
        builder.emit(load_augmented, augmented, (*operands, settings, other, *scratch), "input")

    def backward(self, builder: Builder) -> None:
        """Nothing: images need no gradient."""
