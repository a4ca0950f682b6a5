"""Winograd's algorithm for 3 × 3 convolutions: forward, and both gradients.

It needs fewer multiplications, but more additions and memory, so it pays from some channels on.
"""

from neocog.engine.builder import FLOAT, Builder
from neocog.engine.plan import Group, Instruction, Scope
from neocog.engine.tensor import Tensor
from neocog.kernels.layout import FeatureMap
from neocog.kernels.winograd.forward import winograd_forward
from neocog.kernels.winograd.gradient import (
    winograd_backward_weight,
    winograd_outer,
    winograd_reduce,
    winograd_transform_gradient,
    winograd_transform_input,
)
from neocog.kernels.winograd.gradient_tiling import WinogradGradient, WinogradPass
from neocog.kernels.winograd.tiling import Winograd
from neocog.kernels.winograd.weight import (
    WinogradWeight,
    winograd_weight,
    winograd_weight_flipped,
)
from neocog.layers import Conv2d

__all__ = [
    "winograd_convolve",
    "winograd_input_gradient",
    "winograd_suits",
    "winograd_weight_gradient",
]

_NONE = FeatureMap(1, 1, 1)

# With fewer channels than this the transforms do not pay.
_LEAST_CHANNELS = 16

# For a single image with at most so many pixels, a U of so many bytes does not pay: it is four
# times as large as the weight, comes from memory, and is used once.
_FEW_PLACES = 64
_FAR_BYTES = 2 * 1024 * 1024

# Input × output channels up to which each shard has its own sum.
_SHARDED = 64 * 64


def winograd_suits(layer: Conv2d, x: Tensor, *, single_image: bool) -> bool:
    """Whether Winograd's algorithm can compute this convolution and is faster."""
    plain = (layer.kernel, layer.steps, layer.spread, layer.groups) == ((3, 3), (1, 1), (1, 1), 1)
    largest = max(*layer.before, *layer.after) <= 2
    channels = min(layer.in_channels, layer.out_channels)
    if single_image and x.height * x.width <= _FEW_PLACES:
        far = 4 * 36 * layer.in_channels * layer.out_channels >= _FAR_BYTES
        largest = largest and not far
    return plain and largest and not x.dense and channels >= _LEAST_CHANNELS


def winograd_convolve(
    builder: Builder,
    name: str,
    layer: Conv2d,
    x: Tensor,
    y: Tensor,
    *,
    bias: str | None,
    function: str,
    addend: Tensor | None,
) -> None:
    """Add the convolution, and the transform of its weight after each update.

    Args:
        builder: builds the plan.
        name: of the layer.
        layer: the convolution.
        x: its input.
        y: its output.
        bias: the bias's operand.
        function: what is computed of the result; one of `limits.LIMITS`.
        addend: what is added before that, of y's size.
    """
    spec = Winograd(
        x.map,
        y.map,
        *layer.before,
        bias=bias is not None,
        function=function,
        adds=addend is not None,
        addend=_NONE if addend is None else addend.map,
        parts=builder.single_image,
    )
    u = builder.floats(f"{name}.weight.points", spec.u_size)
    scratch = builder.scratch("winograd", spec.scratch_size)
    of = {"x": x.name, "u": u, "bias": bias, "y": y.name, "scratch": scratch}
    of["addend"] = None if addend is None else addend.name
    if builder.single_image:
        builder.emit_parts(winograd_forward, spec, name, parts=spec.tiles, **of)
    else:
        builder.emit(winograd_forward, spec, name, **of)
    points = WinogradWeight(spec)
    weight = Instruction.of(winograd_weight, points, name, weight=f"{name}.weight", u=u)
    builder.refresh(weight, spec.w.blocks)


def winograd_input_gradient(
    builder: Builder, name: str, layer: Conv2d, x: Tensor, dy: str, dy_map: FeatureMap
) -> None:
    """Add x's gradient: the convolution of dy with the flipped kernel."""
    dx, adds = builder.write_gradient(x, can_add=not x.gated)
    top, left = (2 - side for side in layer.before)
    spec = Winograd(
        dy_map,
        x.gradient_map,
        top,
        left,
        bias=False,
        accumulate=adds,
        gated=x.gated,
        gate=x.map if x.gated else _NONE,
    )
    u = builder.floats(f"{name}.weight.flipped_points", spec.u_size)
    scratch = builder.scratch("winograd", spec.scratch_size)
    builder.emit(winograd_forward, spec, name, x=dy, u=u, y=dx, gate=x.name, scratch=scratch)
    if not adds:
        builder.add_gradient(x, dx)
    points = WinogradWeight(spec)
    flip = Instruction.of(winograd_weight_flipped, points, name, weight=f"{name}.weight", u=u)
    builder.refresh(flip, spec.w.blocks)


def winograd_weight_gradient(
    builder: Builder, name: str, layer: Conv2d, x: Tensor, dy: str, dy_map: FeatureMap
) -> tuple[list[Instruction], int]:
    """The instructions that compute the weight's gradient after the images, and their items.

    There are none if a group of its own, after the next cut, computes it already.
    """
    small = layer.in_channels * layer.out_channels <= _SHARDED
    shard, images = (builder.shard, 0) if small else (0, builder.batch)
    top, left = layer.before
    spec = WinogradGradient(x.map, dy_map, top, left, bias=layer.bias, shard=shard, images=images)
    gradient = f"{name}.weight.gradient"
    of_bias = f"{name}.bias.gradient" if layer.bias else None
    if small:
        sums = builder.floats(f"{name}.weight.shards", spec.s_size * builder.shards)
        shards = builder.floats(f"{name}.bias.shards", dy_map.pixel * builder.shards)
        scratch = builder.scratch("winograd", spec.scratch_size)
        builder.emit(
            winograd_backward_weight,
            spec,
            name,
            x=x.name,
            dy=dy,
            sums=sums,
            bias_sums=shards,
            scratch=scratch,
        )
        of = {"sums": sums, "bias_sums": shards, "dw": gradient, "db": of_bias, "step": "step"}
        return [Instruction.of(winograd_reduce, WinogradPass(spec), name, **of)], spec.w.blocks
    # Without it, two layers of one group would transform into the same memory.
    builder.cut_before_reuse()
    v = builder.scratch("winograd.v", spec.v_size, Scope.SHARED)
    w = builder.scratch("winograd.w", spec.w_size, Scope.SHARED)
    passing = WinogradPass(spec)
    builder.emit(winograd_transform_input, passing, name, x=x.name, v=v)
    biases = builder.plan.map(f"{name}.bias.images", dy_map.pixel * FLOAT) if layer.bias else None
    builder.emit(winograd_transform_gradient, passing, name, dy=dy, w=w, bias_sums=biases)
    of = {"v": v, "w": w, "bias_sums": biases, "dw": gradient, "db": of_bias, "step": "step"}
    scratch = builder.scratch("winograd", spec.scratch_size)
    outer = Instruction.of(winograd_outer, spec, name, **of, scratch=scratch)
    builder.after_cut(Group([outer], spec.items, barrier=True))
    return [], spec.w.blocks
