"""Fully connected layers.

With small batches workers split a layer by its inputs, which ends the images' group. Otherwise the
whole weight would move in each step from the core that updated it to all others: for the note's
network at batch 4 that is more traffic than its images.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from neocog.engine.builder import FLOAT, Builder
from neocog.engine.ops.base import Op
from neocog.engine.ops.packing import vector_parameter
from neocog.engine.plan import Group, Instruction
from neocog.engine.tensor import Parameter
from neocog.kernels.codegen.vector_types import LANES
from neocog.kernels.layout import FeatureMap, LinearWeight, padded
from neocog.kernels.linear.forward import (
    linear_forward,
    linear_forward_outputs,
    linear_forward_parts,
    linear_sum_parts,
)
from neocog.kernels.linear.gradient import (
    linear_backward_bias,
    linear_backward_input,
    linear_backward_input_slices,
    linear_backward_weight,
)
from neocog.kernels.linear.tiling import FullyConnected
from neocog.layers import Linear

__all__ = ["LinearOp"]

Floats = NDArray[np.float32]

# Bytes of a weight whose gradient is computed, then applied, at a time.
_SLICE_BYTES = 8 * 1024

# Vectors of inputs whose gradients are computed at a time, at least; the kernel reads dz once for
# four of them.
_FEWEST_VECTORS = 4


# Weights from which on workers split the layer of a single image; reading fewer takes hardly longer
# than the barrier.
_SPLIT_WEIGHTS = 64 * 1024


@dataclass(eq=False)
class LinearOp(Op):
    """A linear layer, with the ReLU after it if `relu` is set; x has no border."""

    layer: Linear
    relu: bool = False

    def parameters(self) -> list[Parameter]:
        """``weight`` and ``bias``."""
        outputs, inputs = self.layer.out_features, self.layer.in_features
        layout = LinearWeight(padded(self.x.map.content), outputs)
        weight = Parameter(
            f"{self.name}.weight",
            (outputs, inputs),
            layout.size,
            lambda value: pack_linear(self.x.map, value),
            lambda packed: unpack_linear(self.x.map, outputs, packed),
        )
        bias = vector_parameter(f"{self.name}.bias", outputs)
        return [weight, bias] if self.layer.bias else [weight]

    def _spec(self, builder: Builder, *, gated: bool = False) -> FullyConnected:
        batch = builder.batch if builder.shared else 0
        outputs = self.layer.out_features
        return FullyConnected(self.x.map, outputs, self.layer.bias, self.relu, gated, batch)

    @property
    def _bias(self) -> str | None:
        return f"{self.name}.bias" if self.layer.bias else None

    def forward(self, builder: Builder) -> None:
        """Split by images, by parts of the inputs, or for a single image by outputs."""
        for parameter in self.parameters():
            builder.parameter(parameter)
        x, y = self.x.name, builder.map(self.y.name, self.y.map)
        spec, bias = self._spec(builder), self._bias
        if builder.shared:
            parts = self._forward_parts(builder)
            builder.emit(linear_sum_parts, spec, self.name, parts=parts, bias=bias, z=y)
            return
        operands = {"x": x, "weight": f"{self.name}.weight", "bias": bias, "z": y}
        if builder.single_image and spec.w.size >= _SPLIT_WEIGHTS and spec.blocks:
            forward = linear_forward_outputs
            builder.emit_parts(forward, spec, self.name, parts=spec.blocks, **operands)
        else:
            builder.emit(linear_forward, spec, self.name, **operands)

    def _forward_parts(self, builder: Builder) -> str:
        """The sums of each part of the inputs, for all images; returns their buffer."""
        spec = replace(self._spec(builder), bias=False, relu=False)
        parts = builder.floats(f"{self.name}.parts", spec.parts * builder.batch * spec.z.size)
        operands = {"x": self.x.name, "weight": f"{self.name}.weight", "parts": parts}
        instruction = Instruction.of(linear_forward_parts, spec, self.name, **operands, step="step")
        builder.over(Group([instruction], spec.parts, barrier=True))
        return parts

    def backward(self, builder: Builder) -> None:
        """x's gradient by images and then the weight's by slices of inputs, or both by slices."""
        name, dz = self.name, builder.gradient(self.y)
        spec = self._spec(builder, gated=self.x.gated)
        of_weight = Instruction.of(
            linear_backward_weight,
            self._spec(builder),
            name,
            x=self.x.name,
            dz=dz,
            dw=f"{name}.weight.gradient",
            step="step",
        )
        instructions = [of_weight]
        chunk = max(_FEWEST_VECTORS, _SLICE_BYTES // (spec.vector_size * FLOAT))
        if self.x.learns:
            direct = self.x.gradient_map == self.x.map
            dx, _ = builder.write_gradient(self.x) if direct else (f"{name}.dx", False)
            if not direct:
                builder.map(dx, self.x.map, transient=True)
            operands = {"dz": dz, "weight": f"{name}.weight", "x": self.x.name, "dx": dx}
            if builder.shared:
                slices = Instruction.of(
                    linear_backward_input_slices, spec, name, **operands, step="step"
                )
                instructions.insert(0, slices)
            else:
                builder.emit(linear_backward_input, spec, name, **operands)
        weight, *bias = self.parameters()
        builder.learn([weight], instructions, spec.input_vectors, chunk)
        for parameter in bias:
            of_bias = Instruction.of(
                linear_backward_bias, spec, name, dz=dz, db=f"{name}.bias.gradient", step="step"
            )
            builder.learn([parameter], [of_bias], 1)
        if builder.shared:
            builder.learn_now()
        if self.x.learns:
            if direct:
                builder.add_gradient(self.x, dx)
            else:
                builder.give_gradient(self.x, dx, self.x.map, keep=True)


# Rows that are put in order at a time, which stay in the cache meanwhile. All rows of VGG's 400 MB
# at once take 2 to 3 times as long.
_ROWS = 4


def pack_linear(x: FeatureMap, value: Floats) -> Floats:
    """A weight [outputs, C · H · W] in the kernels' layout, for inputs in the layout of map x."""
    outputs, inputs = len(value), padded(x.content)
    maps = value.reshape(outputs, x.channels, x.height, x.width).transpose(0, 2, 3, 1)
    packed = np.empty((inputs // LANES, outputs, LANES), np.float32)
    for some in _parts(outputs):
        rows = np.zeros((len(maps[some]), inputs), np.float32)
        _maps(x, rows)[:] = maps[some]
        packed[:, some] = rows.reshape(len(rows), -1, LANES).transpose(1, 0, 2)
    return packed.ravel()


def unpack_linear(x: FeatureMap, outputs: int, packed: Floats) -> Floats:
    """The inverse of `pack_linear`; a copy."""
    vectors = packed.reshape(-1, outputs, LANES).transpose(1, 0, 2)
    value = np.empty((outputs, x.channels, x.height, x.width), np.float32)
    for some in _parts(outputs):
        rows = np.ascontiguousarray(vectors[some])
        value[some] = _maps(x, rows.reshape(len(rows), -1)).transpose(0, 3, 1, 2)
    return value.reshape(outputs, -1)


def _parts(outputs: int) -> list[slice]:
    return [slice(first, first + _ROWS) for first in range(0, outputs, _ROWS)]


def _maps(x: FeatureMap, rows: Floats) -> Floats:
    """The weights in rows of the layout of map x, [rows, H, W, C]; a view."""
    maps = rows[:, : x.height * x.width * x.pixel].reshape(-1, x.height, x.width, x.pixel)
    return maps[..., : x.channels]
