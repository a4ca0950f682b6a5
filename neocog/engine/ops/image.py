"""The first operation: bytes become the network's input."""

from dataclasses import dataclass, replace

from neocog.engine.builder import FLOAT, Builder
from neocog.engine.ops.base import Op
from neocog.engine.plan import Scope
from neocog.engine.strips import Rows
from neocog.kernels.input.augmentation import augmentation_plan, augmentation_rooms
from neocog.kernels.input.augmented import AUGMENT_SETTINGS, Augmented
from neocog.kernels.input.image import Images, load_images

__all__ = ["LoadOp"]

_LONG = 8


@dataclass(eq=False)
class LoadOp(Op):
    """Gathers, augments and normalizes images; y is the input, and there is no x."""

    def forward(self, builder: Builder) -> None:
        """Convert the images' bytes to normalized floats."""
        x = self.y.map
        builder.map("input", x)
        for name in ("scale", "shift"):
            builder.plan.buffer(name, x.width * x.pixel * FLOAT, Scope.SHARED)
        data = builder.plan.buffer("images", x.height * x.width * x.channels, Scope.WHOLE)
        builder.plan.buffer("step", 5 * _LONG, Scope.WORKER)
        order = None
        if builder.training:
            order = builder.plan.buffer("order", _LONG, Scope.WHOLE)
            builder.plan.buffer("labels", _LONG, Scope.WHOLE)
        images, options = Images(x, builder.training), builder.options
        if options is None or options.augment is None:
            of = {name: name for name in ("step", "scale", "shift")}
            rows = self._rows(images)
            builder.emit_rows(load_images, rows, "input", data=data, order=order, x="input", **of)
            return
        builder.plan.buffer("augment", len(AUGMENT_SETTINGS) * _LONG, Scope.SHARED)
        self._augment(builder, Augmented(images, options.augment, options.stored))

    @staticmethod
    def _rows(images: Images) -> Rows:
        height = images.x.height

        def spec_of(begin: int, end: int) -> Images:
            x = replace(images.x, height=end - begin)
            return replace(images, x=x, above=begin, below=height - end)

        return Rows(spec_of, height, {"x": images.x.row})

    @staticmethod
    def _augment(builder: Builder, spec: Augmented) -> None:
        for name, room in augmentation_rooms(spec).items():
            if room.per_image:
                builder.plan.map(name, room.bytes)
            else:
                builder.plan.buffer(name, room.bytes, Scope.WORKER)
        for step in augmentation_plan(spec):
            builder.emit(step.kernel, step.spec, "input", **step.operands)

    def backward(self, builder: Builder) -> None:
        """Nothing: images need no gradient."""
