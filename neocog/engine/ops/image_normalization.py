"""Group normalization, and layer normalization of pixels: by the statistics of each image."""

from dataclasses import dataclass, replace

from neocog.engine.builder import Builder
from neocog.engine.ops.base import Op
from neocog.engine.ops.packing import vector_parameter
from neocog.engine.plan import Instruction
from neocog.engine.strips import Rows
from neocog.engine.tensor import Parameter
from neocog.kernels.codegen.vector_types import LANES
from neocog.kernels.elementwise.group_norm import (
    GroupNormalization,
    group_norm_backward,
    group_norm_forward,
)
from neocog.kernels.elementwise.layer_norm import (
    LayerNormalization,
    layer_norm_backward,
    layer_norm_forward,
)
from neocog.kernels.elementwise.parameter_sums import ParameterSums, sum_over_images
from neocog.layers import GroupNorm, LayerNorm2d

__all__ = ["ImageNormalizationOp"]


@dataclass(eq=False)
class ImageNormalizationOp(Op):
    """Normalizes the groups of channels of each image, or the channels of each pixel."""

    layer: GroupNorm | LayerNorm2d

    def parameters(self) -> list[Parameter]:
        """``weight`` and ``bias``, if there are any."""
        shapes = self.layer.parameter_shapes()
        return [vector_parameter(f"{self.name}.{part}", count) for part, (count,) in shapes.items()]

    def _spec(self) -> GroupNormalization | LayerNormalization:
        maps = self.x.map, self.y.map, self.y.gradient_map, self.x.gradient_map
        layer, passes = self.layer, self.x.learns
        if isinstance(layer, GroupNorm):
            return GroupNormalization(*maps, layer.num_groups, layer.eps, layer.affine, passes)
        return LayerNormalization(*maps, layer.eps, layer.elementwise_affine, passes)

    @property
    def _named(self) -> dict[str, str]:
        """The parameters by their own names."""
        return {part: f"{self.name}.{part}" for part in self.layer.parameter_shapes()}

    def forward(self, builder: Builder) -> None:
        """Normalize, and keep the statistics for the way back."""
        for parameter in self.parameters():
            builder.parameter(parameter)
        builder.map(self.y.name, self.y.map)
        spec = self._spec()
        of = {"x": self.x.name, "y": self.y.name, **self._named}
        of["statistics"] = builder.per_image(f"{self.name}.statistics", spec.statistics_size)
        if isinstance(spec, GroupNormalization):
            of["scratch"] = builder.scratch("normalization", 3 * spec.size)
            builder.emit(group_norm_forward, spec, self.name, **of)
        else:
            builder.emit_rows(layer_norm_forward, self._rows(spec), self.name, **of)

    @staticmethod
    def _rows(spec: LayerNormalization) -> Rows:
        floats = {"statistics": 2 * spec.x.width, "x": spec.x.row, "y": spec.y.row}
        return replace(Rows.of_maps(spec, ("x", "y")), floats=floats)

    def backward(self, builder: Builder) -> None:
        """Each image's gradients; those of the parameters are added when all are there."""
        if not self.y.learns:
            return
        name, spec, named = self.name, self._spec(), self._named
        of = {"x": self.x.name, "dy": builder.gradient(self.y)}
        if named:
            of["weight"] = named["weight"]
        of["statistics"] = f"{name}.statistics"
        of["sums"] = builder.per_image(f"{name}.sums", 2 * spec.size)
        of["scratch"] = builder.scratch("normalization", 3 * spec.size)
        if self.x.learns:
            of["dx"], _ = builder.write_gradient(self.x)
        grouped = isinstance(spec, GroupNormalization)
        builder.emit(group_norm_backward if grouped else layer_norm_backward, spec, name, **of)
        if self.x.learns:
            builder.add_gradient(self.x, of["dx"])
        if named:
            gradients = {f"d{part}": f"{parameter}.gradient" for part, parameter in named.items()}
            sums = {"sums": of["sums"], "step": "step"}
            spec_of_sums = ParameterSums(spec.size)
            added = Instruction.of(sum_over_images, spec_of_sums, name, **sums, **gradients)
            builder.learn(self.parameters(), [added], spec.size // LANES)
